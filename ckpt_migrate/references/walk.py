"""Which files may mention a name: a walk that honours `.gitignore` and passes over what is no one's to edit."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt_migrate.errors import UsageError
from ckpt_migrate.naming import is_run_id
from ckpt_migrate.records import STATE_DIRECTORY
from ckpt_migrate.references.reached import folder_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pathspec import GitIgnoreSpec

_GIT = ".git"
_IGNORE_FILE = ".gitignore"
_PASSED_OVER = frozenset({_GIT, STATE_DIRECTORY})
_STORE_META = "meta.yaml"
_ARTIFACTS = "artifacts"
_STORE_KEYS = re.compile(rb"^(?:run_id|run_uuid|experiment_id|artifact_location)\s*:", re.MULTILINE)
_META_BYTES = 1 << 16
_LARGEST_IGNORE_FILE_BYTES = 1 << 20


def check_paths(paths: Iterable[str]) -> None:
    """Refuse, before any long work, a path at which there is nothing to search.

    Raises:
        UsageError: There is no file or folder.
    """
    for path in paths:
        if not os.path.exists(path):
            remedy = "Name files, or folders whose files are to be searched."
            raise UsageError("there is no file or folder to search for references", where=path, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Place:
    """A regular file or a symbolic link; `path` is absolute."""

    path: str
    is_link: bool


@dataclass(frozen=True, slots=True)
class _Rules:
    """The patterns of one `.gitignore`, about what lies below `folder`."""

    folder: str
    spec: GitIgnoreSpec


@dataclass(slots=True)
class Walk:
    """A walk over folders and single files.

    Attributes:
        passed_over: Absolute paths that are not entered and not yielded.
        ignored: How many files and folders `.gitignore` files named so far.
        stores: MLflow's folders that were met and not entered.
        problems: Path and cause of folders that could not be listed.
    """

    passed_over: Collection[str] = ()
    ignored: int = 0
    stores: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _folders: set[tuple[int, int]] = field(default_factory=set)

    def walk(self, paths: Iterable[str]) -> Iterator[Place]:
        """Yield what lies at and below these paths, each once, in a settled order.

        A path given is searched even where a `.gitignore` above it names it. A folder that is mounted in two places
        is walked at the first.
        """
        self._folders.update(key for path in self.passed_over if (key := folder_key(path)) is not None)
        for given in paths:
            path = os.path.realpath(given)
            if os.path.isdir(path):
                yield from self._folder(path, _rules_above(path))
            elif os.path.isfile(path) and path not in self._seen and path not in self.passed_over:
                self._seen.add(path)
                yield Place(path, is_link=False)

    def _folder(self, top: str, above: tuple[_Rules, ...]) -> Iterator[Place]:
        pending = [(top, above)]
        while pending:
            folder, rules = pending.pop()
            if self._was_walked(folder):
                continue
            try:
                with os.scandir(folder) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError as error:
                self.problems.append((folder, error.strerror or str(error)))
                continue
            names = {entry.name for entry in entries}
            if _STORE_META in names and _is_store(os.path.join(folder, _STORE_META)):
                self.stores.append(folder)
                continue
            if _ARTIFACTS in names and is_run_id(os.path.basename(folder)):
                if os.path.dirname(folder) not in self.stores:
                    self.stores.append(os.path.dirname(folder))
                continue
            if _IGNORE_FILE in names:
                rules = _with_rules(rules, folder, os.path.join(folder, _IGNORE_FILE))
            folders = []
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                if entry.name in _PASSED_OVER or entry.path in self.passed_over:
                    continue
                if rules and _is_ignored(entry.path, rules, is_folder=is_folder):
                    self.ignored += 1
                elif is_folder:
                    folders.append((entry.path, rules))
                elif _is_searched(entry) and entry.path not in self._seen:
                    self._seen.add(entry.path)
                    yield Place(entry.path, entry.is_symlink())
            pending += reversed(folders)

    def _was_walked(self, folder: str) -> bool:
        key = folder_key(folder)
        if folder in self._seen or key in self._folders:
            return True
        self._seen.add(folder)
        if key is not None:
            self._folders.add(key)
        return False


def _is_searched(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() or entry.is_file(follow_symlinks=False)


def git_top(folder: str) -> str | None:
    """Return the folder of the git work tree that a folder lies in, None when it lies in none."""
    while True:
        if os.path.lexists(os.path.join(folder, _GIT)):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _rules_above(path: str) -> tuple[_Rules, ...]:
    """Return the patterns that hold at a path from the folders above it, up to the top of its git work tree."""
    top = git_top(path)
    if top is None:
        return ()
    rules = _with_rules((), top, os.path.join(top, _GIT, "info", "exclude"))
    folder = top
    for part in [] if path == top else os.path.relpath(path, top).split(os.sep):
        rules = _with_rules(rules, folder, os.path.join(folder, _IGNORE_FILE))
        folder = os.path.join(folder, part)
        if _is_ignored(folder, rules, is_folder=True):
            return ()  # they name all that is in it, and it was asked for all the same
    return rules


def _with_rules(rules: tuple[_Rules, ...], folder: str, path: str) -> tuple[_Rules, ...]:
    # Imported here: without --references nothing else needs it.
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - see above

    try:
        with open(path, "rb") as file:
            lines = file.read(_LARGEST_IGNORE_FILE_BYTES).decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return rules
    kept = [line for line in lines if line.strip() and not line.startswith("#")]
    return (*rules, _Rules(folder, GitIgnoreSpec.from_lines(kept))) if kept else rules


def _is_ignored(path: str, rules: tuple[_Rules, ...], *, is_folder: bool) -> bool:
    """Say whether the last pattern that speaks of a path, in the innermost file that has one, ignores it."""
    for one in reversed(rules):
        relative = path[len(one.folder.rstrip(os.sep)) + 1 :] + ("/" if is_folder else "")
        include = one.spec.check_file(relative).include
        if include is not None:
            return include
    return False


def _is_store(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return _STORE_KEYS.search(file.read(_META_BYTES)) is not None
    except OSError:
        return False
