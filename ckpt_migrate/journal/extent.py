"""The extent of a log: how many of its records were on the disk at last, kept in a small file beside it.

A log that lost its end (an editor, a bad copy, a file system that was mended) looks like one of an apply that was cut
short early, and directories that it no longer covers look as if they had never been renamed. The extent tells the two
apart. It is written behind the log and only after the log was synced, so it is never ahead of it, not even after a
power cut; it may lie behind, which proves nothing and does no harm.
"""

from __future__ import annotations

import os

from ckpt_migrate import storage

SUFFIX = ".extent"
_DIGITS = 20


class Extent:
    """An extent open for writing.

    Attributes:
        path: Absolute path of its file.
    """

    def __init__(self, log: str) -> None:
        """Open the extent of a log, making it when there is none.

        Raises:
            OSError: It cannot be made.
        """
        self.path = path_of(log)
        self._handle = storage.open_small(self.path)

    def note(self, records: int) -> None:
        """Write down how many records the log has on the disk.

        Raises:
            OSError: It cannot be written.
        """
        storage.write_over(self._handle, f"{records:0{_DIGITS}d}\n".encode("ascii"))

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def path_of(log: str) -> str:
    """Return where the extent of a log lies."""
    return f"{log}{SUFFIX}"


def read_extent(log: str) -> int | None:
    """Return how many records a log had at least; 0 when that was never written, None when nothing says so."""
    try:
        handle = os.open(path_of(log), storage.READ_QUIETLY)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        try:
            data = file.read(_DIGITS + 1)
        except OSError:  # a folder, a disk that fails
            return None
    digits = data.rstrip(b"\0\n")  # what a power cut left of a first writing that was not synced yet
    if not digits:
        return 0
    return int(digits) if digits.isdigit() else None
