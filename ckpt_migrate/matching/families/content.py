"""Content: a file of the directory and an artifact of a run with the same bytes.

Sizes first, then samples of both files, then all bytes: each file is sampled once, and read whole only where the
samples are equal, too.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import defaultdict
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import open_file, read_at
from ckpt_migrate.evidence.patterns import compile_patterns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint, FileStat
    from ckpt_migrate.tracking.records import ArtifactFile, Run, RunStore

LONE_BITS = 18.0
"""Weights that one run of the whole store has, and one directory of all: who else made them would have to be gone."""
CONTENT_BITS = 15.0
"""Equal bytes that one of the runs considered has: less than a reference, for fixed seeds make equal weights, and what
lies in several directories may have been brought there."""
CONFIG_BITS = 3.0
"""An equal config file says little beyond the params: the same order, the same keys that were not logged."""
LARGEST_FILE_BYTES = 256 << 20
"""Larger files are not read: a plan must not take hours."""
SMALLEST_FILE_BYTES = 32
MOST_LISTED = 20_000
"""Runs whose artifacts are listed to find out who has the bytes of a directory; of more, only the candidates' are."""
MOST_MISSED = 50
"""Runs in a row with artifacts on a server and none on this machine, after which the server is not asked for more."""
_OLDER_NS = 10**9
_CHUNK_BYTES = 1 << 20
_SAMPLE_BYTES = 16 << 10
_SERVED = "mlflow-artifacts:"


class Contents:
    """The artifacts of a store on this machine, listed when they are first asked for.

    Args:
        store: The store.
        runs: Its runs.
        checkpoints: All directories.
        recipe: Says which files are weights, and which configs.
    """

    def __init__(self, store: RunStore, runs: Iterable[Run], checkpoints: Iterable[Checkpoint], recipe: Recipe) -> None:
        self._store = store
        self._checkpoints = checkpoints
        self._weights, self._configs = compile_patterns(recipe.weights), compile_patterns(recipe.configs)
        self._elsewhere: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        runs = list(runs)
        self._runs = sorted(run.run_id for run in runs)
        self._served = {run.run_id for run in runs if (run.artifact_uri or "").startswith(_SERVED)}
        self._listed: dict[str, Sequence[ArtifactFile]] = {}
        self._by_size: defaultdict[int, list[tuple[str, ArtifactFile]]] = defaultdict(list)
        self._noted: set[str] = set()
        self._is_whole = False
        self._samples: dict[str, bytes | None] = {}

    def files_of(self, run_id: str) -> Sequence[ArtifactFile]:
        """Return the files among a run's artifacts."""
        if run_id not in self._listed:
            self._listed[run_id] = self._store.artifact_files(run_id)
        return self._listed[run_id]

    def holders(self, checkpoint: Checkpoint, file: FileStat) -> dict[str, str]:
        """Return the artifact with the bytes of a directory's file, by the id of each run that has one."""
        if file.kind != "file" or not SMALLEST_FILE_BYTES <= file.size_bytes <= LARGEST_FILE_BYTES:
            return {}
        path = os.path.join(checkpoint.path, file.path)
        found: dict[str, str] = {}
        for run_id, each in self._of_size(file.size_bytes):
            if each.local_path is not None and run_id not in found and self._are_equal(path, each.local_path):
                found[run_id] = each.path
        return found

    def makers(self, checkpoint: Checkpoint) -> set[str]:
        """Return the runs that alone have the bytes of some file of a directory that is no config."""
        files = (file for file in checkpoint.files if not self._configs.fullmatch(file.path))
        holders = [self.holders(checkpoint, file) for file in files]
        return {run_id for found in holders if len(found) == 1 for run_id in found}

    def bits(self, checkpoint: Checkpoint, file: FileStat, run_id: str) -> float:
        """Return what it is worth that one run alone has the bytes of a directory's file."""
        if self._configs.fullmatch(file.path):
            return CONFIG_BITS
        is_lone = self._is_whole and self._is_result(checkpoint, file, run_id)
        return LONE_BITS if is_lone and not self._is_elsewhere(checkpoint, file) else CONTENT_BITS

    def _is_result(self, checkpoint: Checkpoint, file: FileStat, run_id: str) -> bool:
        """Say whether a file is weights, and no start that was copied there: the run has all that are as new."""
        if not self._weights.fullmatch(file.path) or self._is_input(checkpoint, file, run_id):
            return False
        as_new = (
            each
            for each in checkpoint.files
            if self._weights.fullmatch(each.path) and each.mtime_ns >= file.mtime_ns - _OLDER_NS
        )
        return all(each is file or run_id in self.holders(checkpoint, each) for each in as_new)

    def _is_input(self, checkpoint: Checkpoint, file: FileStat, run_id: str) -> bool:
        """Say whether a run may have begun with a file's bytes: it logged others of their size, which are not here."""
        here = [
            os.path.join(checkpoint.path, each.path) for each in checkpoint.files if each.size_bytes == file.size_bytes
        ]
        return any(
            each.size_bytes == file.size_bytes
            and each.local_path is not None
            and not any(self._are_equal(path, each.local_path) for path in here)
            for each in self.files_of(run_id)
        )

    def _is_elsewhere(self, checkpoint: Checkpoint, file: FileStat) -> bool:
        """Say whether another directory has the same bytes."""
        if not self._elsewhere:
            for one in self._checkpoints:
                for each in one.files:
                    self._elsewhere[each.size_bytes].append((one.path, os.path.join(one.path, each.path)))
        path = os.path.join(checkpoint.path, file.path)
        others = (place for owner, place in self._elsewhere[file.size_bytes] if owner != checkpoint.path)
        return any(self._are_equal(path, place) for place in others)

    def _are_equal(self, one: str, other: str) -> bool:
        sample = self._sample(one)
        return sample is not None and sample == self._sample(other) and have_same_bytes(one, other)

    def note(self, run_ids: Iterable[str]) -> None:
        """Take what some runs have into account; of a store that is not too large, all are without being asked."""
        for run_id in sorted(set(run_ids) - self._noted):
            self._noted.add(run_id)
            for each in self.files_of(run_id):
                if each.size_bytes is not None and each.local_path is not None:
                    self._by_size[each.size_bytes].append((run_id, each))

    def _of_size(self, size_bytes: int) -> Sequence[tuple[str, ArtifactFile]]:
        if not self._is_whole and 0 < len(self._runs) <= MOST_LISTED:
            self._note_all()
        return self._by_size.get(size_bytes, ())

    def _note_all(self) -> None:
        self._is_whole = True
        missed = 0
        for run_id in self._runs:
            if run_id in self._served:
                # What only a server has cannot be compared, and listing it takes a request for each run.
                missed = 0 if any(each.local_path for each in self.files_of(run_id)) else missed + 1
                if missed >= MOST_MISSED:
                    self._is_whole = False
                    self._runs = []
                    return
            self.note((run_id,))

    def _sample(self, path: str) -> bytes | None:
        """Return a digest of a file's start, middle and end; None when it cannot be read."""
        if path not in self._samples:
            self._samples[path] = _sample(path)
        return self._samples[path]


def content_bits(checkpoint: Checkpoint, contents: Contents, asked: Collection[str]) -> dict[str, tuple[float, str]]:
    """Return bits and words for each of these runs that has a file of the directory among its artifacts.

    Args:
        checkpoint: The directory.
        contents: Who has which bytes.
        asked: Ids of the runs that are considered.
    """
    out: dict[str, tuple[float, str]] = {}
    contents.note(asked)
    for file in checkpoint.files:
        equal = contents.holders(checkpoint, file)
        for run_id in sorted(equal.keys() & set(asked)):
            most = contents.bits(checkpoint, file, run_id)
            bits = most if len(equal) == 1 else max(0.0, min(most, math.log2(len(asked) / len(equal))))
            if bits > out.get(run_id, (0.0, ""))[0]:
                out[run_id] = (bits, f"{file.path} has the same bytes as its artifact {equal[run_id]}")
    return out


def _sample(path: str) -> bytes | None:
    try:
        descriptor = open_file(path)
    except OSError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        places = (0, max(0, size // 2 - _SAMPLE_BYTES // 2), max(0, size - _SAMPLE_BYTES))
        parts = [read_at(descriptor, place, _SAMPLE_BYTES) for place in places]
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return hashlib.blake2b(b"".join(parts), digest_size=16).digest()


def have_same_bytes(one: str, other: str) -> bool:
    """Say whether two files have the same bytes; files that cannot be read have not."""
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            while True:
                a, b = first.read(_CHUNK_BYTES), second.read(_CHUNK_BYTES)
                if a != b:
                    return False
                if not a:
                    return True
    except OSError:
        return False
