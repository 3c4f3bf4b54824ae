"""Inspection: what one directory, file or link below a root is, judged by names and pointer files alone."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.configs import config_paths
from ckpt_migrate.evidence.filenames import SUFFIXES, parse_name
from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.patterns import compile_patterns
from ckpt_migrate.evidence.pointers import read_pointer
from ckpt_migrate.evidence.records import FactKind
from ckpt_migrate.naming import RUN_ID
from ckpt_migrate.records import Checkpoint, State
from ckpt_migrate.scan.listing import Listing, file_stat, fingerprint, list_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.naming import DirectoryName
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

FLAT_FILE = "flat file of the oldest generation: no directory, no id; never renamed"

# No line of a plan, log or manifest can hold these: controls, ends of lines, and bytes that are no UTF-8.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNDECODED = range(0xDC80, 0xDD00)
_MAX_KNOWN_PATHS = 10_000


def printable(text: str) -> str:
    r"""Return a path for people: all that has no glyph of its own is written out.

    Such are control characters, bytes that are no UTF-8, and what turns the direction of writing or joins letters,
    so that one name can look like another.

    >>> printable("a\x1b[31m\udcff\u202eb")
    'a\\x1b[31m\\xff\\u202eb'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _written_out(char) for char in text)


def _written_out(char: str) -> str:
    code = ord(char)
    # How Python holds a byte of a file name that is no UTF-8.
    return f"\\x{code - 0xDC00:02x}" if code in _UNDECODED else ascii(char)[1:-1]


def is_writable(path: str) -> bool:
    r"""Say whether a path can stand in plans, logs and manifests, which are text with a path a line.

    >>> is_writable("/data/\u202e"), is_writable("/data/a\nb")
    (True, False)
    """
    return _UNWRITABLE.search(path) is None


def cause_of(error: Exception) -> str:
    """Return why a system call failed, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@dataclass(frozen=True, slots=True)
class Directory:
    """A checkpoint directory that was met, not yet looked into.

    Attributes:
        path: Absolute path.
        root: The root that it lies below.
        status: Of the directory itself.
        name: Its name in its parts, when it is of a known form.
        why_other: Why it is not.
    """

    path: str
    root: str
    status: os.stat_result
    name: DirectoryName | None
    why_other: str | None


class Inspector:
    """Makes the records of a scan."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._pointers = compile_patterns(recipe.pointers)
        self._weights = compile_patterns(recipe.weights)
        self._kinds = (
            ("config", config_paths(recipe)),
            ("pointer", self._pointers),
            ("weights", self._weights),
        )
        # Thousands of directories hold files of the same few names.
        self._known: dict[str, tuple[str, ...]] = {}

    def recognise(self, path: str) -> DirectoryName | None:
        """Return the parts of the name of what is at a path, when it is named and marked as a checkpoint directory."""
        name = self._recipe.parse(path)
        if name is None or (RUN_ID.fullmatch(os.path.basename(path)) and self._is_mlflows(path)):
            return None
        if not self._recipe.marks:
            return name
        return name if any(_holds(path, mark) for mark in self._recipe.marks) else None

    def _is_mlflows(self, path: str) -> bool:
        """Say whether a folder called like a run is MLflow's own: it holds artifacts, or a logger's checkpoints."""
        try:
            names = os.listdir(path)
        except OSError:
            return False
        in_experiment = os.path.basename(os.path.dirname(path)).isdigit()
        return "artifacts" in names or (in_experiment and not any(map(self._weights.fullmatch, names)))

    def why_not(self, name: str) -> str | None:
        """Return why a name that looks like a known form is of none; None when it does not look so."""
        return self._recipe.legacy.why_not(name) or self._recipe.target.why_not(name)

    def inspect(self, directory: Directory) -> Checkpoint | None:
        """Return the record of a checkpoint directory; None when it is gone."""
        path = directory.path
        try:
            listing = list_directory(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            listing = Listing((), error)
        state, reason, name = self._judge(directory, listing)
        return self._record(
            path, directory.root, directory.status, state=state, reason=reason, name=name, files=listing.files
        )

    def inspect_single(
        self,
        path: str,
        root: str,
        status: os.stat_result,
        *,
        state: State,
        reason: str,
        name: DirectoryName | None = None,
    ) -> Checkpoint:
        """Return the record of a link, or of a file in the place of a directory."""
        return self._record(path, root, status, state=state, reason=reason, name=name, files=())

    def inspect_loose(self, path: str, root: str, status: os.stat_result) -> Checkpoint:
        """Return the record of a weights file outside any checkpoint directory; it is its own only content."""
        files = (file_stat(os.path.basename(path), status),)
        return self._record(path, root, status, state=State.LOOSE, reason=FLAT_FILE, name=None, files=files)

    def _record(
        self,
        path: str,
        root: str,
        status: os.stat_result,
        *,
        state: State,
        reason: str | None,
        name: DirectoryName | None,
        files: tuple[FileStat, ...],
    ) -> Checkpoint:
        kinds: set[str] = set()
        for file in files:
            if file.kind == "file":
                kinds.update(self._evidence(file.path))
        return Checkpoint(
            path=path,
            root=root,
            state=state,
            reason=reason,
            name=name,
            files=files,
            mtime_ns=status.st_mtime_ns,
            fingerprint=fingerprint(status.st_ino, files),
            evidence=tuple(sorted(kinds)),
        )

    def _evidence(self, path: str) -> tuple[str, ...]:
        """Return what a file of this name can tell."""
        found = self._known.get(path)
        if found is None:
            kinds = [kind for kind, pattern in self._kinds if pattern.fullmatch(path)]
            if "=" in path and path.lower().endswith(SUFFIXES):
                kinds += [kind.value for kind, _, _ in parse_name(path) if kind is FactKind.METRIC]
            found = tuple(kinds)
            if len(self._known) < _MAX_KNOWN_PATHS:
                self._known[path] = found
        return found

    def _judge(self, directory: Directory, listing: Listing) -> tuple[State, str | None, DirectoryName | None]:
        path, name = directory.path, directory.name
        if listing.error is not None:
            where = listing.error.filename
            inside = where is not None and where != path
            shown = f"{printable(os.path.relpath(where, path))}: " if inside else ""
            return State.UNREADABLE, shown + cause_of(listing.error), name
        if name is None:
            return State.OTHER, directory.why_other, None
        if not is_writable(path):
            return State.OTHER, "its path holds control characters or is not UTF-8; rename the folder above it", name
        named = self._named_inside(path, listing.files)
        if self._recipe.is_link:
            # A name that a framework made says nothing; a manifest does, when it names one run.
            linked = replace(name, uid=next(iter(named))) if len(named) == 1 else name
            return (State.TARGET if linked.uid else State.LEGACY), None, linked
        is_target = named == {name.uid} and self._recipe.target.parse(path) is not None
        return (State.TARGET if is_target else State.LEGACY), None, name

    def _named_inside(self, path: str, files: Sequence[FileStat]) -> set[str]:
        """Return the runs that pointers in a directory name."""
        named: set[str] = set()
        for file in files:
            if "pointer" in self._evidence(file.path) and file.kind == "file":
                try:
                    named.update(read_pointer(os.path.join(path, file.path)))
                except (OSError, ReaderError):
                    continue
        return named


def _holds(path: str, mark: str) -> bool:
    """Say whether a directory holds something by a mark's name; of a pattern, one match is enough."""
    if not glob.has_magic(mark):
        return os.path.lexists(os.path.join(path, mark))
    return next(glob.iglob(os.path.join(glob.escape(path), mark)), None) is not None
