"""What a checkpoint directory holds, as one listing, and the fingerprint of that listing."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from ckpt_migrate.records import FileStat

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_FILES = 1_000_000
"""Entries listed in one checkpoint directory. A listing of a million takes some 300 MB and several seconds; what
holds more is a data set that happens to bear a checkpoint's name, and is reported rather than renamed."""

_GONE = frozenset({errno.ENOENT, errno.ESTALE})


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
    found: list[FileStat] = []
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
                    file = file_stat(prefix + entry.name, status)
                    found.append(file)
                    if file.kind == "dir":
                        pending.append(file.path + "/")
                    if len(found) > MAX_FILES:
                        return Listing((), OSError(errno.EFBIG, f"holds over {MAX_FILES:,} files", directory))
        except OSError as error:
            if not prefix:
                raise
            if error.errno not in _GONE:
                first_error = first_error or error
    found.sort(key=attrgetter("path"))
    return Listing(tuple(found), first_error)


def file_stat(path: str, status: os.stat_result) -> FileStat:
    """Return the record of one entry; only files have a size, since a folder's depends on the file system."""
    mode = status.st_mode
    identity = (status.st_dev, status.st_ino, status.st_ctime_ns)
    if stat.S_ISREG(mode):
        return FileStat(path, "file", status.st_size, status.st_mtime_ns, identity)
    kind = "dir" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "other"
    return FileStat(path, kind, 0, status.st_mtime_ns, identity)


def fingerprint(inode: int, files: Sequence[FileStat]) -> str:
    """Return a directory's identity and content as one short text.

    Two things are left out on purpose. The device: its number changes when a disk is mounted again, and with it every
    fingerprint in a plan reviewed overnight. The directory's own modification time: what it would tell (an entry
    came or went) the listing tells better, and tools that only look, such as a file browser leaving and removing
    its own file, change it.

    >>> fingerprint(7, [FileStat("last.ckpt", "file", 5, 0)])
    'ino=7;n=1;bytes=5;tree=97bb8982cd667f42'
    """
    lines = [
        f"{file.path}\0{file.kind}\0{file.size_bytes}\0{file.mtime_ns}\n"
        for file in sorted(files, key=attrgetter("path"))
    ]
    tree = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"ino={inode};n={len(files)};bytes={sum(file.size_bytes for file in files)};tree={tree}"


def current_fingerprint(path: str) -> str:
    """Return the fingerprint of a directory as it is now.

    Raises:
        OSError: It, or something in it, cannot be listed.
    """
    status = os.stat(path, follow_symlinks=False)
    listing = list_directory(path)
    if listing.error is not None:
        raise listing.error
    return fingerprint(status.st_ino, listing.files)
