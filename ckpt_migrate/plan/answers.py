"""Answers: what a person decided in an earlier plan, taken over into a new one as certain."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ckpt_migrate.plan.read import load_plan
from ckpt_migrate.plan.records import Action, Entry, Plan, Proposal, RunFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.references.records import EditAction, References


@dataclass(frozen=True, slots=True)
class Answers:
    """The entries that a person edited, by the real path of their directory.

    Attributes:
        plan: The plan's path as given; empty for no answers.
        runs: Facts of the runs that their plan names.
        chosen: Those renamed or repaired because a person said so.
        left: Those that a person said to leave alone.
        references: What a person said of files that mention old names, by the real path of the file.
        lost: Why an answer was not kept, whole sentences without their full stop.
    """

    plan: str = ""
    runs: Mapping[str, RunFacts] = field(default_factory=dict)
    chosen: Mapping[str, Entry] = field(default_factory=dict)
    left: Mapping[str, Entry] = field(default_factory=dict)
    references: Mapping[str, EditAction] = field(default_factory=dict)
    lost: tuple[str, ...] = ()

    @property
    def run_ids(self) -> Mapping[str, str]:
        """The runs that a person gave, by the path of their directory."""
        return {path: entry.run_id for path, entry in self.chosen.items() if entry.run_id is not None}

    def hold_against(self, checkpoints: Iterable[Checkpoint], run_ids: Collection[str]) -> Answers:
        """Return those that still stand: the directory is as it was, and its run is in the store.

        Args:
            checkpoints: As scanned now; keys of what is returned are their paths.
            run_ids: Of all runs in the stores.
        """
        now = {_real(checkpoint.path): checkpoint for checkpoint in checkpoints}
        chosen: dict[str, Entry] = {}
        left: dict[str, Entry] = {}
        lost = []
        for path, entry in sorted({**self.chosen, **self.left}.items()):
            checkpoint = now.get(path)
            if checkpoint is None:
                lost.append(f"{entry.checkpoint} is not there any more, so the answer in {self.plan} is not kept")
            elif checkpoint.fingerprint != (entry.fingerprint or ""):
                lost.append(f"{entry.checkpoint} has changed since, so the answer in {self.plan} is not kept")
            elif path in self.left:
                left[checkpoint.path] = entry
            elif entry.run_id not in run_ids:
                lost.append(f"run {entry.run_id} is in none of the stores, so the answer in {self.plan} is not kept")
            else:
                chosen[checkpoint.path] = entry
        return replace(self, chosen=chosen, left=left, lost=tuple(lost))


NO_ANSWERS = Answers()


def read_answers(path: str, find_recipe: Callable[[str], Recipe]) -> Answers:
    """Return what a person edited in a plan.

    Raises:
        PlanError: The plan is damaged, or edited beyond what may be edited.
        RecipeError: Its recipe is gone.
    """
    plan, _ = load_plan(path, find_recipe)
    edited = {_real(plan.absolute(entry.checkpoint)): entry for entry in plan.entries if entry.proposal is not None}
    chosen = {where: entry for where, entry in edited.items() if entry.action is not Action.SKIP}
    left = {where: edited[where] for where in edited.keys() - chosen.keys()}
    files = () if plan.references is None else plan.references.files
    references = {_real(plan.absolute(file.file)): file.action for file in files if file.proposed is not None}
    return Answers(path, plan.runs, chosen, left, references)


def answered(references: References, plan: Plan, answers: Answers) -> References:
    """Return the references of a new plan with the actions that a person wanted in an earlier one."""
    files = []
    for file in references.files:
        action = answers.references.get(_real(plan.absolute(file.file)))
        files.append(file if action is None else file.with_action(action))
    return replace(references, files=tuple(files))


def moved(entry: Entry, *, checkpoint: str, root: str) -> Entry:
    """Return an entry with the directory's path as another plan shows it; its targets lie beside it."""

    def beside(target: str | None) -> str | None:
        return None if target is None else checkpoint[: checkpoint.rfind("/") + 1] + target.rpartition("/")[2]

    proposal = None if entry.proposal is None else replace(entry.proposal, target=beside(entry.proposal.target))
    return replace(entry, checkpoint=checkpoint, root=root, target=beside(entry.target), proposal=proposal)


def leave_alone(entry: Entry) -> Entry:
    """Return an entry of a new plan as a person would edit it who wants its directory left alone."""
    if entry.action is Action.SKIP:
        return entry
    return replace(
        entry,
        action=Action.SKIP,
        proposal=Proposal(entry.action, entry.run_id, entry.confidence, entry.evidence, entry.target),
    )


def _real(path: str) -> str:
    """Return a path with the links above it followed; the directory itself may have been a link's victim."""
    above, name = os.path.split(os.path.normpath(path))
    return os.path.join(os.path.realpath(above), name)
