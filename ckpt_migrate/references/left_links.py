"""Links that an apply left at old names: found by the logs, and removed when nobody needs them any more."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate import storage
from ckpt_migrate.errors import ExecutionError, JournalError
from ckpt_migrate.executor.session import hold_roots, state_folders
from ckpt_migrate.journal.fold import load
from ckpt_migrate.journal.logs import find_logs, guard, state_directories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class LeftLink:
    """A link at an old name; `path` and `log` are absolute, `text` is what it says."""

    path: str
    text: str
    log: str


def left_links(roots: Iterable[str]) -> tuple[LeftLink, ...]:
    """Return the links that applies at or below these roots left and that still stand as they were left, sorted.

    What somebody has put in the place of one, another link too, is none of them. Logs that cannot be read are passed
    over: `log` names those.
    """
    found: dict[str, LeftLink] = {}
    folders = {os.path.dirname(state) for root in roots for state in state_directories(root)}
    for path in sorted({summary.path for folder in folders for summary in find_logs(folder)}):
        for link in _links_of(path):
            found[link.path] = link
    return tuple(found[path] for path in sorted(found))


def _links_of(log: str) -> Iterator[LeftLink]:
    try:
        history = load(log)
    except JournalError:
        return
    for edit in history.edits.values():
        text = None if edit.after is None else edit.after.link
        if edit.before is None and text is not None and os.path.islink(edit.path) and os.readlink(edit.path) == text:
            yield LeftLink(edit.path, text, history.path)


def remove_left_links(
    roots: Iterable[str], *, lock_timeout_s: float = 0.0, on_wait: Callable[[str], None] | None = None
) -> tuple[LeftLink, ...]:
    """Remove the links that applies left, and return them; directories keep their modification times.

    The logs need no word of it: a rollback takes a link that is gone for one that it need not remove.

    Raises:
        UnfinishedError: An apply or a rollback of these roots was cut short and must be ended first.
        LockedError: Another process is at work.
        ExecutionError: A link could not be removed; those before it are.
    """
    links = left_links(roots)
    if not links:
        return ()
    homes = sorted({os.path.dirname(os.path.dirname(link.log)) for link in links})
    folders = state_folders({os.path.dirname(link.path) for link in links} | set(homes))
    with hold_roots(homes, folders, timeout_s=lock_timeout_s, on_wait=on_wait):
        guard(folders, plan_digest="")
        for link in links:
            try:
                _remove(link)
            except OSError as error:
                remedy = "Those before it are removed. Let this user write in its folder, then run the command again."
                raise ExecutionError(f"cannot be removed ({error.strerror})", where=link.path, remedy=remedy) from error
    return links


def _remove(link: LeftLink) -> None:
    folder = os.path.dirname(link.path)
    before = os.stat(folder)
    if os.path.islink(link.path) and os.readlink(link.path) == link.text:
        storage.remove_file(link.path)
        storage.set_times(folder, atime_ns=before.st_atime_ns, mtime_ns=before.st_mtime_ns)
        storage.sync_directory(folder)
