"""The commands that only read: what they print, for people and as JSON, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest
import yaml
from project import PHASE2

from ckpt_migrate.errors import EXIT_DONE, EXIT_UNDECIDED, EXIT_USAGE
from ckpt_migrate.plan.records import Clock
from ckpt_migrate.plan.words import SYMBOLS, clock_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from project import Project

    from cli.conftest import Ended

    Call = Callable[..., Ended]

STORE = ("--tracking-uri", "mlruns")


@pytest.fixture
def migrated(ckpt: Call, empty_project: Project) -> Project:
    """Two trainings, migrated."""
    for number in range(2):
        empty_project.add(number)
    assert ckpt("plan", "checkpoints", *STORE).code == EXIT_DONE
    assert ckpt("apply", "plan.yaml", "--yes").code == EXIT_DONE
    return empty_project


# scan


def test_scan_shows_every_directory_with_what_it_is(ckpt: Call, project: Project) -> None:
    ended = ckpt("scan", "checkpoints")
    assert (ended.code, ended.err) == (EXIT_DONE, "")
    for number in range(6):
        assert re.search(rf"(?m)^legacy +phase2/{project.training(number).legacy} ", ended.out)
    assert re.search(r"(?m)^link +phase2/latest .* a symbolic link to ", ended.out)
    assert re.search(r"(?m)^ +7  legacy +named by the old training code$", ended.out)
    data = ckpt("scan", "checkpoints", "--format", "json").data
    assert data["summary"] == {"legacy": 7, "link": 1}
    (first,) = [row for row in data["checkpoints"] if row["id"] == project.training(0).uid]
    assert (first["state"], first["stamp"], first["files"]) == ("legacy", project.training(0).stamp, 2)
    assert first["path"] == str(project.root / project.training(0).legacy)
    assert first["evidence"] == ["config", "weights"]


def test_scan_shows_what_was_found_in_which_file_by_which_reader(ckpt: Call, project: Project) -> None:
    """Every fact, and every file that a reader could not read; in JSON with its kind and whole value."""
    directory = project.root / project.training(0).legacy
    (directory / "config.json").write_text('{"lr": 2e-4, "top": NaN, "note": "' + "x" * 300 + '\\u202e"}')
    (directory / "best-epoch=03-val_loss=0.25.ckpt").write_bytes(b"no torch")
    ended = ckpt("scan", "checkpoints", "--evidence")
    assert (ended.code, ended.err) == (EXIT_DONE, "")
    _, _, told = ended.out.partition(f"\nphase2/{project.training(0).legacy}\n")
    told, _, _ = told.partition("\n\n")
    assert told.splitlines()[:7] == [
        "  best-epoch=03-val_loss=0.25.ckpt  (read by: file name)",
        "    count   epoch = 3",
        "    metric  val_loss = 0.25",
        "  config.json  (read by: config)",
        "    param   lr = 0.0002",
        f"    param   note = {'x' * 97}...",
        "    param   top = nan",
    ]
    unread = "  best-epoch=03-val_loss=0.25.ckpt  (reader: torch)  NOT READ: neither a zip archive nor a pickle"
    assert unread in told
    rows = ckpt("scan", "checkpoints", "--evidence", "--format", "json").data["checkpoints"]
    (row,) = [row for row in rows if row["id"] == project.training(0).uid]
    (note, top) = [fact for fact in row["facts"] if fact["key"] in {"note", "top"}]
    assert note["value"] == "x" * 300 + "\u202e"
    assert top == {"kind": "param", "key": "top", "value": "nan", "source": "config.json", "reader": "config"}
    assert {one["source"] for one in row["unread"]} >= {"best-epoch=03-val_loss=0.25.ckpt"}


# plan


def test_plan_says_what_it_found_and_what_to_do_next(ckpt: Call, project: Project) -> None:
    ended = ckpt("plan", "checkpoints", *STORE)
    assert ended.code == EXIT_UNDECIDED
    runs, clock, summary, expected, empty, *rest = ended.out.splitlines()
    assert runs == "Runs: 6 in mlruns."
    assert clock.startswith("Time stamps are read in Europe/Berlin (or ")
    assert summary == "Plan: 3 to rename, 1 to repair, 3 to decide, 0 unchanged."
    assert re.fullmatch(r"Expected number of wrong renames in it: 0\.00[0-9]{2}\.", expected)
    assert empty == ""
    assert [line.strip() for line in rest[1:]] == [
        "ckpt-migrate show plan.yaml",
        "ckpt-migrate review plan.yaml",
        "ckpt-migrate apply plan.yaml --dry-run",
    ]
    assert (project.folder / "plan.yaml").is_file()


def test_a_plan_with_nothing_left_to_decide_exits_with_zero(ckpt: Call, migrated: Project) -> None:
    ended = ckpt("plan", "checkpoints", *STORE)
    assert ended.code == EXIT_DONE
    assert "No changes. 2 directories name their run already, and their manifests agree." in ended.out
    assert ended.out.endswith("\nThe plan is in plan.yaml; there is nothing to do.\n")
    assert migrated.root.is_dir()


def test_a_plan_on_standard_output_is_the_plan_and_nothing_else(ckpt: Call, project: Project) -> None:
    before = project.snapshot()
    ended = ckpt("plan", "checkpoints", *STORE, "-o", "-")
    assert len(yaml.safe_load(ended.out)["entries"]) == 7
    assert project.snapshot() == before
    (project.folder / "plan.yaml").write_text(ended.out, encoding="utf-8")
    assert ckpt("plan", "checkpoints", *STORE).code == EXIT_UNDECIDED  # which may write it over: nobody touched it


def test_a_plan_as_json_is_what_the_file_says(ckpt: Call, project: Project) -> None:
    ended = ckpt("plan", "checkpoints", *STORE, "--format", "json")
    data, written = ended.data, yaml.safe_load((project.folder / "plan.yaml").read_text(encoding="utf-8"))
    assert (data["path"], data["summary"], data["created"]) == ("plan.yaml", written["summary"], written["created"])
    for entry, twin in zip(data["entries"], written["entries"], strict=True):
        assert {key: entry[key] for key in twin if key != "seal"} == {k: v for k, v in twin.items() if k != "seal"}
    assert 0 <= data["expected_wrong"] < 0.01
    assert (data["warnings"], data["problems"]) == ([], [])


def test_what_is_malformed_in_a_store_is_told_up_to_a_limit(ckpt: Call, project: Project) -> None:
    for number in range(20, 32):
        project.add_run(project.training(number))
        meta = project.folder / "mlruns" / "1" / project.training(number).run_id / "meta.yaml"
        meta.write_text("status: [\n", encoding="utf-8")
    ended = ckpt("plan", "checkpoints", *STORE)
    assert ended.code == EXIT_UNDECIDED
    assert ended.err.count("meta.yaml: not YAML") == 10
    assert "Warning: and 2 more things in the store were passed over." in ended.err
    assert len(ckpt("plan", "checkpoints", *STORE, "--format", "json").data["warnings"]) == 12


# show


def test_show_puts_what_needs_a_person_first_and_explains_its_symbols(ckpt: Call, project: Project) -> None:
    ckpt("plan", "checkpoints", *STORE)
    ended = ckpt("show", "plan.yaml")
    assert ended.code == EXIT_DONE
    marks = [line[0] for line in ended.out.splitlines()[1:8]]
    assert marks == ["?", "!", "!", "~", "~", "~", "+"]
    legend = ", ".join(f"{mark} {text}" for mark, text in SYMBOLS.items() if mark in "~+?!")
    assert f"\n{legend}\n" in ended.out
    assert project.training(0).legacy in ended.out


def test_show_follows_a_persons_edits(ckpt: Call, project: Project) -> None:
    ckpt("plan", "checkpoints", *STORE)
    path = project.folder / "plan.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("\n  action: rename\n", "\n  action: skip\n", 1), encoding="utf-8")
    ended = ckpt("show", "plan.yaml")
    assert "Plan: 2 to rename, 1 to repair, 4 to decide, 0 unchanged." in ended.out


def test_show_tells_the_whole_case_of_one_checkpoint(ckpt: Call, project: Project) -> None:
    ckpt("plan", "checkpoints", *STORE)
    training = project.training(0)
    for name in (training.uid[:8], training.legacy, f"checkpoints/phase2/{training.legacy}/"):
        ended = ckpt("show", "plan.yaml", name)
        assert ended.out.startswith(f"checkpoints/phase2/{training.legacy}\n  matched, rename\n  run {training.run_id}")
        assert "bits, reference: the run's name says" in ended.out
        assert f"  becomes checkpoints/phase2/{training.target}\n" in ended.out
    (entry,) = ckpt("show", "plan.yaml", training.legacy, "--format", "json").data["entries"]
    assert (entry["run_id"], entry["action"]) == (training.run_id, "rename")


def test_show_tells_the_candidates_of_what_is_ambiguous(ckpt: Call, empty_project: Project) -> None:
    for number in range(3):
        empty_project.add(number)
    twins = [empty_project.training(8), empty_project.training(8, "twin")]
    for training in twins:
        empty_project.add_directory(training)
        empty_project.add_run(training)
    assert ckpt("plan", "checkpoints", *STORE).code == EXIT_UNDECIDED
    ended = ckpt("show", "plan.yaml", twins[0].uid)
    assert ended.out.count("  candidate\n") == 2
    for training in twins:
        assert f"  run {training.run_id}, confidence 0." in ended.out


# verify and find


def test_verify_guards_a_pipeline(ckpt: Call, migrated: Project) -> None:
    ended = ckpt("verify", "checkpoints", *STORE)
    assert (ended.code, ended.err) == (EXIT_DONE, "")
    assert ended.out == "2 of 2 directories name their run, and their manifests agree.\n"
    training = migrated.training(0)
    (migrated.root / training.target / "README.md").unlink()
    ended = ckpt("verify", "checkpoints", *STORE)
    assert ended.code == EXIT_UNDECIDED
    assert re.search(rf"(?m)^manifest +{migrated.root}/{training.target} +README.md is missing$", ended.out)
    data = ckpt("verify", "checkpoints", *STORE, "--format", "json").data
    assert (data["directories"], data["agreeing"], data["warnings"]) == (2, 1, [])
    assert [(finding["kind"], finding["run_id"]) for finding in data["findings"]] == [("manifest", training.run_id)]


def test_find_shows_both_sides_and_what_was_before(ckpt: Call, migrated: Project) -> None:
    training = migrated.training(0)
    ended = ckpt("find", training.uid[:8], "--root", "checkpoints", *STORE)
    assert (ended.code, ended.err) == (EXIT_DONE, "")
    assert ended.out.splitlines() == [
        training.uid[:8],
        f"  checkpoint  {migrated.root}/{training.target}",
        f"              before a migration: {training.legacy}",
        f"  run         {training.run_id}  phase2_{training.legacy}  ({PHASE2}, FINISHED)",
    ]
    ended = ckpt("find", training.run_id, "123456", "--root", "checkpoints", *STORE)
    assert ended.code == EXIT_UNDECIDED
    assert ended.out.endswith("123456\n  nothing of this name, neither a directory nor a run\n")
    found, nothing = ckpt("find", training.run_id, "123456", "--root", "checkpoints", *STORE, "--format", "json").data
    assert [place["run_id"] for place in found["checkpoints"]] == [training.run_id]
    assert (nothing["checkpoints"], nothing["runs"]) == ([], [])


def test_find_before_a_migration_says_that_the_directory_is_not_named_after_its_run(
    ckpt: Call, project: Project
) -> None:
    training = project.training(0)
    ended = ckpt("find", training.legacy, "--root", "checkpoints", *STORE)
    assert "not named after a run yet; the run below says its id in its own name" in ended.out
    assert training.run_id in ended.out


# words


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        (Clock(None, (), "none", None, None, 0, None, is_decisive=False), "could not be inferred"),
        (Clock("UTC", (), "--timezone", None, None, 0, None, is_decisive=True), "are read in UTC, as given."),
        (
            Clock("UTC", (), "inferred", -0.5, 1.2, 1_200, 9.0, is_decisive=True),
            "inferred from 1,200 directories; stamps lie -0.5 s from the run's start, give or take 1.2 s.",
        ),
        (Clock("UTC", (), "inferred", None, None, 3, None, is_decisive=True), "inferred from 3 directories."),
    ],
)
def test_the_clock_is_told_in_words(clock: Clock, words: str) -> None:
    assert words in clock_words(clock)


def test_verify_does_not_count_what_is_known(ckpt: Call, project: Project) -> None:
    """A pipeline goes on past an orphan that is listed, by name or path, and stops at the next one."""
    (project.root / "notes").mkdir()
    known = project.folder / "known.txt"
    findings = json.loads(ckpt("verify", "checkpoints", *STORE, "--format", "json").out)["findings"]
    names = [os.path.basename(finding["path"]) for finding in findings]
    assert len(names) > 1
    known.write_text("".join(f"{name}  # settled by hand\n" for name in names), encoding="utf-8")
    ended = ckpt("verify", "checkpoints", *STORE, "--known", "known.txt")
    assert ended.code == EXIT_DONE
    assert f"{len(names)} findings are about directories in known.txt, and do not count." in ended.out
    known.write_text(f"# the rest\n{findings[0]['path']}\n", encoding="utf-8")
    ended = ckpt("verify", "checkpoints", *STORE, "--known", "known.txt")
    assert ended.code == EXIT_UNDECIDED
    assert names[0] not in ended.out
    assert names[1] in ended.out
    ended = ckpt("verify", "checkpoints", *STORE, "--known", "missing.txt")
    assert ended.code == EXIT_USAGE
    assert "missing.txt: cannot be read" in ended.err


def test_a_known_line_that_no_finding_has_is_said(ckpt: Call, project: Project) -> None:
    """The directory was settled since, or its name is mistyped."""
    name = json.loads(ckpt("verify", "checkpoints", *STORE, "--format", "json").out)["findings"][0]["path"]
    (project.folder / "known.txt").write_text(f"{name}\nsettled_since\n", encoding="utf-8")
    ended = ckpt("verify", "checkpoints", *STORE, "--known", "known.txt")
    assert "known.txt: settled_since is in no finding; take the line out" in ended.err
    assert ended.err.count("is in no finding") == 1
    assert "1 finding is about a directory in known.txt, and does not count." in ended.out


def test_planning_quietly_leaves_no_sentence_open(ckpt: Call, project: Project) -> None:
    assert project.root.is_dir()
    assert ckpt("-q", "plan", "checkpoints", *STORE).out.endswith("Nothing has been changed.\n")


def test_find_needs_no_store_for_what_directories_and_logs_tell(ckpt: Call, project: Project) -> None:
    """Where none is named and none is found, it says so and looks on; one that was named must be there."""
    uid = project.training(0).legacy[:32]
    os.rename("mlruns", "elsewhere")
    ended = ckpt("find", uid, "--root", "checkpoints")
    assert ended.code == EXIT_DONE
    assert uid in ended.out
    assert "no MLflow store was named and none was found" in ended.err
    assert ckpt("find", uid, "--root", "checkpoints", "--tracking-uri", "mlruns").code == EXIT_USAGE


def test_show_tells_folders_of_one_name_apart(ckpt: Call, empty_project: Project) -> None:
    """Sweeps call their jobs 0, 1, ...: the table shows the path below the root, and a path names one."""
    for launch in ("16-30-30", "17-00-00"):
        for job in ("0", "1"):
            folder = empty_project.folder / "multirun" / "2026-02-01" / launch / job
            (folder / ".hydra").mkdir(parents=True)
            (folder / ".hydra" / "config.yaml").write_text(f"lr: 0.{job}1\n", encoding="utf-8")
            (folder / "model.ckpt").write_bytes(b"weights")
    ckpt("plan", "multirun", *STORE, "--migration", "hydra")
    assert "2026-02-01/16-30-30/0 " in ckpt("show", "plan.yaml").out
    ended = ckpt("show", "plan.yaml", "multirun/2026-02-01/16-30-30/0")
    assert ended.out.count("multirun/2026-02-01/") == 1
