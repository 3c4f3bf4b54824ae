"""A tree as it is at one moment, to be compared with another: names, bytes, permissions and times."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ckpt_migrate.records import STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True)
class Item:
    """A file, directory or link.

    Attributes:
        mode: Kind and permissions, as `os.lstat` gives them.
        mtime_ns: Modification time, nanoseconds since 1970-01-01 UTC.
        content: SHA-256 of a file's bytes, the target of a link, nothing for a directory.
    """

    mode: int
    mtime_ns: int
    content: str


Snapshot: TypeAlias = "Mapping[str, Item]"


def take(folder: str, *, without: Collection[str] = ()) -> Snapshot:
    """Return everything below a folder by its path relative to it, but for the tool's own logs.

    A directory in which logs lie is taken without its modification time, which the first of them changed.

    Args:
        folder: The folder; it is not among its own contents.
        without: Entries of the folder itself that are passed over.
    """
    found: dict[str, Item] = {}
    pending = [name for name in os.listdir(folder) if name not in without]
    while pending:
        path = pending.pop()
        full = os.path.join(folder, path)
        status = os.lstat(full)
        content, mtime_ns = "", status.st_mtime_ns
        if stat.S_ISLNK(status.st_mode):
            content = os.readlink(full)
        elif stat.S_ISDIR(status.st_mode):
            names = os.listdir(full)
            mtime_ns = 0 if STATE_DIRECTORY in names else mtime_ns
            pending += [os.path.join(path, name) for name in names if name != STATE_DIRECTORY]
        else:
            with open(full, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
        found[path] = Item(status.st_mode, mtime_ns, content)
    return found


def differences(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Return what differs between two snapshots, a line for each path, sorted; nothing when they are equal."""
    lines: list[str] = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old is None or new is None:
            lines.append(f"{path}: {'is new' if old is None else 'is gone'}")
            continue
        is_timeless = 0 in {old.mtime_ns, new.mtime_ns}
        changes = [
            what
            for what, has_changed in (
                ("permissions", old.mode != new.mode),
                ("content", old.content != new.content),
                ("modification time", old.mtime_ns != new.mtime_ns and not is_timeless),
            )
            if has_changed
        ]
        if changes:
            lines.append(f"{path}: {' and '.join(changes)} changed")
    return tuple(lines)
