"""A review asks about what is undecided, saves every answer at once, and takes the last one back."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ckpt_migrate import api
from ckpt_migrate.errors import EXIT_DONE, EXIT_UNDECIDED, EXIT_USAGE, PlanError
from ckpt_migrate.plan.records import Action, Candidate
from ckpt_migrate.plan.words import settling_words
from ckpt_migrate.review.session import Review

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands import Ended
    from project import Project, Training

    Call = Callable[..., Ended]

PLAN = "plan.yaml"


class Person:
    """Somebody at a terminal who gives these answers and then leaves."""

    closed = False

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True

    def readline(self) -> str:
        """Return the next answer."""
        return f"{self.answers.pop(0)}\n" if self.answers else ""


@pytest.fixture
def twins(empty_project: Project) -> list[Training]:
    """Two trainings that nobody could tell apart, in a plan with three clear ones."""
    for number in range(3):
        empty_project.add(number)
    made = [empty_project.training(8), empty_project.training(8, "twin")]
    for training in made:
        empty_project.add_directory(training)
        empty_project.add_run(training)
    api.plan("checkpoints", tracking_uri="mlruns", output=PLAN)
    return sorted(made, key=lambda training: training.legacy)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def give(*lines: str) -> None:
        monkeypatch.setattr("sys.stdin", Person(*lines))

    return give


def chosen() -> list[str | None]:
    return [entry.run_id for entry in api.read(PLAN).entries if entry.proposal is not None]


@pytest.mark.usefixtures("twins")
def test_what_is_undecided_is_asked_and_every_answer_is_in_the_file(ckpt: Call, answers: Callable[..., None]) -> None:
    with open(PLAN, encoding="utf-8") as file:
        before = file.read().split("\n")
    answers("?", "o", "e", "1", "s")
    ended = ckpt("review", PLAN)
    assert ended.code == EXIT_UNDECIDED
    assert "1 of 2  checkpoints/phase2/" in ended.out
    assert "last.ckpt" in ended.out
    assert "bits, time: the stamp" in ended.out
    assert "No param that the plan shows tells them apart." in ended.out
    assert "1 left to decide. Plan: 4 to rename, 0 to repair, 1 to decide, 0 unchanged." in ended.out
    with open(PLAN, encoding="utf-8") as file:
        after = file.read().split("\n")
    assert len(chosen()) == 1
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [("  action: skip", "  action: rename"), ("  run_id: null", f"  run_id: {chosen()[0]}")]
    answers("2")
    assert ckpt("review", PLAN).code == EXIT_DONE
    assert len(set(chosen())) == 2
    answers()
    assert ckpt("review", PLAN).out.startswith("0 left to decide.")


@pytest.mark.usefixtures("twins")
def test_undo_takes_the_last_answers_back_byte_for_byte(ckpt: Call, answers: Callable[..., None]) -> None:
    with open(PLAN, "rb") as file:
        before = file.read()
    answers("1", "u", "u", "2", "u", "q")
    ended = ckpt("review", PLAN)
    assert "Nothing was answered yet." in ended.out
    assert ended.out.count("The last choice is taken back.") == 2
    with open(PLAN, "rb") as file:
        assert file.read() == before


def test_a_run_of_ones_own_is_looked_up_and_doubted(
    ckpt: Call, empty_project: Project, twins: list[Training], answers: Callable[..., None]
) -> None:
    far = empty_project.training(60)
    empty_project.add_run(far)
    assert len(twins) == 2
    answers("r", "nonsense", "r", "ab" * 16, "r", far.run_id, "no", "r", "", "r", far.run_id.upper(), "yes", "q")
    ended = ckpt("review", PLAN)
    assert "That is no run id" in ended.out
    assert "names runs that the store" in ended.err
    assert ended.out.count("Doubt: the run starts 52.") == 2
    assert "Doubt: 2 of 3 params differ" in ended.out
    assert chosen() == [far.run_id]


def test_two_directories_of_one_name_are_refused_before_anything_is_written(
    ckpt: Call, twins: list[Training], answers: Callable[..., None]
) -> None:
    """Twins have one stamp: given one run, they would have one name."""
    answers("1", "1", "q")
    ended = ckpt("review", PLAN)
    assert "It cannot be this run: the plan cannot be used as it is; line " in ended.err
    assert "has the same target" in ended.err
    assert len(chosen()) == 1
    assert twins[0].stamp == twins[1].stamp


def test_a_run_that_was_deleted_can_be_chosen_as_it_is(
    ckpt: Call, project: Project, answers: Callable[..., None]
) -> None:
    api.plan("checkpoints", tracking_uri="mlruns", output=PLAN)
    answers(*["s"] * 1, "1", "yes", "q")
    ckpt("review", PLAN)
    (entry,) = [one for one in api.read(PLAN).entries if one.proposal is not None]
    assert entry.action is Action.RENAME
    assert project.root.is_dir()


@pytest.mark.usefixtures("twins")
def test_what_another_editor_saved_meanwhile_is_not_overwritten() -> None:
    review = Review(PLAN)
    number = review.open_entries[0]
    run_id = review.plan.entries[number].candidates[0].run_id
    trial, _ = review.weigh(number, run_id)
    with open(PLAN, "a", encoding="utf-8") as file:
        file.write("# mine\n")
    with pytest.raises(PlanError, match="changed by someone else"):
        review.choose(number, run_id, trial)
    with open(PLAN, encoding="utf-8") as file:
        assert file.read().endswith("# mine\n")


@pytest.mark.usefixtures("twins")
def test_without_a_terminal_it_says_what_to_do_instead(ckpt: Call) -> None:
    ended = ckpt("review", PLAN)
    assert (ended.code, ended.out) == (EXIT_USAGE, "")
    assert "Edit the plan's file instead." in ended.err


def test_a_run_that_was_given_to_a_twin_is_marked_as_taken(
    ckpt: Call, answers: Callable[..., None], twins: list[Training]
) -> None:
    """And a case says what would settle it, until somebody has."""
    first, second = twins
    asked = ckpt("show", PLAN, second.legacy).out
    assert "to settle: choose one of the candidates with `ckpt-migrate review`, or leave it skipped" in asked
    assert "taken by you" not in asked
    answers("1", "yes", "q")
    reviewed = ckpt("review", PLAN).out
    shown = ckpt("show", PLAN, second.legacy).out
    for text in (reviewed, shown):
        assert text.count(f"taken by you for {first.legacy}") == 1
    assert "to settle" not in ckpt("show", PLAN, first.legacy).out


def test_of_an_orphans_candidates_the_one_that_starts_nearest_is_told(project: Project) -> None:
    plan = api.plan("checkpoints", tracking_uri="mlruns", output=PLAN).plan
    orphan = next(entry for entry in plan.entries if entry.checkpoint.endswith(project.training(4).legacy))
    # The trainings are a day apart.
    known = {run.run_id: run.start for run in map(project.training, (0, 1, 3)) if run.run_id in plan.runs}
    asked = replace(orphan, candidates=tuple(Candidate(run_id, 0.1) for run_id in known))
    wanted = min(known, key=lambda run_id: abs(known[run_id] - project.training(4).start))
    assert len(known) > 1
    assert settling_words(plan, asked).endswith(f"of the candidates, run {wanted} starts nearest to its stamp")


CHANGING = ("open", "fchown", "fchmod", "write", "fsync", "replace", "close")


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and asks /proc for its own number")
def test_a_plan_is_whole_wherever_a_review_is_killed_while_it_saves(
    twins: list[Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real SIGKILL before each call of a saving, in turn: the plan is the old one or the new one to the byte.

    What the killed one left behind stands in nobody's way, not even in that of a process with the same number.
    """
    with open(PLAN, "rb") as file:
        old = file.read()
    review = Review(PLAN)
    number = review.open_entries[0]
    trial, _ = review.weigh(number, twins[0].run_id)
    monkeypatch.setattr(os, "getpid", lambda: 7)
    new, killed = old, 0
    for at in itertools.count(1):
        child = os.fork()
        if child == 0:
            _kill_before(at)
            review.choose(number, twins[0].run_id, trial)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        with open(PLAN, "rb") as file:
            now = file.read()
        new = now if now != old else new
        assert now in {old, new}, at
        api.read(PLAN)
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        killed += 1
        if now != old:
            with open(PLAN, "wb") as file:
                file.write(old)
    assert killed >= len(CHANGING)
    assert new != old
    assert now == new


def _kill_before(at: int) -> None:
    calls = 0

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                os.kill(_own_number(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in CHANGING:
        setattr(os, name, wrap(getattr(os, name)))


def _own_number() -> int:
    """Return the process' own number, which the test hides."""
    return int(os.readlink("/proc/self"))
