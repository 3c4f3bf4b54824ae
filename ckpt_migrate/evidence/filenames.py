"""What training frameworks write into file names: metrics, epochs, steps."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.records import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".safetensors", ".h5", ".keras", ".pkl")
"""Endings of the files whose names are looked at; a log or a plot may name another checkpoint's metric."""

_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?:nan|inf)"
# A key follows the start, or what separates it from the value or the word before. `/` is part of a key: Lightning
# turns the metric `val/loss` into a folder.
_PAIR = re.compile(rf"(?P<key>[A-Za-z_][\w./@ ]*)=(?P<value>{_NUMBER})(?=$|[-_/ ,]|\.(?![0-9]))")
# Folders of the Hugging Face trainer, and the plain spellings `epoch_3`, `step1000`.
_COUNTED = re.compile(r"(?:^|[-_.])(?P<key>checkpoint|epoch|step)s?[-_]?(?P<value>[0-9]+)(?=$|[-_.])", re.IGNORECASE)
_COUNTS = {
    "epoch": "epoch",
    "epochs": "epoch",
    "step": "step",
    "steps": "step",
    "global_step": "step",
    "checkpoint": "step",
}
_MAX_COUNT_DIGITS = 15


@lru_cache(maxsize=4096)
def parse_name(path: str) -> tuple[tuple[FactKind, str, str], ...]:
    """Return kind, key and text of every value that a relative path spells out, in order.

    >>> parse_name("best-epoch=00-train_loss=2.9476.ckpt")  # doctest: +NORMALIZE_WHITESPACE
    ((<FactKind.COUNT: 'count'>, 'epoch', '00'), (<FactKind.METRIC: 'metric'>, 'train_loss', '2.9476'))
    """
    name = _meaningful_part(path)
    if "=" in name:
        return tuple(_pairs(name))
    found = ((_COUNTS[match["key"].lower()], match["value"]) for match in _COUNTED.finditer(name))
    return tuple((FactKind.COUNT, key, value) for key, value in found if len(value) <= _MAX_COUNT_DIGITS)


def _meaningful_part(path: str) -> str:
    folder, _, name = path.rpartition("/")
    lowered = name.lower()
    for suffix in SUFFIXES:
        if lowered.endswith(suffix):
            name = name[: -len(suffix)]
            break
    above = folder.rpartition("/")[2]
    return f"{above}/{name}" if "=" in above and "=" in name else name


def _pairs(name: str) -> Iterator[tuple[FactKind, str, str]]:
    for match in _PAIR.finditer(name):
        key, value = match["key"].strip(" _."), match["value"]
        count = _COUNTS.get(key.lower())
        if count is not None and value.isdigit() and len(value) <= _MAX_COUNT_DIGITS:
            yield FactKind.COUNT, count, value
        elif key:
            yield FactKind.METRIC, key, value


class FileNameReader:
    """Reads names only; opens nothing."""

    name = "file name"

    def __init__(self, _: Recipe) -> None:
        pass

    def wants(self, file: FileStat) -> bool:
        """Say whether a file is a model by its ending, or a folder named after a step."""
        if file.kind == "file":
            return file.path.lower().endswith(SUFFIXES)
        return file.kind == "dir" and "checkpoint" in file.path.rpartition("/")[2].lower()

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:  # noqa: ARG002 - the protocol's signature
        """Yield a fact for every value in the name; metrics as the text that stands there."""
        for kind, key, text in parse_name(file.path):
            value = int(text) if kind is FactKind.COUNT else text
            yield Fact(kind, key, value, file.path, self.name)
