"""Scan: which checkpoint directories lie below the roots, judged by the disk alone.

Nothing is opened but pointer files and `meta.yaml`, nothing is written, no link is followed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt_migrate.errors import RootError
from ckpt_migrate.evidence.configs import config_paths
from ckpt_migrate.evidence.filenames import SUFFIXES, parse_name
from ckpt_migrate.evidence.files import ReaderError, read_whole
from ckpt_migrate.evidence.patterns import compile_patterns
from ckpt_migrate.evidence.pointers import read_pointer
from ckpt_migrate.evidence.records import FactKind
from ckpt_migrate.listing import Listing, current_fingerprint, file_stat, fingerprint, list_directory
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import STATE_DIRECTORY, Checkpoint, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt_migrate.naming import DirectoryName
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

__all__ = ["ScanResult", "current_fingerprint", "fingerprint", "scan_roots"]

FLAT_FILE = "flat file of the oldest generation: no directory, no id; never renamed"

_SKIPPED = frozenset({STATE_DIRECTORY, ".git", "__pycache__", ".venv", "node_modules"})
# Files that say what a directory is: a Python environment, an MLflow model.
_FOREIGN = frozenset({"pyvenv.cfg", "conda-meta", "MLmodel"})
_STORE_KEYS = re.compile(rb"^(?:run_id|run_uuid|experiment_id|artifact_location)\s*:", re.MULTILINE)
_MAX_META_BYTES = 1 << 20
_RUN_FOLDER = re.compile(r"(?:m-)?[0-9a-f]{32}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What lies below the roots.

    Attributes:
        roots: Absolute paths, links resolved, each once, sorted.
        checkpoints: Sorted by root, then path.
        problems: Path and cause of every directory that could not be listed, sorted.
    """

    roots: tuple[str, ...]
    checkpoints: tuple[Checkpoint, ...]
    problems: tuple[tuple[str, str], ...] = ()


def scan_roots(roots: Sequence[str], recipe: Recipe, *, progress: Progress = SILENT) -> ScanResult:
    """Find every checkpoint directory, loose weights file and link of a known name below the roots.

    A directory below several roots is reported once, for the innermost.

    Raises:
        RootError: A root does not exist, is no directory, cannot be listed, or is itself a checkpoint directory;
            all wrong roots are listed.
    """
    resolved = _check_roots(roots, recipe)
    walks = [_Walk(root, frozenset(resolved), recipe) for root in resolved]
    seen: set[tuple[int, int]] = set()
    folders = (folder for walk in walks for folder in walk.visit(seen))
    for _ in progress.track(folders, label="Scanning"):
        pass
    checkpoints = [checkpoint for walk in walks for checkpoint in walk.checkpoints]
    for walk in walks:
        checkpoints += walk.judge_weights()
    checkpoints.sort(key=lambda checkpoint: (checkpoint.root, checkpoint.path))
    problems = sorted(problem for walk in walks for problem in walk.problems)
    return ScanResult(resolved, tuple(checkpoints), tuple(problems))


def printable(text: str) -> str:
    r"""Return a path for people: control characters and bytes that are no UTF-8 are written out.

    >>> printable("a\x1b[31m\udcff")
    'a\\x1b[31m\\xff'
    """
    shown = _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _check_roots(roots: Sequence[str], recipe: Recipe) -> tuple[str, ...]:
    resolved: set[str] = set()
    wrong: list[tuple[str, str]] = []
    for root in roots:
        what = _why_no_root(root, recipe)
        if what is None:
            resolved.add(os.path.realpath(root))
        elif (root, what) not in wrong:
            wrong.append((root, what))
    if not wrong:
        return tuple(sorted(resolved))
    remedy = "Give directories that hold checkpoint directories, such as checkpoints/phase2, or one above them."
    if len(wrong) == 1:
        raise RootError(wrong[0][1], where=printable(wrong[0][0]), remedy=remedy)
    raise RootError(
        f"{len(wrong)} roots cannot be scanned",
        remedy=remedy,
        problems=tuple(f"{printable(root)}: {what}" for root, what in wrong),
    )


def _why_no_root(root: str, recipe: Recipe) -> str | None:
    try:
        with os.scandir(root):
            pass
        name = os.path.basename(os.path.realpath(root))
    except FileNotFoundError:
        return "no such directory"
    except NotADirectoryError:
        return "not a directory"
    except (OSError, ValueError) as error:
        return f"cannot be listed ({_cause(error)})"
    if recipe.legacy.parse(name) is not None or recipe.target.parse(name) is not None:
        return "is itself a checkpoint directory; name the directory that holds it"
    return None


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@dataclass(slots=True)
class _Walk:
    """One root being walked: what was found, and what can be judged only when all was seen."""

    root: str
    roots: frozenset[str]
    recipe: Recipe
    checkpoints: list[Checkpoint] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    weights: dict[str, list[FileStat]] = field(default_factory=dict)
    inodes: dict[str, int] = field(default_factory=dict)
    holders: set[str] = field(default_factory=set)
    _weight_names: re.Pattern[str] = field(init=False)
    _kinds: tuple[tuple[str, re.Pattern[str]], ...] = field(init=False)

    def __post_init__(self) -> None:
        names = [pattern for pattern in self.recipe.weights if "/" not in pattern]
        self._weight_names = compile_patterns(names)
        self._kinds = (
            ("pointer", compile_patterns(self.recipe.pointers)),
            ("weights", compile_patterns(self.recipe.weights)),
            ("config", config_paths(self.recipe)),
        )

    def visit(self, seen: set[tuple[int, int]]) -> Iterator[str]:
        """Walk the root, yielding each folder looked into.

        Args:
            seen: Device and inode of each directory met, so that bind mounts neither loop nor show a
                directory twice.
        """
        pending = [self.root]
        while pending:
            folder = pending.pop()
            yield folder
            try:
                status = os.stat(folder, follow_symlinks=False)
                with os.scandir(folder) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except FileNotFoundError:
                continue
            except OSError as error:
                self.problems.append((folder, _cause(error)))
                continue
            identity = (status.st_dev, status.st_ino)
            if identity in seen:
                continue
            seen.add(identity)
            if self._is_foreign(folder, listed):
                if folder == self.root:
                    self.problems.append((folder, "belongs to MLflow or a Python environment; not looked into"))
                continue
            below: list[str] = []
            for entry in listed:
                yield from self._look(entry, seen, below)
            pending += reversed(below)

    def _look(self, entry: os.DirEntry[str], seen: set[tuple[int, int]], below: list[str]) -> Iterator[str]:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            self.problems.append((entry.path, _cause(error)))
            return
        file = file_stat(entry.name, status)
        recipe = self.recipe
        name = recipe.legacy.parse(entry.name) or recipe.target.parse(entry.name)
        if file.kind == "link":
            self._add_link(entry, status, name)
        elif file.kind == "dir":
            why = None if name else recipe.legacy.why_not(entry.name) or recipe.target.why_not(entry.name)
            if name is not None or why is not None:
                identity = (status.st_dev, status.st_ino)
                if identity not in seen:
                    seen.add(identity)
                    yield entry.path
                    self._add_directory(entry.path, status, name, why)
                    self._mark_holders(os.path.dirname(entry.path))
            elif entry.name not in _SKIPPED and entry.path not in self.roots:
                below.append(entry.path)
        elif name is not None:
            self._add_single(entry.path, status, State.OTHER, "a file, not a directory")
        elif file.kind == "file" and self._weight_names.fullmatch(entry.name):
            folder = os.path.dirname(entry.path)
            self.weights.setdefault(folder, []).append(file)
            self.inodes[entry.path] = status.st_ino

    def _is_foreign(self, folder: str, listed: Sequence[os.DirEntry[str]]) -> bool:
        """Say whether a folder belongs to MLflow or to a Python environment, where no checkpoint is ours."""
        names = {entry.name for entry in listed}
        if not _FOREIGN.isdisjoint(names):
            return True
        parent, name = os.path.split(folder)
        # A store in a database keeps artifacts in <experiment>/<run>/artifacts, without any meta.yaml.
        is_run_like = folder != self.root and _RUN_FOLDER.fullmatch(name) is not None
        if is_run_like and ("artifacts" in names or os.path.basename(parent).isdigit()):
            return True
        if "meta.yaml" not in names:
            return False
        try:
            head = read_whole(os.path.join(folder, "meta.yaml"), _MAX_META_BYTES)
        except (OSError, ReaderError):
            return False
        return _STORE_KEYS.search(head) is not None

    def _mark_holders(self, folder: str) -> None:
        while folder not in self.holders:
            self.holders.add(folder)
            if folder == self.root:
                return
            folder = os.path.dirname(folder)

    def _add_link(self, entry: os.DirEntry[str], status: os.stat_result, name: DirectoryName | None) -> None:
        try:
            target = os.readlink(entry.path)
            leads_to = os.path.basename(os.path.realpath(entry.path))
        except OSError:
            return
        parse = self.recipe.legacy.parse(leads_to) or self.recipe.target.parse(leads_to)
        if name is None and parse is None:
            return
        lost = "" if os.path.exists(entry.path) else ", which does not exist"
        reason = f"a symbolic link to {printable(target)}{lost}; links are not followed"
        self._add_single(entry.path, status, State.LINK, reason, name)

    def _add_single(
        self, path: str, status: os.stat_result, state: State, reason: str, name: DirectoryName | None = None
    ) -> None:
        self.checkpoints.append(
            Checkpoint(
                path=path,
                root=self.root,
                state=state,
                reason=reason,
                name=name,
                files=(),
                mtime_ns=status.st_mtime_ns,
                fingerprint=fingerprint(status.st_ino, ()),
            )
        )

    def _add_directory(self, path: str, status: os.stat_result, name: DirectoryName | None, why: str | None) -> None:
        try:
            listing = list_directory(path)
        except FileNotFoundError:
            return
        except OSError as error:
            listing = Listing((), error)
        state, reason = self._judge(path, name, why, listing)
        self.checkpoints.append(
            Checkpoint(
                path=path,
                root=self.root,
                state=state,
                reason=reason,
                name=name,
                files=listing.files,
                mtime_ns=status.st_mtime_ns,
                fingerprint=fingerprint(status.st_ino, listing.files),
                evidence=self._evidence(listing.files),
            )
        )

    def _judge(
        self, path: str, name: DirectoryName | None, why: str | None, listing: Listing
    ) -> tuple[State, str | None]:
        if listing.error is not None:
            where = listing.error.filename
            shown = "" if where in {None, path} else f"{printable(os.path.relpath(where, path))}: "
            return State.UNREADABLE, shown + _cause(listing.error)
        if name is None:
            return State.OTHER, why
        if printable(path) != path:
            # Plans, logs and manifests are text, one line a path.
            return State.OTHER, "its path holds control characters or is not UTF-8; rename the folder above it"
        return (State.TARGET if self._names_itself(path, name, listing) else State.LEGACY), None

    def _names_itself(self, path: str, name: DirectoryName, listing: Listing) -> bool:
        """Say whether pointers in the directory name its own id, and no other."""
        if self.recipe.target.parse(os.path.basename(path)) is None:
            return False
        pointers = self._kinds[0][1]
        named: set[str] = set()
        for file in listing.files:
            if file.kind == "file" and pointers.fullmatch(file.path):
                try:
                    named.update(read_pointer(os.path.join(path, file.path)))
                except (OSError, ReaderError):
                    continue
        return named == {name.uid}

    def _evidence(self, files: Sequence[FileStat]) -> tuple[str, ...]:
        kinds: set[str] = set()
        for file in files:
            if file.kind != "file":
                continue
            path = file.path
            kinds.update(kind for kind, pattern in self._kinds if pattern.fullmatch(path))
            if "=" in path and path.lower().endswith(SUFFIXES):
                kinds.update("metric" for kind, _, _ in parse_name(path) if kind is FactKind.METRIC)
        return tuple(sorted(kinds))

    def judge_weights(self) -> list[Checkpoint]:
        """Report weights outside directories of a known form, when the whole root is known.

        A folder that holds checkpoint directories is a collection, and weights beside them are of the generation
        that had no directories: LOOSE, each. So are weights in the root itself, which the user named as a
        collection. Any other folder with weights is a checkpoint whose name is of no known form: OTHER, once, with
        all that is below it.
        """
        start = len(self.checkpoints)
        taken: set[str] = set()
        for folder in sorted(self.weights, key=lambda path: path.split("/")):
            if any(above in taken for above in self._ancestors(folder)):
                continue
            owner = self._owner(folder)
            if owner == self.root or owner in self.holders:
                for file in self.weights[folder]:
                    path = os.path.join(folder, file.path)
                    self._add_loose(path, file)
                continue
            taken.add(owner)
            form = self.recipe.legacy.template
            try:
                status = os.stat(owner, follow_symlinks=False)
            except OSError:
                continue
            self._add_directory(owner, status, None, f"the name is not of the form {form}")
        found = self.checkpoints[start:]
        del self.checkpoints[start:]
        return found

    def _ancestors(self, folder: str) -> Iterator[str]:
        while folder != self.root:
            yield folder
            folder = os.path.dirname(folder)

    def _owner(self, folder: str) -> str:
        """Return the checkpoint that weights in a folder belong to: `run` for `run/lightning_checkpoints`."""
        for pattern in self.recipe.weights:
            inner = os.path.dirname(pattern)
            depth = inner.count("/") + 1
            owner = folder
            for _ in range(depth):
                owner = os.path.dirname(owner)
            is_inner = inner and compile_patterns((inner,)).fullmatch(os.path.relpath(folder, owner))
            if is_inner and owner.startswith(self.root + "/") and owner not in self.holders:
                return owner
        return folder

    def _add_loose(self, path: str, file: FileStat) -> None:
        files = (file,)
        self.checkpoints.append(
            Checkpoint(
                path=path,
                root=self.root,
                state=State.LOOSE,
                reason=FLAT_FILE,
                name=None,
                files=files,
                mtime_ns=file.mtime_ns,
                fingerprint=fingerprint(self.inodes[path], files),
                evidence=self._evidence(files),
            )
        )
