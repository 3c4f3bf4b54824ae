"""Is a process writing in a directory right now?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ACCESS_MODES = os.O_WRONLY | os.O_RDWR


def files_open_for_writing(directories: Sequence[str]) -> dict[str, str]:
    """Return, by directory, a file in it that a process of this host has open for writing, and by which process.

    Only what the system lets this user see, and only where there is a `/proc`.
    """
    wanted = set(directories)
    found: dict[str, str] = {}
    for pid, handle, path in _open_files():
        above = os.path.dirname(path)
        while above not in wanted and above != os.path.dirname(above):
            above = os.path.dirname(above)
        if above in wanted and _is_writing(pid, handle):
            found.setdefault(above, f"{os.path.relpath(path, above)} by process {pid}")
    return found


def _open_files() -> Iterator[tuple[str, str, str]]:
    try:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return
    for pid in pids:
        folder = f"/proc/{pid}/fd"
        try:
            handles = os.listdir(folder)
        except OSError:
            continue  # another user's process, or one that has ended
        for handle in handles:
            try:
                path = os.readlink(f"{folder}/{handle}")
            except OSError:
                continue
            if path.startswith("/"):
                yield pid, handle, path


def _is_writing(pid: str, handle: str) -> bool:
    try:
        with open(f"/proc/{pid}/fdinfo/{handle}", encoding="ascii") as file:
            for line in file:
                if line.startswith("flags:"):
                    return bool(int(line.split()[1], 8) & _ACCESS_MODES)
    except (OSError, ValueError, IndexError):
        return False
    return False
