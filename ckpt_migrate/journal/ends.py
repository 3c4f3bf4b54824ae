"""The ends of a log: its first and last record tell how an old one stands, however long it is.

Each apply looks at all logs of its roots, and reading one of 100,000 directories takes seconds. What ended leaves a
last record that says so; everything else has to be read whole.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from ckpt_migrate import storage
from ckpt_migrate.journal.extent import read_extent
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.journal.line import decode
from ckpt_migrate.journal.log_file import LOG_FORMAT

_LONGEST_BYTES = 1 << 20
"""Of a first or last record; a first one has the roots in it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A log whose last stretch ran to its end.

    Attributes:
        plan_digest: SHA-256 of the plan's file, hexadecimal.
        state: FINISHED, ROLLED_BACK or PARTLY_ROLLED_BACK.
    """

    plan_digest: str
    state: LogState


def read_ends(path: str) -> Ended | None:
    """Return how a log stands by its ends; None when they do not tell, and all of it has to be read.

    Damage in its middle does not show; what ended stands as its end says all the same.
    """
    try:
        first, last = _read(path)
    except OSError:
        return None
    header = decode(first.removesuffix(b"\n"))
    end = decode(last.removesuffix(b"\n"))
    if header is None or end is None or not last.endswith(b"\n"):
        return None
    if header.get("kind") != "header" or end.get("kind") != "end" or header.get("format") != LOG_FORMAT:
        return None
    extent = read_extent(path)
    if extent is not None and extent > end["seq"] + 1:
        return None
    state = LogState.FINISHED
    if "is_complete" in end:
        state = LogState.ROLLED_BACK if end["is_complete"] else LogState.PARTLY_ROLLED_BACK
    return Ended(str(header.get("plan", "")), state)


def _read(path: str) -> tuple[bytes, bytes]:
    handle = os.open(path, storage.READ_QUIETLY)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return b"", b""
        first = file.readline(_LONGEST_BYTES)
        file.seek(max(found.st_size - _LONGEST_BYTES, 0))
        end = file.read(_LONGEST_BYTES)
    return first, end[end.rfind(b"\n", 0, -1) + 1 :]
