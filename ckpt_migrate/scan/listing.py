"""What a checkpoint directory holds, as one listing, and the fingerprint of that listing."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
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
LINE = "%s\0%s\0%s\0%s\n"
"""An entry of a listing as it is digested: path, kind, size in bytes, modification time (ns)."""

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
                    path = prefix + entry.name if prefix else entry.name
                    found.append(_row(path, status))
                    if status.st_mode & _KIND_BITS == stat.S_IFDIR:
                        pending.append(path + "/")
                    if len(found) > MAX_FILES:
                        return [], OSError(errno.EFBIG, f"holds over {MAX_FILES:,} files", directory)
        except OSError as error:
            if not prefix:
                raise
            if error.errno not in _GONE:
                first_error = first_error or error
    found.sort()  # paths are distinct, so nothing but them is compared
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
    rows = sorted((file.path, file.kind, file.size_bytes, file.mtime_ns) for file in files)
    return fingerprint_lines(inode, [LINE % row for row in rows], sum([row[2] for row in rows]))


def fingerprint_rows(inode: int, rows: Sequence[Row]) -> str:
    """Return the fingerprint of a directory, given its listing sorted by path; see `fingerprint`."""
    return fingerprint_lines(inode, [LINE % row[:4] for row in rows], sum([row[2] for row in rows]))


def fingerprint_lines(inode: int, lines: Sequence[str], size_bytes: int) -> str:
    """Return the fingerprint of a directory, given its listing as lines sorted by path, and the bytes in it."""
    return f"ino={inode};n={len(lines)};bytes={size_bytes};tree={tree_digest(lines)[:16]}"


def tree_digest(lines: Sequence[str]) -> str:
    """Return the SHA-256 of a listing, hexadecimal."""
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


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
