"""A review: the undecided entries of a plan, settled one by one, each answer saved at once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.errors import PlanError
from ckpt_migrate.plan.file import log_that_needs, save
from ckpt_migrate.plan.read import load_plan
from ckpt_migrate.plan.records import Action
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.review.doubts import find_doubts
from ckpt_migrate.review.edits import Choice, find_places, splice
from ckpt_migrate.stores import look_up_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.review.doubts import Doubt


class Review:
    """A plan under review; what is chosen is in its file when `choose` returns.

    Args:
        path: The plan's file.
        tracking_uri: Where runs are looked up that the plan does not list; empty means the plan's own store.

    Raises:
        PlanError: The plan cannot be read, or an apply that was cut short needs it as it is.
        RecipeError: Its recipe is gone.
    """

    def __init__(self, path: str, *, tracking_uri: Sequence[str] = ()) -> None:
        self.plan: Plan
        self.recipe: Recipe
        self.plan, self.recipe = load_plan(path, load_recipe)
        roots = [self.plan.absolute(root) for root in self.plan.roots]
        log = log_that_needs(self.plan.digest, roots)
        if log is not None:
            what = f"its apply was cut short and cannot go on with another plan (log {log})"
            raise PlanError(what, where=path, remedy="Apply it again or roll it back first.")
        self._tracking_uri = tuple(tracking_uri)
        self._text = self._read()
        self._places = find_places(self._text)
        self._digest = self.plan.digest
        self._choices: dict[int, Choice] = {}
        self._before: list[tuple[int, Plan]] = []

    @property
    def open_entries(self) -> tuple[int, ...]:
        """The numbers of the entries that wait for a person."""
        return tuple(number for number, entry in enumerate(self.plan.entries) if entry.is_open)

    def weigh(self, number: int, run_id: str) -> tuple[Plan, tuple[Doubt, ...]]:
        """Return the plan as it would be with this run, and what speaks against it; nothing is written.

        Raises:
            PlanError: No store has such a run, or another entry would get the same name.
            StoreError: The store cannot be read.
        """
        choices = {**self._choices, number: self._choice(run_id)}
        trial, _ = self._parsed(choices)
        trial = look_up_runs(replace(trial, runs={**self.plan.runs, **trial.runs}), self.recipe, self._tracking_uri)
        return trial, find_doubts(trial, self.recipe, entries=(trial.entries[number],))

    def choose(self, number: int, run_id: str, trial: Plan) -> None:
        """Write a choice into the file.

        Args:
            number: Of the entry.
            run_id: The run.
            trial: What `weigh` returned for it.

        Raises:
            PlanError: The file was changed by someone else, or cannot be written.
        """
        self._before.append((number, self.plan))
        self._choices[number] = self._choice(run_id)
        self._save()
        self.plan = trial

    def undo(self) -> int | None:
        """Take the last choice back and return its entry's number; None when there is none.

        Raises:
            PlanError: The file was changed by someone else, or cannot be written.
        """
        if not self._before:
            return None
        number, plan = self._before.pop()
        del self._choices[number]
        self._save()
        self.plan = plan
        return number

    def _choice(self, run_id: str) -> Choice:
        return Choice(Action.REPAIR if self.recipe.is_link else Action.RENAME, run_id)

    def _parsed(self, choices: dict[int, Choice]) -> tuple[Plan, Recipe]:
        return load_plan(self.plan.path, load_recipe, data=self._spliced(choices).encode("utf-8"))

    def _spliced(self, choices: dict[int, Choice]) -> str:
        try:
            return splice(self._text, self._places, choices)
        except ValueError as error:
            what = "an entry has no `action` or no `run_id` to be filled in"
            raise PlanError(what, where=self.plan.path, remedy="Add it by hand, or plan again.") from error

    def _save(self) -> None:
        text = self._spliced(self._choices)
        if hashlib.sha256(self._read().encode("utf-8")).hexdigest() != self._digest:
            what = "was changed by someone else during the review"
            raise PlanError(what, where=self.plan.path, remedy="Nothing was overwritten. Begin the review again.")
        save(self.plan.path, text)
        self._digest = hashlib.sha256(text.encode("utf-8")).hexdigest()

    def _read(self) -> str:
        try:
            with open(self.plan.path, encoding="utf-8", newline="") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise PlanError(
                "cannot be read any more", where=self.plan.path, remedy="Look what became of it."
            ) from error
