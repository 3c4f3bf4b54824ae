"""Log against disk, for edits: what is there, and what is left to do, or why nothing can be done."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.executor.edits import ASIDE, LARGEST_BYTES, EditFile, Patch, patched, reversed_patches
from ckpt_migrate.executor.filestate import FileState, read_state, state_or_none
from ckpt_migrate.executor.kept import EDITED_ELSEWHERE, SEPARATE, is_original, is_restored
from ckpt_migrate.executor.operations import Sweep
from ckpt_migrate.executor.reconcile import Goal
from ckpt_migrate.journal.logged_edits import Located

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ckpt_migrate.executor.edits import Content
    from ckpt_migrate.journal.logged_edits import LoggedEdit


@dataclass(slots=True)
class EditFinding:
    """What was found of one edit.

    Attributes:
        logged: The edit as logged.
        path: Where its file is.
        located: What brings it to the goal; None when nothing does or it is there already.
        sweeps: What a crash left behind, removed first.
        obstacle: Why it cannot be brought to the goal.
        note: What will differ from the goal all the same.
    """

    logged: LoggedEdit
    path: str
    located: Located | None = None
    sweeps: tuple[Sweep, ...] = ()
    obstacle: str | None = None
    note: str | None = None


def reconcile_edits(
    edits: Iterable[LoggedEdit],
    goal: Goal,
    *,
    places: Mapping[int, str],
    kept: Collection[bytes] = (),
    tag: str,
) -> list[EditFinding]:
    """Compare edits of a log with the disk.

    Args:
        edits: As logged.
        goal: Which of the two states of the log is wanted.
        places: Where the directories of the plan's entries are, by entry.
        kept: New names that stay: an edit that names one of them is not undone.
        tag: Makes temporary names unique.
    """
    return [_find(logged, goal, places, kept, tag) for logged in edits]


def _find(logged: LoggedEdit, goal: Goal, places: Mapping[int, str], kept: Collection[bytes], tag: str) -> EditFinding:
    place = None if logged.item is None else places.get(logged.item)
    path = logged.path if place is None else os.path.join(place, logged.inside)
    finding = EditFinding(logged, path)
    stays = _names_kept(logged, kept) if goal is Goal.BEFORE else None
    if stays is not None:
        finding.obstacle = f"{path}: still names {stays}, which could not be brought back"
        return finding
    wanted, other = (logged.before, logged.after) if goal is Goal.BEFORE else (logged.after, logged.before)
    patches = reversed_patches(logged.patches) if goal is Goal.BEFORE else logged.patches
    try:
        found = _look(path, wanted)
        leftovers = _leftovers(logged, os.path.dirname(path))
    except OSError as error:
        finding.obstacle = f"{path}: {error.strerror}"
        return finding
    staged = f"{tag}-e{logged.number}"
    edit = EditFile(logged.number, path, staged, other, wanted, patches, logged.time_ns, kept=logged.kept)
    if found is None and wanted is not None and other is not None:
        # A crash between two steps may have left the file under a temporary name alone.
        for place, state in leftovers:
            if wanted.is_in(state) or (other is not None and other.is_in(state)):
                found, edit = state, replace(edit, source=place)
                break
    if _holds(wanted, found):
        if edit.source:
            edit = replace(edit, before=wanted, patches=())
            finding.located = Located(edit, logged.item, logged.inside)
    elif _holds(other, found):
        finding.located = Located(edit, logged.item, logged.inside)
    else:
        finding.obstacle = f"{path}: {'is not there any more' if found is None else 'edited since'}"
        return finding
    ours = _ours(found, wanted, other, patches)
    foreign = [place for place, state in leftovers if place != edit.source and not _is_ours(state, ours)]
    finding.sweeps = tuple(
        Sweep(logged.number, place) for place, _ in leftovers if place != edit.source and place not in foreign
    )
    if foreign:
        finding.obstacle = f"{foreign[0]}: holds an edit that was made while the migration was cut short"
    elif goal is Goal.BEFORE and logged.kept:
        _look_at_kept(finding, logged.kept)
    return finding


def _look_at_kept(finding: EditFinding, kept: str) -> None:
    """See to the extra name of a file that has further names, and note when it will not be one with them again."""
    if is_restored(finding.path, kept):
        finding.sweeps += (Sweep(finding.logged.number, kept),)
    elif is_original(kept, kept):
        before = finding.logged.before
        if before is not None and not before.is_in(state_or_none(kept, limit_bytes=LARGEST_BYTES)):
            finding.note = f"{finding.path}: {EDITED_ELSEWHERE}"
    elif not is_original(finding.path, kept):
        finding.note = f"{finding.path}: {SEPARATE}"


def _look(path: str, wanted: Content | None) -> FileState | None:
    if wanted is None and not os.path.islink(path):
        return None  # a link of ours is gone, as it shall be; what took its place is none of an edit's business
    return read_state(path, limit_bytes=LARGEST_BYTES)


def _names_kept(logged: LoggedEdit, kept: Collection[bytes]) -> str | None:
    names = {patch.new.replace(b"\0", b"") for patch in logged.patches}  # as UTF-8, whatever the text is in
    if logged.before is None and logged.after is not None and logged.after.link is not None:
        names.add(os.fsencode(logged.after.link))
    for name in sorted(names):
        if name in kept:
            return os.fsdecode(name)
    return None


def _holds(content: Content | None, found: FileState | None) -> bool:
    return found is None if content is None else content.is_in(found)


def _leftovers(logged: LoggedEdit, folder: str) -> list[tuple[str, FileState]]:
    """Return what lies under the temporary names of an edit whose last group was not finished."""
    if not logged.is_pending:
        return []
    found = []
    for name in (name for staged in logged.staged for name in (staged, f"{staged}{ASIDE}")):
        path = os.path.join(folder, name)
        state = read_state(path, limit_bytes=LARGEST_BYTES)
        if state is not None:
            found.append((path, state))
    return found


def _ours(
    found: FileState | None, wanted: Content | None, other: Content | None, patches: tuple[Patch, ...]
) -> list[tuple[bool, bytes]]:
    """Return what a temporary file of ours may hold, the whole of it."""
    ours = [(True, os.fsencode(content.link)) for content in (wanted, other) if content is not None and content.link]
    if found is not None and not found.is_link:
        back = reversed_patches(patches)
        other_way = back if wanted is not None and wanted.is_in(found) else patches
        ours += [(False, found.data), (False, patched(found.data, other_way))]
    return ours


def _is_ours(state: FileState, ours: Collection[tuple[bool, bytes]]) -> bool:
    """Say whether a temporary file holds what we meant to write, or the torn beginning of it."""
    return any(
        state.is_link is is_link and (state.data == data or (not is_link and data.startswith(state.data.rstrip(b"\0"))))
        for is_link, data in ours
    )
