"""Folders in which a file store keeps one file a key: `params`, `tags` and `metrics`.

A key with `/` lies in subfolders. Links to files are read (data-versioning tools replace files by links), links
to folders are not followed, and nothing but regular files is opened.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt_migrate.tracking.passed_over import PassedOver

_FIRST_READ = 4096
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # non-blocking: a named pipe must not hang the reader
_MAX_DEPTH = 64


class TooLargeError(OSError):
    """A file is longer than its kind ever is."""


def read_bounded(path: str, limit: int) -> bytes:
    """Return the bytes of a file.

    Raises:
        TooLargeError: It is longer than `limit` bytes.
        OSError: It cannot be read.
    """
    file = os.open(path, _FLAGS)
    try:
        data = os.read(file, _FIRST_READ)
        if len(data) < _FIRST_READ:
            return data
        parts, size = [data], len(data)
        while size <= limit:
            data = os.read(file, min(1 << 20, limit + 1 - size))
            if not data:
                return b"".join(parts)
            parts.append(data)
            size += len(data)
    finally:
        os.close(file)
    raise TooLargeError(f"longer than {limit} bytes")


def read_keys(folder: str, limit: int, passed_over: PassedOver) -> Iterator[tuple[str, bytes]]:
    """Yield each key below a folder with its file's bytes; nothing when there is no such folder.

    Args:
        folder: `params`, `tags` or `metrics` of a run.
        limit: Longest file read, bytes; longer ones are passed over.
        passed_over: Takes what could not be read.
    """
    yield from _read_keys(folder, "", limit, passed_over, 0)


def _read_keys(
    folder: str, prefix: str, limit: int, passed_over: PassedOver, depth: int
) -> Iterator[tuple[str, bytes]]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    except OSError as error:
        passed_over.add(folder, f"cannot be listed ({error.strerror})")
        return
    for entry in found:
        try:
            if entry.is_file():
                yield prefix + entry.name, read_bounded(entry.path, limit)
            elif not entry.is_dir(follow_symlinks=False):
                passed_over.add(entry.path, "neither a file nor a folder")
            elif depth >= _MAX_DEPTH:
                passed_over.add(entry.path, "nested too deeply")
            else:
                yield from _read_keys(entry.path, f"{prefix}{entry.name}/", limit, passed_over, depth + 1)
        except TooLargeError as error:
            passed_over.add(entry.path, str(error))
        except FileNotFoundError:
            passed_over.add(entry.path, "vanished while the store was read")
        except OSError as error:
            passed_over.add(entry.path, f"cannot be read ({error.strerror})")
