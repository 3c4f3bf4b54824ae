"""Directories of a plan that are not where it says: another apply may have renamed them, and its log says so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckpt_migrate.find import renamings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ckpt_migrate.apply.task import Task
    from ckpt_migrate.find import Renaming
    from ckpt_migrate.plan.records import Plan


def describe_gone(gone: Sequence[Task], roots: Collection[str]) -> Iterator[str]:
    """Yield a line for each apply that renamed some of them, and one for each that no log in or around `roots` knows.

    A log that cannot be read is passed over: what it knows is said of nobody, and apply refuses all the same.
    """
    if not gone:
        return
    known = {renaming.old: renaming for renaming in renamings(roots, lambda _: None)}
    by_log: dict[str, list[tuple[Task, Renaming]]] = {}
    for task in gone:
        renaming = known.get(task.source)
        if renaming is None:
            yield f"{task.label}: is not there any more"
        else:
            by_log.setdefault(renaming.log, []).append((task, renaming))
    for log, renamed in by_log.items():
        (task, renaming), others = renamed[0], len(renamed) - 1
        name = os.path.basename(renaming.new)
        if others:
            yield f"{task.label} and {others:,} more: were renamed, this one to {name}, by the apply of {log}"
        else:
            yield f"{task.label}: was renamed to {name} by the apply of {log}"


def moved_plan_words(plan: Plan) -> str:
    """Return why nothing may be where a plan says: it was copied or moved. Empty when its roots are there."""
    if all(os.path.isabs(root) or os.path.isdir(plan.absolute(root)) for root in plan.roots):
        return ""
    return (
        f" Paths start from the plan's folder, {plan.folder}: one that was copied or moved belongs where it was made."
    )
