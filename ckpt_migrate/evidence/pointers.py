"""Pointers: small text files in which a checkpoint directory names its own run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import read_whole
from ckpt_migrate.evidence.patterns import compile_patterns
from ckpt_migrate.evidence.records import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

POINTER_KEY = "MLflow Run ID"
"""Key of the facts that pointers give, and the label that they stand behind in the file."""

MAX_POINTER_BYTES = 64 << 10
"""A pointer is a few lines; what is larger is something else by the same name. Bytes."""

_ID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")
_LABELLED = re.compile(r"\s*MLflow[ _]Run[ _]ID\s*[:=]", re.IGNORECASE)
_LONE = re.compile(r"\s*[\"'`]?([0-9a-f]{32})[\"'`]?\s*")


def named_runs(text: str) -> tuple[str, ...]:
    r"""Return the run ids that a pointer's text names, in order, each once.

    Only a line `MLflow Run ID: …` or an id alone on its line counts: notes in such a file show examples.

    >>> named_runs("MLflow Run ID: 94525c6650a3407985928d7c2f83f9eb\nCheckpoint Dir: x/0123_2026")
    ('94525c6650a3407985928d7c2f83f9eb',)
    """
    found: dict[str, None] = {}
    for line in text.splitlines():
        lone = _LONE.fullmatch(line)
        if lone is not None:
            found[lone[1]] = None
        elif _LABELLED.match(line):
            found.update(dict.fromkeys(_ID.findall(line)))
    return tuple(found)


def read_pointer(path: str) -> tuple[str, ...]:
    """Return the run ids that a pointer file names.

    Raises:
        ReaderError: It is too large or no regular file.
        OSError: It cannot be read.
    """
    data = read_whole(path, MAX_POINTER_BYTES)
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return named_runs(data.decode(encoding, "replace"))


class PointerReader:
    """Reads the files that the recipe lists as pointers."""

    name = "pointer"

    def __init__(self, recipe: Recipe) -> None:
        self._patterns = compile_patterns(recipe.pointers)

    def wants(self, file: FileStat) -> bool:
        """Say whether the recipe lists this file as a pointer."""
        return file.kind == "file" and self._patterns.fullmatch(file.path) is not None

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Yield a mention for every run that the file names."""
        for run_id in read_pointer(path):
            yield Fact(FactKind.MENTION, POINTER_KEY, run_id, file.path, self.name)
