"""Links at old names: left where nothing can be searched, undone by rollback, removed by a later call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from trees.references import RECIPE, new_name, old_name, planned
from trees.tree import make_tree, stamp, uid

from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import LockedError
from ckpt_migrate.executor import lock
from ckpt_migrate.journal.logs import latest_log
from ckpt_migrate.references.left_links import left_links, remove_left_links
from ckpt_migrate.rollback import roll_back
from ckpt_migrate.scan.walk import scan_roots

if TYPE_CHECKING:
    from pathlib import Path

    from trees.tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Two directories to be renamed, one of them below the root, and one that keeps its name."""
    tree = make_tree(tmp_path / "project")
    tree.add(0)
    tree.add(1, below="more")
    tree.repair(2)
    tree.settle()
    return tree


def links(tree: Tree) -> dict[str, str]:
    """Return the links left, by path relative to the root."""
    return {os.path.relpath(link.path, tree.root): link.text for link in left_links([str(tree.folder)])}


def test_each_old_name_leads_to_the_new_one_and_a_rollback_takes_the_link_away(tree: Tree) -> None:
    """Relative, so that the tree can be moved; as old as its directory, so that it sorts where that does."""
    plan = planned(tree, leave_links=True)
    before, root_time_ns = tree.snapshot(), tree.root.stat().st_mtime_ns
    result = apply_plan(plan, RECIPE)
    assert result.edited == 2
    assert links(tree) == {old_name(tree, 0): new_name(tree, 0), f"more/{old_name(tree, 1)}": new_name(tree, 1)}
    link = tree.root / old_name(tree, 0)
    assert (link / "config.json").is_file()
    assert os.lstat(link).st_mtime_ns == (tree.root / new_name(tree, 0)).stat().st_mtime_ns
    assert tree.root.stat().st_mtime_ns == root_time_ns
    assert sum(c.name is not None for c in scan_roots([str(tree.root)], RECIPE).checkpoints if c.files) == 3
    assert roll_back(latest_log(str(tree.folder))).is_complete
    assert tree.snapshot() == before
    assert links(tree) == {}


def test_where_an_old_name_is_another_directorys_new_one_no_link_is_left(tree: Tree) -> None:
    tree.entries.clear()
    one, other = f"{uid(8)}_{stamp(8)}", f"{uid(9)}_{stamp(9)}"
    tree.add(8, old=one, new=other)
    tree.add(9, old=other, new=f"{uid(7)}_{stamp(9)}")
    tree.settle()
    before = tree.snapshot()
    apply_plan(planned(tree, leave_links=True), RECIPE)
    assert links(tree) == {one: other}
    assert roll_back(latest_log(str(tree.folder))).is_complete
    assert tree.snapshot() == before


def test_a_later_call_removes_the_links_and_a_rollback_after_it_is_whole(tree: Tree) -> None:
    plan = planned(tree, leave_links=True)
    before = tree.snapshot()
    apply_plan(plan, RECIPE)
    applied = tree.snapshot()
    gone = {os.path.relpath(link.path, tree.folder) for link in remove_left_links([str(tree.folder)])}
    assert tree.snapshot() == {path: found for path, found in applied.items() if path not in gone}
    assert len(gone) == 2
    assert remove_left_links([str(tree.folder)]) == ()
    assert roll_back(latest_log(str(tree.folder))).is_complete
    assert tree.snapshot() == before


def test_what_a_person_has_put_at_an_old_name_is_never_removed(tree: Tree) -> None:
    apply_plan(planned(tree, leave_links=True), RECIPE)
    link = tree.root / old_name(tree, 0)
    link.unlink()
    link.symlink_to("elsewhere")
    assert list(links(tree)) == [f"more/{old_name(tree, 1)}"]
    remove_left_links([str(tree.folder)])
    result = roll_back(latest_log(str(tree.folder)))
    assert len(result.occupied) == 1
    assert os.readlink(link) == "elsewhere"


def test_links_are_not_removed_while_another_process_is_at_work(tree: Tree) -> None:
    apply_plan(planned(tree, leave_links=True), RECIPE)
    with lock.hold([str(tree.root)], timeout_s=0.0, on_wait=None), pytest.raises(LockedError):
        remove_left_links([str(tree.folder)])
    assert len(links(tree)) == 2
