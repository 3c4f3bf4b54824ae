"""What a person set by hand in a plan is told as theirs, everywhere, and doubted where it looks wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNDECIDED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from project import Project, Training

    from cli.conftest import Ended

    Call = Callable[..., Ended]

STORE = ("--tracking-uri", "mlruns")


def set_run(plan: Path, training: Training, run_id: str) -> None:
    """Write a run id and `action: rename` into the entry of a training, as a person would."""
    before, name, after = plan.read_text(encoding="utf-8").partition(f"/{training.legacy}\n")
    status, action, run, *rest = after.split("\n", 3)
    assert (action.split(":")[0], run.split(":")[0]) == ("  action", "  run_id")
    plan.write_text("\n".join([before + name + status, "  action: rename", f"  run_id: {run_id}", *rest]), "utf-8")


@pytest.fixture
def plan(ckpt: Call, project: Project) -> Path:
    """A plan in which a person gave the first directory a run of 40 days later that the planner had not named."""
    project.add_run(project.training(40))
    ckpt("plan", "checkpoints", *STORE)
    path = project.folder / "plan.yaml"
    set_run(path, project.training(0), project.training(40).run_id)
    return path


def test_show_tells_who_chose_and_what_the_planner_thought(ckpt: Call, project: Project, plan: Path) -> None:
    own, other = project.training(0), project.training(40)
    (line,) = [line for line in ckpt("show", plan).out.splitlines() if own.legacy in line]
    assert line.startswith("*  by hand ")
    assert f"run {other.run_id}, chosen by a person; the planner had chosen run {own.run_id}, confidence 0.99" in line
    assert " matched " not in line
    case = ckpt("show", plan, own.legacy).out
    assert f"  by hand, rename: run {other.run_id}, chosen by a person; the planner had chosen run" in case
    chosen, _, planned = case.partition("  the planner had chosen\n")
    assert "the planner did not weigh this run" in chosen
    assert "bits" not in chosen  # the evidence is of the other run, and stands there
    assert f"run {own.run_id}, confidence 0.99" in planned
    assert "bits, reference" in planned


def test_a_choice_that_is_far_off_is_doubted_before_apply_asks(
    ckpt: Call, project: Project, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = project.training(0), project.training(40)
    said = []
    monkeypatch.setattr("ckpt_migrate.cli.output.confirm", lambda question, **_: said.append(question))
    ended = ckpt("apply", plan)
    assert ended.code == EXIT_FAILED
    assert len(said) == 1
    lines = [line for line in ended.err.splitlines() if line.startswith(("By hand", "Warning:  "))]
    assert lines[0].startswith(f"By hand: checkpoints/phase2/{own.legacy}: run {other.run_id}, chosen by a person")
    assert "the planner had singled out run" in lines[1]
    assert lines[2].startswith("Warning:   the run starts 40.2 days after the directory's stamp, read in Europe/Berlin")
    assert "2 of 3 params differ between the directory's config and the run: learning_rate (0.0001 here" in lines[3]
    assert not (project.root / ".ckpt-migrate").exists()


def test_a_dry_run_an_apply_and_json_tell_it_too(ckpt: Call, project: Project, plan: Path) -> None:
    own, other = project.training(0), project.training(40)
    ended = ckpt("apply", plan, "--dry-run")
    assert ended.code == EXIT_DONE
    assert "3 renamed (1 to a run that a person chose), " in ended.out
    assert "By hand: " in ended.err
    (chosen,) = ckpt("apply", plan, "--dry-run", "--format", "json").data["chosen_by_person"]
    assert (chosen["chosen_by"], chosen["run_id"], chosen["confidence"]) == ("person", other.run_id, None)
    assert (chosen["proposal"]["run_id"], chosen["proposal"]["action"]) == (own.run_id, "rename")
    assert len(chosen["doubts"]) == 3
    data = ckpt("show", plan, "--format", "json").data
    assert [entry["chosen_by"] for entry in data["entries"]].count("person") == 1
    assert len(data["doubts"]) == 1  # the store, which knows the run, is not asked for a look at a plan
    ended = ckpt("apply", plan, "--yes")
    assert ended.code == EXIT_DONE
    assert "3 renamed (1 to a run that a person chose), " in ended.out
    assert "By hand: " in ended.err


def test_a_choice_among_the_candidates_that_fits_is_told_with_its_own_confidence_and_not_doubted(
    ckpt: Call, empty_project: Project
) -> None:
    for number in range(3):
        empty_project.add(number)
    twins = [empty_project.training(8), empty_project.training(8, "twin")]
    for training in twins:
        empty_project.add_directory(training)
        empty_project.add_run(training)
    assert ckpt("plan", "checkpoints", *STORE).code == EXIT_UNDECIDED
    plan = empty_project.folder / "plan.yaml"
    set_run(plan, twins[0], twins[1].run_id)
    data = ckpt("show", plan, twins[0].legacy, "--format", "json").data
    assert data["doubts"] == []
    (entry,) = data["entries"]
    assert entry["confidence"] in [one["confidence"] for one in entry["candidates"]]
    assert entry["proposal"] == {"action": "skip", "run_id": None, "confidence": None, "evidence": []}
    case = ckpt("show", plan, twins[0].legacy).out
    assert "chosen by a person; the planner had found it ambiguous, with this run at 0." in case
    assert case.count("  candidate\n") == 1


def test_a_run_that_nobody_has_is_named_with_the_line_that_names_it(ckpt: Call, project: Project, plan: Path) -> None:
    nobody = "0123456789abcdef" * 2
    set_run(plan, project.training(0), nobody)
    line = next(n for n, text in enumerate(plan.read_text(encoding="utf-8").split("\n"), 1) if nobody in text)
    assert f"  - line {line}: {nobody}\n" in ckpt("apply", plan, "--dry-run").err


def test_a_plan_of_a_copied_tree_says_that_times_were_lost(ckpt: Call, project: Project) -> None:
    ended = ckpt("plan", "checkpoints", *STORE)
    assert "modification times were lost" not in ended.err
    for path in sorted(project.root.rglob("*")):
        path.touch()
    ended = ckpt("plan", "checkpoints", *STORE)
    assert "the newest files of 7 of 7 directories were written together" in ended.err
    assert ended.out.startswith("Runs: ")
