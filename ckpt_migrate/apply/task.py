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
    resolve = lru_cache(maxsize=None)(os.path.realpath)
    for item, entry in enumerate(plan.entries):
        if entry.action is Action.SKIP:
            continue
        run = plan.runs.get(entry.run_id or "")
        target = plan.absolute(entry.target or "")
        source = plan.absolute(entry.checkpoint)
        name = recipe.name_after(target, entry.run_id or "")
        where = f"line {entry.line}: {entry.checkpoint}" if entry.line else entry.checkpoint
        if run is None or entry.fingerprint is None or name is None:
            problems.append(f"{where}: lacks what {entry.action.value} needs (run, fingerprint or a fitting target)")
        elif os.path.dirname(source) != os.path.dirname(target):
            problems.append(f"{where}: its target lies in another folder")
        elif (source == target) is (entry.action is Action.RENAME):
            problems.append(f"{where}: {entry.action.value} does not fit the target {entry.target}")
        else:
            parent = resolve(os.path.dirname(source))
            tasks.append(
                Task(
                    item=item,
                    label=entry.checkpoint,
                    root=resolve(plan.absolute(entry.root)),
                    source=os.path.join(parent, os.path.basename(source)),
                    target=os.path.join(parent, os.path.basename(target)),
                    shown_target=target,
                    name=name,
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
