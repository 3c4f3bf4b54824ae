"""What a log says was done, by directory.

Paths in a log are relative to the root that the log lies in, so that a tree that was moved as a whole can still be
rolled back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from ckpt_migrate.journal.log_file import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ckpt_migrate.executor.filestate import FileState
    from ckpt_migrate.executor.identity import Identity
    from ckpt_migrate.executor.tags import LoggedTag
    from ckpt_migrate.journal.log_file import Contents
    from ckpt_migrate.journal.logged_edits import LoggedEdit


class LogState(str, Enum):
    """How an apply stands, by its log.

    EMPTY: cut short before anything was recorded; nothing was changed.
    UNFINISHED: an apply that was cut short.
    UNFINISHED_ROLLBACK: a rollback that was cut short.
    PARTLY_ROLLED_BACK: a rollback that ran to its end and had to leave something as it was.
    INCOMPLETE: records are missing at its end, or may be; what they recorded is not known.
    UNREACHABLE: it lies in another root, which is not there now.
    UNREADABLE: nothing of it can be read, or it is of a newer version.
    """

    EMPTY = "empty"
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    UNFINISHED_ROLLBACK = "rollback unfinished"
    ROLLED_BACK = "rolled back"
    PARTLY_ROLLED_BACK = "partly rolled back"
    INCOMPLETE = "incomplete log"
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"


@dataclass(slots=True)
class LoggedFile:
    """A manifest in the log.

    Attributes:
        before: What was there; None for nothing.
        after: What is there afterwards.
        staged: The temporary names that were used for it.
        kept: Absolute path of the extra name of the old file, empty where that had no further names.
    """

    before: FileState | None
    after: FileState | None
    staged: list[str]
    kept: str = ""


@dataclass(slots=True)
class LoggedItem:
    """A checkpoint directory in the log.

    Attributes:
        item: The entry of the plan, counted from 0.
        source: Its path before the migration, absolute.
        target: Its path after it; equal for a repair.
        places: Every path at which it may be found, temporary ones included, the likeliest last.
        identity: Who it is.
        files: Its manifests by name.
        mtime_ns: The modification time that it had before the changes of a group that has no done mark, nanoseconds
            since 1970-01-01 UTC; None when every group with it was finished.
        is_applied: Whether its share of the apply was finished.
        is_restored: Whether an undo by this log was finished with it.
        manifests: Names that its identity leaves out, whether they were written or not.
    """

    item: int
    source: str
    target: str
    places: list[str]
    identity: Identity
    files: dict[str, LoggedFile]
    mtime_ns: int | None = None
    is_applied: bool = False
    is_restored: bool = False
    manifests: tuple[str, ...] = ()


@dataclass(slots=True)
class History:
    """A whole log.

    Attributes:
        path: Absolute path of the log.
        contents: The records it was made of.
        plan_digest: SHA-256 of the plan's file, hexadecimal; empty when the log is too damaged to say.
        plan_path: Path of the plan's file, empty when it had none.
        migration: Name or path of the recipe; empty when the log does not say.
        started: When the apply began, UTC; None when the log is too damaged to say.
        roots: Real paths of the roots in which something is changed, that of the log first.
        counts: How many entries were to be renamed, repaired and skipped.
        items: The directories by entry number.
        edits: Edits of files outside the manifests, by number.
        tags: Tags of runs, by number.
        folders: Times (ns) of holding directories that a group without a done mark may have changed, by path.
        next_group: Number of the next group.
        state: How the apply stands.
        is_covered: Whether all that was ever applied is known. It is, too, when records are missing at the end alone
            and the apply's last one is there: those missing are a rollback's, and the disk tells what that did.
    """

    path: str
    contents: Contents
    plan_digest: str = ""
    plan_path: str = ""
    migration: str = ""
    started: datetime | None = None
    roots: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    items: dict[int, LoggedItem] = field(default_factory=dict)
    edits: dict[int, LoggedEdit] = field(default_factory=dict)
    tags: dict[int, LoggedTag] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    next_group: int = 0
    state: LogState = LogState.EMPTY
    is_covered: bool = True

    @property
    def root(self) -> str:
        """The root that the log lies in."""
        return os.path.dirname(os.path.dirname(self.path))

    @property
    def id(self) -> str:
        """The log's short name."""
        return os.path.basename(self.path)[: -len(SUFFIX)]
