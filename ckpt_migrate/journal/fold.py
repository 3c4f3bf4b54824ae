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

    from ckpt_migrate.journal.log_file import Contents


def load(path: str) -> History:
    """Read a log and fold it; a pointer in another root leads to the log itself.

    Raises:
        JournalError: It cannot be read, is no log, is of a newer format, does not lie in its root any more, or points
            to one that is not there.
    """
    path = os.path.realpath(path)
    contents = log_file.read(path)
    if os.path.basename(os.path.dirname(path)) != STATE_DIRECTORY:
        what = f"this is a copy of a log; the log itself lies in {STATE_DIRECTORY} in its root, where its paths start"
        raise JournalError(what, where=path, remedy="Name the log itself; `ckpt-migrate log ROOT` lists the logs.")
    first = contents.records[0] if contents.records else {}
    if first.get("kind") != "pointer":
        return _fold(path, contents)
    leads_to = os.path.normpath(os.path.join(os.path.dirname(os.path.dirname(path)), first["log"]))
    if not os.path.isfile(leads_to):
        what = f"the log of this apply lies in another root, and is not there: {leads_to}"
        raise JournalError(what, where=path, remedy="Mount that root, or name the log where it is now.")
    contents = log_file.read(leads_to)
    return _fold(leads_to, contents)


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


@dataclass(slots=True)
class _LoggedGroup:
    """A group as its records come by; `size` is None when the record that says it was lost."""

    phase: Phase
    size: int | None
    records: list[dict[str, Any]] = field(default_factory=list)


class _Fold:
    def __init__(self, history: History) -> None:
        self.history = history
        self.groups: dict[int, _LoggedGroup] = {}
        self.current: int | None = None
        self.phase: Phase | None = None
        self.end: Mapping[str, Any] | None = None
        self.manifests: tuple[str, ...] = ()

    def take(self, record: dict[str, Any]) -> None:
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
            self.end = record
        elif kind != "stopped":
            raise ValueError(kind)

    def finish(self) -> None:
        self._close_group()
        history = self.history
        if self.phase is None:
            history.state = LogState.UNFINISHED if history.items or history.edits or history.tags else LogState.EMPTY
        elif self.phase is not Phase.ROLLBACK:
            history.state = LogState.UNFINISHED if self.end is None else LogState.FINISHED
        elif self.end is None:
            history.state = LogState.UNFINISHED_ROLLBACK
        elif self.end["is_complete"]:
            history.state = LogState.ROLLED_BACK
        else:
            history.state = LogState.PARTLY_ROLLED_BACK
        contents = history.contents
        if contents.is_cut:
            history.state = LogState.INCOMPLETE
        is_only_cut = contents.is_cut and len(contents.damage) == 1
        has_ended = self.phase is not Phase.ROLLBACK and self.end is not None
        is_undone = history.state is LogState.ROLLED_BACK
        history.is_covered = not contents.damage or (is_only_cut and has_ended) or is_undone
        if not history.roots:  # the header is damaged: its own root is known all the same
            history.roots = (history.root,)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.end = None

    def _take_header(self, record: dict[str, Any]) -> None:
        if record["format"] > log_file.LOG_FORMAT:
            raise ValueError(f"format {record['format']}")
        history = self.history
        history.plan_digest = record["plan"]
        history.plan_path = record["plan_path"]
        history.migration = record.get("migration", "")
        self.manifests = tuple(record.get("manifests", ()))
        history.started = datetime.fromtimestamp(record["created_s"], timezone.utc)
        history.roots = tuple(self._absolute(root) for root in record["roots"])
        history.counts = record["counts"]

    def _open_group(self, number: int, phase: Phase, size: int | None) -> None:
        self.groups[number] = _LoggedGroup(phase, size)
        self.current = number
        self.history.next_group = max(self.history.next_group, number + 1)
        if self.phase is None or (phase is Phase.ROLLBACK) != (self.phase is Phase.ROLLBACK):
            self._enter(phase)  # the record of its beginning was lost

    def _take_change(self, record: dict[str, Any]) -> None:
        number = record["group"]
        if number not in self.groups:  # the record that opens it was lost
            self._open_group(number, self.phase or Phase.APPLY, None)
        self.current = number
        self.groups[number].records.append(record)

    def _close_group(self) -> None:
        """Take a group for what was about to be done, unless the writing of its records was cut short.

        Then nothing of it was done. In a damaged log that cannot be told from lost records, so all is taken: a
        directory that was not touched is found where it was.
        """
        if self.current is None:
            return
        group = self.groups[self.current]
        self.current = None
        if group.size is not None and len(group.records) < group.size and not self.history.contents.damage:
            group.records.clear()
        for record in group.records:
            if record["kind"] == "intent":
                self._take_intent(record, group.phase)
            elif record["kind"] == "edit":
                take_record(record, self.history.edits, self._absolute)
            elif record["kind"] == "tag":
                take_tag(record, self.history.tags)
            else:
                self.history.folders.setdefault(self._absolute(record["path"]), record["mtime_ns"])

    def _take_intent(self, record: dict[str, Any], phase: Phase) -> None:
        item = record["item"]
        source, target = self._absolute(record["source"]), self._absolute(record["target"])
        logged = self.history.items.get(item)
        if logged is None:
            if phase is not Phase.APPLY:
                return  # the record of its apply was lost, so nothing says what it was
            identity = Identity.from_json(record["identity"])
            logged = LoggedItem(item, source, target, [], identity, {}, manifests=self.manifests)
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
        group = self.groups.get(number)
        if group is None:
            return  # all its records were lost
        for record in group.records:
            if record["kind"] == "folder":
                self.history.folders.pop(self._absolute(record["path"]), None)
                continue
            if record["kind"] == "tag":
                tag = self.history.tags[record["tag"]]
                tag.is_applied = tag.is_applied or group.phase is not Phase.ROLLBACK
                continue
            if record["kind"] == "edit":
                edit = self.history.edits.get(record["edit"])
                if edit is not None:
                    edit.is_pending = False
                    edit.is_applied = edit.is_applied or group.phase is not Phase.ROLLBACK
                continue
            logged = self.history.items.get(record["item"])
            if logged is not None:
                logged.mtime_ns = logged.mtime_ns if record["item"] in late else None
                logged.is_applied = logged.is_applied or group.phase is not Phase.ROLLBACK

    def _absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self.history.root, path))


def _state(record: Mapping[str, Any] | None) -> FileState | None:
    return None if record is None else FileState.from_json(record)
