"""Everything that can be checked before the first change, all of it reported at once."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ckpt_migrate import manifest
from ckpt_migrate.apply.gone import describe_gone
from ckpt_migrate.apply.lookout import Lookout
from ckpt_migrate.apply.room import is_read_only, room_problems
from ckpt_migrate.apply.taken import TakenNames
from ckpt_migrate.executor.busy import files_open_for_writing
from ckpt_migrate.executor.filestate import FileState, read_quietly, read_state
from ckpt_migrate.executor.identity import Identity, Sight, sight
from ckpt_migrate.executor.rights import FROZEN, is_frozen, may_give_away, may_set_times
from ckpt_migrate.executor.spelling import Spelling
from ckpt_migrate.executor.status import look
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import BUSY_ADVICE, BUSY_REASON, BUSY_S, STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ckpt_migrate.apply.task import Task
    from ckpt_migrate.executor.status import Status
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe


class Inspected(NamedTuple):
    """A directory as the checks found it; `mtime_ns` is its own, nanoseconds since 1970-01-01 UTC."""

    identity: Identity
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory that holds checkpoints, looked at once for all of them."""

    device: int
    owner: int
    is_writable: bool
    is_sticky: bool
    is_frozen: bool


class Preflight:
    """Checks tasks against the disk.

    Attributes:
        problems: Everything that speaks against carrying out the tasks now, one line each.
        inspected: The directories that nothing speaks against, by item.
    """

    def __init__(self, recipe: Recipe, *, vacated: Collection[str] = ()) -> None:
        """Prepare; `vacated` are paths that other changes, already logged, will have left by then."""
        self.problems: list[str] = []
        self.inspected: dict[int, Inspected] = {}
        self._recipe = recipe
        self._manifests = {template.name.lower() for template in recipe.manifests}
        self._leaving = set(vacated)
        self._folders: dict[str, _Folder] = {}
        self._gone: list[Task] = []
        self._by_inode: dict[tuple[int, int], Task] = {}
        self._user: int = getattr(os, "geteuid", lambda: 0)()
        self._groups = {getattr(os, "getegid", lambda: 0)(), *getattr(os, "getgroups", list)()}
        self._now_s = time.time()
        self._may_set_times = lru_cache(maxsize=None)(may_set_times)

    def check(
        self, tasks: Sequence[Task], roots: Collection[str], *, is_dry_run: bool = False, progress: Progress = SILENT
    ) -> None:
        """Check the roots, which get a log or a pointer to it, then the tasks."""
        for root in sorted(roots):
            self.problems += (f"{root}: {problem}" for problem in _root_problems(root))
        spelling = Spelling(task.source for task in tasks)
        self.problems += _clashes(tasks, spelling)
        taken = TakenNames([task for task in tasks if task.source != task.target], spelling)
        self._leaving.update(task.source for task in tasks)
        writers = files_open_for_writing([task.source for task in tasks])
        with Lookout([task.source for task in tasks], ignored=self._manifests) as lookout:
            for number, task in enumerate(progress.track(tasks, label="Checking", total=len(tasks))):
                found = list(self._task_problems(task, taken, lookout.seen(number)))
                if task.source in writers:
                    found.append(
                        f"a file in it is open for writing ({writers[task.source]}), so training is at work in it;"
                        f" {BUSY_ADVICE}, then apply again"
                    )
                if found:
                    self.inspected.pop(task.item, None)
                    self.problems += (f"{task.label}: {problem}" for problem in found)
        self.problems += describe_gone(self._gone, roots)
        self.problems += room_problems(Counter(task.root for task in tasks), self._recipe, is_dry_run=is_dry_run)

    def _task_problems(self, task: Task, taken: TakenNames, seen: tuple[Status, Sight] | None) -> Iterator[str]:
        parent = task.folder
        if parent != task.root and not parent.startswith(task.root.rstrip(os.sep) + os.sep):
            yield f"leads out of its root {task.root} (to {parent})"
            return
        try:
            found = look(task.source) if seen is None else seen[0]
            root, folder = self._folder(task.root), self._folder(parent)
        except FileNotFoundError:
            self._gone.append(task)
            return
        except OSError as error:
            yield f"cannot be looked at ({error.strerror})"
            return
        if not found.is_directory:
            what = "a symbolic link" if stat.S_ISLNK(found.mode) else "a file"
            yield f"is no directory any more, but {what}"
            return
        if not found.device == folder.device == root.device:
            yield "lies on another file system than its root; make the folder that is mounted there a root of its own"
            return
        twin = self._by_inode.setdefault((found.device, found.inode), task)
        if twin is not task:
            yield f"is the same directory as {twin.label}, by another path"
            return
        yield from self._permission_problems(task, folder, found)
        if task.source != task.target and task.target not in self._leaving and taken.has(task):
            other = look(task.target)
            is_itself = (other.device, other.inode) == (found.device, found.inode)
            what = "it differs from the old one in case alone, and this file system ignores case"
            yield f"its new name is taken: {what if is_itself else f'something is at {task.target}'}"
        yield from self._content_problems(task, found, None if seen is None else seen[1])
        if self._recipe.manifests:
            yield from self._manifest_problems(task)

    def _folder(self, path: str) -> _Folder:
        known = self._folders.get(path)
        if known is None:
            found = os.stat(path)
            is_writable = os.access(path, os.W_OK | os.X_OK)
            is_sticky = bool(found.st_mode & stat.S_ISVTX)
            known = self._folders[path] = _Folder(found.st_dev, found.st_uid, is_writable, is_sticky, is_frozen(path))
        return known

    def _permission_problems(self, task: Task, folder: _Folder, found: Status) -> Iterator[str]:
        if not folder.is_writable:
            yield f"cannot be renamed: no permission to write in {task.folder}"
        elif folder.is_frozen:
            yield f"cannot be renamed: {task.folder} {FROZEN}"
        elif folder.is_sticky and self._user != folder.owner and not self._may_set_times(found.uid):
            yield f"cannot be renamed: in {task.folder} (sticky) only its owner may rename it"
        if not os.access(task.source, os.R_OK | os.W_OK | os.X_OK):
            yield "no permission to list it and write manifests in it"
        elif not self._may_set_times(found.uid):
            yield "belongs to another user, so its modification time could not be kept; let its owner run this"

    def _content_problems(self, task: Task, found: Status, seen: Sight | None) -> Iterator[str]:
        try:
            seen = seen or sight(task.source, found, ignored=self._manifests)
        except OSError as error:
            yield f"cannot be listed ({error.strerror}: {error.filename})"
            return
        if seen.fingerprint != task.fingerprint:
            yield "was changed since it was planned (files came, went, grew or got another time)"
            return
        age_s = self._now_s - seen.newest_ns / 1_000_000_000
        if -BUSY_S <= age_s <= BUSY_S:
            # A writer may sit on another host; its newest file is all that can be seen of it from here.
            yield f"{BUSY_REASON} ({max(age_s, 0):.0f} s ago); {BUSY_ADVICE}, then apply again"
        self.inspected[task.item] = Inspected(seen.identity, seen.mtime_ns)

    def _manifest_problems(self, task: Task) -> Iterator[str]:
        for template in self._recipe.manifests:
            try:
                state, content = read_manifest(os.path.join(task.source, template.name))
                if template.is_section:
                    manifest.compose(template, "", content)
            except OSError as error:
                yield f"{template.name} cannot be replaced: {error.strerror}"
                continue
            except ValueError as error:
                yield f"{template.name} cannot be written: {error}"
                continue
            if state is not None and not state.is_link and is_frozen(os.path.join(task.source, template.name)):
                yield f"{template.name} cannot be replaced: it {FROZEN}"
            is_own = state is None or (state.uid == self._user and state.gid in self._groups)
            if not is_own and not may_give_away():
                yield f"{template.name} has another owner and could not be restored exactly; let its owner run this"


def read_manifest(path: str) -> tuple[FileState | None, bytes | None]:
    """Return a manifest as it is, and the bytes that its reader sees; links are read through, never written through.

    Raises:
        OSError: It cannot be read, or is no small file.
    """
    state = read_state(path)
    if state is None or not state.is_link:
        return state, None if state is None else state.data
    try:
        return state, read_quietly(path, follow_links=True)
    except FileNotFoundError:
        return state, None


def _clashes(tasks: Sequence[Task], spelling: Spelling) -> Iterator[str]:
    by_source: dict[str, Task] = {}
    by_target: dict[str, Task] = {}
    for task in tasks:
        twin = by_source.setdefault(task.source, task)
        if twin is not task:
            yield f"{task.label}: stands twice in the plan (also as {twin.label})"
            continue
        rival = by_target.setdefault(spelling.key(task.target), task)
        if rival is not task:
            yield f"{task.label}: gets the same new name as {rival.label}: {task.target}"
    for parent in sorted({task.folder for task in tasks}):
        above = parent
        while above not in by_source and above != os.path.dirname(above):
            above = os.path.dirname(above)
        if above in by_source:
            inner = next(task for task in by_source.values() if task.folder == parent)
            yield f"{inner.label}: lies in {by_source[above].label}, which is in the plan too"


def _root_problems(root: str) -> Iterator[str]:
    state = os.path.join(root, STATE_DIRECTORY)
    try:
        found = os.lstat(state)
    except FileNotFoundError:
        if not os.path.isdir(root):
            yield "the root is not there any more; it was moved, deleted or not mounted"
        elif is_read_only(root):
            yield "its file system is mounted read-only"
        elif not os.access(root, os.W_OK | os.X_OK):
            yield f"no permission to make {STATE_DIRECTORY} in it, where the log goes"
        return
    except OSError as error:
        yield f"cannot be looked at ({error.strerror})"
        return
    if not stat.S_ISDIR(found.st_mode):
        yield f"{STATE_DIRECTORY} in it is no directory, so no log can be written"
    elif is_read_only(state):
        yield "its file system is mounted read-only"
    elif not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        yield f"no permission to write a log in {state}"
    elif found.st_dev != os.stat(root).st_dev:
        yield f"{state} lies on another file system than the root"
