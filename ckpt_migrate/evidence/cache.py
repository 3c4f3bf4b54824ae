"""What readers found in directories that have not changed since: kept between calls, safe to delete at any time.

A file per root lies in the user's cache folder, never among checkpoints. A directory's entry counts only while every
file in it is the same by device, inode, size and both times, and the recipe and every reader are of the same version.
Whatever is wrong with a cache, the answer is to read the checkpoint itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import zlib
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

from ckpt_migrate import storage
from ckpt_migrate.evidence.found import Block, Findings, Found
from ckpt_migrate.evidence.records import FactKind, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ckpt_migrate.evidence.found import Pairs
    from ckpt_migrate.evidence.records import Scalar
    from ckpt_migrate.records import Checkpoint

MAX_CACHE_BYTES = 256 << 20
"""Largest cache file read, bytes; some 100,000 directories."""

FRESH_S = 2.0
"""A directory in which something changed so many seconds ago is not kept: the next change might leave equal times."""

_FORMAT = "2"
_FIELDS = 4
_KINDS = {kind.value: kind for kind in FactKind}


def cache_folder() -> str:
    """Return where caches lie: below XDG_CACHE_HOME, else below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "ckpt-migrate", "evidence")


class EvidenceCache:
    """The kept evidence of some roots.

    Args:
        folder: Where the cache's files lie.
        signature: Text that changes with the recipe and with any reader.
    """

    def __init__(self, folder: str, signature: str) -> None:
        self._folder = folder
        self._signature = signature
        self._hashed_signature = hashlib.blake2b(signature.encode(), digest_size=16)

    def read(
        self, checkpoints: Sequence[Checkpoint], read: Callable[[Sequence[Checkpoint]], Iterator[Found]]
    ) -> Findings:
        """Return the evidence of directories by path, in their order, from the cache where that may be.

        Args:
            checkpoints: The directories, just scanned.
            read: Reads what some of them hold, in their order.
        """
        by_root: defaultdict[str, list[Checkpoint]] = defaultdict(list)
        for checkpoint in checkpoints:
            by_root[checkpoint.root].append(checkpoint)
        known = {root: self._load(root) for root in by_root}
        keys = {checkpoint.path: self._key(checkpoint) for checkpoint in checkpoints}
        kept = {
            checkpoint.path: line
            for checkpoint in checkpoints
            if (line := known[checkpoint.root].get(checkpoint.path)) is not None and line[1] == keys[checkpoint.path]
        }
        missing = [checkpoint for checkpoint in checkpoints if checkpoint.path not in kept]
        fresh = {checkpoint.path: found for checkpoint, found in zip(missing, read(missing), strict=True)}
        for root, found in by_root.items():
            new = [checkpoint.path for checkpoint in found if checkpoint.path in fresh and keys[checkpoint.path]]
            if new:
                asked = fresh.keys() & known[root].keys()
                old = (line for path, line in known[root].items() if path not in asked and os.path.lexists(path))
                lines = (line for path in new if (line := _encode(path, keys[path], fresh[path])) is not None)
                self._save(root, old, lines)

        def take(checkpoint: Checkpoint) -> Found:
            found = fresh.pop(checkpoint.path, None) or _decode(kept.pop(checkpoint.path))
            return next(read([checkpoint])) if found is None else found

        return Findings(checkpoints, take)

    def _key(self, checkpoint: Checkpoint) -> str:
        """Return a text that changes with any file of a directory; empty when it must not be kept."""
        newest_ns, parts = 0, []
        for file in checkpoint.files:
            if file.identity is None:
                return ""
            device, inode, changed_ns = file.identity
            newest_ns = max(newest_ns, changed_ns)
            parts.append(f"{file.path}\0{file.kind}{file.size_bytes}\0{file.mtime_ns}\0{device}\0{inode}\0{changed_ns}")
        if newest_ns >= time.time_ns() - FRESH_S * 1e9:
            return ""
        hashed = self._hashed_signature.copy()
        hashed.update("\n".join(parts).encode("utf-8", "surrogateescape"))
        return hashed.hexdigest()

    def _path(self, root: str) -> str:
        name = hashlib.sha256(os.fsencode(root)).hexdigest()[:32]
        return os.path.join(self._folder, f"{name}.cache")

    def _is_apart(self, root: str) -> bool:
        """Say whether the cache lies outside a root: nothing is ever written among checkpoints."""
        folder = os.path.realpath(self._folder)
        return not f"{folder}/".startswith(f"{root.rstrip('/')}/")

    def _load(self, root: str) -> dict[str, _Line]:
        """Return the lines of a root's file by path; none where it is missing, too large or of another kind."""
        path = self._path(root)
        try:
            if not self._is_apart(root) or os.stat(path).st_size > MAX_CACHE_BYTES:
                return {}
            with open(path, encoding="ascii", newline="\n") as file:
                if file.readline() != self._header(root):
                    return {}
                found = (tuple(line.rstrip("\n").split("\t")) for line in file)
                return {json.loads(line[0]): line for line in found if len(line) == _FIELDS}
        except (OSError, ValueError):
            return {}

    def _save(self, root: str, old: Iterable[_Line], new: Iterable[_Line]) -> None:
        if not self._is_apart(root):
            return
        header = self._header(root).encode("ascii")
        # A line at a time: the whole text of ten thousand directories would take more room than what they hold.
        lines = (("\t".join(line) + "\n").encode("ascii") for line in chain(old, new))
        try:
            storage.replace_file(self._path(root), chain([header], lines), with_folder=True)
        except OSError:
            # A full disk or a home that cannot be written to: the next call reads the checkpoints again.
            return

    def _header(self, root: str) -> str:
        return f"ckpt-migrate evidence {_FORMAT} {json.dumps(root)} {self._signature}\n"


_Line = tuple[str, ...]
"""Path as JSON, key, checksum and evidence of one directory, as they stand in a line."""


def _encode(path: str, key: str, found: Found) -> _Line | None:
    """Return the line of a directory; None when it must not be kept."""
    if not all(problem.is_lasting for problem in found.problems):
        # What the system would not let be read may be readable at the next call without having changed.
        return None
    numbers: dict[int, int] = {}
    texts: list[str] = []
    files = []
    for blocks in found.files:
        for block in blocks:
            # Equal ones are one object.
            if id(block.pairs) not in numbers:
                numbers[id(block.pairs)] = len(texts)
                texts.append(json.dumps(block.pairs))
        files.append([[one.source, one.reader, one.kind.value, numbers[id(one.pairs)]] for one in blocks])
    problems = json.dumps([[one.source, one.reader, one.what] for one in found.problems])
    data = f'{{"files":{json.dumps(files)},"blocks":[{",".join(texts)}],"problems":{problems}}}'
    return json.dumps(path), key, f"{zlib.crc32(data.encode()):08x}", data


def _decode(line: _Line) -> Found | None:
    """Return what is in a line; None when the line is damaged."""
    *_, checksum, data = line
    if checksum != f"{zlib.crc32(data.encode()):08x}":
        return None
    try:
        found = json.loads(data)
        blocks = [_pairs(block) for block in found["blocks"]]
        return Found(
            tuple(
                tuple(
                    Block(sys.intern(source), sys.intern(reader), _KINDS[kind], blocks[at])
                    for source, reader, kind, at in file
                )
                for file in found["files"]
            ),
            tuple(Problem(source, reader, what, is_lasting=True) for source, reader, what in found["problems"]),
        )
    except (ValueError, LookupError, TypeError):
        return None


def _pairs(block: Iterable[tuple[str, Scalar]]) -> Pairs:
    return tuple([(sys.intern(key), value) for key, value in block])
