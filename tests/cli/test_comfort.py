"""What makes the command line pleasant: filters, settings of the environment, completions, near misses, loudness."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import ShellComplete

from ckpt_migrate import api
from ckpt_migrate.cli import COMMANDS, cli, run
from ckpt_migrate.errors import EXIT_DONE, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from project import Project

    from cli.conftest import Ended

    Call = Callable[..., Ended]

STORE = ("--tracking-uri", "mlruns")


@pytest.fixture
def planned(project: Project) -> Project:
    """The project with its plan in plan.yaml."""
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    return project


# Filters.


def shown(ended: Ended) -> list[str]:
    return re.findall(r"[0-9a-f]{32}_[0-9]{8}_[0-9]{6}(?=  )", ended.out)


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (("--status", "unmatched"), [4]),
        (("--status", "unmatched", "--status", "busy"), [3, 4]),
        (("--status", "matched", "--grep", "DELETED"), [2]),
        (("--grep", "20260206"), [5]),
        (("--grep", "bold-crane"), [5, 6]),
        (("--below", "0"), [4]),
        (("--status", "by hand"), []),
    ],
)
def test_show_filters(ckpt: Call, planned: Project, filters: tuple[str, ...], numbers: list[int]) -> None:
    ended = ckpt("show", "plan.yaml", *filters)
    assert ended.code == EXIT_DONE
    trainings = [planned.training(number) for number in numbers]
    names = {training.target if training.number == 6 else training.legacy for training in trainings}
    assert set(shown(ended)) == names
    assert f"{len(numbers)} of 7 entries are shown." in ended.out
    data = ckpt("show", "plan.yaml", *filters, "--format", "json").data
    assert {os.path.basename(entry["checkpoint"]) for entry in data["entries"]} == names


# Loudness.


def test_quiet_leaves_out_what_to_do_next_and_verbose_tells_times(ckpt: Call, planned: Project) -> None:
    assert planned.root.is_dir()
    usual = ckpt("plan", "checkpoints", *STORE)
    for arguments in (("plan", "-q"), ("-q", "plan")):
        quiet = ckpt(*arguments, "checkpoints", *STORE)
        assert "ckpt-migrate show" in usual.out
        assert "ckpt-migrate show" not in quiet.out
        assert "Plan: 3 to rename" in quiet.out
        assert quiet.err == usual.err  # warnings stay
    verbose = ckpt("plan", "checkpoints", *STORE, "-v")
    assert re.search(r"(?m)^Reading evidence: [0-9]+ in [0-9.]+ s$", verbose.err)
    assert verbose.out == usual.out


def test_verbose_says_where_an_error_arose(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "-v", "no.yaml"]) == EXIT_USAGE
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert "\nError: no.yaml: " in err


# The environment.


def test_settings_may_stand_in_the_environment(ckpt: Call, planned: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKPT_MIGRATE_TRACKING_URI", planned.store)
    monkeypatch.setenv("CKPT_MIGRATE_TIMEZONE", "UTC")
    monkeypatch.setenv("CKPT_MIGRATE_FORMAT", "json")
    data = ckpt("plan", "checkpoints").data
    assert (data["clock"]["timezone"], data["clock"]["source"]) == ("UTC", "--timezone")
    assert ckpt("plan", "checkpoints", "--timezone", "Europe/Paris").data["clock"]["timezone"] == "Europe/Paris"
    monkeypatch.setenv("CKPT_MIGRATE_MIGRATION", "no_such_recipe")
    assert ckpt("plan", "checkpoints").code == EXIT_USAGE


def test_what_may_lose_something_is_said_each_time(
    ckpt: Call, planned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting for --yes is none, and is told, as is one that is mistyped; those that count are not."""
    for name in ("CKPT_MIGRATE_YES", "CKPT_MIGRATE_APPLY_YES", "CKPT_MIGRATE_TRACKNG_URI", "CKPT_MIGRATE_LOCK_TIMEOUT"):
        monkeypatch.setenv(name, "1")
    ended = ckpt("apply", "plan.yaml")
    assert ended.code == EXIT_USAGE
    is_none = "in the environment is no setting of this tool."
    assert re.findall(r"(?m)^Warning: (CKPT.*)$", ended.err) == [
        f"CKPT_MIGRATE_APPLY_YES {is_none}",
        f"CKPT_MIGRATE_TRACKNG_URI {is_none} Did you mean CKPT_MIGRATE_TRACKING_URI?",
        f"CKPT_MIGRATE_YES {is_none}",
    ]
    assert (planned.root / planned.training(0).legacy).is_dir()


def test_flags_lists_and_loudness_may_be_settings(
    ckpt: Call, planned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPT_MIGRATE_QUIET", "1")
    monkeypatch.setenv("CKPT_MIGRATE_PLAN_ALL", "1")
    monkeypatch.setenv("CKPT_MIGRATE_PLAN_OUTPUT", "other.yaml")
    monkeypatch.setenv("CKPT_MIGRATE_PLAN_REFERENCES", "a:b")
    monkeypatch.setenv("CKPT_MIGRATE_SHOW_STATUS", "unmatched busy")
    for name in ("a", "b"):
        (planned.folder / name).mkdir()
    quiet = ckpt("plan", "checkpoints", *STORE)
    assert "ckpt-migrate show" not in quiet.out
    assert "2 of 7 entries are shown." in ckpt("show", "other.yaml").out
    references = api.read("other.yaml").references
    assert references is not None
    assert set(references.paths) >= {"a", "b"}
    loud = ckpt("plan", "-v", "checkpoints", *STORE)  # what is said counts before the environment
    assert "Reading evidence" in loud.err
    assert "ckpt-migrate show" in loud.out
    monkeypatch.setenv("CKPT_MIGRATE_PLAN_ALL", "perhaps")
    assert ckpt("plan", "checkpoints", *STORE).code == EXIT_USAGE


# Near misses.


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("show", "plna.yaml"), "plan.yaml"),
        (("scan", "checkpoints/phaes2"), "checkpoints/phase2"),
        (("scan", "chekpoints/phase2"), "checkpoints/phase2"),
        (("rollback", "pla.yaml"), "plan.yaml"),
    ],
)
def test_a_mistyped_path_is_met_with_what_it_may_mean(
    ckpt: Call, planned: Project, arguments: tuple[str, ...], meant: str
) -> None:
    ended = ckpt(*arguments)
    assert ended.code == EXIT_USAGE
    assert re.search(rf"(?m)^  Did you mean (.*/)?{re.escape(meant)}\?$", ended.err)
    assert planned.root.is_dir()


def test_a_mistyped_checkpoint_is_met_with_the_one_that_it_may_mean(ckpt: Call, planned: Project) -> None:
    own = planned.training(4)
    mistyped = own.uid[:5] + ("0" if own.uid[5] != "0" else "1") + own.uid[6:8]
    assert f"  Did you mean {own.legacy}? Give a directory's name" in ckpt("show", "plan.yaml", mistyped).err
    assert "Did you mean" not in ckpt("show", "plan.yaml", "zzzzzzzz").err


def test_a_path_that_is_there_or_like_nothing_gets_no_such_hint(ckpt: Call, planned: Project) -> None:
    assert "Did you mean" not in ckpt("show", "zzzzzz").err
    assert "Did you mean" not in ckpt("show", "checkpoints").err
    assert planned.root.is_dir()


# Completions and schemas.


def complete(*words: str) -> list[str]:
    """Return what a shell is offered for a command line whose last word is not finished."""
    *before, last = words
    found = ShellComplete(cli, {}, "ckpt-migrate", "_CKPT_MIGRATE_COMPLETE").get_completions(list(before), last)
    return [item.value for item in found if item.type == "plain"]


def test_shells_are_offered_commands_plans_checkpoints_logs_recipes_and_zones(planned: Project) -> None:
    (planned.folder / "other.yaml").write_text("a: 1\n", encoding="utf-8")
    own = planned.training(0)
    assert set(complete("re")) == {"review", "report", "recipes"}
    assert complete("show", "") == ["plan.yaml"]
    assert complete("show", "plan.yaml", own.uid[:5]) == [own.legacy]
    assert complete("scan", "--migration", "ph") == ["phase2_run_id"]
    assert complete("plan", "--timezone", "Europe/Berl") == ["Europe/Berlin"]
    assert complete("rollback", "la") == ["latest"]
    log = api.apply("plan.yaml").log
    assert log is not None
    assert complete("rollback", "checkpoints/") == [os.path.relpath(log, planned.folder)]
    assert complete("report", "l") == ["latest"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_one_that_it_can_read(ckpt: Call, shell: str) -> None:
    ended = ckpt("completions", shell)
    assert (ended.code, "_CKPT_MIGRATE_COMPLETE" in ended.out) == (EXIT_DONE, True)
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n"], input=ended.out, text=True, check=True)


def test_schemas_are_printed_for_editors(ckpt: Call) -> None:
    for kind in ("plan", "recipe"):
        assert json.loads(ckpt("schema", kind).out)["title"].startswith(f"A migration {'p' if kind == 'plan' else 'r'}")


def test_a_plan_with_the_line_that_tells_editors_its_schema_is_the_same_plan(ckpt: Call, planned: Project) -> None:
    path = planned.folder / "plan.yaml"
    before = ckpt("show", "plan.yaml").out
    text = path.read_text(encoding="utf-8")
    path.write_text(f"# yaml-language-server: $schema=plan.schema.json\n{text}", encoding="utf-8")
    assert ckpt("show", "plan.yaml").out == before


def test_a_recipe_is_printed_to_be_copied_with_the_line_that_tells_editors_its_schema(
    ckpt: Call, planned: Project
) -> None:
    line, _, text = ckpt("recipes", "phase2_run_id").out.partition("\n")
    schema = Path(line.removeprefix("# yaml-language-server: $schema=file://"))
    assert json.loads(schema.read_text(encoding="utf-8"))["title"].startswith("A migration recipe")
    (planned.folder / "mine.yaml").write_text(f"{line}\n{text}", encoding="utf-8")
    assert ckpt("scan", "checkpoints", "--migration", "mine.yaml").out == ckpt("scan", "checkpoints").out
    assert "hydra" in ckpt("recipes").out
    assert ckpt("recipes", "phase3").code == EXIT_USAGE


# Help.


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_and_both_ways_to_be_louder(ckpt: Call, name: str) -> None:
    ended = ckpt(name, "--help")
    assert ended.code == EXIT_DONE
    assert re.search(rf"Examples?:\n(.*\n)*? +(.* )?\W*ckpt-migrate {name} ", ended.out)
    assert "--quiet" in ended.out
    assert "--verbose" in ended.out
