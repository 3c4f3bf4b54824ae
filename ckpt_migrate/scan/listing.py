"""What a checkpoint directory holds, as one listing, and the fingerprint of that listing."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

from ckpt_migrate.records import FileStat

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_FILES = 1_000_000
"""Entries listed in one checkpoint directory. A listing of a million takes some 300 MB and several seconds; what
holds more is a data set that happens to bear a checkpoint's name, and is reported rather than renamed."""

_GONE = frozenset({errno.ENOENT, errno.ESTALE})
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
_KIND_BITS = 0o170_000
_PATH = itemgetter(0)

Row: TypeAlias = "tuple[str, str, int, int, tuple[int, int, int]]"
"""An entry of a listing: what a `FileStat` holds, in its order."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything in a directory.

    Attributes:
        files: Sorted by path; links are listed, not followed.
        error: The first thing that could not be listed; None when the listing is whole.
    """

    files: tuple[FileStat, ...]
    error: OSError | None


def list_directory(directory: str) -> Listing:
    """List a directory and all below it.

    What vanishes while it is listed is left out: that it is gone is the truth.

    Raises:
        OSError: The directory itself cannot be listed; FileNotFoundError when it is gone.
    """
    rows, error = list_rows(directory)
    return Listing(tuple([FileStat(*row) for row in rows]), error)


def list_rows(directory: str) -> tuple[list[Row], OSError | None]:
    """List a directory and all below it as plain tuples, which are made several times as fast as records.

    Returns them sorted by path, and the first thing that could not be listed. Raises what `list_directory` does.
    """
    found: list[Row] = []
    first_error: OSError | None = None
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(directory + "/" + prefix if prefix else directory) as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError as error:
                        if error.errno not in _GONE:
                            first_error = first_error or error
                        continue
                    row = _row(prefix + entry.name if prefix else entry.name, status)
                    found.append(row)
                    if row[1] == "dir":
                        pending.append(row[0] + "/")
                    if len(found) > MAX_FILES:
                        return [], OSError(errno.EFBIG, f"holds over {MAX_FILES:,} files", directory)
        except OSError as error:
            if not prefix:
                raise
            if error.errno not in _GONE:
                first_error = first_error or error
    found.sort(key=_PATH)
    return found, first_error


def file_stat(path: str, status: os.stat_result) -> FileStat:
    """Return the record of one entry; only files have a size, since a folder's depends on the file system."""
    return FileStat(*_row(path, status))


def _row(path: str, status: os.stat_result) -> Row:
    kind = _KINDS.get(status.st_mode & _KIND_BITS, "other")
    size_bytes = status.st_size if kind == "file" else 0
    return path, kind, size_bytes, status.st_mtime_ns, (status.st_dev, status.st_ino, status.st_ctime_ns)


def fingerprint(inode: int, files: Sequence[FileStat]) -> str:
    """Return a directory's identity and content as one short text.

    Two things are left out on purpose. The device: its number changes when a disk is mounted again, and with it every
    fingerprint in a plan reviewed overnight. The directory's own modification time: what it would tell (an entry
    came or went) the listing tells better, and tools that only look, such as a file browser leaving and removing
    its own file, change it.

    >>> fingerprint(7, [FileStat("last.ckpt", "file", 5, 0)])
    'ino=7;n=1;bytes=5;tree=97bb8982cd667f42'
    """
    rows = [(file.path, file.kind, file.size_bytes, file.mtime_ns, None) for file in files]
    return fingerprint_rows(inode, sorted(rows, key=_PATH))


def fingerprint_rows(inode: int, rows: Sequence[tuple[str, str, int, int, object]]) -> str:
    """Return the fingerprint of a directory, given its listing sorted by path; see `fingerprint`."""
    lines = [f"{path}\0{kind}\0{size_bytes}\0{mtime_ns}\n" for path, kind, size_bytes, mtime_ns, _ in rows]
    tree = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"ino={inode};n={len(rows)};bytes={sum([row[2] for row in rows])};tree={tree}"


def current_fingerprint(path: str) -> str:
    """Return the fingerprint of a directory as it is now.

    Raises:
        OSError: It, or something in it, cannot be listed.
    """
    status = os.stat(path, follow_symlinks=False)
    rows, error = list_rows(path)
    if error is not None:
        raise error
    return fingerprint_rows(status.st_ino, rows)
