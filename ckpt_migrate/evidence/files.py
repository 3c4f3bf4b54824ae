"""Reading files that nobody vouches for: bounded, never waiting, never following a link."""

from __future__ import annotations

import os
import stat

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
# A pipe put in the place of a file would otherwise wait for a writer for ever.
_FLAGS |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class ReaderError(Exception):
    """A file is not what its reader expects; the text says what is wrong, for people."""


def open_regular(path: str) -> tuple[int, int]:
    """Open a regular file for reading.

    Returns:
        The file descriptor, for the caller to close, and the size in bytes.

    Raises:
        ReaderError: It is no regular file.
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, _FLAGS)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ReaderError("not a regular file")
    return descriptor, status.st_size


def read_whole(path: str, limit_bytes: int) -> bytes:
    """Return the bytes of a file that is at most `limit_bytes` long.

    Raises:
        ReaderError: It is longer, or no regular file.
        OSError: It cannot be read.
    """
    descriptor, size = open_regular(path)
    try:
        if size > limit_bytes:
            raise ReaderError(f"larger than {limit_bytes >> 10:,} KiB, not read")
        # One byte more than allowed: a file that grows while it is read is noticed.
        data = read_at(descriptor, 0, min(size + 1, limit_bytes + 1))
    finally:
        os.close(descriptor)
    return data


def read_at(descriptor: int, offset: int, count: int) -> bytes:
    """Return up to `count` bytes from `offset`; fewer only where the file ends."""
    data = os.pread(descriptor, count, offset)
    if not data or len(data) == count:
        return data
    parts = [data]
    done = len(data)
    while done < count:
        data = os.pread(descriptor, count - done, offset + done)
        if not data:
            break
        parts.append(data)
        done += len(data)
    return b"".join(parts)
