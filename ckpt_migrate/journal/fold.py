"""Reading a log: its records folded into the directories that they are about."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ckpt_migrate.errors import JournalError
from ckpt_migrate.executor.filestate import FileState
from ckpt_migrate.executor.identity import Identity
from ckpt_migrate.executor.operations import Phase
from ckpt_migrate.executor.tags import take_tag
from ckpt_migrate.journal import log_file
from ckpt_migrate.journal.history import History, LoggedFile, LoggedItem, LogState
from ckpt_migrate.journal.logged_edits import take_record
from ckpt_migrate.records import STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Mapping


def load(path: str) -> History:
    """Read a log and fold it; a pointer in another root leads to the log itself.

    Raises:
        JournalError: It cannot be read, is no log, is of a newer format, does not lie in its root any more, or points
            to one that is not there.
    """
    path = os.path.realpath(path)
    fold = _read(path)
    if os.path.basename(os.path.dirname(path)) != STATE_DIRECTORY:
        what = f"this is a copy of a log; the log itself lies in {STATE_DIRECTORY} in its root, where its paths start"
        raise JournalError(what, where=path, remedy="Name the log itself; `ckpt-migrate log ROOT` lists the logs.")
    if fold.pointer is None:
        return fold.finish()
    leads_to = os.path.normpath(os.path.join(os.path.dirname(os.path.dirname(path)), fold.pointer))
    if not os.path.isfile(leads_to):
        what = f"the log of this apply lies in another root, and is not there: {leads_to}"
        raise JournalError(what, where=path, remedy="Mount that root, or name the log where it is now.")
    return _read(leads_to).finish()


def _read(path: str) -> _Fold:
    """Read a log, folding its records as they come; one that turns out to be damaged is read again as such."""
    fold = _Fold(path, is_damaged=False)
    fold.history.contents = log_file.read(path, fold.take)
    if fold.history.contents.damage:
        fold = _Fold(path, is_damaged=True)
        fold.history.contents = log_file.read(path, fold.take)
    return fold


@dataclass(slots=True)
class _LoggedGroup:
    """A group as its records come by.

    Attributes:
        phase: What it belongs to.
        size: How many records it has; None when the record that says it was lost.
        records: Those met and not yet taken.
        items: Its directories, by item; records of many are not kept.
        edits: Its edits, by number.
        tags: Its tags, by number.
        folders: Absolute paths of the directories that hold its own.
    """

    phase: Phase
    size: int | None
    records: list[dict[str, Any]] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    edits: list[int] = field(default_factory=list)
    tags: list[int] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


class _Fold:
    """Takes the records of a log one by one.

    Attributes:
        history: What they come to.
        pointer: Where the log lies, as its record has it, when this one only points to it; else None.
    """

    def __init__(self, path: str, *, is_damaged: bool) -> None:
        nothing = log_file.Contents(path, (), (), is_cut=False, next_seq=0, ends_in_line=True, size_bytes=0)
        self.history = History(path, nothing)
        self.pointer: str | None = None
        self._is_damaged = is_damaged
        self._root = self.history.root
        self._folders: dict[str, str] = {}
        self._groups: dict[int, _LoggedGroup] = {}
        self._current: int | None = None
        self._phase: Phase | None = None
        self._end: Mapping[str, Any] | None = None
        self._manifests: tuple[str, ...] = ()

    def take(self, record: dict[str, Any]) -> None:
        """Take the next record.

        Raises:
            JournalError: It is not as records are.
        """
        try:
            self._take(record)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            what = f"record {record['seq']} is not as this version of the tool writes it ({error!r})"
            remedy = "Use the version of the tool that wrote it."
            raise JournalError(what, where=self.history.path, remedy=remedy) from error

    def _take(self, record: dict[str, Any]) -> None:
        kind = record["kind"]
        if kind in {"intent", "edit", "tag", "folder"}:
            self._take_change(record)
            return
        self._close_group()
        if kind == "header":
            self._take_header(record)
        elif kind == "begin":
            self._enter(Phase(record["phase"]))
        elif kind == "group":
            self._open_group(record["group"], Phase(record["phase"]), record["size"])
        elif kind == "done":
            self._take_done(record["group"], frozenset(record.get("late", ())))
        elif kind == "end":
            self._end = record
        elif kind == "pointer":
            self.pointer = record["log"]
        elif kind != "stopped":
            raise ValueError(kind)

    def finish(self) -> History:
        """Return what all records come to, the last one taken."""
        self._close_group()
        history = self.history
        if self._phase is None:
            history.state = LogState.UNFINISHED if history.items or history.edits or history.tags else LogState.EMPTY
        elif self._phase is not Phase.ROLLBACK:
            history.state = LogState.UNFINISHED if self._end is None else LogState.FINISHED
        elif self._end is None:
            history.state = LogState.UNFINISHED_ROLLBACK
        elif self._end["is_complete"]:
            history.state = LogState.ROLLED_BACK
        else:
            history.state = LogState.PARTLY_ROLLED_BACK
        contents = history.contents
        if contents.is_cut:
            history.state = LogState.INCOMPLETE
        is_only_cut = contents.is_cut and len(contents.damage) == 1
        has_ended = self._phase is not Phase.ROLLBACK and self._end is not None
        is_undone = history.state is LogState.ROLLED_BACK
        history.is_covered = not contents.damage or (is_only_cut and has_ended) or is_undone
        if not history.roots:  # the header is damaged: its own root is known all the same
            history.roots = (history.root,)
        return history

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._end = None

    def _take_header(self, record: dict[str, Any]) -> None:
        if record["format"] > log_file.LOG_FORMAT:
            raise ValueError(f"format {record['format']}")
        history = self.history
        history.plan_digest = record["plan"]
        history.plan_path = record["plan_path"]
        history.migration = record.get("migration", "")
        self._manifests = tuple(record.get("manifests", ()))
        history.started = datetime.fromtimestamp(record["created_s"], timezone.utc)
        history.roots = tuple(self._absolute(root) for root in record["roots"])
        history.counts = record["counts"]

    def _open_group(self, number: int, phase: Phase, size: int | None) -> None:
        self._groups[number] = _LoggedGroup(phase, size)
        self._current = number
        self.history.next_group = max(self.history.next_group, number + 1)
        if self._phase is None or (phase is Phase.ROLLBACK) != (self._phase is Phase.ROLLBACK):
            self._enter(phase)  # the record of its beginning was lost

    def _take_change(self, record: dict[str, Any]) -> None:
        number = record["group"]
        if number not in self._groups:  # the record that opens it was lost
            self._open_group(number, self._phase or Phase.APPLY, None)
        self._current = number
        self._groups[number].records.append(record)

    def _close_group(self) -> None:
        """Take a group for what was about to be done, unless the writing of its records was cut short.

        Then nothing of it was done. In a damaged log that cannot be told from lost records, so all is taken: a
        directory that was not touched is found where it was.
        """
        if self._current is None:
            return
        group = self._groups[self._current]
        self._current = None
        records, group.records = group.records, []
        if group.size is not None and len(records) < group.size and not self._is_damaged:
            return
        for record in records:
            if record["kind"] == "intent":
                self._take_intent(record, group.phase)
                group.items.append(record["item"])
            elif record["kind"] == "edit":
                take_record(record, self.history.edits, self._absolute)
                group.edits.append(record["edit"])
            elif record["kind"] == "tag":
                take_tag(record, self.history.tags)
                group.tags.append(record["tag"])
            else:
                path = self._absolute(record["path"])
                self.history.folders.setdefault(path, record["mtime_ns"])
                group.folders.append(path)

    def _take_intent(self, record: dict[str, Any], phase: Phase) -> None:
        item = record["item"]
        source, target = self._absolute(record["source"]), self._absolute(record["target"])
        logged = self.history.items.get(item)
        if logged is None:
            if phase is not Phase.APPLY:
                return  # the record of its apply was lost, so nothing says what it was
            identity = Identity.from_json(record["identity"])
            logged = LoggedItem(item, source, target, [], identity, {}, manifests=self._manifests)
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
                kept = self._absolute(file["kept"]) if "kept" in file else ""
                known = LoggedFile(_state(file["before"]), _state(file["after"]), [], kept)
                logged.files[file["name"]] = known
            known.staged.append(file["staged"])

    def _take_done(self, number: int, late: frozenset[int]) -> None:
        group = self._groups.get(number)
        if group is None:
            return  # all its records were lost
        is_forward = group.phase is not Phase.ROLLBACK
        for path in group.folders:
            self.history.folders.pop(path, None)
        for tag in group.tags:
            self.history.tags[tag].is_applied |= is_forward
        for edit_number in group.edits:
            edit = self.history.edits.get(edit_number)
            if edit is not None:
                edit.is_pending = False
                edit.is_applied |= is_forward
        for item in group.items:
            logged = self.history.items.get(item)
            if logged is not None:
                logged.mtime_ns = logged.mtime_ns if item in late else None
                logged.is_applied |= is_forward
                logged.is_restored = not is_forward

    def _absolute(self, path: str) -> str:
        """Return a path of the log as an absolute one, normalised."""
        folder, slash, name = path.rpartition("/")
        if name in {"", ".", ".."}:
            return os.path.normpath(os.path.join(self._root, path))
        known = self._folders.get(folder + slash)
        if known is None:
            above = os.path.normpath(os.path.join(self._root, folder + slash))
            known = self._folders[folder + slash] = os.path.join(above, "")
        return known + name


def _state(record: Mapping[str, Any] | None) -> FileState | None:
    return None if record is None else FileState.from_json(record)
