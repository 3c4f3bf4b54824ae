"""Which directory is this? Answered by more than its name, before anything is moved.

A directory is known by its inode and its birth time on its root's file system: both survive a rename, and a
directory that was deleted and made again has another birth time even when it was given the same inode. Where the
file system knows no birth times, a witness (its oldest file) must still be there. Where the inode is another one (the
tree was copied to a new disk, or the file system gives numbers anew at each mount), the whole listing must be the same:
every path, size and modification time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ckpt_migrate.executor.status import look
from ckpt_migrate.scan.listing import LINE, fingerprint_lines, list_directory, list_rows, tree_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ckpt_migrate.executor.status import Status
    from ckpt_migrate.records import FileStat

TEMPORARY_PREFIX = ".ckpt-migrate-"
"""Names of our own temporary files and directories begin so; they are never part of a checkpoint."""


class Identity(NamedTuple):
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

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Identity:
        """Return what a record of `journal.intents` holds."""
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


class Sight(NamedTuple):
    """A directory as it is, from one look at it and all in it.

    Attributes:
        identity: Who it is.
        fingerprint: Of its listing, as plans have it.
        mtime_ns: Its own modification time, nanoseconds since 1970-01-01 UTC.
        newest_ns: The latest modification time of it and all in it, likewise.
    """

    identity: Identity
    fingerprint: str
    mtime_ns: int
    newest_ns: int


def sight(path: str, status: Status, *, ignored: Collection[str]) -> Sight:
    """List the directory at `path`, looked at just now; `ignored` are the names of manifests in lower case.

    Raises:
        OSError: It or something in it cannot be listed.
    """
    rows, error = list_rows(path)
    if error is not None:
        raise error
    rows = [row for row in rows if not row[0].startswith(TEMPORARY_PREFIX)]
    lines = [LINE % row[:4] for row in rows]
    content: list[str] = []
    content_bytes = 0
    oldest: tuple[int, str, int] | None = None
    for (name, kind, size_bytes, mtime_ns, _), line in zip(rows, lines, strict=True):
        # However it is spelled: its file system may ignore case.
        if name.lower() in ignored:
            continue
        content_bytes += size_bytes
        # Times of subdirectories are left out: a copy seldom keeps them.
        content.append(LINE % (name, kind, size_bytes, 0) if kind == "dir" else line)
        # The rows are sorted by path, so of files of one time the first stays.
        if kind == "file" and (oldest is None or mtime_ns < oldest[0]):
            oldest = (mtime_ns, name, size_bytes)
    witness = None if oldest is None else (oldest[1], oldest[2], oldest[0])
    # Listings without bytes all look alike, so they have no digest.
    digest = tree_digest(content)[:32] if content_bytes else ""
    identity = Identity(status.inode, status.born_ns, digest, witness)
    newest_ns = max(status.mtime_ns, max([row[3] for row in rows], default=status.mtime_ns))
    fingerprint = fingerprint_lines(status.inode, lines, sum([row[2] for row in rows]))
    return Sight(identity, fingerprint, status.mtime_ns, newest_ns)


def recognise(path: str, identity: Identity, device: int) -> Status | None:
    """Look at `path` and return what is there if it is the directory known, judged without listing it; else None.

    `device` is the device of its root at present: device numbers may change at every mount, but a checkpoint is
    always on its root's.
    """
    try:
        status = look(path)
    except OSError:
        return None
    if status.inode != identity.inode or status.device != device or not status.is_directory:
        return None
    if status.born_ns and identity.born_ns:
        is_same = status.born_ns == identity.born_ns
    else:
        is_same = identity.witness is None or _witnessed(path, identity.witness)
    return status if is_same else None


def is_copy(path: str, identity: Identity, device: int, *, ignored: Collection[str]) -> bool:
    """Say whether the directory at `path` holds exactly what the known one held; False when that held no bytes."""
    names = {name.lower() for name in ignored}
    try:
        status = look(path)
        if not identity.content or not status.is_directory or status.device != device:
            return False
        found = sight(path, status, ignored=names)
    except OSError:
        return False
    return found.identity.content == identity.content


def _witnessed(path: str, witness: tuple[str, int, int]) -> bool:
    name, size_bytes, mtime_ns = witness
    try:
        found = os.lstat(os.path.join(path, name))
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (size_bytes, mtime_ns)
