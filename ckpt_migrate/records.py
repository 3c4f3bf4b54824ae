"""Checkpoint directories as scan finds them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpt_migrate.naming import DirectoryName

STATE_DIRECTORY = ".ckpt-migrate"
"""Directory in each root that holds logs and the lock; never scanned."""
BUSY_S = 300
"""Seconds for which nothing in a directory may have changed before it is planned or touched. Training on another host
cannot be seen in any other way; epochs that take longer than this are caught by the fingerprint when they end."""
BUSY_REASON = f"was written to less than {BUSY_S // 60} minutes ago, so training may be at work in it"
BUSY_ADVICE = "wait until it has ended"


class State(str, Enum):
    """What a directory (or loose file) below a root is, judged without any store.

    LEGACY: a name of the legacy form, and nothing in it says that the id is its run's.
    TARGET: a name of the target form, and a manifest in it names the same run id.
    OTHER: a checkpoint, but its name is of neither form; `reason` says why.
    LOOSE: a weights file outside any checkpoint directory (the oldest generation).
    LINK: a symbolic link; never followed.
    UNREADABLE: it or something in it could not be listed.
    """

    LEGACY = "legacy"
    TARGET = "target"
    OTHER = "other"
    LOOSE = "loose"
    LINK = "link"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file in a checkpoint directory.

    Attributes:
        path: Relative to the directory, with `/`.
        kind: `file`, `dir`, `link` or `other`.
        size_bytes: Its size; 0 for what is no file.
        mtime_ns: Modification time, nanoseconds since 1970-01-01 UTC.
        identity: Device, inode and time of the last change of any kind, nanoseconds likewise; None when not looked at.
    """

    path: str
    kind: str
    size_bytes: int
    mtime_ns: int
    identity: tuple[int, int, int] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint directory, or what looks like one.

    Attributes:
        path: Absolute path.
        root: The absolute root that it was found below.
        state: What it is.
        reason: Why it is OTHER, LINK or UNREADABLE; None for the rest.
        name: The name in its parts, when it is of a known form.
        files: Everything in it, sorted by path; links are listed, not followed.
        mtime_ns: Modification time of the directory itself, nanoseconds since 1970-01-01 UTC.
        fingerprint: Identity and content listing as one short text; see `scan.fingerprint`.
        evidence: What it holds that can tell its run: `config`, `weights`, `pointer`, `metric`; sorted.
    """

    path: str
    root: str
    state: State
    reason: str | None
    name: DirectoryName | None
    files: tuple[FileStat, ...]
    mtime_ns: int
    fingerprint: str
    evidence: tuple[str, ...] = ()

    @property
    def basename(self) -> str:
        """The directory's own name."""
        return os.path.basename(self.path)

    @property
    def collection(self) -> str:
        """The folder that directories like this one are gathered in: above all parts of its name."""
        path = self.path
        for _ in range(1 if self.name is None else self.name.depth):
            path = os.path.dirname(path)
        return path

    @property
    def uid(self) -> str:
        """The 32 digits of its name, empty when the name is of no known form."""
        return "" if self.name is None else self.name.uid

    @property
    def size_bytes(self) -> int:
        """The sizes of its files together."""
        return sum(file.size_bytes for file in self.files)
