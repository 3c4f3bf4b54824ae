"""The primitives that change a file system: they never replace, and they leave a known state when they fail."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate import storage
from ckpt_migrate.executor.filestate import AS_CREATED, FileState, read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAYS = ("flagged", "claimed", "looking")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with the system's refusing rename, without it, and without anything that refuses by itself."""
    if request.param != "flagged":
        monkeypatch.setattr(storage, "_rename_with", lambda *_: False)
    if request.param == "looking":
        monkeypatch.setattr(storage, "_rename_claimed", storage._rename_looking)
    return str(request.param)


def _empty_directory(path: Path) -> None:
    path.mkdir()


def _full_directory(path: Path) -> None:
    path.mkdir()
    (path / "x").write_bytes(b"x")


def _file(path: Path) -> None:
    path.write_bytes(b"precious")


def _dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


TAKERS = (_empty_directory, _full_directory, _file, _dangling_link)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("source_maker", [_full_directory, _file, _dangling_link])
def test_a_rename_replaces_nothing(
    tmp_path: Path, taker: Callable[[Path], None], source_maker: Callable[[Path], None]
) -> None:
    """Whatever is at the target stays, be it an empty directory or a dangling link, and so does the source."""
    source, target = tmp_path / "source", tmp_path / "target"
    source_maker(source)
    taker(target)
    before = os.lstat(target)
    with pytest.raises(FileExistsError):
        storage.rename_noreplace(str(source), str(target))
    assert os.lstat(target).st_ino == before.st_ino
    assert os.path.lexists(source)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("maker", [_empty_directory, _full_directory, _file, _dangling_link])
def test_a_rename_onto_nothing_works(tmp_path: Path, maker: Callable[[Path], None]) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    maker(source)
    inode = os.lstat(source).st_ino
    storage.rename_noreplace(str(source), str(target))
    assert os.lstat(target).st_ino == inode
    assert os.listdir(tmp_path) == ["target"]


def test_a_newcomer_in_the_claim_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the system's refusing rename, what somebody puts under the new name in the meantime survives."""
    source, target = tmp_path / "source", tmp_path / "target"
    _full_directory(source)
    monkeypatch.setattr(storage, "_rename_with", lambda *_: False)
    real_rename = os.rename

    def race(one: str, other: str) -> None:
        (target / "newcomer").write_bytes(b"precious")
        real_rename(one, other)

    monkeypatch.setattr(os, "rename", race)
    with pytest.raises(OSError, match="not empty"):
        storage.rename_noreplace(str(source), str(target))
    assert (target / "newcomer").read_bytes() == b"precious"
    assert (source / "x").exists()


def test_a_claim_is_known_by_its_mode_and_removed_only_when_empty(tmp_path: Path) -> None:
    """An empty directory of somebody else is no claim, and neither is one that was filled."""
    claim, foreign, filled = tmp_path / "claim", tmp_path / "foreign", tmp_path / "filled"
    os.mkdir(claim, storage.CLAIM_MODE)
    foreign.mkdir()
    _full_directory(filled)
    filled.chmod(storage.CLAIM_MODE)
    assert [storage.remove_claim(str(path)) for path in (claim, foreign, filled)] == [True, False, False]
    assert sorted(os.listdir(tmp_path)) == ["filled", "foreign"]
    filled.chmod(0o700)


def test_exchange_swaps_or_says_that_it_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    assert storage.exchange(str(one), str(other))
    assert (one.read_bytes(), other.read_bytes()) == (b"2", b"1")
    monkeypatch.setattr(storage, "_renamer", lambda: None)
    assert not storage.exchange(str(one), str(other))
    assert one.read_bytes() == b"2"


class MacLibrary:
    """What macOS' C library does to files, by Linux' own means: `renamex_np` with its flags."""

    def __init__(self, *, answer: int = 0) -> None:
        self.calls: list[tuple[bytes, bytes, int]] = []
        self.answer = answer
        self.renamex_np = self._Function(self)

    class _Function:
        def __init__(self, library: MacLibrary) -> None:
            self.library = library
            self.argtypes: list[object] = []

        def __call__(self, one: bytes, other: bytes, flags: int) -> int:
            self.library.calls.append((one, other, flags))
            number = self.library.answer or (errno.EEXIST if flags == 4 and os.path.lexists(other) else 0)
            if number:
                ctypes.set_errno(number)
                return -1
            if flags == 2:
                os.rename(other, other + b"~")
            os.rename(one, other)
            if flags == 2:
                os.rename(other + b"~", one)
            return 0


@pytest.fixture
def as_on_macos(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., MacLibrary]]:
    """Stand in for macOS."""

    def stand_in(*, answer: int = 0) -> MacLibrary:
        library = MacLibrary(answer=answer)
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)
        storage._renamer.cache_clear()
        return library

    yield stand_in
    storage._renamer.cache_clear()


def test_macos_is_asked_by_its_own_call(tmp_path: Path, as_on_macos: Callable[..., MacLibrary]) -> None:
    """RENAME_EXCL is 4 there and RENAME_SWAP 2, not Linux' 1 and 2."""
    one, other, free = (os.fsencode(tmp_path / name) for name in ("one", "other", "free"))
    for path in (one, other):
        with open(path, "wb") as file:
            file.write(path[-3:])
    library = as_on_macos()
    with pytest.raises(FileExistsError):
        storage.rename_noreplace(os.fsdecode(one), os.fsdecode(other))
    storage.rename_noreplace(os.fsdecode(one), os.fsdecode(free))
    assert storage.exchange(os.fsdecode(free), os.fsdecode(other))
    assert library.calls == [(one, other, 4), (one, free, 4), (free, other, 2)]
    assert (tmp_path / "free").read_bytes() == b"her"


@pytest.mark.parametrize("taker", TAKERS)
def test_macos_without_it_claims_names(
    tmp_path: Path, as_on_macos: Callable[..., MacLibrary], taker: Callable[[Path], None]
) -> None:
    """Its network disks answer ENOTSUP."""
    source, target = tmp_path / "source", tmp_path / "target"
    _full_directory(source)
    taker(target)
    library = as_on_macos(answer=errno.ENOTSUP)
    with pytest.raises(FileExistsError):
        storage.rename_noreplace(str(source), str(target))
    assert not storage.exchange(str(source), str(target))
    assert [flags for _, _, flags in library.calls] == [4, 2]
    assert (source / "x").exists()


def test_windows_own_rename_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python calls MoveFileExW without MOVEFILE_REPLACE_EXISTING for `os.rename`, and with it for `os.replace` alone.

    Hard links are made there without a word on symbolic ones, which Python does not take on Windows.
    """
    calls: list[tuple[str, str]] = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "rename", lambda one, other: calls.append((one, other)))
    monkeypatch.setattr(os, "replace", None)
    storage.rename_noreplace("a", "b")
    assert calls == [("a", "b")]
    assert not storage.exchange("a", "b")
    linked: list[tuple[str, ...]] = []
    monkeypatch.setattr(os, "link", lambda *paths: linked.append(paths))
    assert storage.link_file(str(tmp_path / "a"), str(tmp_path / "b"))
    assert linked == [(str(tmp_path / "a"), str(tmp_path / "b"))]


def test_macos_waits_for_the_disk_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There `fsync` does not empty the disk's own cache; where the stronger call is not known, it has to do."""
    import fcntl  # noqa: PLC0415 - not on Windows

    (tmp_path / "file").write_bytes(b"x")
    asked: list[int] = []
    synced: list[int] = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda _, command: asked.append(command))
    monkeypatch.setattr(os, "fsync", synced.append)
    storage.sync_file(str(tmp_path / "file"))
    assert (asked, synced) == ([51], [])

    def unknown(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "fcntl", unknown)
    storage.sync_directory(str(tmp_path))
    assert len(synced) == 1


def test_a_file_is_made_again_with_all_that_was_read_of_it(tmp_path: Path) -> None:
    """Bytes, mode, owner, both times to the nanosecond, and extended attributes."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.write_bytes(b"\xff\x00text")
    original.chmod(0o640)
    try:
        os.setxattr(original, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    os.utime(original, ns=(1_700_000_000_000_000_001, 1_600_000_000_000_000_002))
    state = read_state(str(original))
    assert state is not None
    storage.stage_file(str(copy), FileState.from_json(state.to_json()))
    assert read_state(str(copy)) == state


def test_a_new_file_takes_its_makers_owner_and_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "new"
    state = FileState(
        is_link=False, data=b"x", mode=0o664, uid=AS_CREATED, gid=AS_CREATED, atime_ns=1, mtime_ns=2_000_000_003
    )
    storage.stage_file(str(path), state)
    found = path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_mtime_ns) == (0o664, os.geteuid(), 2_000_000_003)
    with pytest.raises(FileExistsError):
        storage.stage_file(str(path), state)


def test_a_link_is_staged_as_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("some/where")
    os.utime(tmp_path / "link", ns=(5, 6_000_000_007), follow_symlinks=False)
    state = read_state(str(tmp_path / "link"))
    assert state is not None
    storage.stage_file(str(tmp_path / "again"), FileState.from_json(state.to_json()))
    assert os.readlink(tmp_path / "again") == "some/where"
    assert os.lstat(tmp_path / "again").st_mtime_ns == 6_000_000_007


def test_a_file_that_is_replaced_keeps_its_mode_and_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"old")
    path.chmod(0o600)
    owner = (4321, 4322) if os.geteuid() == 0 else (os.geteuid(), path.stat().st_gid)
    os.chown(path, *owner)
    storage.replace_file(str(path), b"new")
    found = path.stat()
    assert (path.read_bytes(), stat.S_IMODE(found.st_mode)) == (b"new", 0o600)
    assert (found.st_uid, found.st_gid) == owner
    path.chmod(0o664)
    storage.replace_file(str(path), b"newer")
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_a_new_file_gets_the_mode_that_the_user_has_set_for_new_files(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        storage.replace_file(str(tmp_path / "plan.yaml"), b"new")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "plan.yaml").stat().st_mode) == 0o640
