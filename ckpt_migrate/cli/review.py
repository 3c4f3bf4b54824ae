"""`ckpt-migrate review`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from ckpt_migrate.cli import options, output
from ckpt_migrate.cli.sides import side_lines
from ckpt_migrate.cli.terminal import is_terminal, width_of
from ckpt_migrate.errors import EXIT_DONE, EXIT_UNDECIDED, CkptMigrateError, PlanError, UsageError
from ckpt_migrate.naming import is_run_id
from ckpt_migrate.plan.words import settling_words, summary_line, taken_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.plan.records import Entry
    from ckpt_migrate.review.session import Review

KEYS = """\
  1, 2, ...  it is this candidate's: rename it
  r          it is another run's: give the run's id
  s          leave it as it is; it is asked again next time
  o          list what is in the directory
  e          show the whole evidence
  u          undo the last answer
  q          quit; what was chosen is saved, go on at any time
  ?          this list
Give one, then Enter."""
MOST_FILES = 40
PIPED_COLUMNS = 100


@click.command("review", short_help="Settle, one by one, what the planner would not decide.")
@options.plan
@options.tracking_uri
def command(plan_path: str, tracking_uri: tuple[str, ...]) -> int:
    """Walk through what is undecided in PLAN: the candidates side by side, and a key to choose.

    Every answer is saved at once, and not a byte of the plan is touched besides. Quit at any time, go on later.

    \b
    Example:
      ckpt-migrate review plan.yaml
    """
    from ckpt_migrate.review.session import Review

    if not is_terminal(sys.stdin):
        raise UsageError("there is no terminal to answer on", remedy="Edit the plan's file instead.")
    review = Review(plan_path, tracking_uri=tracking_uri)
    _Walk(review).run()
    left = len(review.open_entries)
    output.tell(f"{left:,} left to decide. {summary_line(review.plan)}")
    output.hint(f"  ckpt-migrate apply {shlex.quote(plan_path)} --dry-run")
    return EXIT_UNDECIDED if left else EXIT_DONE


class _Walk:
    """The questions, one entry after the other."""

    def __init__(self, review: Review) -> None:
        self.review = review
        self.queue = list(review.open_entries)
        self.total = len(self.queue)
        self.at = 0
        self.skipped: list[bool] = []  # of each answer, whether it left the entry as it is

    def run(self) -> None:
        while self.at < len(self.queue) or self._is_taken_back():
            number = self.queue[self.at]
            entry = self.review.plan.entries[number]
            self._show(entry)
            while True:
                answer = _ask(f"[{', '.join(_keys(entry))}] ")
                if answer is None or answer == "q":
                    return
                if self._take(number, entry, answer):
                    break

    def _is_taken_back(self) -> bool:
        """Say whether the very last answer is taken back, too, once there is nothing left to ask."""
        return (
            bool(self.skipped) and _ask("That was the last one. [u to undo it, Enter to end] ") == "u" and self._undo()
        )

    def _take(self, number: int, entry: Entry, answer: str) -> bool:
        """Do what a key says; say whether another entry is to be shown."""
        if answer == "s":
            self._go_on(is_skipped=True)
            return True
        if answer == "u":
            return self._undo()
        if answer == "r":
            return self._choose(number, _ask("The run's id (empty: none): ") or "")
        if answer.isdecimal() and 1 <= int(answer) <= len(_run_ids(entry)):
            return self._choose(number, _run_ids(entry)[int(answer) - 1])
        if answer == "o":
            self._list(entry)
        elif answer == "e":
            for place, run_id in enumerate(_run_ids(entry), 1):
                output.echo_lines([f"  {place}  run {run_id}", *(f"     {line}" for line in _evidence(entry, run_id))])
        else:
            output.tell(KEYS)
        return False

    def _choose(self, number: int, run_id: str) -> bool:
        run_id = run_id.strip().replace("-", "").lower()
        if not run_id:
            return False
        if not is_run_id(run_id):
            output.tell("That is no run id: 32 hexadecimal digits.")
            return False
        try:
            trial, doubts = self.review.weigh(number, run_id)
        except PlanError as error:
            output.say(f"It cannot be this run: {'; '.join((error.what, *error.problems))}")
            return False
        except CkptMigrateError as error:
            output.say_error(error)
            return False
        for doubt in doubts:
            output.echo_lines([f"  Doubt: {doubt.what}"])
        if doubts and _ask("Choose it all the same? Only 'yes' is a yes: ") != "yes":
            return False
        self.review.choose(number, run_id, trial)
        output.tell(f"  Saved: run {run_id}.\n")
        self._go_on(is_skipped=False)
        return True

    def _go_on(self, *, is_skipped: bool) -> None:
        self.skipped.append(is_skipped)
        self.at += 1

    def _undo(self) -> bool:
        """Go back by one answer: every answer has moved on by one entry."""
        if not self.skipped:
            output.tell("Nothing was answered yet.")
            return False
        if not self.skipped.pop():
            self.review.undo()
            output.tell("  The last choice is taken back.\n")
        self.at -= 1
        return True

    def _show(self, entry: Entry) -> None:
        plan = self.review.plan
        output.echo_lines(
            [f"{self.at + 1:,} of {self.total:,}  {entry.checkpoint}", f"  {entry.status.value}: {entry.reason or ''}"]
        )
        run_ids = _run_ids(entry)
        for place, run_id in enumerate(run_ids, 1):
            run = plan.runs.get(run_id)
            sure = next((one.confidence for one in entry.candidates if one.run_id == run_id), entry.confidence)
            told = "" if run is None else f"{run.name or '(no name)'}, {run.status}, started {run.start}"
            deleted = ", DELETED" if run is not None and run.is_deleted else ""
            taken = taken_words(plan, entry, run_id)
            lines = [f"  {place}  run {run_id}, confidence {sure or 0.0:.6f}", f"     {told}{deleted}"]
            output.echo_lines([*lines, f"     {taken}"] if taken else lines)
        settling = settling_words(plan, entry)
        output.echo_lines([f"  to settle: {settling}"] if settling else [])
        self._compare(entry, run_ids)

    def _compare(self, entry: Entry, run_ids: Sequence[str]) -> None:
        from ckpt_migrate.review.sides import side_by_side, start_side, weight_sides

        plan, recipe = self.review.plan, self.review.recipe
        params = side_by_side(plan, entry, run_ids, recipe)
        start = start_side(plan, entry, run_ids, recipe) if run_ids else None
        weights = weight_sides([_evidence(entry, run_id) for run_id in run_ids])
        columns_wide = width_of(sys.stdout) if is_terminal(sys.stdout) else PIPED_COLUMNS
        output.echo_painted(side_lines((*(() if start is None else (start,)), *weights, *params), columns_wide))
        if params and not any(side.differs for side in params):
            them = "them apart" if len(run_ids) > 1 else "it from the directory's config"
            output.tell(f"  No param that the plan shows tells {them}.")

    def _list(self, entry: Entry) -> None:
        from ckpt_migrate.review.sides import as_found

        found = as_found(self.review.plan, entry, self.review.recipe)
        if found is None:
            output.tell("The directory is not there, or cannot be listed.")
            return
        output.tell(output.shown(f"  {found.path}"))
        for file in found.files[:MOST_FILES]:
            output.tell(output.shown(f"  {output.size(file.size_bytes):>10}  {file.path}"))
        if len(found.files) > MOST_FILES:
            output.tell(f"  and {len(found.files) - MOST_FILES:,} more")


def _run_ids(entry: Entry) -> tuple[str, ...]:
    own = () if entry.run_id is None else (entry.run_id,)
    return tuple(dict.fromkeys((*own, *(candidate.run_id for candidate in entry.candidates))))


def _evidence(entry: Entry, run_id: str) -> tuple[str, ...]:
    return next((one.evidence for one in entry.candidates if one.run_id == run_id), entry.evidence)


def _keys(entry: Entry) -> list[str]:
    return [*(str(place) for place in range(1, len(_run_ids(entry)) + 1)), "r", "s", "o", "e", "u", "q", "?"]


def _ask(question: str) -> str | None:
    """Return an answer without its blanks, or None at the end of the input."""
    click.echo(question, nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        click.echo(err=True)
    return line.strip() if line else None
