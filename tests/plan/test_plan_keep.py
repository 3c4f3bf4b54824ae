"""`plan --keep`: a person's answers in an earlier plan are certain in the next one, and still theirs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate import api
from ckpt_migrate.cli import run
from ckpt_migrate.demo import build_demo
from ckpt_migrate.errors import EXIT_UNDECIDED, EXIT_USAGE
from ckpt_migrate.plan.records import Action, Status

if TYPE_CHECKING:
    from ckpt_migrate.plan.records import Entry, Plan

PLAN = ("plan", "checkpoints/phase2", "--tracking-uri", "sqlite:///mlflow.db")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo tree with its plan."""
    folder = Path(build_demo(str(tmp_path_factory.mktemp("keep") / "demo")).folder)
    here = os.getcwd()
    os.chdir(folder)
    try:
        assert run([*PLAN]) == EXIT_UNDECIDED
    finally:
        os.chdir(here)
    return folder


@pytest.fixture
def folder(planned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, in which the test stands; directories keep their inodes, so that they are the planned ones."""
    made = tmp_path / "demo"
    shutil.copytree(planned, made, symlinks=True)
    monkeypatch.chdir(made)
    assert run([*PLAN]) == EXIT_UNDECIDED
    return made


def edit(entry: Entry, action: str, run_id: str | None = None) -> None:
    """Edit an entry of plan.yaml as a person would."""
    lines = Path("plan.yaml").read_text(encoding="utf-8").split("\n")
    at = entry.line - 1
    place = next(i for i in range(at, len(lines)) if lines[i].startswith("  action: "))
    lines[place] = f"  action: {action}"
    if run_id is not None:
        place = next(i for i in range(at, len(lines)) if lines[i].startswith("  run_id: "))
        lines[place] = f'  run_id: "{run_id}"'
    Path("plan.yaml").write_text("\n".join(lines), encoding="utf-8")


def of(plan: Plan, entry: Entry) -> Entry:
    """Return the entry of the same directory."""
    return next(each for each in plan.entries if each.checkpoint == entry.checkpoint)


def edited(folder: Path) -> tuple[Entry, Entry]:
    """Choose the first candidate of an ambiguous directory, and leave a matched one alone; return both as read."""
    plan = api.read(folder / "plan.yaml")
    doubtful = next(entry for entry in plan.entries if entry.status is Status.AMBIGUOUS)
    matched = next(entry for entry in plan.entries if entry.action is Action.RENAME)
    edit(doubtful, "rename", doubtful.candidates[0].run_id)
    edit(matched, "skip")
    plan = api.read(folder / "plan.yaml")
    return of(plan, doubtful), of(plan, matched)


def test_answers_are_kept_as_the_persons(folder: Path) -> None:
    """Chosen run and skip stand in the new plan, as edits of what the planner says; and again in the one after it."""
    chosen, left = edited(folder)
    before = "plan.yaml"
    for after in ("next.yaml", "third.yaml"):
        assert run([*PLAN, "--keep", before, "-o", after]) == EXIT_UNDECIDED
        plan = api.read(folder / after)
        kept, alone = of(plan, chosen), of(plan, left)
        assert (kept.action, kept.run_id, kept.target) == (Action.RENAME, chosen.run_id, chosen.target)
        assert kept.proposal == chosen.proposal
        assert kept.is_chosen
        assert alone.action is Action.SKIP
        assert alone.proposal is not None
        assert (alone.proposal.action, alone.run_id) == (Action.RENAME, left.run_id)
        before = after


def test_a_kept_answer_takes_its_run_from_others(folder: Path) -> None:
    """The run that a person gave to one twin is no longer the likeliest of the other."""
    chosen, _ = edited(folder)
    assert run([*PLAN, "--keep", "plan.yaml", "-o", "next.yaml"]) == EXIT_UNDECIDED
    plan = api.read(folder / "next.yaml")
    others = [entry for entry in plan.entries if entry.checkpoint != chosen.checkpoint]
    assert chosen.run_id not in {entry.run_id for entry in others if entry.status is Status.MATCHED}
    assert chosen.run_id not in {entry.candidates[0].run_id for entry in others if entry.candidates}


def test_a_plan_may_take_its_own_place_when_its_answers_are_kept(folder: Path) -> None:
    """Without --keep the answers would be lost, and both the edited plan and the kept one are not written over."""
    chosen, _ = edited(folder)
    assert run([*PLAN]) == EXIT_USAGE
    assert run([*PLAN, "--keep", "plan.yaml"]) == EXIT_UNDECIDED
    assert of(api.read("plan.yaml"), chosen).run_id == chosen.run_id
    assert run([*PLAN]) == EXIT_USAGE


def test_an_answer_about_a_changed_directory_is_not_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It was about other files; that it was dropped is said, and so is a directory that is gone."""
    chosen, left = edited(folder)
    (folder / chosen.checkpoint / "new.txt").write_text("new", encoding="utf-8")
    os.utime(folder / chosen.checkpoint / "new.txt", (1.7e9, 1.7e9))
    shutil.rmtree(folder / left.checkpoint)
    capsys.readouterr()
    assert run([*PLAN, "--keep", "plan.yaml", "-o", "next.yaml"]) == EXIT_UNDECIDED
    said = capsys.readouterr().err
    assert f"{chosen.checkpoint} has changed since" in said
    assert f"{left.checkpoint} is not there any more" in said
    kept = of(api.read("next.yaml"), chosen)
    assert (kept.action, kept.run_id, kept.proposal) == (Action.SKIP, None, None)


def test_keeping_what_is_no_plan_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The call is wrong, and no plan is written."""
    (folder / "notes.txt").write_text("rename everything\n", encoding="utf-8")
    assert run([*PLAN, "--keep", "notes.txt", "-o", "next.yaml"]) == EXIT_USAGE
    assert "notes.txt" in capsys.readouterr().err
    assert not (folder / "next.yaml").exists()
