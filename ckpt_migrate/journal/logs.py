"""Logs of the past: where they lie, how each stands, and which of them stands in the way of new work."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.errors import JournalError, PlanAppliedError, UnfinishedError, UsageError
from ckpt_migrate.journal import log_file
from ckpt_migrate.journal.ends import Ended, read_ends
from ckpt_migrate.journal.fold import load
from ckpt_migrate.journal.history import History, LogState
from ckpt_migrate.records import STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

_CHECKPOINT_NAME = re.compile(r"[0-9a-f]{32}_[0-9]{8}_[0-9]{6}")
_UNFINISHED = {LogState.UNFINISHED, LogState.UNFINISHED_ROLLBACK, LogState.UNREACHABLE, LogState.INCOMPLETE}
_SNAPSHOTS = frozenset({".snapshot", ".snapshots", ".zfs"})
"""Where file servers show their trees as they were at some time; a log in there is a copy and cannot be worked with."""


@dataclass(frozen=True, slots=True)
class LogSummary:
    """A log, for people.

    Attributes:
        id: Its short name.
        path: Absolute path.
        started: When the apply began, UTC; None when the log is too damaged to say.
        plan_digest: SHA-256 of the plan's file, hexadecimal.
        plan_path: Path of the plan's file, empty when it had none.
        state: How it stands.
        renamed: How many directories were to be renamed.
        repaired: How many were to be repaired.
        skipped: How many were to be left alone.
        damage: What could not be read of it, a line each.
        is_covered: Whether all that was applied is known all the same.
    """

    id: str
    path: str
    started: datetime | None
    plan_digest: str
    plan_path: str
    state: LogState
    renamed: int
    repaired: int
    skipped: int
    damage: tuple[str, ...] = ()
    is_covered: bool = True


def find_logs(root: str) -> tuple[LogSummary, ...]:
    """Return the logs of one root, oldest first."""
    return tuple(_summarise(path) for path in _log_paths(root))


def latest_log(folder: str) -> str:
    """Return the path of the newest log at or below a folder.

    Raises:
        UsageError: There is none.
        JournalError: It cannot be used; an older one is never taken in its place.
    """
    paths = _paths_below(folder)
    if not paths:
        remedy = "Name the log, or the folder to search: `ckpt-migrate log ROOT` lists the logs of a root."
        raise UsageError("no log of an apply is at or below this folder", where=os.path.abspath(folder), remedy=remedy)
    try:
        return load(paths[-1]).path
    except JournalError as error:
        remedy = f"{error.remedy}\n  An older log is rolled back only when it is named, not as `latest`."
        what = f"the newest log cannot be used: {error.what}"
        raise JournalError(what, where=error.where, problems=error.problems, remedy=remedy) from error


def guard(folders: Iterable[str], *, plan_digest: str, allowed: str | None = None) -> History | None:
    """Refuse when earlier work stands in the way; return the log of this very plan when it can be continued.

    Args:
        folders: Folders whose state directories count.
        plan_digest: The plan about to be applied; empty for a rollback.
        allowed: Path of the log about to be rolled back, which may be in any state.

    Raises:
        UnfinishedError: Another apply or a rollback was cut short; the commands that end it are given.
        PlanAppliedError: The plan was applied and not rolled back.
        JournalError: The log to be continued is damaged.
    """
    found: dict[str, History | Ended] = {}
    for folder in folders:
        for path in map(os.path.realpath, _log_paths(folder)):
            if path == allowed:
                continue
            ended = read_ends(path)
            if ended is not None:
                found[path] = ended
                continue
            try:
                history = load(path)
            except JournalError as error:
                if _is_pointer(path):
                    raise UnfinishedError(error.what, where=path, remedy=error.remedy) from error
                raise
            found[history.path] = history
    own: History | None = None
    for path in sorted(found):
        history_or_end = found[path]
        if path == allowed:
            continue
        is_own = bool(plan_digest) and history_or_end.plan_digest == plan_digest
        if is_own and history_or_end.state is LogState.FINISHED:
            remedy = f"To undo it: ckpt-migrate rollback {shlex.quote(path)}"
            raise PlanAppliedError("this plan was applied already", where=path, remedy=remedy)
        if isinstance(history_or_end, History):
            own = _own_unfinished(history_or_end, is_own=is_own) or own
    if own is not None and own.contents.damage:
        remedy = f"It cannot be continued. To undo what is known: ckpt-migrate rollback {shlex.quote(own.path)}"
        raise JournalError(
            "the log of this plan is damaged", where=own.path, problems=own.contents.damage, remedy=remedy
        )
    return own


def _own_unfinished(history: History, *, is_own: bool) -> History | None:
    """Return the log of this very plan when its apply was cut short; refuse when that was another's."""
    if is_own and history.state in {LogState.UNFINISHED, LogState.INCOMPLETE}:
        return history
    if history.state is LogState.INCOMPLETE:
        what = "the log of an earlier apply is incomplete, so what that changed is not fully known"
        raise UnfinishedError(what, where=history.path, problems=history.contents.damage, remedy=_how_to_end(history))
    if history.state in _UNFINISHED:
        raise UnfinishedError(
            f"an earlier {'rollback' if history.state is LogState.UNFINISHED_ROLLBACK else 'apply'} was cut short",
            where=history.path,
            remedy=_how_to_end(history),
        )
    return None


def log_sizes(folders: Iterable[str]) -> dict[str, int]:
    """Return the size in bytes of every log of these folders: when none differs, nothing was done in between."""
    return {path: os.lstat(path).st_size for folder in folders for path in _log_paths(folder)}


def commands(history_path: str, plan_path: str) -> str:
    """Return the exact commands that continue and undo an apply."""
    plan = shlex.quote(plan_path) if plan_path else "PLAN"
    return f"To go on: ckpt-migrate apply {plan}\n  To undo: ckpt-migrate rollback {shlex.quote(history_path)}"


def _how_to_end(history: History) -> str:
    rollback = f"ckpt-migrate rollback {shlex.quote(history.path)}"
    if history.state is LogState.UNFINISHED_ROLLBACK:
        return f"To end it: {rollback}"
    if history.state is LogState.INCOMPLETE:
        return f"To undo what is known: {rollback}"
    if history.plan_path and not _is_plan(history.plan_path, history.plan_digest):
        return f"Its plan {history.plan_path} is gone or was edited since, so it can only be undone: {rollback}"
    return commands(history.path, history.plan_path)


def _is_plan(path: str, digest: str) -> bool:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest() == digest
    except OSError:
        return False


def _is_pointer(path: str) -> bool:
    try:
        records = log_file.read(path).records
    except JournalError:
        return False
    return bool(records) and records[0].get("kind") == "pointer"


def _log_paths(root: str) -> list[str]:
    folder = os.path.join(root, STATE_DIRECTORY)
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in sorted(names) if name.endswith(log_file.SUFFIX)]


def _paths_below(folder: str) -> list[str]:
    """Return the logs at or below a folder, oldest first."""
    paths = {path for state in state_directories(folder) for path in _log_paths(os.path.dirname(state))}
    return sorted(paths, key=lambda path: (os.path.basename(path), path))


def _summarise(path: str) -> LogSummary:
    try:
        history = load(path)
    except JournalError as error:
        name = os.path.basename(path)[: -len(log_file.SUFFIX)]
        state = LogState.UNREACHABLE if _is_pointer(path) else LogState.UNREADABLE
        return LogSummary(name, path, None, "", "", state, 0, 0, 0, (error.what,))
    counts = history.counts
    return LogSummary(
        id=history.id,
        path=history.path,
        started=history.started,
        plan_digest=history.plan_digest,
        plan_path=history.plan_path,
        state=history.state,
        renamed=counts.get("rename", 0),
        repaired=counts.get("repair", 0),
        skipped=counts.get("skip", 0),
        damage=history.contents.damage,
        is_covered=history.is_covered,
    )


def state_directories(folder: str) -> Iterator[str]:
    """Yield every state directory at or below a folder; checkpoint directories and snapshots are not looked into."""
    pending = [os.path.realpath(folder)]
    while pending:
        path = pending.pop()
        try:
            with os.scandir(path) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        for name in names:
            if name == STATE_DIRECTORY:
                yield os.path.join(path, name)
            elif name not in _SNAPSHOTS and _CHECKPOINT_NAME.fullmatch(name) is None:
                pending.append(os.path.join(path, name))
