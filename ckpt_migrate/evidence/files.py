"""Reading files that nobody vouches for: bounded, never waiting, never following a link."""

from __future__ import annotations

import os

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
# A pipe put in the place of a file would otherwise wait for a writer for ever.
_FLAGS |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_FIRST_BYTES = 16 << 10


class ReaderError(Exception):
    """A file is not what its reader expects; the text says what is wrong, for people."""


def open_file(path: str) -> int:
    """Open a file for reading; the descriptor is the caller's to close.

    Raises:
        OSError: It cannot be opened, or is a link.
    """
    return os.open(path, _FLAGS)


def read_whole(path: str, limit_bytes: int) -> bytes:
    """Return the bytes of a file that is at most `limit_bytes` long.

    Raises:
        ReaderError: It is longer.
        OSError: It cannot be read, or is a link.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        data = os.read(descriptor, _FIRST_BYTES)
        if len(data) == _FIRST_BYTES:
            # One byte more than allowed: a file that grows while it is read is noticed.
            data += read_at(descriptor, _FIRST_BYTES, limit_bytes + 1 - _FIRST_BYTES)
            if len(data) > limit_bytes:
                raise ReaderError(f"larger than {limit_bytes >> 10:,} KiB, not read")
    finally:
        os.close(descriptor)
    return data


def read_at(descriptor: int, offset: int, count: int) -> bytes:
    """Return up to `count` bytes from `offset`; fewer only where the file ends.

    Raises:
        OSError: The file cannot be read.
    """
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
