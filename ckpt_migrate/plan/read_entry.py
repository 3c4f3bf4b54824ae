"""Reading an entry of a plan: what a person may edit is taken over, every other edit refused."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ckpt_migrate.naming import is_run_id
from ckpt_migrate.plan.fields import entry_data
from ckpt_migrate.plan.records import Action, Candidate, Entry, Proposal, Status
from ckpt_migrate.plan.seal import broken, may_be

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from enum import Enum

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.strict_yaml import Field

    Choice = TypeVar("Choice", bound=Enum)

_REQUIRED = ("checkpoint", "status", "action", "seal")
_OPTIONAL = ("run_id", "target", "confidence", "evidence", "reason", "candidates", "fingerprint")
_CANDIDATE = ("run_id", "confidence", "evidence")


class EntryReader:
    """Reads entries; knows the roots that no path may leave.

    Args:
        roots: As the plan has them.
        folder: Absolute folder that relative paths start from.
        recipe: Whose names the directories have.
        run_ids: Of all runs that the planner named.
    """

    def __init__(self, roots: Sequence[str], folder: str, recipe: Recipe, run_ids: Collection[str]) -> None:
        self._roots = [(os.path.normpath(os.path.join(folder, root)), root) for root in roots]
        self._roots_by_folder: dict[str, str | None] = {}
        self._folder = folder
        self._recipe = recipe
        self._run_ids = run_ids

    def read(self, item: Field) -> Entry:
        """Return an entry, its target following from its run id; what is wrong is noted."""
        keys = item.mapping(required=_REQUIRED, optional=_OPTIONAL)
        if any(key not in keys for key in _REQUIRED):
            return Entry("", "", Status.UNREADABLE, Action.SKIP)
        checkpoint = keys["checkpoint"].text()
        entry = Entry(
            checkpoint=checkpoint,
            root=self.root_of(checkpoint) or "",
            status=choice(keys["status"], Status),
            action=choice(keys["action"], Action),
            run_id=keys["run_id"].text_or_none() if "run_id" in keys else None,
            target=keys["target"].text_or_none() if "target" in keys else None,
            confidence=keys["confidence"].number_or_none() if "confidence" in keys else None,
            evidence=keys["evidence"].texts() if "evidence" in keys else (),
            reason=keys["reason"].text_or_none() if "reason" in keys else None,
            candidates=tuple(_candidate(c) for c in keys["candidates"].sequence()) if "candidates" in keys else (),
            fingerprint=keys["fingerprint"].text_or_none() if "fingerprint" in keys else None,
            line=item.line,
            run_id_line=keys["run_id"].line if "run_id" in keys else 0,
        )
        if not entry.root:
            keys["checkpoint"].refuse("leaves the roots of the plan")
        edited = broken(keys["seal"].text(), entry_data(entry))
        if edited is None:
            keys["seal"].refuse("the seal is damaged")
            return entry
        return self._take_edits(entry, edited, keys) if edited else entry

    def _take_edits(self, entry: Entry, edited: Sequence[str], keys: Mapping[str, Field]) -> Entry:
        """Accept an edited action and run id; refuse every other edit; derive the target."""
        target = self._derived_target(entry, keys)
        for name in edited:
            if name in {"action", "run_id"} or (name == "target" and entry.target == target):
                continue
            field = keys.get(name, keys["checkpoint"])
            if name == "target":
                field.refuse(f"follows from run_id and must not be edited; it is {target}")
            elif name != "root":  # follows from `checkpoint` and the roots, which are refused themselves
                field.refuse(f"{name} was edited, but belongs to the planner")
        if "run_id" in edited and entry.run_id is not None and entry.action is Action.SKIP:
            keys["run_id"].refuse("was set, but the action is skip; set action: rename, too, or put run_id back")
        if edited == ("target",):
            return replace(entry, target=target)
        return _as_chosen(replace(entry, target=target), self._proposal(entry, keys["seal"].text()))

    def _proposal(self, entry: Entry, sealed: str) -> Proposal:
        """Return what the planner had written: of the runs that it named, the one that the seal was taken over."""
        values = entry_data(entry)
        actions = [action for action in Action if may_be(sealed, values, "action", action.value)]
        run_ids = [run_id for run_id in (None, *self._run_ids) if may_be(sealed, values, "run_id", run_id)]
        for action in actions:
            for run_id in run_ids:
                trial = replace(entry, action=action, run_id=run_id, target=self._target(entry.checkpoint, run_id))
                if broken(sealed, entry_data(trial)) == ():
                    return Proposal(action, run_id, entry.confidence, entry.evidence, trial.target)
        return Proposal(entry.action, None, None, ())  # more was edited than may be, and is refused

    def _target(self, checkpoint: str, run_id: str | None) -> str | None:
        if run_id is None:
            return None
        # The names of some frameworks begin above the plan's folder.
        target = self._recipe.target_of(os.path.normpath(os.path.join(self._folder, checkpoint)), run_id)
        folder, slash, _ = checkpoint.rpartition("/")
        return None if target is None else folder + slash + os.path.basename(target)

    def _derived_target(self, entry: Entry, keys: Mapping[str, Field]) -> str | None:
        if entry.run_id is not None and not is_run_id(entry.run_id):
            keys["run_id"].refuse(f"{entry.run_id!r:.80} is no run id: 32 lower-case hexadecimal digits")
            return None
        if entry.run_id is None:
            if entry.action is not Action.SKIP:
                keys["action"].refuse(f"{entry.action.value} needs a run_id")
            return None
        target = self._target(entry.checkpoint, entry.run_id)
        if target is None:
            keys["checkpoint"].refuse("is not named in a form that can be renamed")
        elif entry.action is Action.RENAME and target == entry.checkpoint:
            why = "keeps its name by this recipe" if self._recipe.is_link else "is named after this run already"
            keys["action"].refuse(f"the directory {why}; repair writes its manifests")
        elif entry.action is Action.REPAIR and target != entry.checkpoint:
            keys["action"].refuse("repair is for directories that are named after their run already")
        return target

    def root_of(self, checkpoint: str) -> str | None:
        """Return the innermost root above a checkpoint as the plan has it, None when there is none."""
        above, name = os.path.split(os.path.normpath(os.path.join(self._folder, checkpoint)))
        if above not in self._roots_by_folder:
            inside = [
                (len(root), given) for root, given in self._roots if f"{above}/".startswith(f"{root.rstrip('/')}/")
            ]
            self._roots_by_folder[above] = max(inside)[1] if inside else None
        return self._roots_by_folder[above] if name else None


def _as_chosen(entry: Entry, proposal: Proposal) -> Entry:
    """Return an entry that a person edited, with the planner's case for the run that was chosen, if it has one."""
    if entry.run_id == proposal.run_id:
        return replace(entry, proposal=proposal)
    known = [candidate for candidate in entry.candidates if candidate.run_id == entry.run_id]
    confidence, evidence = (known[0].confidence, known[0].evidence) if known else (None, ())
    return replace(entry, confidence=confidence, evidence=evidence, proposal=proposal)


def choice(field: Field, kind: type[Choice]) -> Choice:
    """Return the member of an enumeration that a field names; anything else is noted."""
    text = field.text()
    for member in kind:
        if member.value == text:
            return member
    field.refuse(f"must be one of {', '.join(str(member.value) for member in kind)}")
    return next(iter(kind))


def _candidate(item: Field) -> Candidate:
    keys = item.mapping(required=_CANDIDATE)
    if len(keys) != len(_CANDIDATE):
        return Candidate("", 0.0)
    return Candidate(keys["run_id"].text(), keys["confidence"].number(), keys["evidence"].texts())
