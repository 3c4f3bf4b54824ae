"""Scan: which checkpoint directories lie below the roots, judged by the disk alone.

Nothing is opened but pointer files and `meta.yaml`, nothing is written, no link is followed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt_migrate.errors import RootError
from ckpt_migrate.evidence.files import ReaderError, read_whole
from ckpt_migrate.evidence.patterns import compile_patterns
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import STATE_DIRECTORY, Checkpoint, State
from ckpt_migrate.scan.inspection import Directory, Inspector, cause_of, is_writable, printable
from ckpt_migrate.scan.listing import current_fingerprint, file_stat, fingerprint
from ckpt_migrate.scan.overlap import map_in_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt_migrate.naming import DirectoryName
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe

__all__ = ["ScanResult", "current_fingerprint", "fingerprint", "scan_roots"]

_SKIPPED = frozenset({STATE_DIRECTORY, ".git", "__pycache__", ".venv", "node_modules", "site-packages"})
_STORE_KEYS = re.compile(rb"^(?:run_id|run_uuid|experiment_id|artifact_location)\s*:", re.MULTILINE)
_MAX_META_BYTES = 1 << 20
UNWRITABLE_FOLDER = "holds control characters or is not UTF-8, so that no plan can name what lies in it; rename it"
"""Why checkpoint directories in a folder are of no use before a person renamed the folder."""
_RUN_FOLDER = re.compile(r"(?:m-)?[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What lies below the roots.

    Attributes:
        roots: Absolute paths, links resolved, each once, sorted.
        checkpoints: Sorted by root, then path.
        problems: Path and cause of every directory that could not be looked into, sorted.
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
    inspector = Inspector(recipe)
    resolved = _check_roots(roots, inspector)
    seen: set[tuple[int, int]] = set()
    walks = [_Walk(root, frozenset(resolved), recipe, inspector, seen) for root in resolved]
    for _ in progress.track((folder for walk in walks for folder in walk.walk()), label="Looking for checkpoints"):
        pass
    met = [directory for walk in walks for directory in (*walk.met, *walk.judge_weights())]
    listed = map_in_order(inspector.inspect, met)
    found = progress.track(listed, label="Listing checkpoints", total=len(met))
    checkpoints = [checkpoint for checkpoint in found if checkpoint is not None]
    checkpoints += [checkpoint for walk in walks for checkpoint in walk.found]
    checkpoints.sort(key=lambda checkpoint: (checkpoint.root, checkpoint.path))
    problems = sorted(problem for walk in walks for problem in walk.all_problems())
    return ScanResult(resolved, tuple(checkpoints), tuple(problems))


def _check_roots(roots: Sequence[str], inspector: Inspector) -> tuple[str, ...]:
    resolved: set[str] = set()
    wrong: dict[str, str] = {}
    for root in roots:
        what = _why_no_root(root, inspector)
        if what is None:
            resolved.add(os.path.realpath(root))
        else:
            wrong[printable(root)] = what
    if not wrong:
        return tuple(sorted(resolved))
    remedy = "Give directories that hold checkpoint directories, such as checkpoints/phase2, or one above them."
    if len(wrong) == 1:
        ((where, what),) = wrong.items()
        raise RootError(what, where=where, remedy=remedy)
    raise RootError(
        f"{len(wrong)} roots cannot be scanned",
        remedy=remedy,
        problems=tuple(f"{where}: {what}" for where, what in wrong.items()),
    )


def _why_no_root(root: str, inspector: Inspector) -> str | None:
    try:
        with os.scandir(root):
            pass
    except FileNotFoundError:
        return "no such directory"
    except NotADirectoryError:
        return "not a directory"
    except (OSError, ValueError) as error:
        return f"cannot be listed ({cause_of(error)})"
    resolved = os.path.realpath(root)
    if not is_writable(resolved):
        return f"its path {UNWRITABLE_FOLDER}"
    if inspector.recognise(resolved) is not None:
        return "is itself a checkpoint directory; name the directory that holds it"
    return None


@dataclass(slots=True)
class _Walk:
    """One root being walked: what was found, and what can be judged only when all was seen.

    Attributes:
        seen: Device and inode of each directory met under any root, so that bind mounts neither loop nor show a
            directory twice.
        met: Checkpoint directories, not yet looked into.
        found: Records of what is no directory.
        weights: Weights files by the folder that holds them.
        holders: Folders with a checkpoint directory or another root somewhere below.
        unnamable: Folders with checkpoint directories whose paths no plan can hold.
        weight_names: What weights files are called.
    """

    root: str
    roots: frozenset[str]
    recipe: Recipe
    inspector: Inspector
    seen: set[tuple[int, int]]
    met: list[Directory] = field(default_factory=list)
    found: list[Checkpoint] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    weights: dict[str, list[tuple[str, os.stat_result]]] = field(default_factory=dict)
    holders: set[str] = field(default_factory=set)
    unnamable: set[str] = field(default_factory=set)
    weight_names: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        self.weight_names = compile_patterns([pattern for pattern in self.recipe.weights if "/" not in pattern])

    def walk(self) -> Iterator[str]:
        """Walk the root in order of names, yielding each folder that is looked into."""
        pending = [self.root]
        while pending:
            folder = pending.pop()
            yield folder
            listed = self._list(folder)
            if listed is None or self._is_foreign(folder, listed):
                continue
            below: list[str] = []
            for entry in listed:
                name = self.inspector.recognise(entry.path)
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self._add_unreadable(entry, name, cause_of(error))
                    continue
                kind = file_stat(entry.name, status).kind
                if kind == "link":
                    self._add_link(entry.path, status, name)
                elif kind == "dir":
                    if self._visit(entry, status, name):
                        below.append(entry.path)
                elif name is not None:
                    self._add_single(entry.path, status, State.OTHER, "a file, not a directory")
                elif kind == "file" and self.weight_names.fullmatch(entry.name):
                    self.weights.setdefault(folder, []).append((entry.name, status))
            pending += reversed(below)

    def _visit(self, entry: os.DirEntry[str], status: os.stat_result, name: DirectoryName | None) -> bool:
        """Take note of a directory; say whether it is to be walked."""
        why_other = None if name is not None else self.inspector.why_not(entry.name)
        if name is not None or why_other is not None:
            folder = os.path.dirname(entry.path)
            self._mark_holders(folder)
            if not self._was_seen(status):
                if not is_writable(folder):
                    self.unnamable.add(folder)
                self.met.append(Directory(entry.path, self.root, status, name, why_other))
            return False
        if entry.path in self.roots:
            self._mark_holders(os.path.dirname(entry.path))
            return False
        return entry.name not in _SKIPPED

    def all_problems(self) -> Iterator[tuple[str, str]]:
        """Yield path and cause of all that could not be looked into, or not be named in any plan."""
        yield from self.problems
        for folder in self.unnamable:
            yield folder, UNWRITABLE_FOLDER

    def _list(self, folder: str) -> list[os.DirEntry[str]] | None:
        """Return the entries of a folder sorted by name; None when it was met before, is gone or cannot be listed."""
        try:
            if self._was_seen(os.stat(folder, follow_symlinks=False)):
                return None
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.problems.append((folder, cause_of(error)))
            return None

    def _was_seen(self, status: os.stat_result) -> bool:
        identity = (status.st_dev, status.st_ino)
        was_seen = identity in self.seen
        self.seen.add(identity)
        return was_seen

    def _is_foreign(self, folder: str, listed: Sequence[os.DirEntry[str]]) -> bool:
        """Say whether a folder belongs to MLflow, where nothing is ours to rename."""
        names = {entry.name for entry in listed}
        is_store = "meta.yaml" in names and _is_store(folder)
        if folder == self.root:
            if is_store:
                self.problems.append((folder, "belongs to an MLflow store; not looked into"))
            return is_store
        # A store in a database keeps artifacts in <experiment>/<run>/artifacts, without any meta.yaml, and
        # Lightning's logger puts <experiment>/<run>/checkpoints there. Weights right below are no run's.
        parent, name = os.path.split(folder)
        is_in_experiment = os.path.basename(parent).isdigit() and not any(map(self.weight_names.fullmatch, names))
        is_run = _RUN_FOLDER.fullmatch(name) is not None and ("artifacts" in names or is_in_experiment)
        # A recipe whose checkpoints lie in such folders says so, and means those of Lightning.
        is_run = is_run and not any(text.startswith("{run_id}/") for text in self.recipe.legacy.templates)
        return is_store or is_run or "MLmodel" in names

    def _mark_holders(self, folder: str) -> None:
        while folder not in self.holders:
            self.holders.add(folder)
            if folder == self.root:
                return
            folder = os.path.dirname(folder)

    def _add_unreadable(self, entry: os.DirEntry[str], name: DirectoryName | None, what: str) -> None:
        if name is None:
            self.problems.append((entry.path, what))
            return
        self._mark_holders(os.path.dirname(entry.path))
        identity = fingerprint(entry.inode(), ())
        self.found.append(Checkpoint(entry.path, self.root, State.UNREADABLE, what, name, (), 0, identity))

    def _add_single(
        self, path: str, status: os.stat_result, state: State, reason: str, name: DirectoryName | None = None
    ) -> None:
        self.found.append(self.inspector.inspect_single(path, self.root, status, state=state, reason=reason, name=name))

    def _add_link(self, path: str, status: os.stat_result, name: DirectoryName | None) -> None:
        try:
            target = os.readlink(path)
        except OSError:
            return
        if name is not None or self.inspector.recognise(os.path.realpath(path)) is not None:
            lost = "" if os.path.exists(path) else ", which does not exist"
            reason = f"a symbolic link to {printable(target)}{lost}; links are not followed"
            self._add_single(path, status, State.LINK, reason, name)

    def judge_weights(self) -> Iterator[Directory]:
        """Yield directories of unknown names that hold weights, when the whole root is known; note loose files.

        A folder that holds checkpoint directories is a collection, and weights beside them are of the generation
        that had no directories: LOOSE, each. So are weights in the root itself, which the user named as a
        collection. Any other folder with weights is a checkpoint whose name is of no known form: OTHER, once, with
        all that is below it.
        """
        taken: set[str] = set()
        why_other = f"the name is not of the form {' or '.join(self.recipe.legacy.templates)}"
        for folder in sorted(self.weights, key=lambda path: path.split("/")):
            owner = self._owner(folder)
            if owner == self.root or owner in self.holders:
                for name, status in self.weights[folder]:
                    self.found.append(self.inspector.inspect_loose(os.path.join(folder, name), self.root, status))
            elif not any(above in taken for above in self._up_to_root(owner)):
                taken.add(owner)
                try:
                    status = os.stat(owner, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield Directory(owner, self.root, status, None, why_other)

    def _up_to_root(self, folder: str) -> Iterator[str]:
        while folder != self.root:
            yield folder
            folder = os.path.dirname(folder)

    def _owner(self, folder: str) -> str:
        """Return the folder that is the checkpoint of weights found: `my_run` for `my_run/lightning_checkpoints`."""
        for pattern in self.recipe.weights:
            inner = os.path.dirname(pattern)
            owner = folder
            for _ in range(inner.count("/") + 1 if inner else 0):
                owner = os.path.dirname(owner)
            is_below_root = owner.startswith(self.root.rstrip("/") + "/") and owner not in self.holders
            if inner and is_below_root and compile_patterns((inner,)).fullmatch(os.path.relpath(folder, owner)):
                return owner
        return folder


def _is_store(folder: str) -> bool:
    try:
        return _STORE_KEYS.search(read_whole(os.path.join(folder, "meta.yaml"), _MAX_META_BYTES)) is not None
    except (OSError, ReaderError):
        return False
