"""The references of a plan: what names its directories by their old names, to be edited or left alone."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import State
from ckpt_migrate.references.git import uncommitted
from ckpt_migrate.references.paths import Leads
from ckpt_migrate.references.pickled import is_torch
from ckpt_migrate.references.reached import Reached
from ckpt_migrate.references.records import EditAction, LeftAlone, LeftKind, MentionKind, Reference, References
from ckpt_migrate.references.renamings import targets_by_name
from ckpt_migrate.references.search import Search
from ckpt_migrate.references.walk import Place, Walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.references.renamings import Renaming

MOST_WHERE = 200
"""Places that a plan lists for one reason; it counts them all."""
_OF_CHECKPOINT = "belongs to a checkpoint, and is left as training wrote it; set action: edit to change it"
_HARD_LINKED = (
    "has {count} hard links: an edit makes this name a file of its own until a rollback, the others keep the old text;"
    " set action: edit to change it all the same"
)
_UNCOMMITTED = "tracked by git, with changes that are not committed"


@dataclass(frozen=True, slots=True)
class SearchInput:
    """What references are searched with.

    Attributes:
        paths: Where to search, as the user gave it.
        checkpoints: What the scan found; their small files are always searched.
        renamings: The directories that may get another name.
        recipe: Which files are manifests.
        folder: Absolute folder of the plan.
        absolute_roots: Real paths of roots given as absolute paths; what lies below them is shown so.
        output: Absolute path of the plan; empty for none.
    """

    paths: Sequence[str]
    checkpoints: Sequence[Checkpoint]
    renamings: Sequence[Renaming]
    recipe: Recipe
    folder: str
    absolute_roots: frozenset[str] = frozenset()
    output: str = ""


def build_references(
    given: SearchInput, elsewhere: Iterable[tuple[LeftKind, str, str]] = (), *, progress: Progress = SILENT
) -> References:
    """Search for old names and return what a plan says of them.

    Args:
        given: What is searched, and for what.
        elsewhere: Mentions where no file can be edited: reason, consequence, and an absolute path or a text.
        progress: Watches the search.
    """
    return _Builder(given).build(elsewhere, progress)


class _Builder:
    def __init__(self, given: SearchInput) -> None:
        self.given = given
        self.targets = targets_by_name(given.renamings)
        directories: defaultdict[str, set[str]] = defaultdict(set)
        for one in given.renamings:
            directories[os.path.basename(one.path)].add(one.path)
        self.search = Search(self.targets, Leads(directories, given.folder))
        self.left: defaultdict[tuple[LeftKind, str], list[str]] = defaultdict(list)
        self.files: list[Reference] = []
        self.reached = Reached()
        absolute = {os.path.realpath(path) for path in given.paths if os.path.isabs(path)}
        self.absolute = (absolute | given.absolute_roots) - {
            os.path.realpath(path) for path in given.paths if not os.path.isabs(path)
        }

    def build(self, elsewhere: Iterable[tuple[LeftKind, str, str]], progress: Progress) -> References:
        given = self.given
        known = {c.path for c in given.checkpoints}
        walk = Walk(passed_over=known | {given.output})
        searched = 0
        for place in progress.track(self._places(walk), label="Searching"):
            searched += 1
            self._look(place)
        for kind, what, where in elsewhere:
            self.left[kind, what].append(self._shown(where) if os.path.isabs(where) else where)
        for path in walk.stores:
            self.left[LeftKind.STORE, "MLflow's own folder: never searched, never edited"].append(self._shown(path))
        for path, cause in walk.problems:
            self.left[LeftKind.UNREADABLE, f"could not be listed: {cause}"].append(self._shown(path))
        return References(
            paths=tuple(self._shown(os.path.realpath(path)) for path in given.paths),
            searched=searched,
            ignored=walk.ignored,
            files=self._noted(),
            left=tuple(
                LeftAlone(kind, what, len(set(where)), tuple(sorted(set(where)))[:MOST_WHERE])
                for (kind, what), where in sorted(self.left.items())
            ),
        )

    def _places(self, walk: Walk) -> Iterator[Place]:
        for checkpoint in self.given.checkpoints:
            if checkpoint.state is State.LINK:
                yield Place(checkpoint.path, is_link=True)
            yield from (
                Place(f"{checkpoint.path}/{file.path}", file.kind == "link")
                for file in checkpoint.files
                if file.kind == "link" or (file.kind == "file" and not is_torch(file.path))
            )
        yield from walk.walk(self.given.paths)

    def _look(self, place: Place) -> None:
        if self.search.bears_name(place.path):
            self.left[LeftKind.NAME, "its own name holds an old name, and stays"].append(self._shown(place.path))
        try:
            found = self.search.look(place)
        except OSError as error:
            self.left[LeftKind.UNREADABLE, f"could not be read: {error.strerror}"].append(self._shown(place.path))
            return
        if found is None or self.reached.before(place.path) is not None:
            return
        for kind, what in found.left:
            self.left[kind, what].append(self._shown(place.path))
        if found.reference is None:
            return
        if not _is_nameable(place.path):
            what = "its path is no UTF-8, so no plan can name it"
            self.left[LeftKind.UNREADABLE, what].append(self._shown(place.path))
            return
        self.files.append(found.reference)

    def _noted(self) -> tuple[Reference, ...]:
        """Return what can be edited, sorted, with what a person should know of each file."""
        changed = uncommitted(reference.file for reference in self.files)
        manifests = {template.name: template for template in self.given.recipe.manifests}
        rewritten = {one.path for one in self.given.renamings if one.has_manifests}
        holders = {c.path for c in self.given.checkpoints if c.state is not State.LINK}
        noted = []
        for reference in self.files:
            path = reference.file
            folder, name = os.path.split(path)
            template = manifests.get(name) if folder in holders else None
            if template is not None and folder in rewritten and not template.is_section:
                continue  # apply writes it anew as a whole
            notes = [_UNCOMMITTED] if path in changed else []
            action = EditAction.EDIT
            if reference.kind is MentionKind.TEXT:
                if template is None and _holder(path, holders) is not None:
                    action = EditAction.SKIP
                    notes.append(_OF_CHECKPOINT)
                elif (count := os.lstat(path).st_nlink) > 1:
                    action = EditAction.SKIP
                    notes.append(_HARD_LINKED.format(count=count))
            shown = self._shown(path)
            noted.append(replace(reference, file=shown, action=action, note="; ".join(notes) or None))
        return tuple(sorted(noted, key=lambda reference: reference.file))

    def _shown(self, path: str) -> str:
        """Return a path as the plan shows it: absolute below what was given so, else relative to the plan."""
        tops = (self.given.folder, *self.absolute)
        top = max((top for top in tops if path == top or path.startswith(f"{top.rstrip('/')}/")), key=len, default="")
        if top not in self.absolute:
            path = os.path.relpath(path, self.given.folder)
        return path.encode("utf-8", "replace").decode("utf-8")


def _holder(path: str, holders: set[str]) -> str | None:
    """Return the checkpoint directory that a path lies in."""
    above = os.path.dirname(path)
    while above != os.path.dirname(above):
        if above in holders:
            return above
        above = os.path.dirname(above)
    return None


def _is_nameable(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
