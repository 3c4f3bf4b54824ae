"""Log against disk, one directory at a time: where it is, what it holds, and what is left to do.

Nothing is replayed. For each directory of a log the wanted state is compared with the state found, and only the
difference becomes a change; so continuing and undoing are the same thing with different goals, and both can be
repeated at will.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from ckpt_migrate.executor.filestate import FileState, read_state, state_or_none
from ckpt_migrate.executor.groups import ASIDE
from ckpt_migrate.executor.identity import is_copy, recognise
from ckpt_migrate.executor.kept import EDITED_ELSEWHERE, SEPARATE, is_original, is_restored
from ckpt_migrate.executor.operations import Change, Sweep, WriteFile
from ckpt_migrate.executor.status import look
from ckpt_migrate.storage import CLAIM_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from ckpt_migrate.executor.status import Status
    from ckpt_migrate.journal.history import LoggedFile, LoggedItem


class Goal(Enum):
    """Which of the two states of the log is wanted."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(slots=True)
class Finding:
    """What was found of one directory, and what is to be done.

    Attributes:
        logged: The directory as logged.
        place: Where it is; None when it is at none of its places.
        change: What brings it to the goal; None when nothing does or it is there already.
        edited: Files in it that stay as they are, by name, each with the reason: a person changed them.
        obstacle: Why it cannot be brought to the goal.
        is_missing: True when nothing is at its places.
        is_occupied: True when something else has taken the name that it should get.
    """

    logged: LoggedItem
    place: str | None = None
    change: Change | None = None
    edited: list[tuple[str, str]] = field(default_factory=list)
    obstacle: str | None = None
    is_missing: bool = False
    is_occupied: bool = False

    def kept(self, *, is_done: bool = False) -> list[str]:
        """Return a line for each file of `edited` with its path now, or once the change `is_done`."""
        place = self.place or ""
        if is_done and self.change is not None:
            place = self.change.target
        return [f"{os.path.join(place, name)}: {reason}" for name, reason in self.edited]


def reconcile(items: Iterable[LoggedItem], goal: Goal, *, tag: str, vacated: Collection[str] = ()) -> list[Finding]:
    """Compare directories of a log with the disk; `tag` makes temporary names unique.

    What is at the paths `vacated` will have left by the time that the changes are made.

    A change whose target is taken by something that does not move away itself becomes an obstacle.
    """
    listed = list(items)
    device_of = lru_cache(maxsize=None)(_device)
    known = {logged.item: _locate(logged, device_of) for logged in listed}
    # Twins are common (a checkpoint and its copy): what is known by its inode is never taken for another's copy.
    taken = {place.path for place in known.values() if place is not None}
    findings = []
    for logged in listed:
        place = known[logged.item] or _locate_copy(logged, taken, device_of)
        if place is None:
            findings.append(_not_found(logged, taken))
        else:
            taken.add(place.path)
            findings.append(_find(logged, goal, tag, place))
    _block_occupied(findings, vacated)
    return findings


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a directory was found; `status` is what it is there, None for a copy that has to be looked at yet."""

    path: str
    status: Status | None


def _not_found(logged: LoggedItem, taken: set[str]) -> Finding:
    strangers = [path for path in logged.places if path not in taken and os.path.lexists(path)]
    if strangers:
        return Finding(logged, obstacle=f"another directory or file is at {strangers[-1]}")
    return Finding(logged, obstacle=f"nothing is at {logged.places[-1]} any more", is_missing=True)


def _find(logged: LoggedItem, goal: Goal, tag: str, located: _Place) -> Finding:
    place = located.path
    finding = Finding(logged, place)
    wanted = logged.source if goal is Goal.BEFORE else logged.target
    try:
        found = look(place) if located.status is None else located.status
    except OSError as error:
        finding.obstacle = f"{place}: {error.strerror}"
        return finding
    identity = logged.identity if located.status is not None else logged.identity._replace(inode=found.inode)
    sweeps = _leftovers(logged, goal, place, finding)
    files = _files(logged, goal, place, tag, finding)
    mtime_ns = found.mtime_ns if logged.mtime_ns is None else logged.mtime_ns
    is_late = mtime_ns != found.mtime_ns
    if (files or sweeps) and not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        finding.obstacle = f"no permission to change manifests in {place}"
        return finding
    if place != wanted or files or sweeps or is_late:
        finding.change = Change(logged.item, place, wanted, identity, mtime_ns, files, sweeps, is_late)
    return finding


def _locate(logged: LoggedItem, device_of: Callable[[str], int]) -> _Place | None:
    device = device_of(os.path.dirname(logged.source))
    for path in reversed(logged.places):
        status = recognise(path, logged.identity, device)
        if status is not None:
            return _Place(path, status)
    return None


def _locate_copy(logged: LoggedItem, taken: set[str], device_of: Callable[[str], int]) -> _Place | None:
    device = device_of(os.path.dirname(logged.source))
    for path in reversed(logged.places):
        if path not in taken and is_copy(path, logged.identity, device, ignored=(*logged.manifests, *logged.files)):
            return _Place(path, None)
    return None


def _device(folder: str) -> int:
    try:
        return os.stat(folder).st_dev
    except OSError:
        return -1


def _files(logged: LoggedItem, goal: Goal, place: str, tag: str, finding: Finding) -> tuple[WriteFile, ...]:
    changes: list[WriteFile] = []
    directory = logged.source if goal is Goal.BEFORE else logged.target
    for number, (name, file) in enumerate(sorted(logged.files.items())):
        wanted, other = (file.before, file.after) if goal is Goal.BEFORE else (file.after, file.before)
        try:
            found = read_state(os.path.join(place, name))
        except OSError as error:
            finding.edited.append((name, error.strerror or str(error)))
            continue
        if _alike(found, wanted):
            if goal is Goal.BEFORE and file.kept and not is_original(os.path.join(place, name), file.kept):
                finding.edited.append((name, SEPARATE))
            continue
        if not _alike(found, other) and found is not None:
            finding.edited.append((name, "edited since"))
            continue
        staged = f"{tag}-{logged.item}-{number}"
        changes.append(WriteFile(logged.item, directory, name, staged, found, wanted, file.kept))
        if goal is Goal.BEFORE and file.kept:
            finding.edited += ((name, reason) for reason in _kept_reasons(file))
    return tuple(changes)


def _kept_reasons(file: LoggedFile) -> Iterator[str]:
    """Yield why a file that has further names will not be exactly as it was."""
    if not is_original(file.kept, file.kept):
        yield SEPARATE
    elif not _alike(state_or_none(file.kept), file.before):
        yield EDITED_ELSEWHERE


def _alike(one: FileState | None, other: FileState | None) -> bool:
    return one is other if one is None else one.is_like(other)


def _leftovers(logged: LoggedItem, goal: Goal, place: str, finding: Finding) -> tuple[Sweep, ...]:
    """Return what a crash left behind of a directory whose last group was not finished."""
    if logged.mtime_ns is None:
        return ()
    sweeps = [Sweep(logged.item, path) for path in logged.places if path != place and _is_claim(path)]
    for known, file in logged.files.items():
        if goal is Goal.BEFORE and is_restored(os.path.join(place, known), file.kept):
            sweeps.append(Sweep(logged.item, file.kept))
        for name in (name for staged in file.staged for name in (staged, f"{staged}{ASIDE}")):
            path = os.path.join(place, name)
            try:
                found = read_state(path)
            except OSError as error:
                finding.edited.append((name, error.strerror or str(error)))
                continue
            if found is None:
                continue
            if _is_ours(found, file):
                sweeps.append(Sweep(logged.item, path))
            else:
                finding.edited.append((name, "holds an edit that was made while the migration was cut short"))
    return tuple(sweeps)


def _is_ours(found: FileState, file: LoggedFile) -> bool:
    """Say whether a temporary file holds what we meant to write, or the torn beginning of it."""
    for state in (file.before, file.after):
        if state is None:
            continue
        if found.is_like(state) or (not found.is_link and state.data.startswith(found.data.rstrip(b"\0"))):
            return True
    return False


def _is_claim(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == CLAIM_MODE


def _block_occupied(findings: list[Finding], vacated: Collection[str]) -> None:
    moving = {
        finding.change.source: finding
        for finding in findings
        if finding.change is not None and finding.change.source != finding.change.target
    }
    is_settled = False
    while not is_settled:
        is_settled = True
        for source, finding in list(moving.items()):
            change = finding.change
            if change is None or change.target in moving or any(s.path == change.target for s in change.sweeps):
                continue
            if change.target not in vacated and os.path.lexists(change.target):
                finding.obstacle = f"something else is at {change.target}"
                finding.is_occupied = True
                finding.change = None
                del moving[source]
                is_settled = False
