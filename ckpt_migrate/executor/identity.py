"""Which directory is this? Answered by more than its name, before anything is moved.

A directory is known by its inode and its birth time on its root's file system: both survive a rename, and a
directory that was deleted and made again has another birth time even when it was given the same inode. Where the
file system knows no birth times, a witness (its oldest file) must still be there. Where the inode is another one (the
tree was copied to a new disk, or the file system gives numbers anew at each mount), the whole listing must be the same:
every path, size and modification time.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ckpt_migrate.scan.listing import list_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ckpt_migrate.records import FileStat

TEMPORARY_PREFIX = ".ckpt-migrate-"
"""Names of our own temporary files and directories begin so; they are never part of a checkpoint."""
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _STATX_BTIME = -100, 0x100, 0x800
_STATX_SIZE, _BTIME_OFFSET = 256, 80


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a directory is.

    Attributes:
        inode: Its inode number.
        born_ns: Its birth time, nanoseconds since 1970-01-01 UTC; 0 where the file system has none.
        content: Digest over paths, kinds, sizes and times of all in it but manifests; empty when it holds no bytes.
        witness: Path, size in bytes and modification time (ns) of its oldest file; None when it has no file.
    """

    inode: int
    born_ns: int
    content: str
    witness: tuple[str, int, int] | None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "inode": self.inode,
            "born_ns": self.born_ns,
            "content": self.content,
            "witness": None if self.witness is None else list(self.witness),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Identity:
        """Return what `to_json` was given."""
        witness = record["witness"]
        return cls(
            inode=record["inode"],
            born_ns=record["born_ns"],
            content=record["content"],
            witness=None if witness is None else (witness[0], witness[1], witness[2]),
        )


def list_files(path: str) -> tuple[FileStat, ...]:
    """Return everything in a checkpoint directory but our own temporary files, sorted by path.

    Raises:
        OSError: It or something in it cannot be listed.
    """
    listing = list_directory(path)
    if listing.error is not None:
        raise listing.error
    return tuple(file for file in listing.files if not file.path.startswith(TEMPORARY_PREFIX))


def identify(path: str, files: Sequence[FileStat], *, ignored: Collection[str]) -> Identity:
    """Return who the directory at `path` is; `files` is its listing, `ignored` are the names of manifests.

    Raises:
        OSError: It is gone.
    """
    found = os.lstat(path)
    kept = [file for file in files if file.path not in ignored]
    regular = [file for file in kept if file.kind == "file"]
    oldest = min(regular, key=lambda file: (file.mtime_ns, file.path), default=None)
    witness = None if oldest is None else (oldest.path, oldest.size_bytes, oldest.mtime_ns)
    return Identity(found.st_ino, born_ns(path, found), _digest(kept), witness)


def is_same(path: str, identity: Identity, device: int) -> bool:
    """Say whether the directory at `path` is the one known, judged without listing it.

    `device` is the device of its root at present: device numbers may change at every mount, but a checkpoint is
    always on its root's.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISDIR(found.st_mode) or (found.st_dev, found.st_ino) != (device, identity.inode):
        return False
    born = born_ns(path, found)
    if born and identity.born_ns:
        return born == identity.born_ns
    return identity.witness is None or _witnessed(path, identity.witness)


def is_copy(path: str, identity: Identity, device: int, *, ignored: Collection[str]) -> bool:
    """Say whether the directory at `path` holds exactly what the known one held; False when that held no bytes."""
    try:
        found = os.lstat(path)
        if not identity.content or not stat.S_ISDIR(found.st_mode) or found.st_dev != device:
            return False
        kept = [file for file in list_files(path) if file.path not in ignored]
    except OSError:
        return False
    return _digest(kept) == identity.content


def born_ns(path: str, found: os.stat_result) -> int:
    """Return a birth time in nanoseconds since 1970-01-01 UTC, 0 where there is none."""
    statx = _statx()
    if statx is not None:
        return statx(os.fsencode(path))
    return int(getattr(found, "st_birthtime", 0) * 1_000_000_000)


def _digest(files: Sequence[FileStat]) -> str:
    """Return a digest of a listing; empty for one without bytes, because all such listings look alike.

    Times of subdirectories are left out: a copy seldom keeps them.
    """
    if not any(file.size_bytes for file in files):
        return ""
    lines = (
        f"{file.path}\0{file.kind}\0{file.size_bytes}\0{0 if file.kind == 'dir' else file.mtime_ns}\n" for file in files
    )
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _witnessed(path: str, witness: tuple[str, int, int]) -> bool:
    name, size_bytes, mtime_ns = witness
    try:
        found = os.lstat(os.path.join(path, name))
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (size_bytes, mtime_ns)


@lru_cache(maxsize=1)
def _statx() -> Callable[[bytes], int] | None:
    """Return a function from a path to its birth time (Linux only: Python's own stat does not hand it over)."""
    if sys.platform != "linux":
        return None
    call = getattr(ctypes.CDLL(None, use_errno=True), "statx", None)
    if call is None:
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p]

    def born(path: bytes) -> int:
        buffer = ctypes.create_string_buffer(_STATX_SIZE)
        if call(_AT_FDCWD, path, _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, buffer) != 0:
            return 0
        raw = buffer.raw
        if not int.from_bytes(raw[:4], sys.byteorder) & _STATX_BTIME:
            return 0
        seconds = int.from_bytes(raw[_BTIME_OFFSET : _BTIME_OFFSET + 8], sys.byteorder, signed=True)
        return seconds * 1_000_000_000 + int.from_bytes(raw[_BTIME_OFFSET + 8 : _BTIME_OFFSET + 12], sys.byteorder)

    return born
