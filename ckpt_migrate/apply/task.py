"""Tasks: the entries of a plan that are to be carried out, in the terms of the disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ckpt_migrate.errors import PlanError
from ckpt_migrate.plan.records import Action

if TYPE_CHECKING:
    from ckpt_migrate.naming import DirectoryName
    from ckpt_migrate.plan.records import Plan, RunFacts
    from ckpt_migrate.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Task:
    """An entry of a plan that is to be carried out.

    Attributes:
        item: Its place in the plan, counted from 0.
        label: Its path as the plan has it.
        root: Real path of its root.
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
        folder, shown_folder, name = folders.place(entry.checkpoint)
        _, shown_target_folder, target_name = folders.place(entry.target or "")
        target = folder + target_name
        shown_target = target if shown_target_folder == folder else shown_target_folder + target_name
        parts = recipe.name_after(shown_target, entry.run_id or "")
        where = f"line {entry.line}: {entry.checkpoint}" if entry.line else entry.checkpoint
        if run is None or entry.fingerprint is None or parts is None:
            problems.append(f"{where}: lacks what {entry.action.value} needs (run, fingerprint or a fitting target)")
        elif shown_folder != shown_target_folder:
            problems.append(f"{where}: its target lies in another folder")
        elif (name == target_name) is (entry.action is Action.RENAME):
            problems.append(f"{where}: {entry.action.value} does not fit the target {entry.target}")
        else:
            tasks.append(
                Task(
                    item=item,
                    label=entry.checkpoint,
                    root=folders.resolve(entry.root),
                    source=folder + name,
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
        self._known: dict[str, tuple[str, str]] = {}
        self.resolve = lru_cache(maxsize=None)(lambda path: os.path.realpath(plan.absolute(path)))

    def place(self, path: str) -> tuple[str, str, str]:
        """Return of a path its folder with links resolved, the same as the user names it, and the name in it.

        Folders end with a separator.
        """
        folder, slash, name = path.rpartition("/")
        if name in {"", ".", ".."}:
            folder, name = os.path.split(self._plan.absolute(path))
        key = folder + slash
        known = self._known.get(key)
        if known is None:
            shown = self._plan.absolute(key)
            known = self._known[key] = (os.path.join(os.path.realpath(shown), ""), os.path.join(shown, ""))
        return *known, name
