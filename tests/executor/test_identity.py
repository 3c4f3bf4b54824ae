"""Who a directory is: through renames, after deletion, on file systems that know no birth times, and as a copy."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.executor import status
from ckpt_migrate.executor.identity import Identity, is_copy, recognise, sight
from ckpt_migrate.executor.status import look

if TYPE_CHECKING:
    from pathlib import Path

IGNORED = ("README.md",)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "a"
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "last.ckpt").write_bytes(b"weights")
    (path / "config.json").write_bytes(b"{}")
    os.utime(path / "config.json", ns=(5, 5))
    return path


def _who(path: Path) -> Identity:
    return sight(str(path), look(str(path)), ignored=IGNORED).identity


def _is_same(path: str, who: Identity, device: int) -> bool:
    return recognise(path, who, device) is not None


def _device(path: Path) -> int:
    return os.stat(path.parent).st_dev


def test_it_is_the_same_after_a_rename_and_after_new_files(directory: Path) -> None:
    who = _who(directory)
    moved = directory.rename(directory.with_name("b"))
    (moved / "README.md").write_bytes(b"x")
    (moved / "later.ckpt").write_bytes(b"x")
    assert _is_same(str(moved), who, _device(moved))
    assert not _is_same(str(directory), who, _device(moved))


def test_another_one_with_the_same_inode_is_told_by_its_birth(directory: Path) -> None:
    who = _who(directory)
    if not who.born_ns:
        pytest.skip("this file system knows no birth times")
    assert not _is_same(str(directory), who._replace(born_ns=who.born_ns - 1), _device(directory))


def test_without_birth_times_the_oldest_file_is_the_witness(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other files may change; when the oldest is gone or another, so is the directory."""
    monkeypatch.setattr(status, "_statx", lambda: None)
    who = _who(directory)
    assert (who.born_ns, who.witness) == (0, ("config.json", 2, 5))
    (directory / "inner" / "last.ckpt").write_bytes(b"other weights")
    assert _is_same(str(directory), who, _device(directory))
    os.utime(directory / "config.json", ns=(6, 6))
    assert not _is_same(str(directory), who, _device(directory))
    (directory / "config.json").unlink()
    assert not _is_same(str(directory), who, _device(directory))


def test_a_link_or_another_device_is_never_the_same(directory: Path) -> None:
    who = _who(directory)
    link = directory.with_name("link")
    link.symlink_to(directory)
    assert not _is_same(str(link), who, _device(directory))
    assert not _is_same(str(directory), who, _device(directory) + 1)


def test_a_copy_is_one_to_the_byte_count_and_nanosecond(directory: Path) -> None:
    """Manifests aside, which apply may have written since; empty directories all look alike, so none is a copy."""
    who = _who(directory)
    copy = directory.with_name("copy")
    shutil.copytree(directory, copy)
    (copy / "README.md").write_bytes(b"ours")
    device = _device(directory)
    assert is_copy(str(copy), who, device, ignored=IGNORED)
    os.utime(copy / "config.json", ns=(5, 6))
    assert not is_copy(str(copy), who, device, ignored=IGNORED)
    empty = directory.with_name("empty")
    empty.mkdir()
    assert not is_copy(str(empty), _who(empty), device, ignored=IGNORED)
    assert not is_copy(str(directory.with_name("gone")), who, device, ignored=IGNORED)


def test_our_own_temporary_files_are_no_part_of_a_checkpoint(directory: Path) -> None:
    who = _who(directory)
    (directory / ".ckpt-migrate-12345678-0-0-0").write_bytes(b"x")
    assert _who(directory) == who
