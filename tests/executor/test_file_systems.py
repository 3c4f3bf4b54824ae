"""File systems that lack what the usual ones have: a stated fallback for each, tested on one that really lacks it."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from trees import make_tree, run_id, stamp, uid
from trees.fuse import mounted

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import DriftError, ExecutionError, LockedError
from ckpt_migrate.executor import lock
from ckpt_migrate.executor.spelling import ignores_case
from ckpt_migrate.journal.logs import latest_log
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trees import Tree

    from ckpt_migrate.recipe import Recipe


@pytest.fixture
def blind(tmp_path: Path) -> Iterator[Tree]:
    """Return an empty tree on a file system that ignores case, and has no refusing rename, exchange or links."""
    with mounted(tmp_path, is_blind=True) as folder:
        yield make_tree(folder / "project")


def test_apply_and_rollback_are_exact_without_any_of_it(blind: Tree, recipe: Recipe) -> None:
    """Names are claimed, manifests replaced in two steps: a chain, a swap, manifests of people, all back again.

    A file of people keeps the spelling of its name, too.
    """
    tree = blind
    one, other = f"{uid(8)}_{stamp(8)}", f"{uid(9)}_{stamp(9)}"
    tree.add(8, old=one, new=other)
    tree.add(9, old=other, new=one)
    tree.add(1, files={"ReadMe.md": b"notes\n", "model.pt": b"w"})
    tree.add(3, old=f"{uid(3)}_{stamp(3)}", new=f"{uid(4)}_{stamp(3)}")
    tree.add(4, old=f"{uid(4)}_{stamp(3)}", new=f"{run_id(4)}_{stamp(3)}")
    tree.repair(5)
    tree.settle()
    tree.refresh()
    probe = tree.root / "a"
    probe.mkdir()
    assert ignores_case(str(tree.root), "a")
    with pytest.raises(OSError, match=os.strerror(errno.EPERM)):
        os.link(tree.root / one / "config.json", tree.root / "b")
    assert not storage.exchange(str(probe), str(tree.root / one))
    probe.rmdir()
    tree.settle()
    before = tree.snapshot(with_inodes=False)
    result = apply_plan(tree.plan(), recipe)
    assert result.log is not None
    new = tree.root / f"{run_id(1)}_{stamp(1)}"
    assert sorted(os.listdir(new)) == ["MLFLOW_RUN_ID.txt", "ReadMe.md", "model.pt"]
    assert (new / "ReadMe.md").read_bytes().startswith(b"notes\n\n<!--")
    undone = roll_back(result.log)
    assert (undone.missing, undone.occupied, undone.changed, undone.edited, undone.damage) == ((), (), (), (), ())
    assert tree.snapshot(with_inodes=False) == before


def test_a_name_that_is_taken_in_another_case_is_found_beforehand(blind: Tree, recipe: Recipe) -> None:
    """A stranger at the new name, two new names that differ in case alone, one directory by two spellings."""
    tree = blind
    for number in range(1, 5):
        tree.add(number)
    stranger = tree.root / f"{run_id(1)}_{stamp(1)}".upper()
    stranger.mkdir()
    tree.settle()
    tree.refresh()
    labels = [entry.checkpoint for entry in tree.entries]
    first, second, third, fourth = tree.entries
    folder = os.path.dirname(second.checkpoint)
    upper = replace(fourth, checkpoint=f"{folder.replace('phase2', 'PHASE2')}/{os.path.basename(fourth.checkpoint)}")
    upper = replace(
        upper,
        root=folder.replace("phase2", "PHASE2"),
        target=f"{os.path.dirname(upper.checkpoint)}/{os.path.basename(fourth.target or '')}",
    )
    before = tree.snapshot()
    with pytest.raises(DriftError) as caught:
        apply_plan(tree.plan([first, second, third, fourth, upper]), recipe)
    assert [problem.partition(": ")[::2] for problem in caught.value.problems] == [
        (labels[0], f"its new name is taken: something is at {tree.root}/{run_id(1)}_{stamp(1)}"),
        (upper.checkpoint, f"is the same directory as {labels[3]}, by another path"),
    ]
    assert tree.snapshot() == before


def test_a_newcomer_in_another_case_is_not_lost(blind: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes after the check, and what is there instead of a refusing rename still sees it."""
    tree = blind
    tree.add(1)
    tree.settle()
    tree.refresh()
    target = tree.root / f"{run_id(1)}_{stamp(1)}"
    real = storage.rename_noreplace

    def race(source: str, new: str) -> None:
        if new == str(target):
            target.with_name(target.name.upper()).mkdir()
        real(source, new)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "rename_noreplace", race)
        with pytest.raises(ExecutionError, match="File exists"):
            apply_plan(tree.plan(), recipe)
    assert target.name.upper() in os.listdir(tree.root)
    assert roll_back(latest_log(str(tree.folder))).is_complete
    assert (tree.root / f"{uid(1)}_{stamp(1)}" / "config.json").is_file()


def test_one_root_by_two_paths_does_not_wait_for_itself(blind: Tree) -> None:
    """Two spellings of a root have one lock; taking it twice would name this very process as the one in the way."""
    (blind.root / ".ckpt-migrate").mkdir()
    upper = blind.root.with_name(blind.root.name.upper())
    with lock.hold([str(blind.root), str(upper)]):
        pass


def test_the_lock_holds(blind: Tree) -> None:
    (blind.root / ".ckpt-migrate").mkdir()
    with (
        lock.hold([str(blind.root)]),
        pytest.raises(LockedError, match=f"process {os.getpid()}"),
        lock.hold([str(blind.root)]),
    ):
        pass
