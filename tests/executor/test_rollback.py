"""Rollback: from the log alone, item by item, never onto anything, and as often as needed."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from trees import LONG_AGO_NS, Tree, run_id, set_time, stamp, uid

from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import JournalError, UnfinishedError
from ckpt_migrate.journal.log_file import Journal
from ckpt_migrate.journal.logs import find_logs
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from ckpt_migrate.recipe import Recipe


@pytest.fixture
def applied(small: Tree, recipe: Recipe) -> str:
    """Return the log of a finished apply of the small tree."""
    log = apply_plan(small.plan(), recipe).log
    assert log is not None
    return log


def _old(tree: Tree, number: int) -> Path:
    return tree.root / f"{uid(number)}_{stamp(number)}"


def _new(tree: Tree, number: int) -> Path:
    return tree.root / f"{run_id(number)}_{stamp(number)}"


def _state(tree: Tree) -> str:
    return find_logs(str(tree.root))[-1].state.value


def test_a_dry_run_changes_nothing_and_tells_the_real_run(small: Tree, applied: str) -> None:
    before = small.snapshot()
    log = Path(applied).read_bytes()
    dry = roll_back(applied, is_dry_run=True)
    assert (small.snapshot(), Path(applied).read_bytes()) == (before, log)
    real = roll_back(applied)
    assert real.operations == dry.operations
    assert real.restored == dry.restored == tuple(sorted(str(_old(small, number)) for number in range(3)))


def test_a_second_rollback_finds_nothing_to_do(small: Tree, applied: str) -> None:
    roll_back(applied)
    before, log = small.snapshot(), Path(applied).read_bytes()
    again = roll_back(applied)
    assert again.is_complete
    assert again.operations == ()
    assert (small.snapshot(), Path(applied).read_bytes()) == (before, log)
    assert _state(small) == "rolled back"


def test_the_old_name_was_taken_again(small: Tree, applied: str) -> None:
    """What took it is not touched, the directory keeps its new name, the rest is restored; later it can be repeated."""
    _old(small, 1).mkdir()
    (_old(small, 1) / "x").write_bytes(b"precious")
    result = roll_back(applied)
    assert not result.is_complete
    assert result.occupied == (f"{_old(small, 1)}: something else is at {_old(small, 1)}",)
    assert result.restored == tuple(sorted(str(_old(small, number)) for number in (0, 2)))
    assert (_old(small, 1) / "x").read_bytes() == b"precious"
    assert (_new(small, 1) / "model.pt").exists()
    assert _state(small) == "partly rolled back"
    shutil.rmtree(_old(small, 1))
    again = roll_back(applied)
    assert again.is_complete
    assert again.restored == (str(_old(small, 1)),)
    assert _state(small) == "rolled back"


@pytest.mark.parametrize("kind", ["empty directory", "dangling link"])
def test_nothing_at_the_old_name_is_too_small_to_matter(small: Tree, applied: str, kind: str) -> None:
    if kind == "dangling link":
        _old(small, 1).symlink_to("nowhere")
    else:
        _old(small, 1).mkdir()
    inode = os.lstat(_old(small, 1)).st_ino
    assert len(roll_back(applied).occupied) == 1
    assert os.lstat(_old(small, 1)).st_ino == inode


def test_what_a_later_apply_did_is_left_to_its_own_log(small: Tree, applied: str, recipe: Recipe) -> None:
    """An undo that had to leave something is repeated, after what it brought back was migrated once more."""
    stranger = small.root / f"{uid(2)}_{stamp(2)}"
    stranger.mkdir()
    assert len(roll_back(applied).occupied) == 1
    stranger.rmdir()
    later = apply_plan(small.plan(small.entries[:1]), recipe).log
    assert later is not None
    again = roll_back(applied)
    assert again.restored == (str(stranger),)
    assert [line.partition(": ")[0] for line in again.changed] == [str(small.root / f"{uid(0)}_{stamp(0)}")]
    assert "by its own log" in again.changed[0]
    assert not again.is_complete
    assert (small.root / f"{run_id(0)}_{stamp(0)}" / "README.md").exists()
    assert roll_back(later).is_complete
    assert roll_back(applied).is_complete
    assert sorted(os.listdir(small.root)) == sorted([".ckpt-migrate", *(f"{uid(n)}_{stamp(n)}" for n in range(3))])
    assert not (small.root / f"{uid(0)}_{stamp(0)}" / "README.md").exists()


def test_a_missing_directory_does_not_hold_up_the_rest(small: Tree, applied: str) -> None:
    _new(small, 1).rename(small.folder / "moved away")
    result = roll_back(applied)
    assert result.missing == (f"{_old(small, 1)}: nothing is at {_new(small, 1)} any more",)
    assert len(result.restored) == 2
    (small.folder / "moved away").rename(_new(small, 1))
    assert roll_back(applied).is_complete


def test_another_directory_in_its_place_is_not_moved(small: Tree, applied: str) -> None:
    """Not even when the file system gave it the very same inode number."""
    number = os.stat(_new(small, 1)).st_ino
    shutil.rmtree(_new(small, 1))
    for attempt in range(200):
        _new(small, 1).mkdir()
        if os.stat(_new(small, 1)).st_ino == number:
            break
        _new(small, 1).rename(small.folder / f"other {attempt}")
    _new(small, 1).mkdir(exist_ok=True)
    (_new(small, 1) / "x").write_bytes(b"another")
    result = roll_back(applied)
    assert result.changed == (f"{_old(small, 1)}: another directory or file is at {_new(small, 1)}",)
    assert (_new(small, 1) / "x").exists()
    assert not _old(small, 1).exists()


def test_a_faithful_copy_is_as_good(small: Tree, applied: str) -> None:
    """A tree that was copied to another disk, times kept, has other inodes and can be rolled back all the same."""
    copy = small.folder.parent / "copied"
    shutil.copytree(small.folder, copy, symlinks=True)
    log = copy / os.path.relpath(applied, small.folder)
    result = roll_back(str(log))
    assert result.is_complete
    assert sorted(result.restored) == sorted(
        str(copy / os.path.relpath(_old(small, number), small.folder)) for number in range(3)
    )
    assert _new(small, 0).exists()
    assert roll_back(applied).is_complete


def test_a_faithful_copy_of_a_repair_is_as_good(tree: Tree, recipe: Recipe, tmp_path: Path) -> None:
    """Of its two manifests one was right and was not written; the copy is known all the same."""
    tree.repair(5)
    first = apply_plan(tree.plan(), recipe).log
    assert first is not None
    stale = tree.root / f"{run_id(5)}_{stamp(5)}" / "MLFLOW_RUN_ID.txt"
    stale.write_bytes(b"MLflow Run ID: stale\n")
    tree.settle()
    tree.refresh()
    before = stale.read_bytes()
    log = apply_plan(tree.plan(), recipe).log
    assert log is not None
    shutil.copytree(tree.root, tmp_path / "copy", symlinks=True)
    shutil.rmtree(tree.root)
    (tmp_path / "copy").rename(tree.root)
    assert roll_back(log).is_complete
    assert stale.read_bytes() == before


def test_of_two_twins_the_right_one_goes_back(tree: Tree, recipe: Recipe) -> None:
    """Copies of a checkpoint look alike; when one was deleted, the other is not taken for it."""
    one = tree.add(1, new=f"{uid(2)}_{stamp(2)}")
    other = tree.add(2)
    shutil.rmtree(other)
    shutil.copytree(one, other)
    tree.settle()
    tree.refresh()
    log = apply_plan(tree.plan(), recipe).log
    assert log is not None
    shutil.rmtree(other)  # it holds the first one by now
    inode = os.stat(_new(tree, 2)).st_ino
    result = roll_back(log)
    assert os.stat(other).st_ino == inode
    assert len(result.missing) == 1
    assert len(roll_back(log).missing) == 1
    assert os.stat(other).st_ino == inode


def test_an_edited_manifest_stays_and_is_listed(small: Tree, applied: str) -> None:
    """A person's words are not thrown away, neither in a manifest that was new nor in one that was theirs before."""
    with (_new(small, 0) / "README.md").open("a") as file:
        file.write("a remark\n")
    (_new(small, 1) / "README.md").write_text("written anew\n")
    result = roll_back(applied)
    assert not result.is_complete
    assert result.edited == tuple(sorted(f"{_old(small, number)}/README.md: edited since" for number in (0, 1)))
    assert (_old(small, 0) / "README.md").read_text().endswith("a remark\n")
    assert (_old(small, 1) / "README.md").read_text() == "written anew\n"
    assert not (_old(small, 0) / "MLFLOW_RUN_ID.txt").exists()


def test_attributes_and_access_lists_of_manifests_come_back(tree: Tree, recipe: Recipe) -> None:
    """The new file bears them as well, so that whoever might read the old one may read it; so do directories."""
    directory = tree.add(1, files={"README.md": b"notes\n", "model.pt": b"w"})
    readme = directory / "README.md"
    entries = ((0x01, 6, -1), (0x02, 4, 65534), (0x04, 4, -1), (0x10, 4, -1), (0x20, 0, -1))
    access = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(readme, "user.note", b"kept\0")
        os.setxattr(directory, "user.origin", b"cluster")
        os.setxattr(readme, "system.posix_acl_access", access)
    except OSError:
        pytest.skip("this file system has no extended attributes or access lists")
    tree.settle()
    tree.refresh()
    before = [_attributes(directory), _attributes(readme), readme.stat().st_mode]
    assert len(_attributes(readme)) == 2
    log = apply_plan(tree.plan(), recipe).log
    assert log is not None
    new = _new(tree, 1)
    assert [_attributes(new), _attributes(new / "README.md"), (new / "README.md").stat().st_mode] == before
    (new / "README.md").unlink()
    assert roll_back(log).is_complete
    assert [_attributes(directory), _attributes(readme), readme.stat().st_mode] == before


def _attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


def test_a_deleted_manifest_is_no_obstacle(small: Tree, applied: str) -> None:
    """One that was new is simply gone; one that had a predecessor gets it back."""
    for number in (0, 1):
        (_new(small, number) / "README.md").unlink()
    assert roll_back(applied).is_complete
    assert (_old(small, 1) / "README.md").read_bytes() == b"my notes\nwithout end"
    assert not (_old(small, 0) / "README.md").exists()


def test_what_came_later_stays_with_its_directory(small: Tree, applied: str) -> None:
    """New files, changed weights and the later time that they gave the directory are all kept."""
    (_new(small, 1) / "later.ckpt").write_bytes(b"more training")
    (_new(small, 1) / "model.pt").write_bytes(b"other weights")
    later_ns = LONG_AGO_NS + 10**15
    set_time(_new(small, 1), later_ns)
    assert roll_back(applied).is_complete
    assert (_old(small, 1) / "later.ckpt").read_bytes() == b"more training"
    assert (_old(small, 1) / "model.pt").read_bytes() == b"other weights"
    assert _old(small, 1).stat().st_mtime_ns == later_ns


def test_a_directory_in_use_is_left_alone(small: Tree, applied: str) -> None:
    with (_new(small, 1) / "model.pt").open("ab"):
        result = roll_back(applied)
        assert len(result.changed) == 1
        assert "open for writing (model.pt by process" in result.changed[0]
        assert len(result.restored) == 2
    assert roll_back(applied).is_complete


def test_a_directory_that_may_not_be_changed_does_not_hold_up_the_rest(small: Tree, applied: str) -> None:
    done = subprocess.run(["chattr", "+i", str(_new(small, 1))], check=False, capture_output=True)
    if done.returncode != 0:
        pytest.skip("this file system or user cannot make a directory immutable")
    try:
        result = roll_back(applied)
    finally:
        subprocess.run(["chattr", "-i", str(_new(small, 1))], check=True)
    assert result.changed == (f"{_old(small, 1)}: no permission to change manifests in {_new(small, 1)}",)
    assert len(result.restored) == 2
    assert roll_back(applied).is_complete


def test_a_swap_is_undone_also_when_a_third_is_in_the_way(tree: Tree, recipe: Recipe) -> None:
    """When one of a chain cannot go back, the ones behind it wait as well, and nothing is overrun."""
    tree.add(1, old=f"{uid(1)}_{stamp(1)}", new=f"{uid(2)}_{stamp(2)}")
    tree.add(2, old=f"{uid(2)}_{stamp(2)}", new=f"{uid(3)}_{stamp(3)}")
    tree.add(3, old=f"{uid(3)}_{stamp(3)}", new=f"{run_id(3)}_{stamp(3)}")
    tree.settle()
    tree.refresh()
    before = tree.snapshot()
    log = apply_plan(tree.plan(), recipe).log
    assert log is not None
    blocker = _new(tree, 3)
    blocker.rename(tree.folder / "kept elsewhere")
    blocker.mkdir()
    result = roll_back(log)
    assert len(result.changed) == 1
    assert len(result.restored) == 2
    blocker.rmdir()
    (tree.folder / "kept elsewhere").rename(blocker)
    assert roll_back(log).is_complete
    set_time(tree.folder, LONG_AGO_NS)
    set_time(tree.root, LONG_AGO_NS)
    assert tree.snapshot() == before


def test_a_moved_tree_can_be_rolled_back(small: Tree, applied: str) -> None:
    """Paths in a log start from its root."""
    moved = small.folder.with_name("renamed project")
    small.folder.rename(moved)
    log = moved / os.path.relpath(applied, small.folder)
    assert roll_back(str(log)).is_complete
    assert (moved / "checkpoints" / "phase2" / _old(small, 0).name).exists()


def test_an_unfinished_rollback_blocks_new_work(
    small: Tree, recipe: Recipe, applied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str) -> None:
        raise OSError(5, "Input/output error", path)

    with monkeypatch.context() as patch:
        patch.setattr("ckpt_migrate.storage.sync_directory", fail)
        with pytest.raises(Exception, match="cannot be brought to the disk: Input/output error") as failed:
            roll_back(applied)
    assert f"ckpt-migrate rollback {applied}" in str(failed.value)
    with pytest.raises(UnfinishedError) as caught:
        apply_plan(small.plan(), recipe)
    assert f"To end it: ckpt-migrate rollback {applied}" in str(caught.value)
    assert roll_back(applied).is_complete


def test_what_is_no_log_is_refused(small: Tree) -> None:
    path = small.folder / "plan.yaml"
    path.write_text("version: 1\nentries: []\n")
    with pytest.raises(JournalError):
        roll_back(str(path))
    with pytest.raises(JournalError):
        roll_back(str(small.folder / "none.jsonl"))


def test_a_copy_of_a_log_elsewhere_is_refused(small: Tree, applied: str) -> None:
    """Its paths would start from the wrong root, and two logs of one apply would tell two stories."""
    copy = small.folder / "backup.jsonl"
    shutil.copy(applied, copy)
    with pytest.raises(JournalError, match="copy of a log"):
        roll_back(str(copy))


def test_an_apply_that_never_began_is_rolled_back_at_once(small: Tree) -> None:
    state = small.root / ".ckpt-migrate"
    state.mkdir()
    Journal.create(str(state / "20260201T000000Z-00000000.jsonl")).close()
    before = small.snapshot()
    assert roll_back(str(state / "20260201T000000Z-00000000.jsonl")).is_complete
    assert small.snapshot() == before
