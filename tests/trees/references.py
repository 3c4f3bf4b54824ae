"""Trees of checkpoints with files around them that name them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.references.build import SearchInput, build_references
from ckpt_migrate.references.records import EditAction, LeftKind
from ckpt_migrate.references.renamings import renamings_of
from ckpt_migrate.scan.walk import scan_roots

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.references.records import References
    from trees.tree import Tree

RECIPE = load_recipe()


def planned(tree: Tree, *paths: str, leave_links: bool = False) -> Plan:
    """Return the plan of a tree with references below these paths in its folder, all of it by default."""
    tree.refresh()
    plan = tree.plan()
    search = SearchInput(
        paths=tuple(str(tree.folder / path) for path in paths or ("",)),
        checkpoints=scan_roots([str(root) for root in tree.roots], RECIPE).checkpoints,
        renamings=renamings_of(plan, RECIPE),
        recipe=RECIPE,
        folder=str(tree.folder),
    )
    return replace(plan, references=replace(build_references(search), leave_links=leave_links))


def references(plan: Plan) -> References:
    """Return the references of a plan that has some."""
    assert plan.references is not None
    return plan.references


def edited_throughout(plan: Plan) -> Plan:
    """Return a plan in which a person has set every file to be edited."""
    files = tuple(replace(file, action=EditAction.EDIT) for file in references(plan).files)
    return replace(plan, references=replace(references(plan), files=files))


def put(tree: Tree, path: str, data: bytes) -> Path:
    """Write a file in the tree's folder."""
    file = tree.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def old_name(tree: Tree, number: int) -> str:
    """Return the old name of an entry's directory."""
    return os.path.basename(tree.entries[number].checkpoint)


def new_name(tree: Tree, number: int) -> str:
    """Return its name after apply."""
    return os.path.basename(str(tree.entries[number].target))


def left(tree: Tree, plan: Plan) -> dict[LeftKind, list[str]]:
    """Return what a plan leaves alone, by reason, as paths relative to the folder."""
    found: dict[LeftKind, list[str]] = {}
    for each in references(plan).left:
        found.setdefault(each.kind, []).extend(os.path.relpath(path, tree.folder) for path in each.where)
    return {kind: sorted(paths) for kind, paths in found.items()}
