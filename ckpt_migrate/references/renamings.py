"""Which names become which: what a plan, as it stands, does to the names of its directories."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.plan.records import Action, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Renaming:
    """A directory that may get another name.

    Attributes:
        path: Its absolute path.
        target: The name that the plan gives it; None while that is undecided.
        has_manifests: Whether apply writes its manifests anew.
    """

    path: str
    target: str | None
    has_manifests: bool


def renamings_of(plan: Plan, recipe: Recipe) -> tuple[Renaming, ...]:
    """Return the directories that apply renames, and those that a person may yet decide to rename."""
    renamings = []
    for entry in plan.entries if not recipe.is_link else ():
        path = plan.absolute(entry.checkpoint)
        if entry.status is Status.LINKED or recipe.parse(path) is None:
            continue
        target = os.path.basename(entry.target or "") if entry.action is Action.RENAME else None
        renamings.append(Renaming(path, target, entry.action is not Action.SKIP))
    return tuple(renamings)


def targets_by_name(renamings: Sequence[Renaming]) -> dict[str, str]:
    """Return what each old name becomes; itself where that is undecided, or where two directories differ in it."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for one in renamings:
        name = os.path.basename(one.path)
        wanted[name].add(name if one.target is None else one.target)
    return {name: min(targets) if len(targets) == 1 else name for name, targets in wanted.items()}
