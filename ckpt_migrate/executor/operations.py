"""What apply and rollback do to a file system, as data that knows its reverse.

An operation says what changes, not how: `storage` does it, `executor` brings it into a safe order. A new kind of
change is a new class here, with `reverse` and `step`, and what does it in `executor`.

What every directory has one of is a named tuple, which is made in a third of the time of a frozen dataclass.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ckpt_migrate.executor.edits import EditFile
    from ckpt_migrate.executor.filestate import FileState
    from ckpt_migrate.executor.identity import Identity
    from ckpt_migrate.executor.tags import SetTag
    from ckpt_migrate.journal.logged_edits import Located


class Phase(str, Enum):
    """What a stretch of work, and of its log, belongs to."""

    APPLY = "apply"
    CONTINUE = "continue"
    ROLLBACK = "rollback"


class Step(NamedTuple):
    """One operation as it is shown, done or to be done.

    Attributes:
        symbol: `~` changed, `+` new, `-` removed, `=` kept.
        verb: What is done.
        path: Absolute path of what it is done to.
        new_path: Absolute path afterwards, of a rename.
        mtime_ns: The modification time that is kept, nanoseconds since 1970-01-01 UTC.
    """

    symbol: str
    verb: str
    path: str
    new_path: str | None = None
    mtime_ns: int | None = None

    def describe(self) -> str:
        """Return it as one line, without the symbol."""
        if self.new_path is not None:
            return f"{self.verb} {self.path} -> {os.path.basename(self.new_path)}"
        if self.mtime_ns is not None:
            return f"{self.verb} {self.path} ({_moment(self.mtime_ns)})"
        return f"{self.verb} {self.path}"


def _moment(time_ns: int) -> str:
    """Return a time for people; a file's time may lie where no calendar of Python's reaches."""
    try:
        moment = datetime.fromtimestamp(time_ns // 1_000_000_000, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"{time_ns // 1_000_000_000:,} s after 1970"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


class Rename(NamedTuple):
    """A directory gets another name in the same parent.

    Attributes:
        item: The entry of the plan that it belongs to, counted from 0.
        source: Absolute path before.
        target: Absolute path after; a temporary name in the middle of a swap.
        inode: Inode of the directory that is meant.
    """

    item: int
    source: str
    target: str
    inode: int

    def reverse(self) -> Rename:
        """Return the operation that undoes it."""
        return self._replace(source=self.target, target=self.source)

    def step(self) -> Step:
        """Return it for people."""
        return Step("~", "rename", self.source, new_path=self.target)


@dataclass(frozen=True, slots=True)
class WriteFile:
    """A small file is made, replaced or removed as a whole.

    Attributes:
        item: The entry of the plan that it belongs to, counted from 0.
        directory: Absolute path of its directory at that moment.
        name: Its name there.
        staged: Name, in the same directory, under which the new file is prepared and the old one is put aside.
        before: What is there before; None for nothing.
        after: What is there after; None for nothing.
        kept: Absolute path of the extra name that the old file gets, or has; empty where it has no further names.
    """

    item: int
    directory: str
    name: str
    staged: str
    before: FileState | None
    after: FileState | None
    kept: str = ""

    @property
    def path(self) -> str:
        """Absolute path of the file."""
        return os.path.join(self.directory, self.name)

    @property
    def staged_path(self) -> str:
        """Absolute path under which it is prepared."""
        return os.path.join(self.directory, self.staged)

    def reverse(self) -> WriteFile:
        """Return the operation that undoes it."""
        return replace(self, before=self.after, after=self.before)

    def step(self) -> Step:
        """Return it for people."""
        if self.after is None:
            return Step("-", "remove", self.path)
        return Step("+", "write", self.path) if self.before is None else Step("~", "replace", self.path)


@dataclass(frozen=True, slots=True)
class SetTimes:
    """A directory gets back the modification time that it had before the changes in it.

    Attributes:
        item: The entry of the plan whose directory it is; None for a directory that holds such directories.
        path: Absolute path at that moment.
        mtime_ns: Modification time, nanoseconds since 1970-01-01 UTC.
    """

    item: int | None
    path: str
    mtime_ns: int

    def reverse(self) -> SetTimes:
        """Return itself: the time is that of before, whichever way one goes."""
        return self

    def step(self) -> Step:
        """Return it for people."""
        return Step("=", "keep time of", self.path, mtime_ns=self.mtime_ns)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A temporary file of ours that a crash left behind is removed.

    Attributes:
        item: The entry of the plan that it belongs to, counted from 0.
        path: Absolute path at that moment.
    """

    item: int
    path: str

    def reverse(self) -> Sweep:
        """Return itself: a leftover is never brought back."""
        return self

    def step(self) -> Step:
        """Return it for people."""
        return Step("-", "remove leftover", self.path)


Operation: TypeAlias = "Sweep | Rename | WriteFile | EditFile | SetTimes | SetTag"


class Change(NamedTuple):
    """All that is done to one checkpoint directory.

    Attributes:
        item: The entry of the plan, counted from 0.
        source: Where the directory is now, absolute.
        target: Where it will be; equal when it keeps its name.
        identity: Who it is; `identity.inode` is its inode at present.
        mtime_ns: The modification time that it shall have afterwards, nanoseconds since 1970-01-01 UTC.
        files: Its manifests, written when it is at `target`.
        sweeps: What a crash left behind, removed first.
        is_late: Whether its modification time is another one already, left so by a crash.
    """

    item: int
    source: str
    target: str
    identity: Identity
    mtime_ns: int
    files: tuple[WriteFile, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    is_late: bool = False

    @property
    def is_inside(self) -> bool:
        """Whether something in the directory changes, or its time: a rename alone touches only what holds it."""
        return bool(self.files or self.sweeps or self.is_late)


@dataclass(frozen=True, slots=True)
class Group:
    """Changes that are logged together, then made.

    Attributes:
        number: Counted from 0 over the whole log.
        phase: What it belongs to.
        changes: What is done, by directory.
        renames: Their renames in a safe order, over temporary names where needed.
        folders: The times to be put back of the directories that hold them.
        edits: Edits of files outside the manifests.
        sweeps: What a crash left behind of such edits, removed first.
        tags: Tags of runs, set last.
    """

    number: int
    phase: Phase
    changes: tuple[Change, ...]
    renames: tuple[Rename, ...]
    folders: tuple[SetTimes, ...]
    edits: tuple[Located, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    tags: tuple[SetTag, ...] = ()

    def operations(self) -> tuple[Operation, ...]:
        """Return everything that is done, in its order."""
        return (
            *(sweep for change in self.changes for sweep in change.sweeps),
            *self.sweeps,
            *self.renames,
            *(file for change in self.changes for file in change.files),
            *(located.edit for located in self.edits),
            *self.times(),
            *self.tags,
        )

    def times(self) -> tuple[SetTimes, ...]:
        """Return the times that are put back: of each changed directory, then of those that hold them."""
        return (
            *(SetTimes(c.item, c.target, c.mtime_ns) for c in self.changes if c.is_inside),
            *self.folders,
        )
