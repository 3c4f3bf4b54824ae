"""Reading one file with one reader, as tests of readers do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import FileStat

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt_migrate.evidence.reading import Reader
    from ckpt_migrate.evidence.records import Scalar
    from ckpt_migrate.recipe import Recipe

Told = tuple[str, str, "Scalar"]


def read(make: Callable[[Recipe], Reader], path: Path, name: str = "") -> list[Told]:
    """Return kind, key and value of each fact in a file; `name` is its path in the checkpoint directory."""
    reader = make(load_recipe())
    file = FileStat(name or path.name, "file", path.stat().st_size, 0)
    assert reader.wants(file)
    facts = list(reader.read(str(path), file))
    assert {(fact.source, fact.reader) for fact in facts} <= {(file.path, reader.name)}
    return [(fact.kind.value, fact.key, fact.value) for fact in facts]


def wants(make: Callable[[Recipe], Reader], name: str, kind: str = "file") -> bool:
    """Say whether a reader wants a file of this name."""
    return make(load_recipe()).wants(FileStat(name, kind, 1, 0))
