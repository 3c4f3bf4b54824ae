"""Folders in which a file store keeps one file a key: `params`, `tags` and `metrics`.

A key with `/` lies in subfolders. Links to files are read (data-versioning tools replace files by links), links
to folders are not followed, and nothing but regular files is opened.
"""

from __future__ import annotations

import os
import stat
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpt_migrate.tracking.passed_over import PassedOver

_FIRST_READ = 2048
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # non-blocking: a named pipe must not hang the reader
_FOLDER_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
_MAX_DEPTH = 64


class TooLargeError(OSError):
    """A file is longer than its kind ever is."""


def read_bounded(path: str, limit: int) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        TooLargeError: It is longer than `limit` bytes.
        OSError: It cannot be read, or is no regular file.
    """
    file = os.open(path, _FLAGS)
    try:
        return _read_rest(file, os.read(file, _FIRST_READ), limit)
    finally:
        os.close(file)


def read_keys(folder: str, limit: int, passed_over: PassedOver) -> list[tuple[str, bytes]]:
    """Return each key below a folder with its file's bytes, sorted by key; nothing when there is no such folder.

    Args:
        folder: `params`, `tags` or `metrics` of a run.
        limit: Longest file read, bytes; longer ones are passed over.
        passed_over: Takes what could not be read.
    """
    found: list[tuple[str, bytes]] = []
    subfolders = [""]
    for prefix in subfolders:  # grows while it is walked
        path = f"{folder}/{prefix}" if prefix else folder
        try:
            opened = os.open(path, _FOLDER_FLAGS)
        except FileNotFoundError:
            continue
        except OSError as error:
            passed_over.add(path, f"cannot be listed ({error.strerror})")
            continue
        try:
            names = sorted(os.listdir(opened))
            subfolders += _read_folder(
                opened, names, prefix=prefix, limit=limit, found=found, folder=folder, passed_over=passed_over
            )
        except OSError as error:
            passed_over.add(path, f"cannot be listed ({error.strerror})")
        finally:
            os.close(opened)
    if len(subfolders) > 1:
        found.sort(key=itemgetter(0))
    return found


def _read_folder(
    opened: int,
    names: list[str],
    *,
    prefix: str,
    limit: int,
    found: list[tuple[str, bytes]],
    folder: str,
    passed_over: PassedOver,
) -> list[str]:
    """Read the files of one folder into `found`; return the prefixes of its subfolders.

    This loop is the time that reading a file store takes, which is why nothing in it is a call of our own.
    """
    subfolders = []
    open_file, read, close, add = os.open, os.read, os.close, found.append
    for name in names:
        try:
            # Relative to the open folder: the kernel then looks up one name, not the whole path.
            file = open_file(name, _FLAGS, dir_fd=opened)
            try:
                data = read(file, _FIRST_READ)
                if not 0 < len(data) < _FIRST_READ:
                    data = _read_rest(file, data, limit)
            finally:
                close(file)
        except IsADirectoryError:
            if stat.S_ISLNK(os.stat(name, dir_fd=opened, follow_symlinks=False).st_mode):
                passed_over.add(f"{folder}/{prefix}{name}", "a link to a folder is not followed")
            elif prefix.count("/") >= _MAX_DEPTH:
                passed_over.add(f"{folder}/{prefix}{name}", "nested too deeply")
            else:
                subfolders.append(f"{prefix}{name}/")
        except OSError as error:
            passed_over.add(f"{folder}/{prefix}{name}", f"cannot be read ({error.strerror or error})")
        else:
            add((prefix + name, data))
    return subfolders


def _read_rest(file: int, data: bytes, limit: int) -> bytes:
    """Return the whole file after a first read that may not have been all of it."""
    if not data:
        # Also what a pipe without a writer or a device says; only of a file it means empty.
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError("no regular file")
        return data
    parts, size = [data], len(data)
    while size <= limit:
        data = os.read(file, min(1 << 20, limit + 1 - size))
        if not data:
            return b"".join(parts)
        parts.append(data)
        size += len(data)
    raise TooLargeError(f"longer than {limit} bytes")
