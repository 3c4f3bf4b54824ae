"""What this process may do to files of other users, asked before anything is changed."""

from __future__ import annotations

import os

_CAP_CHOWN, _CAP_FOWNER = 0, 3


def may_set_times(owner: int) -> bool:
    """Say whether the times of a directory can be put back: only its owner can, and who may act for any owner."""
    return _user() == owner or _has_capability(_CAP_FOWNER)


def may_give_away() -> bool:
    """Say whether this process may give files to other users; in a container even the superuser often may not."""
    return _has_capability(_CAP_CHOWN)


def _user() -> int:
    return int(getattr(os, "geteuid", lambda: 0)())


def _has_capability(number: int) -> bool:
    try:
        with open("/proc/thread-self/status", encoding="ascii") as file:
            effective = next(line for line in file if line.startswith("CapEff:"))
        return bool(int(effective.split()[1], 16) >> number & 1)
    except (OSError, ValueError, StopIteration):  # no Linux
        return _user() == 0
