"""Reading all evidence of checkpoint directories, with every reader there is."""

from __future__ import annotations

import os
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from ckpt_migrate.evidence.configs import ConfigReader
from ckpt_migrate.evidence.filenames import FileNameReader
from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.pointers import PointerReader
from ckpt_migrate.evidence.records import Evidence, Fact, Problem
from ckpt_migrate.evidence.torch_facts import TorchReader
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint, FileStat

ENTRY_POINTS = "ckpt_migrate.readers"
"""Entry point group of third-party readers; each names a callable that takes the recipe and returns a reader."""

_ORDER = attrgetter("source", "key")


class Reader(Protocol):
    """Reads one kind of file. It opens what it is given for reading and nothing else."""

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


def read_evidence(checkpoint: Checkpoint, recipe: Recipe) -> Evidence:
    """Return what a checkpoint directory says of its run; content that cannot be read becomes a problem."""
    readers, problems = _readers(recipe)
    return _read(checkpoint, readers, problems)


def read_all(checkpoints: Sequence[Checkpoint], recipe: Recipe, *, progress: Progress = SILENT) -> dict[str, Evidence]:
    """Return the evidence of many checkpoint directories by path, in their order."""
    readers, problems = _readers(recipe)
    return {
        checkpoint.path: _read(checkpoint, readers, problems)
        for checkpoint in progress.track(checkpoints, label="Reading evidence", total=len(checkpoints))
    }


def _readers(recipe: Recipe) -> tuple[tuple[Reader, ...], tuple[Problem, ...]]:
    from importlib import metadata  # noqa: PLC0415 - slow to import, and not needed by those who only scan

    readers: list[Reader] = [ConfigReader(recipe), FileNameReader(), PointerReader(recipe), TorchReader()]
    problems: list[Problem] = []
    for entry in sorted(metadata.entry_points(group=ENTRY_POINTS), key=attrgetter("name", "value")):
        try:
            readers.append(entry.load()(recipe))
        except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything; it must not end the scan
            problems.append(Problem("", entry.name, f"the reader cannot be loaded: {_say(error)}"))
    return tuple(readers), tuple(problems)


def _read(checkpoint: Checkpoint, readers: Sequence[Reader], known: Sequence[Problem]) -> Evidence:
    is_file = checkpoint.state is State.LOOSE
    folder = os.path.dirname(checkpoint.path) if is_file else checkpoint.path
    facts: list[Fact] = []
    problems = list(known)
    for file in checkpoint.files:
        for reader in readers:
            try:
                if reader.wants(file):
                    # All of a file or nothing: half a config would look like a whole one.
                    facts += list(reader.read(f"{folder}/{file.path}", file))
            except (ReaderError, OSError) as error:
                problems.append(Problem(file.path, reader.name, _say(error)))
            except Exception as error:  # noqa: BLE001 - one bad file must not end the reading of thousands
                problems.append(Problem(file.path, reader.name, f"the reader failed: {_say(error)}"))
    facts.sort(key=_ORDER)
    problems.sort(key=attrgetter("source", "reader"))
    return Evidence(tuple(facts), tuple(problems))


def _say(error: Exception) -> str:
    if isinstance(error, ReaderError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
