"""The search once more, after apply: that no mention of an old name is left, or which are, and whether on purpose."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.plan.records import Action
from ckpt_migrate.progress import SILENT
from ckpt_migrate.references.build import SearchInput, build_references
from ckpt_migrate.references.records import EditAction
from ckpt_migrate.references.renamings import Renaming
from ckpt_migrate.scan.walk import scan_roots

if TYPE_CHECKING:
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Remaining:
    """A file or link that still mentions old names as paths of what was renamed.

    Attributes:
        path: Its absolute path.
        count: How many mentions.
        is_on_purpose: Whether the plan says to leave it; else it came, or got them, after planning.
    """

    path: str
    count: int
    is_on_purpose: bool


def recheck(plan: Plan, recipe: Recipe, *, progress: Progress = SILENT) -> tuple[Remaining, ...]:
    """Search again where the plan's references were searched; nothing where the plan has none.

    A name that another directory bears now (of a chain or a swap) is no old name any more.

    Raises:
        RootError: A root is gone.
    """
    if plan.references is None or not plan.references.paths:
        return ()
    renamed = {
        plan.absolute(entry.checkpoint): plan.absolute(entry.target)
        for entry in plan.entries
        if entry.action is Action.RENAME and entry.target is not None
    }
    borne = {os.path.basename(target) for target in renamed.values()}
    search = SearchInput(
        paths=tuple(path for path in map(plan.absolute, plan.references.paths) if os.path.exists(path)),
        checkpoints=scan_roots([plan.absolute(root) for root in plan.roots], recipe).checkpoints,
        renamings=tuple(
            Renaming(path, None, has_manifests=False) for path in renamed if os.path.basename(path) not in borne
        ),
        recipe=recipe,
        folder=plan.folder,
        output=os.path.realpath(plan.path) if plan.path else "",
    )
    skipped = {
        _moved(plan.absolute(file.file), renamed) for file in plan.references.files if file.action is EditAction.SKIP
    }
    found = build_references(search, progress=progress).files
    remaining = ((plan.absolute(file.file), len(file.at)) for file in found)
    return tuple(Remaining(path, count, path in skipped) for path, count in remaining)


def _moved(path: str, renamed: dict[str, str]) -> str:
    above = path
    while above != os.path.dirname(above):
        if above in renamed:
            return renamed[above] + path[len(above) :]
        above = os.path.dirname(above)
    return path
