"""What a log says was done: its records folded into the directories that they are about.

Paths in a log are relative to the root that the log lies in, so that a tree that was moved as a whole can still be
rolled back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any

from ckpt_migrate import journal
from ckpt_migrate.errors import JournalError
from ckpt_migrate.filestate import FileState
from ckpt_migrate.identity import Identity
from ckpt_migrate.operations import Phase
from ckpt_migrate.records import STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.journal import Contents


class LogState(str, Enum):
    """How an apply stands, by its log.

    EMPTY: cut short before anything was recorded; nothing was changed.
    UNFINISHED: an apply that was cut short.
    UNFINISHED_ROLLBACK: a rollback that was cut short.
    PARTLY_ROLLED_BACK: a rollback that ran to its end and had to leave something as it was.
    UNREACHABLE: it lies in another root, which is not there now.
    UNREADABLE: nothing of it can be read, or it is of a newer version.
    """

    EMPTY = "empty"
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    UNFINISHED_ROLLBACK = "rollback unfinished"
    ROLLED_BACK = "rolled back"
    PARTLY_ROLLED_BACK = "partly rolled back"
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"


@dataclass(slots=True)
class LoggedFile:
    """A manifest in the log; `staged` are the temporary names that were used for it."""

    before: FileState | None
    after: FileState | None
    staged: list[str]


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
    """

    item: int
    source: str
    target: str
    places: list[str]
    identity: Identity
    files: dict[str, LoggedFile]
    mtime_ns: int | None = None
    is_applied: bool = False


@dataclass(slots=True)
class History:
    """A whole log.

    Attributes:
        path: Absolute path of the log.
        contents: The records it was made of.
        plan_digest: SHA-256 of the plan's file, hexadecimal; empty when the log is too damaged to say.
        plan_path: Path of the plan's file, empty when it had none.
        started: When the apply began, UTC; None when the log is too damaged to say.
        roots: Real paths of the roots in which something is changed, that of the log first.
        counts: How many entries were to be renamed, repaired and skipped.
        items: The directories by entry number.
        folders: Times (ns) of holding directories that a group without a done mark may have changed, by path.
        next_group: Number of the next group.
        state: How the apply stands.
    """

    path: str
    contents: Contents
    plan_digest: str = ""
    plan_path: str = ""
    started: datetime | None = None
    roots: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    items: dict[int, LoggedItem] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    next_group: int = 0
    state: LogState = LogState.EMPTY

    @property
    def root(self) -> str:
        """The root that the log lies in."""
        return os.path.dirname(os.path.dirname(self.path))

    @property
    def id(self) -> str:
        """The log's short name."""
        return os.path.basename(self.path)[: -len(journal.SUFFIX)]


def load(path: str) -> History:
    """Read a log and fold it; a pointer in another root leads to the log itself.

    Raises:
        JournalError: It cannot be read, is no log, is of a newer format, or points to one that is not there.
    """
    path = os.path.realpath(path)
    contents = journal.read(path)
    first = contents.records[0] if contents.records else {}
    if first.get("kind") != "pointer":
        return _fold(path, contents)
    leads_to = os.path.normpath(os.path.join(os.path.dirname(os.path.dirname(path)), first["log"]))
    if not os.path.isfile(leads_to):
        what = f"the log of this apply lies in another root, and is not there: {leads_to}"
        raise JournalError(what, where=path, remedy="Mount that root, or name the log where it is now.")
    contents = journal.read(leads_to)
    return _fold(leads_to, contents)


def is_log_of(root: str, path: str) -> bool:
    """Say whether a path has the place and form of a log of a root."""
    return os.path.dirname(path) == os.path.join(root, STATE_DIRECTORY) and path.endswith(journal.SUFFIX)


def _fold(path: str, contents: Contents) -> History:
    history = History(path, contents)
    fold = _Fold(history)
    for record in contents.records:
        try:
            fold.take(record)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            what = f"record {record['seq']} is not as this version of the tool writes it ({error!r})"
            raise JournalError(what, where=path, remedy="Use the version of the tool that wrote it.") from error
    fold.finish()
    return history


class _Fold:
    def __init__(self, history: History) -> None:
        self.history = history
        self.open_items: dict[int, list[int]] = {}
        self.open_folders: dict[int, list[str]] = {}
        self.phase: Phase | None = None
        self.end: Mapping[str, Any] | None = None

    def take(self, record: dict[str, Any]) -> None:
        kind = record["kind"]
        if kind == "header":
            self._take_header(record)
        elif kind == "begin":
            self._enter(Phase(record["phase"]))
        elif kind == "intent":
            self._take_intent(record)
        elif kind == "folder":
            path = self._absolute(record["path"])
            self.history.folders.setdefault(path, record["mtime_ns"])
            self.open_folders.setdefault(record["group"], []).append(path)
        elif kind == "done":
            self._take_done(record["group"])
        elif kind == "end":
            self.end = record
        elif kind not in {"stopped", "failed"}:
            raise ValueError(kind)

    def finish(self) -> None:
        history = self.history
        if self.phase is None:
            history.state = LogState.UNFINISHED if history.items else LogState.EMPTY
        elif self.phase is not Phase.ROLLBACK:
            history.state = LogState.UNFINISHED if self.end is None else LogState.FINISHED
        elif self.end is None:
            history.state = LogState.UNFINISHED_ROLLBACK
        elif self.end["is_complete"]:
            history.state = LogState.ROLLED_BACK
        else:
            history.state = LogState.PARTLY_ROLLED_BACK
        if not history.roots:  # the header is damaged: its own root is known all the same
            history.roots = (history.root,)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.end = None

    def _take_header(self, record: dict[str, Any]) -> None:
        if record["format"] > journal.LOG_FORMAT:
            raise ValueError(f"format {record['format']}")
        history = self.history
        history.plan_digest = record["plan"]
        history.plan_path = record["plan_path"]
        history.started = datetime.fromtimestamp(record["created_s"], timezone.utc)
        history.roots = tuple(self._absolute(root) for root in record["roots"])
        history.counts = record["counts"]

    def _take_intent(self, record: dict[str, Any]) -> None:
        phase, item, group = Phase(record["phase"]), record["item"], record["group"]
        if self.phase is None or (phase is Phase.ROLLBACK) != (self.phase is Phase.ROLLBACK):
            self._enter(phase)  # its own record of this was lost
        self.history.next_group = max(self.history.next_group, group + 1)
        self.open_items.setdefault(group, []).append(item)
        source, target = self._absolute(record["source"]), self._absolute(record["target"])
        logged = self.history.items.get(item)
        if logged is None:
            if phase is not Phase.APPLY:
                return  # the record of its apply was lost, so nothing says what it was
            logged = LoggedItem(item, source, target, [], Identity.from_json(record["identity"]), {})
            self.history.items[item] = logged
        via = None if record["via"] is None else self._absolute(record["via"])
        for place in (source, via, target):
            if place is not None and place not in logged.places:
                logged.places.append(place)
        if logged.mtime_ns is None:
            logged.mtime_ns = record["mtime_ns"]
        for file in record["files"]:
            known = logged.files.get(file["name"])
            if known is None:
                before, after = (
                    None if file[key] is None else FileState.from_json(file[key]) for key in ("before", "after")
                )
                known = logged.files[file["name"]] = LoggedFile(before, after, [])
            known.staged.append(file["staged"])

    def _take_done(self, group: int) -> None:
        self.history.next_group = max(self.history.next_group, group + 1)
        for item in self.open_items.pop(group, ()):
            logged = self.history.items.get(item)
            if logged is not None:
                logged.mtime_ns = None
                logged.is_applied = logged.is_applied or self.phase is not Phase.ROLLBACK
        for path in self.open_folders.pop(group, ()):
            self.history.folders.pop(path, None)

    def _absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self.history.root, path))
