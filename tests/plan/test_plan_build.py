"""Building a plan: every directory gets the entry that its findings deserve, whatever the order of the input."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from project import Project, set_time

from ckpt_migrate import api
from ckpt_migrate.errors import EXIT_UNDECIDED
from ckpt_migrate.plan.fields import shown_confidence
from ckpt_migrate.plan.records import Action, Link, Status
from ckpt_migrate.records import BUSY_S

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt_migrate.plan.records import Entry, Plan


def planned(**options: Any) -> Plan:
    """Plan the project as its user would from its folder."""
    roots = options.pop("roots", ["checkpoints/phase2"])
    return api.plan(roots, tracking_uri="mlruns", **options).plan


def by_number(plan: Plan, project: Project, most: int = 9) -> dict[int, Entry]:
    """Return entries by the number of their training."""
    names = {name: n for n in range(most) for name in (project.training(n).legacy, project.training(n).target)}
    return {names[entry.checkpoint.rpartition("/")[2]]: entry for entry in plan.entries}


def test_weights_that_are_older_than_a_run_are_not_its_own(empty_project: Project) -> None:
    """An evaluation names the directory of a training whose run is gone, and begins when that has ended."""
    for number in range(12):
        empty_project.add(number)
    orphan = empty_project.training(20)
    empty_project.age(empty_project.add_directory(orphan), orphan.start + timedelta(seconds=20))
    empty_project.add_run(orphan, name=f"evaluate {orphan.legacy}")
    meta = empty_project.folder / "mlruns" / "1" / orphan.run_id / "meta.yaml"
    fields = yaml.safe_load(meta.read_text(encoding="utf-8"))
    fields["start_time"] += 25_000
    meta.write_text(yaml.safe_dump(fields), encoding="utf-8")
    entry = by_number(planned(), empty_project, most=21)[20]
    assert (entry.status, entry.action) == (Status.AMBIGUOUS, Action.SKIP)
    assert entry.reason == "a reference names the run, but its files' times contradict it"


def test_a_run_that_names_an_older_directory_is_not_believed_where_times_are_lost(empty_project: Project) -> None:
    """The same evaluation, ten minutes later and of a copied tree: its start alone tells that it made nothing here."""
    others = [number for number in range(13) if number != 6]
    for number in others:
        empty_project.add(number)
    orphan = empty_project.training(6)
    empty_project.add_directory(orphan)
    empty_project.add_run(orphan, name=f"evaluate {orphan.legacy}")
    meta = empty_project.folder / "mlruns" / "1" / orphan.run_id / "meta.yaml"
    fields = yaml.safe_load(meta.read_text(encoding="utf-8"))
    fields["start_time"] += 600_000
    meta.write_text(yaml.safe_dump(fields), encoding="utf-8")
    for directory in empty_project.root.iterdir():
        empty_project.age(directory, orphan.start + timedelta(days=60))
    found = by_number(planned(), empty_project, most=13)
    assert (found[6].status, found[6].action) == (Status.AMBIGUOUS, Action.SKIP)
    assert {found[number].action for number in others} == {Action.RENAME}


def test_a_deleted_run_is_taken_where_that_is_asked_for(project: Project) -> None:
    """One answer for many; the manifests and `verify` still say that the run is deleted."""
    plan = api.plan("checkpoints", tracking_uri="mlruns", with_deleted=True).plan
    entry = by_number(plan, project)[2]
    assert (entry.status, entry.action, entry.reason) == (Status.MATCHED, Action.RENAME, None)
    assert plan.runs[project.training(2).run_id].is_deleted


def test_every_kind_of_directory_gets_its_entry(project: Project) -> None:
    plan = planned()
    entries = by_number(plan, project)
    found = {number: (entry.status, entry.action) for number, entry in sorted(entries.items())}
    assert found == {
        0: (Status.MATCHED, Action.RENAME),
        1: (Status.MATCHED, Action.RENAME),
        2: (Status.MATCHED, Action.SKIP),
        3: (Status.BUSY, Action.SKIP),
        4: (Status.UNMATCHED, Action.SKIP),
        5: (Status.MATCHED, Action.RENAME),
        6: (Status.LINKED, Action.REPAIR),
    }
    for number in (0, 1, 2, 3, 5, 6):
        training = project.training(number)
        assert entries[number].run_id == training.run_id
        assert entries[number].target == f"checkpoints/phase2/{training.target}"
    assert entries[2].reason == "its run is deleted in MLflow: restore it there, or change the action to rename"
    assert (entries[0].reason, entries[4].run_id, entries[4].target) == (None, None, None)
    assert "MLFLOW_RUN_ID.txt is missing" in (entries[6].reason or "")
    assert plan.summary["status"] == {
        "matched": 4, "ambiguous": 0, "unmatched": 1, "linked": 1, "busy": 1, "unreadable": 0
    }  # fmt: skip
    assert plan.summary["action"] == {"rename": 3, "repair": 1, "skip": 3}
    assert plan.summary["directories"] == {"legacy": 7, "link": 1}
    assert plan.links == (Link("checkpoints/phase2/latest", project.training(1).legacy, entries[1].checkpoint),)
    assert set(plan.runs) == {project.training(number).run_id for number in (0, 1, 2, 3, 5, 6)}


def test_what_manifests_say_of_a_run_is_carried_along(project: Project) -> None:
    training = project.training(0)
    facts = planned().runs[training.run_id]
    assert facts.name == f"phase2_{training.legacy}"
    assert (facts.status, facts.is_deleted, facts.start) == ("FINISHED", False, "2026-02-01T03:12:26Z")
    assert list(facts.params) == ["learning_rate", "batch_size", "seed"]  # in the order of the recipe
    assert facts.metrics == {"train_loss": 2.9476}


def test_evidence_is_listed_strongest_first_be_it_for_or_against(project: Project) -> None:
    entries = by_number(planned(), project)
    for number in (0, 3, 5):
        said = [line.split(" bits, ")[0].split(" ") for line in entries[number].evidence]
        assert {side for side, _ in said} == {"for", "against"}
        assert [float(bits) for _, bits in said] == sorted((float(bits) for _, bits in said), reverse=True)


def test_a_directory_that_was_just_written_to_is_left_alone(project: Project) -> None:
    """Both a legacy one and one that is named right, whose manifests its training may be about to write."""
    now_ns = time.time_ns()
    for name in (project.training(0).legacy, project.training(6).target):
        for path in [path for path in (project.root / name).rglob("*") if path.is_file()]:
            set_time(path, now_ns - int(BUSY_S * 0.5e9))
    entries = by_number(planned(), project)
    for number in (0, 6):
        assert (entries[number].status, entries[number].action) == (Status.BUSY, Action.SKIP)
        assert "less than 5 minutes ago" in (entries[number].reason or "")
        assert entries[number].run_id == project.training(number).run_id


def test_a_linked_directory_whose_run_goes_on_is_left_alone(empty_project: Project) -> None:
    for number in range(3):
        empty_project.add_directory(empty_project.training(number), empty_project.training(number).target)
        empty_project.add_run(empty_project.training(number), status="running")
    assert {(e.status, e.action) for e in planned().entries} == {(Status.BUSY, Action.SKIP)}


def test_directories_that_need_nothing_are_counted_and_listed_on_demand(project: Project) -> None:
    api.plan("checkpoints/phase2", tracking_uri="mlruns", output="plan.yaml")
    api.apply("plan.yaml")
    assert by_number(planned(), project).keys() == {2, 3, 4}
    plan = planned(with_linked=True)
    linked = by_number(plan, project)[0]
    assert (linked.status, linked.action, linked.reason) == (Status.LINKED, Action.SKIP, None)
    assert linked.target == linked.checkpoint
    assert plan.summary["status"]["linked"] == 4


# Paths.


def test_paths_are_relative_to_the_plan_or_absolute_as_the_root_was_given(project: Project, tmp_path: Path) -> None:
    name = project.training(0).legacy
    for roots, output, expected in (
        (["checkpoints/phase2"], None, f"checkpoints/phase2/{name}"),
        (["checkpoints"], None, f"checkpoints/phase2/{name}"),
        (["."], "checkpoints/plan.yaml", f"phase2/{name}"),
        ([str(project.root)], None, f"{project.root}/{name}"),
        (["checkpoints/phase2"], str(tmp_path / "plan.yaml"), f"project/checkpoints/phase2/{name}"),
        (["checkpoints/phase2"], "mlruns/plan.yaml", f"../checkpoints/phase2/{name}"),
    ):
        plan = planned(roots=roots, output=output)
        assert by_number(plan, project)[0].checkpoint == expected
        assert plan.absolute(expected) == str(project.root / name)


def test_a_store_is_named_relative_to_the_plan_too(project: Project, tmp_path: Path) -> None:
    """The plan may be applied from another folder, when a run has to be looked up again."""
    assert planned().tracking_uri == ("mlruns",)
    assert planned(output=str(tmp_path / "plan.yaml")).tracking_uri == ("project/mlruns",)
    again = api.plan("checkpoints/phase2", tracking_uri="file:./mlruns", output="checkpoints/plan.yaml").plan
    assert again.tracking_uri == ("../mlruns",)
    assert api.plan("checkpoints", tracking_uri=project.store).plan.tracking_uri == (project.store,)


def test_one_root_spelt_in_many_ways_is_one_root(project: Project) -> None:
    spellings = ["checkpoints/phase2", "./checkpoints//phase2/", str(project.root), "checkpoints/../checkpoints/phase2"]
    plans = [planned(roots=roots) for roots in (spellings, spellings[::-1])]
    assert plans[0].roots == ("checkpoints/phase2",)
    assert plans[0].entries == plans[1].entries


# The same input gives the same plan.


def text_of(roots: str | list[str]) -> str:
    """Return the plan's text without the line of its creation."""
    text = api.plan(roots, tracking_uri="mlruns").text
    return "\n".join(line for line in text.splitlines() if not line.startswith("created: "))


@given(order=st.permutations(range(6)))
@settings(max_examples=15, deadline=None)
def test_the_order_in_which_things_were_made_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    """Directories and runs are made in another order; inodes differ, so they are taken out of the comparison."""
    texts = []
    for numbers in (list(range(6)), order):
        made = Project(tmp_path_factory.mktemp("made").resolve() / "project")
        for number in numbers:
            made.add_directory(made.training(number))
        for number in reversed(numbers):
            made.add_run(made.training(number))
        plan = api.plan(str(made.root), tracking_uri=made.store).plan
        texts.append(
            [(e.checkpoint.rpartition("/")[2], e.status, e.run_id, e.confidence, e.evidence) for e in plan.entries]
        )
    assert texts[0] == texts[1]


def test_the_order_of_roots_does_not_matter(project: Project) -> None:
    for number in (7, 8):
        folder = f"more/{number}"
        project.add_directory(project.training(number), below=folder)
        project.add_run(project.training(number))
    roots = ["checkpoints/phase2", "more/7", str(project.folder / "more" / "8")]
    texts: set[str] = set()
    for _ in range(4):
        random.Random(len(texts)).shuffle(roots)  # noqa: S311 - an order, no secret
        texts.add(text_of(list(roots)))
    assert len(texts) == 1


def test_planning_twice_gives_the_same_bytes_and_changes_no_other(project: Project) -> None:
    before = project.snapshot()
    texts = {text_of("checkpoints/phase2") for _ in range(2)}
    assert len(texts) == 1
    assert project.snapshot() == before


def test_the_order_of_hashes_does_not_matter(project: Project) -> None:
    """Each process orders its sets in another way; `PYTHONHASHSEED` chooses which."""
    texts = set()
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-m", "ckpt_migrate", "plan", "checkpoints", "--tracking-uri", "mlruns", "-o", "-"],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=project.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == EXIT_UNDECIDED
        texts.add(re.sub(r"(?m)^created: .*\n", "", done.stdout))
    assert len(texts) == 1


# Names that may hold anything.


def test_runs_of_wild_names_are_planned(project: Project) -> None:
    wild = "a: b # 'c' \"d\"\n\x1b[31m\u2028 実験 🦊 \\"
    training = project.training(7)
    project.add_directory(training)
    project.add_run(training, name=wild, tags={"note": wild}, params={**training.config, "optimizer": wild})
    output = "plan.yaml"
    plan = planned(output=output)
    assert plan.runs[training.run_id].name == wild
    assert api.read(output).runs[training.run_id] == plan.runs[training.run_id]


def test_folders_of_wild_names_are_planned(project: Project) -> None:
    below = "more/a: b # 'c' \"d\" 実験, 🦊 -"
    training = project.training(7)
    project.add_directory(training, below=below)
    project.add_run(training, name=f"phase2_{training.legacy}")
    planned(roots=["more"], output="plan.yaml")
    (entry,) = api.read("plan.yaml").entries
    assert entry.checkpoint == f"{below}/{training.legacy}"
    assert api.apply("plan.yaml").renamed == 1
    assert (project.folder / below / training.target).is_dir()


def test_directories_whose_path_no_plan_can_hold_are_reported_and_left_out(project: Project) -> None:
    training = project.training(7)
    project.add_directory(training, below="more/a\nb")
    os.makedirs(os.path.join(os.fsencode(project.folder), b"more/\xff", os.fsencode(project.training(8).legacy)))
    plan = planned(roots=["more"])
    assert plan.entries == ()
    assert plan.summary["directories"] == {"other": 2}


@pytest.mark.parametrize(
    ("confidence", "shown"),
    [(None, None), (1.0, 1.0), (1 - 1e-9, 0.999999), (0.999981, 0.999981), (0.0, 0.0), (9e-7, 0.0), (0.5, 0.5)],
)
def test_a_confidence_is_rounded_down(confidence: float | None, shown: float | None) -> None:
    assert shown_confidence(confidence) == shown


@given(st.floats(0, 1))
def test_a_shown_confidence_is_shown_the_same_again(confidence: float) -> None:
    """Else a plan would not read as it was written."""
    shown = shown_confidence(confidence)
    assert shown is not None
    assert shown_confidence(shown) == shown
    assert shown <= confidence < shown + 1.000001e-6
