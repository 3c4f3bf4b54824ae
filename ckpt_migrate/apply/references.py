"""The references of a plan as edits: checked against the disk, and ordered after the renames that they follow."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.executor.edits import LARGEST_BYTES, Content, EditFile, Patch, link_content, patched
from ckpt_migrate.executor.filestate import read_state
from ckpt_migrate.executor.kept import kept_path
from ckpt_migrate.journal.logged_edits import Located
from ckpt_migrate.references.names import Names
from ckpt_migrate.references.reached import Reached
from ckpt_migrate.references.records import EditAction, MentionKind
from ckpt_migrate.references.renamings import renamings_of, targets_by_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ckpt_migrate.apply.task import Task
    from ckpt_migrate.executor.filestate import FileState
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.references.records import Reference


@dataclass(frozen=True, slots=True)
class _Listed:
    """A reference of the plan; `task` is that whose directory it lies in, `inside` its path there."""

    number: int
    reference: Reference
    path: str
    task: Task | None
    inside: str

    @property
    def places(self) -> tuple[str, ...]:
        """Where its file may be: its directory may have been renamed already."""
        if self.task is None:
            return (self.path,)
        return (self.path, os.path.join(self.task.target, self.inside))


class ReferenceEdits:
    """The references of a plan that apply edits.

    Attributes:
        count: How many files and links are edited, and links left.
    """

    def __init__(self, plan: Plan, recipe: Recipe, tasks: Sequence[Task]) -> None:
        self._plan = plan
        self._recipe = recipe
        self._tasks = tasks
        self._targets = {} if plan.references is None else targets_by_name(renamings_of(plan, recipe))
        self._names: dict[str, Names] = {}
        self._manifests: dict[tuple[int, str], tuple[Patch, ...]] = {}
        self._found: dict[int, tuple[Content, Content, tuple[Patch, ...]]] = {}
        self._listed = tuple(self._list())
        self._links = tuple(self._left_links())
        self.count = len(self._links) + sum(1 for each in self._listed if self._changes(each.reference))

    def check(self, known_edits: Collection[int], known_items: Collection[int]) -> list[str]:
        """Look at every file that is still to be edited; return what speaks against it, a line each."""
        problems = []
        reached = Reached()
        for listed in self._listed:
            if listed.number not in known_edits and not (self._is_manifest(listed) and _item(listed) in known_items):
                problem = self._check(listed, reached)
                if problem is not None:
                    problems.append(f"{listed.reference.file}: {problem}")
        return problems

    def manifest(self, item: int, name: str, content: bytes | None) -> bytes | None:
        """Return a manifest that is about to be written anew, with its mentions of old names edited.

        Raises:
            OSError: It is not as it was checked.
        """
        patches = self._manifests.get((item, name), ())
        if not patches or content is None:
            return content
        try:
            return patched(content, patches)
        except ValueError as error:
            raise OSError(errno.ESTALE, "it was changed since it was checked", name) from error

    def edits(self, known: Collection[int], *, tag: str, state: str) -> Iterator[Located]:
        """Yield the edits that no log has yet; their files lie where the renames have brought them.

        Old files that have further names are kept in the folder `state`.
        """
        for listed in self._listed:
            if listed.number in known or listed.number not in self._found:
                continue
            before, after, patches = self._found[listed.number]
            staged = f"{tag}-e{listed.number}"
            path = listed.places[-1]
            kept = kept_path(path, state, f"e{listed.number}")
            edit = EditFile(listed.number, path, staged, before, after, patches, kept=kept)
            yield Located(edit, _item(listed), listed.inside)
        for number, task in self._links:
            if number not in known:
                yield Located(self._link(number, task, f"{tag}-e{number}"))

    def now_at(self, folder: str) -> str:
        """Return where a directory is before the renames, given where it is after them."""
        for task in self._tasks:
            if folder == task.target or folder.startswith(f"{task.target}{os.sep}"):
                return folder if os.path.isdir(folder) else task.source + folder[len(task.target) :]
        return folder

    def _list(self) -> Iterator[_Listed]:
        if self._plan.references is None:
            return
        references = self._plan.references.files
        by_path = {path: task for task in self._tasks for path in (task.source, self._plan.absolute(task.label))}
        for number, reference in enumerate(references):
            if reference.action is not EditAction.EDIT:
                continue
            # Not by the real path: at the old name of a directory that was renamed already there may be a link to it.
            shown = self._plan.absolute(reference.file)
            above = os.path.dirname(shown)
            while above not in by_path and above != os.path.dirname(above):
                above = os.path.dirname(above)
            task = by_path.get(above)
            if task is None:
                path = os.path.join(os.path.realpath(os.path.dirname(shown)), os.path.basename(shown))
                yield _Listed(number, reference, path, None, "")
            else:
                inside = os.path.relpath(shown, above)
                yield _Listed(number, reference, os.path.join(task.source, inside), task, inside)

    def _left_links(self) -> Iterator[tuple[int, Task]]:
        if self._plan.references is None or not self._plan.references.leave_links:
            return
        taken = {task.target for task in self._tasks}
        first = len(self._plan.references.files)
        for task in self._tasks:
            if task.source not in taken:  # also false for a repair, whose name stays
                yield first + task.item, task

    def _link(self, number: int, task: Task, staged: str) -> EditFile:
        directory = task.target if os.path.lexists(task.target) else task.source
        time_ns = os.lstat(directory).st_mtime_ns  # so that the link sorts where its directory does
        return EditFile(number, task.source, staged, None, link_content(os.path.basename(task.target)), time_ns=time_ns)

    def _is_manifest(self, listed: _Listed) -> bool:
        """Say whether apply writes this very file as a manifest, in the same step as the mentions in it."""
        is_text = listed.reference.kind is MentionKind.TEXT
        return listed.task is not None and is_text and listed.inside in {t.name for t in self._recipe.manifests}

    def _changes(self, reference: Reference) -> bool:
        """Say whether a line of it would change: the directories that it names may all keep their names."""
        return any(target != name for line in reference.lines for name, target in self._named(line.before))

    def _named(self, line: str) -> Iterator[tuple[str, str]]:
        for found in self._finder("utf-8").find(line.encode("utf-8", "replace")):
            yield found.name, self._targets[found.name]

    def _finder(self, encoding: str) -> Names:
        if encoding not in self._names:
            self._names[encoding] = Names(self._targets, "utf-8" if encoding == "latin-1" else encoding)
        return self._names[encoding]

    def _check(self, listed: _Listed, reached: Reached) -> str | None:
        """Return what speaks against an edit; note what it becomes when nothing does."""
        reference = listed.reference
        try:
            path = next((path for path in listed.places if os.path.lexists(path)), listed.path)
            found = read_state(path, limit_bytes=LARGEST_BYTES)
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        if found is None:
            return "is not there any more"
        first = reached.before(path)
        if first is not None:
            return f"is the same file as {first}; plan anew, or set the action of one of the two to skip"
        link = os.fsdecode(found.data) if found.is_link else None
        before = Content(reference.digest, link)
        if found.is_link is (reference.kind is MentionKind.TEXT) or not before.is_in(found):
            return "was changed since it was planned"
        problem = _rights_problem(path, found)
        if problem is not None:
            return problem
        names = self._finder(reference.encoding)
        patches = []
        for offset in reference.at:
            name = names.at(found.data, offset)
            if name is None:
                return f"has no old name at byte {offset}"
            old = names.encoded(name)
            new = names.replaced(old, self._targets)
            if new != old:
                patches.append(Patch(offset, old, new))
        if patches:
            self._note(listed, before, found.data, tuple(patches))
        return None

    def _note(self, listed: _Listed, before: Content, data: bytes, patches: tuple[Patch, ...]) -> None:
        if self._is_manifest(listed) and listed.task is not None:
            self._manifests[listed.task.item, listed.inside] = patches
            return
        after = patched(data, patches)
        link = None if before.link is None else os.fsdecode(after)
        self._found[listed.number] = (before, Content(hashlib.sha256(after).hexdigest(), link), patches)


def _item(listed: _Listed) -> int | None:
    return None if listed.task is None else listed.task.item


def _rights_problem(path: str, found: FileState) -> str | None:
    folder = os.path.dirname(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"cannot be replaced: no permission to write in {folder}"
    user: int = getattr(os, "geteuid", lambda: 0)()
    groups = {getattr(os, "getegid", lambda: 0)(), *getattr(os, "getgroups", list)()}
    if user and (found.uid != user or found.gid not in groups):
        return "has another owner, who could not be kept; let its owner run this, or set its action to skip"
    return None


def places_after(tasks: Sequence[Task]) -> Mapping[int, str]:
    """Return where the directories of tasks are once all are renamed, by entry."""
    return {task.item: task.target for task in tasks}
