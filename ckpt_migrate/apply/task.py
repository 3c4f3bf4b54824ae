"""Tasks: the entries of a plan that are to be carried out, in the terms of the disk."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ckpt_migrate.errors import PlanError
from ckpt_migrate.plan.records import Action

if TYPE_CHECKING:
    from ckpt_migrate.naming import DirectoryName
    from ckpt_migrate.plan.records import Plan, RunFacts
    from ckpt_migrate.recipe import Recipe


class Task(NamedTuple):
    """An entry of a plan that is to be carried out.

    Attributes:
        item: Its place in the plan, counted from 0.
        label: Its path as the plan has it.
        root: Real path of its root.
        folder: Path of the folder that holds the directory before and after, links resolved.
        source: Path of the directory, links in its parents resolved.
        target: Path after the migration, likewise.
        shown_target: The same as the user names it.
        name: The target name in its parts.
        run: What manifests say of the run.
        fingerprint: Of the directory as planned.
    """

    item: int
    label: str
    root: str
    folder: str
    source: str
    target: str
    shown_target: str
    name: DirectoryName
    run: RunFacts
    fingerprint: str


def read_tasks(plan: Plan, recipe: Recipe) -> list[Task]:
    """Return the tasks of a plan in its order.

    Raises:
        PlanError: An entry lacks what its action needs, or contradicts itself; all such entries are listed.
    """
    tasks: list[Task] = []
    problems: list[str] = []
    folders = _Folders(plan)
    for item, entry in enumerate(plan.entries):
        if entry.action is Action.SKIP:
            continue
        run = plan.runs.get(entry.run_id or "")
        folder, start, shown_start, name = folders.place(entry.checkpoint)
        _, _, shown_target_start, target_name = folders.place(entry.target or "")
        target = start + target_name
        shown_target = target if shown_target_start == start else shown_target_start + target_name
        parts = recipe.name_after(shown_target, entry.run_id or "")
        where = f"line {entry.line}: {entry.checkpoint}" if entry.line else entry.checkpoint
        if run is None or entry.fingerprint is None or parts is None:
            problems.append(f"{where}: lacks what {entry.action.value} needs (run, fingerprint or a fitting target)")
        elif shown_start != shown_target_start:
            problems.append(f"{where}: its target lies in another folder")
        elif (name == target_name) is (entry.action is Action.RENAME):
            problems.append(f"{where}: {entry.action.value} does not fit the target {entry.target}")
        else:
            tasks.append(
                Task(
                    item=item,
                    label=entry.checkpoint,
                    root=folders.resolve(entry.root),
                    folder=folder,
                    source=start + name,
                    target=target,
                    shown_target=shown_target,
                    name=parts,
                    run=run,
                    fingerprint=entry.fingerprint,
                )
            )
    if problems:
        remedy = "Make a new plan; a person may edit only action and run_id."
        raise PlanError(
            "entries of the plan cannot be carried out",
            where=plan.path or None,
            problems=tuple(problems),
            remedy=remedy,
        )
    return tasks


class _Folders:
    """The folders that hold the directories of a plan, each looked at once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[str, tuple[str, str, str]] = {}
        self.resolve = lru_cache(maxsize=None)(lambda path: os.path.realpath(plan.absolute(path)))

    def place(self, path: str) -> tuple[str, str, str, str]:
        """Return of a path its folder and what precedes its name, links resolved; the latter as shown; its name."""
        folder, slash, name = path.rpartition("/")
        if name in {"", ".", ".."}:
            folder, name = os.path.split(self._plan.absolute(path))
        key = folder + slash
        known = self._known.get(key)
        if known is None:
            shown = self._plan.absolute(key)
            folder = os.path.realpath(shown)
            known = self._known[key] = (folder, os.path.join(folder, ""), os.path.join(shown, ""))
        return *known, name
