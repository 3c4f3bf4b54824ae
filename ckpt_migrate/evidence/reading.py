"""Reading all evidence of checkpoint directories, with every reader there is."""

from __future__ import annotations

import os
from itertools import groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from ckpt_migrate import __version__
from ckpt_migrate.evidence.cache import EvidenceCache
from ckpt_migrate.evidence.configs import ConfigReader
from ckpt_migrate.evidence.filenames import FileNameReader
from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.found import Block, FactPool, Findings, Found, Sharing
from ckpt_migrate.evidence.keras_files import KerasReader
from ckpt_migrate.evidence.metric_tables import MetricTableReader
from ckpt_migrate.evidence.pointers import PointerReader
from ckpt_migrate.evidence.records import Fact, Problem
from ckpt_migrate.evidence.safetensors import SafetensorsReader
from ckpt_migrate.evidence.strangers import MAX_FACTS, Stranger
from ckpt_migrate.evidence.tensorboard import TensorboardReader
from ckpt_migrate.evidence.torch_facts import TorchReader
from ckpt_migrate.evidence.trainer_state import TrainerStateReader
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import State
from ckpt_migrate.scan.overlap import map_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ckpt_migrate.evidence.records import Evidence
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint, FileStat

ENTRY_POINTS = "ckpt_migrate.readers"
"""Entry point group of third-party readers; each names a callable that takes the recipe and returns a reader."""

READERS_VERSION = 1
"""Counts up with every change of what a reader of this package finds, so that kept results are forgotten."""

_KEY = attrgetter("key")
_COMMON = attrgetter("source", "reader", "kind")
_MAX_KNOWN_NAMES = 10_000


class Reader(Protocol):
    """Reads one kind of file. It opens what it is given for reading and nothing else, and from several threads."""

    @property
    def name(self) -> str:
        """What it calls itself in facts and problems."""

    def wants(self, file: FileStat) -> bool:
        """Say, by name and kind alone, whether it reads this file."""

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Yield the facts in a file; `path` is where it lies, `file.path` what facts give as their source.

        Raises:
            ReaderError: The file is not what it claims to be.
            OSError: It cannot be read.
        """


BUILT_IN: tuple[Callable[[Recipe], Reader], ...] = (
    ConfigReader,
    FileNameReader,
    PointerReader,
    TorchReader,
    SafetensorsReader,
    TrainerStateReader,
    KerasReader,
    MetricTableReader,
    TensorboardReader,
)
"""The readers of this package, registered as those of others are: each is called with the recipe."""


def read_evidence(checkpoint: Checkpoint, recipe: Recipe) -> Evidence:
    """Return what a checkpoint directory says of its run; content that cannot be read becomes a problem."""
    return _Reading(recipe).read(checkpoint).evidence(FactPool())


def read_all(
    checkpoints: Sequence[Checkpoint], recipe: Recipe, *, cache: str | None = None, progress: Progress = SILENT
) -> Mapping[str, Evidence]:
    """Return the evidence of many checkpoint directories by path, in their order.

    Args:
        checkpoints: The directories, as scanned.
        recipe: The recipe.
        cache: Folder of the evidence kept of earlier calls; None keeps none and uses none.
        progress: Watches the reading.
    """
    reading = _Reading(recipe)

    def read(some: Sequence[Checkpoint]) -> Iterator[Found]:
        return iter(progress.track(map_in_order(reading.read, some), label="Reading evidence", total=len(some)))

    if cache is not None:
        return EvidenceCache(cache, reading.signature(recipe)).read(checkpoints, read)
    found = {checkpoint.path: one for checkpoint, one in zip(checkpoints, read(checkpoints), strict=True)}
    return Findings(checkpoints, lambda checkpoint: found.pop(checkpoint.path))


class _Reading:
    """All readers, and what is the same for every checkpoint."""

    def __init__(self, recipe: Recipe) -> None:
        self.readers, self.problems = _load_readers(recipe)
        # Thousands of directories hold files of the same few names.
        self.wanted: dict[tuple[str, str], tuple[Reader, ...]] = {}

    def read(self, checkpoint: Checkpoint) -> Found:
        is_file = checkpoint.state is State.LOOSE
        folder = os.path.dirname(checkpoint.path) if is_file else checkpoint.path
        files: list[tuple[Block, ...]] = []
        problems = list(self.problems)
        sharing = Sharing()
        # Files come sorted by path, so that facts need sorting within each file only.
        for file in checkpoint.files:
            found: list[Block] = []
            for reader in self.readers_of(file):
                try:
                    # All of a file or nothing: half a config would look like a whole one.
                    found += _blocks(reader, f"{folder}/{file.path}", file, sharing)
                except Exception as error:  # noqa: BLE001 - one bad file, or a stranger's reader, must not end it all
                    is_lasting = isinstance(error, ReaderError)
                    problems.append(Problem(file.path, reader.name, _say(error), is_lasting))
            if found:
                files.append(tuple(found))
        return Found(tuple(files), tuple(problems))

    def signature(self, recipe: Recipe) -> str:
        """Return a text that changes with the recipe, this package, and any reader of others."""
        readers = (f"{each.name}={getattr(each, 'version', '')}" for each in self.readers)
        return " ".join([__version__, str(READERS_VERSION), recipe.digest, *(ascii(each) for each in readers)])

    def readers_of(self, file: FileStat) -> tuple[Reader, ...]:
        name = (file.kind, file.path)
        readers = self.wanted.get(name)
        if readers is None:
            readers = tuple(reader for reader in self.readers if _wants(reader, file))
            if len(self.wanted) < _MAX_KNOWN_NAMES:
                self.wanted[name] = readers
        return readers


def _blocks(reader: Reader, path: str, file: FileStat, sharing: Sharing) -> list[Block]:
    """Return what a reader finds in a file; facts of one kind that follow each other by key make a block."""
    if isinstance(reader, (ConfigReader, TorchReader)):
        blocks = reader.read_blocks(path, file)
        if sum(len(block.pairs) for block in blocks) > MAX_FACTS:
            raise ReaderError(f"gives over {MAX_FACTS:,} facts")
        return [Block(one.source, one.reader, one.kind, sharing.shared(one.pairs)) for one in blocks]
    facts = sorted(islice(reader.read(path, file), MAX_FACTS + 1), key=_KEY)
    if len(facts) > MAX_FACTS:
        raise ReaderError(f"gives over {MAX_FACTS:,} facts")
    return [
        Block(*common, sharing.shared([(fact.key, fact.value) for fact in some]))
        for common, some in groupby(facts, key=_COMMON)
    ]


def _wants(reader: Reader, file: FileStat) -> bool:
    try:
        return reader.wants(file)
    except Exception:  # noqa: BLE001 - a stranger's reader: let it fail on the file itself, where it becomes a problem
        return True


def _load_readers(recipe: Recipe) -> tuple[tuple[Reader, ...], tuple[Problem, ...]]:
    from importlib import metadata  # noqa: PLC0415 - slow to import, and not needed by those who only scan

    readers: list[Reader] = [make(recipe) for make in BUILT_IN]
    problems: list[Problem] = []
    for entry in sorted(metadata.entry_points(group=ENTRY_POINTS), key=attrgetter("name", "value")):
        try:
            readers.append(Stranger(entry.name, entry.load, recipe))
        except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything; it must not end the scan
            problems.append(Problem("", entry.name, f"the reader cannot be loaded: {_say(error)}"))
    return tuple(readers), tuple(problems)


def _say(error: Exception) -> str:
    if isinstance(error, ReaderError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
