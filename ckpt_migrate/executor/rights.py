"""What this process may do to files of other users, asked before anything is changed."""

from __future__ import annotations

import os
import sys

FROZEN = "is immutable or append-only (lsattr shows it); chattr -i or -a lets go of it"
_GET_FLAGS, _IMMUTABLE, _APPEND_ONLY = 0x8008_6601, 0x10, 0x20
_CAP_CHOWN, _CAP_FOWNER = 0, 3


def may_set_times(owner: int) -> bool:
    """Say whether the times of a directory can be put back: only its owner can, and who may act for any owner."""
    return _user() == owner or _has_capability(_CAP_FOWNER)


def may_give_away() -> bool:
    """Say whether this process may give files to other users; in a container even the superuser often may not."""
    return _has_capability(_CAP_CHOWN)


def is_frozen(path: str) -> bool:
    """Say whether nobody may rename what a directory holds, or replace a file, whatever the permissions (Linux)."""
    if sys.platform != "linux":
        return False
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        answer = fcntl.ioctl(handle, _GET_FLAGS, bytes(8))
    except OSError:  # the file system has no such flags
        return False
    finally:
        os.close(handle)
    return bool(int.from_bytes(answer[:4], sys.byteorder) & (_IMMUTABLE | _APPEND_ONLY))


def _user() -> int:
    return int(getattr(os, "geteuid", lambda: 0)())


def _has_capability(number: int) -> bool:
    try:
        with open("/proc/thread-self/status", encoding="ascii") as file:
            effective = next(line for line in file if line.startswith("CapEff:"))
        return bool(int(effective.split()[1], 16) >> number & 1)
    except (OSError, ValueError, StopIteration):  # no Linux
        return _user() == 0
