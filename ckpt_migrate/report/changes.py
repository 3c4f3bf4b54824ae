"""What a page shows of all that names directories from outside: in a plan what will be done, in a log what was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckpt_migrate.executor.edits import LARGEST_BYTES
from ckpt_migrate.executor.filestate import state_or_none
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.references.records import EditAction
from ckpt_migrate.report.records import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt_migrate.executor.edits import Content
    from ckpt_migrate.journal.history import History
    from ckpt_migrate.journal.logged_edits import LoggedEdit
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.references.records import Reference

MOST_LINES = 20
"""Lines of one file that the page shows; the plan has more."""


def planned_changes(plan: Plan) -> tuple[Change, ...]:
    """Return what names directories of a plan by their old names, and what becomes of it."""
    targets = {entry.checkpoint: entry.target or "" for entry in plan.entries}
    changes = [
        Change(link.path, link.text, targets[link.checkpoint], "a link that will lead nowhere")
        for link in plan.dangling_links()
    ]
    for file in () if plan.references is None else plan.references.files:
        what = "left as it is"
        if file.action is EditAction.EDIT:
            what = "follows when its directory is decided" if file.follows else "edited"
        changes += _lines(file, what)
    return (*changes, *_left(plan))


def logged_changes(history: History, plan: Plan | None) -> tuple[Change, ...]:
    """Return what an apply changed outside its directories, and how each file is now, by the disk.

    Args:
        history: The log.
        plan: The plan that was applied, which knows whole lines; None when it is not there any more.
    """
    files = {} if plan is None else {_real(os.path.join(plan.folder, one.file)): one for one in _files(plan)}
    changes = []
    for edit in history.edits.values():
        file = files.pop(_real(_place(edit, history, is_old=True)), None)
        what = _outcome(edit, history)
        changes += list(_bare(edit, history, what)) if file is None else _lines(file, what)
    is_undone = history.state is LogState.ROLLED_BACK
    for tag in history.tags.values():
        what = "tag put back" if is_undone else "tag written" if tag.is_applied else "tag: cut short"
        before, after = (f"{tag.key}: {'(none)' if text is None else text}" for text in (tag.before, tag.after))
        changes.append(Change(f"run {tag.run_id}", before, after, what))
    if plan is None:
        return tuple(changes)
    for file in files.values():
        changes += _lines(file, "left as it is")
    for link in plan.dangling_links():
        path = os.path.join(plan.folder, link.path)
        what = "leads somewhere" if os.path.exists(path) else "leads nowhere" if os.path.islink(path) else "gone"
        changes.append(Change(link.path, link.text, "", f"a link that was left as it is: {what}"))
    return (*changes, *_left(plan))


def _files(plan: Plan) -> tuple[Reference, ...]:
    return () if plan.references is None else plan.references.files


def _lines(file: Reference, what: str) -> list[Change]:
    note = f"; {file.note}" if file.note else ""
    return [Change(f"{file.file}:{one.line}", one.before, one.after, what + note) for one in file.lines[:MOST_LINES]]


def _left(plan: Plan) -> Iterator[Change]:
    for left in () if plan.references is None else plan.references.left:
        for where in left.where:
            yield Change(where, "", "", f"left alone: {left.what}")


def _bare(edit: LoggedEdit, history: History, what: str) -> Iterator[Change]:
    """Yield what the log alone says: the names, without the lines around them."""
    place = _place(edit, history)
    if not edit.patches:
        before, after = ("" if one is None else one.link or "" for one in (edit.before, edit.after))
        yield Change(place, before, after, what)
    for patch in edit.patches[:MOST_LINES]:
        before, after = (text.decode("utf-8", "backslashreplace") for text in (patch.old, patch.new))
        yield Change(place, before, after, what)


def _outcome(edit: LoggedEdit, history: History) -> str:
    state = state_or_none(_place(edit, history), limit_bytes=LARGEST_BYTES)

    def holds(content: Content | None) -> bool:
        return state is None if content is None else content.is_in(state)

    if holds(edit.after):
        return "edited" if edit.before is not None else "link left at the old name"
    if holds(edit.before):
        return "put back" if edit.is_applied or history.state is LogState.ROLLED_BACK else "not yet edited"
    return "not there any more" if state is None else "changed since by somebody else"


def _place(edit: LoggedEdit, history: History, *, is_old: bool = False) -> str:
    """Return where the file of an edit is, or was before the apply."""
    item = None if edit.item is None else history.items.get(edit.item)
    if item is None:
        return edit.path
    folder = item.source if is_old or not os.path.lexists(item.target) else item.target
    return os.path.join(folder, edit.inside)


def _real(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)
