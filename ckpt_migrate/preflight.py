"""Everything that can be checked before the first change, all of it reported at once."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate import manifest
from ckpt_migrate.busy import RECENT_S, files_open_for_writing
from ckpt_migrate.filestate import FileState, read_quietly, read_state
from ckpt_migrate.identity import list_files
from ckpt_migrate.listing import fingerprint
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ckpt_migrate.naming import DirectoryName
    from ckpt_migrate.plan.records import RunFacts
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

_LOG_BYTES_PER_TASK = 4096
_BYTES_PER_MANIFEST = 8192
_SPARE_BYTES = 1 << 20
_SPARE_INODES = 16


@dataclass(frozen=True, slots=True)
class Task:
    """An entry of a plan that is to be carried out.

    Attributes:
        item: Its place in the plan, counted from 0.
        label: Its path as the plan has it.
        root: Real path of its root.
        source: Path of the directory, links in its parents resolved.
        target: Path after the migration, likewise.
        shown_target: The same as the user names it.
        name: The target name in its parts.
        run: What manifests say of the run.
        fingerprint: Of the directory as planned.
    """

    item: int
    label: str
    root: str
    source: str
    target: str
    shown_target: str
    name: DirectoryName
    run: RunFacts
    fingerprint: str


def find_problems(
    tasks: Sequence[Task],
    recipe: Recipe,
    *,
    roots: Collection[str],
    vacated: Collection[str] = (),
    progress: Progress = SILENT,
) -> list[str]:
    """Return everything that speaks against carrying out these tasks now, one line each.

    Args:
        tasks: What is to be done.
        recipe: For the manifests.
        roots: Real paths of the roots that get a log or a pointer to it.
        vacated: Paths that other changes, already logged, will have left by then.
        progress: Watches the loop over the tasks.
    """
    problems: list[str] = []
    for root in sorted(roots):
        problems += (f"{root}: {problem}" for problem in _root_problems(root))
    problems += _clashes(tasks)
    leaving = {task.source for task in tasks} | set(vacated)
    writers = files_open_for_writing([task.source for task in tasks])
    now_s = time.time()
    for task in progress.track(tasks, label="Checking", total=len(tasks)):
        found = list(_task_problems(task, recipe, leaving))
        if task.source in writers:
            found.append(f"a file in it is open for writing ({writers[task.source]}); wait until training has ended")
        elif not found and (problem := _recency_problem(task.source, now_s)) is not None:
            found.append(problem)
        problems += (f"{task.label}: {problem}" for problem in found)
    problems += _space_problems(tasks, recipe)
    return problems


def read_listing(task: Task) -> tuple[tuple[FileStat, ...], bool]:
    """Return a directory's listing, and whether it is as it was planned.

    Raises:
        OSError: It or something in it cannot be listed.
    """
    files = list_files(task.source)
    return files, fingerprint(os.lstat(task.source).st_ino, files) == task.fingerprint


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


def _task_problems(task: Task, recipe: Recipe, leaving: Collection[str]) -> Iterator[str]:
    parent = os.path.dirname(task.source)
    if parent != task.root and not parent.startswith(task.root.rstrip(os.sep) + os.sep):
        yield f"leads out of its root {task.root} (to {parent})"
        return
    try:
        found = os.lstat(task.source)
        root_device, parent_device = os.stat(task.root).st_dev, os.stat(parent).st_dev
    except FileNotFoundError:
        yield "is not there any more"
        return
    except OSError as error:
        yield f"cannot be looked at ({error.strerror})"
        return
    if not stat.S_ISDIR(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "a file"
        yield f"is no directory any more, but {what}"
        return
    if not found.st_dev == parent_device == root_device:
        yield "lies on another file system than its root; make the folder that is mounted there a root of its own"
        return
    yield from _permission_problems(task, parent, found)
    if task.source != task.target and task.target not in leaving and os.path.lexists(task.target):
        yield f"its new name is taken: something is at {task.target}"
    try:
        _, is_as_planned = read_listing(task)
    except OSError as error:
        yield f"cannot be listed ({error.strerror}: {error.filename})"
        return
    if not is_as_planned:
        yield "was changed since it was planned (files came, went, grew or got another time)"
    yield from _manifest_problems(task, recipe)


def _permission_problems(task: Task, parent: str, found: os.stat_result) -> Iterator[str]:
    user = getattr(os, "geteuid", lambda: 0)()
    is_superuser = user == 0
    if not os.access(parent, os.W_OK | os.X_OK):
        yield f"cannot be renamed: no permission to write in {parent}"
    elif (
        os.stat(parent).st_mode & stat.S_ISVTX
        and not is_superuser
        and user not in {found.st_uid, os.stat(parent).st_uid}
    ):
        yield f"cannot be renamed: in {parent} (sticky) only the owner may rename it"
    if not os.access(task.source, os.R_OK | os.W_OK | os.X_OK):
        yield "no permission to list it and write manifests in it"
    elif not is_superuser and found.st_uid != user:
        yield "belongs to another user, so its modification time could not be kept; let its owner run this"


def _manifest_problems(task: Task, recipe: Recipe) -> Iterator[str]:
    user = getattr(os, "geteuid", lambda: 0)()
    for template in recipe.manifests:
        path = os.path.join(task.source, template.name)
        try:
            state, content = read_manifest(path)
            if template.is_section:
                manifest.compose(template, "", content)
        except OSError as error:
            yield f"{template.name} cannot be replaced: {error.strerror}"
            continue
        except ValueError as error:
            yield f"{template.name} cannot be written: {error}"
            continue
        if state is not None and user not in {0, state.uid}:
            yield f"{template.name} belongs to another user and could not be restored exactly; let its owner run this"


def _recency_problem(path: str, now_s: float) -> str | None:
    """Return why a directory may be in use; judged by its newest file, since a writer may sit on another host."""
    try:
        newest_ns = max((file.mtime_ns for file in list_files(path)), default=0)
        newest_ns = max(newest_ns, os.lstat(path).st_mtime_ns)
    except OSError as error:
        return f"cannot be listed ({error.strerror})"
    age_s = now_s - newest_ns / 1_000_000_000
    if not -RECENT_S <= age_s <= RECENT_S:
        return None
    return (
        f"was written to {max(age_s, 0):.0f} s ago, so training may still be at work in it;"
        f" nothing may change for {RECENT_S} s before it is renamed"
    )


def _clashes(tasks: Sequence[Task]) -> Iterator[str]:
    by_source: dict[str, Task] = {}
    by_target: dict[str, Task] = {}
    for task in tasks:
        twin = by_source.setdefault(task.source, task)
        if twin is not task:
            yield f"{task.label}: stands twice in the plan (also as {twin.label})"
            continue
        rival = by_target.setdefault(task.target, task)
        if rival is not task:
            yield f"{task.label}: gets the same new name as {rival.label}: {task.target}"
    for task in by_source.values():
        above = os.path.dirname(task.source)
        while above != os.path.dirname(above) and above != task.root:
            if above in by_source:
                yield f"{task.label}: lies in {by_source[above].label}, which is in the plan too"
                break
            above = os.path.dirname(above)


def _root_problems(root: str) -> Iterator[str]:
    state = os.path.join(root, STATE_DIRECTORY)
    try:
        found = os.lstat(state)
    except FileNotFoundError:
        if not os.access(root, os.W_OK | os.X_OK):
            yield f"no permission to make {STATE_DIRECTORY} in it, where the log goes"
        return
    except OSError as error:
        yield f"cannot be looked at ({error.strerror})"
        return
    if not stat.S_ISDIR(found.st_mode):
        yield f"{STATE_DIRECTORY} in it is no directory, so no log can be written"
    elif not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        yield f"no permission to write a log in {state}"
    elif found.st_dev != os.stat(root).st_dev:
        yield f"{state} lies on another file system than the root"


def _space_problems(tasks: Sequence[Task], recipe: Recipe) -> Iterator[str]:
    if not hasattr(os, "statvfs"):
        return
    by_root: dict[str, int] = {}
    for task in tasks:
        by_root[task.root] = by_root.get(task.root, 0) + 1
    for root, count in sorted(by_root.items()):
        try:
            free = os.statvfs(root)
        except OSError:
            continue  # said already by the checks of the root
        files = count * len(recipe.manifests)
        needed_bytes = count * _LOG_BYTES_PER_TASK + files * _BYTES_PER_MANIFEST + _SPARE_BYTES
        free_bytes = free.f_bavail * free.f_frsize
        if free_bytes < needed_bytes:
            yield (
                f"{root}: too little free space for the log and the manifests:"
                f" {free_bytes / 1e6:.1f} MB free, {needed_bytes / 1e6:.1f} MB needed"
            )
        needed_inodes = files + _SPARE_INODES
        if free.f_files and free.f_favail < needed_inodes:
            yield f"{root}: too few free inodes for the manifests: {free.f_favail} free, {needed_inodes} needed"
