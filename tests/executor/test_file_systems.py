"""File systems that lack what the usual ones have: a stated fallback for each, tested on one that really lacks it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from trees import make_tree, run_id, stamp, uid
from trees.fuse import mounted

from ckpt_migrate import storage
from ckpt_migrate.apply import taken
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import DriftError, ExecutionError, LockedError
from ckpt_migrate.executor import batches, lock
from ckpt_migrate.executor.spelling import ignores_case
from ckpt_migrate.journal.logs import latest_log
from ckpt_migrate.naming import NameForm
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trees import Tree

    from ckpt_migrate.recipe import Recipe


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Mount a file system that ignores case, and has no refusing rename, exchange or links."""
    with mounted(tmp_path_factory.mktemp("fuse"), is_blind=True) as folder:
        yield folder


@pytest.fixture
def blind(lacking: Path, request: pytest.FixtureRequest) -> Tree:
    """Return an empty tree on it."""
    return make_tree(lacking / request.node.name)


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


@pytest.mark.parametrize("many", [1, taken.MANY])
def test_a_name_that_is_taken_in_another_case_is_found_beforehand(
    blind: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """A stranger at the new name, one directory by two spellings; where case is ignored a listing does not tell."""
    monkeypatch.setattr(taken, "MANY", many)
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


def test_new_names_that_differ_in_case_alone_are_found_beforehand(blind: Tree, recipe: Recipe) -> None:
    """Elsewhere they are two names; here the second rename would fail, after the first."""
    tree = blind
    named = replace(recipe, target=NameForm("{name}_{run_id}"))
    for number in (1, 2):
        tree.add(number)
    tree.settle()
    tree.refresh()
    entries = [
        replace(entry, run_id=run_id(1), target=f"{os.path.dirname(entry.checkpoint)}/{name}_{run_id(1)}")
        for entry, name in zip(tree.entries, ("Über", "über".upper()), strict=True)
    ]
    with pytest.raises(DriftError) as caught:
        apply_plan(tree.plan(entries), named)
    assert len(caught.value.problems) == 1
    assert "gets the same new name as" in caught.value.problems[0]
    plain = make_tree(tree.folder.parents[1] / "elsewhere")
    for number in (1, 2):
        plain.add(number)
    plain.refresh()
    entries = [
        replace(entry, fingerprint=other.fingerprint) for entry, other in zip(entries, plain.entries, strict=True)
    ]
    operations = apply_plan(plain.plan(entries), named, is_dry_run=True).operations
    assert sum(operation.new_path is not None for operation in operations) == 2


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


BTRFS_BYTES = 130 << 20


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Tree]:
    """Return an empty tree on a Btrfs subvolume that may hold 4 MiB, on a disk with a lot of free space."""
    image, disk = tmp_path / "image", tmp_path / "disk"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(BTRFS_BYTES)
    volume = disk / "volume"
    calls = (
        ["mkfs.btrfs", "-q", str(image)],
        ["mount", "-o", "loop", str(image), str(disk)],
        ["btrfs", "quota", "enable", str(disk)],
        ["btrfs", "subvolume", "create", str(volume)],
        ["btrfs", "qgroup", "limit", "4M", str(volume)],
    )
    try:
        for call in calls:
            if shutil.which(call[0]) is None or subprocess.run(call, capture_output=True, check=False).returncode:
                pytest.skip(f"no Btrfs with quotas can be made and mounted here: {call[0]}")
        yield make_tree(volume / "project")
    finally:
        if os.path.ismount(disk):
            subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_quota_is_found_before_the_first_change(limited: Tree, recipe: Recipe) -> None:
    """The disk has room, this user has none: no name, no byte, no time stamp is another one afterwards."""
    tree = limited
    tree.add(0, files={"model.pt": b"w" * (3 << 20)})
    tree.add(1)
    tree.settle()
    tree.refresh()
    os.sync()
    before = tree.snapshot()
    with pytest.raises(DriftError) as caught:
        apply_plan(tree.plan(), recipe)
    assert [problem.partition(" ")[2] for problem in caught.value.problems] == [
        f"no room for the log and the manifests, 1.1 MB: {os.strerror(errno.EDQUOT)}"
    ]
    assert tree.snapshot() == before
    assert not (tree.root / ".ckpt-migrate").exists()


def test_a_quota_that_is_reached_in_the_middle_loses_nothing(
    limited: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else fills it up meanwhile: a clear error; both endings are exact once there is room again."""
    tree = limited
    monkeypatch.setattr(batches, "GROUP_SIZE", 1)
    for number in range(4):
        tree.add(number)
    tree.settle()
    tree.refresh()
    before = tree.snapshot()
    real = storage.sync_file
    ballast = tree.folder.parent / "ballast"

    def fill(path: str) -> None:
        real(path)
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
            while True:
                file.write(os.urandom(1 << 16))
                os.fsync(file.fileno())

    for ending in ("continue", "rollback"):
        with monkeypatch.context() as patch:
            patch.setattr(storage, "sync_file", fill)
            with pytest.raises(ExecutionError, match=os.strerror(errno.EDQUOT)) as caught:
                apply_plan(tree.plan(), recipe)
        assert "ckpt-migrate rollback" in str(caught.value)
        ballast.unlink()
        os.sync()
        if ending == "continue":
            assert apply_plan(tree.plan(), recipe).was_continued
        assert roll_back(latest_log(str(tree.folder))).is_complete
        assert tree.snapshot() == before
