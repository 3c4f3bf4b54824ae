"""Tables of metrics: `results.csv` of Ultralytics, `metrics.csv` of Lightning; the last value of each column.

Only the beginning and the end are read: a training of weeks writes a long table, and its end says where it came.
"""

from __future__ import annotations

import csv
import os
import re
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError, open_file, read_at
from ckpt_migrate.evidence.records import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

MAX_HEAD_BYTES = 64 << 10
"""Longest first line, bytes."""
MAX_TAIL_BYTES = 256 << 10
"""How much of the end is read, bytes; Lightning spreads the metrics of one epoch over several lines."""

_NAMES = frozenset({"results.csv", "metrics.csv"})
_COUNTS = {"epoch": "epoch", "step": "step"}
_COUNT_END = 10**15
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
# Ultralytics takes brackets out of a metric's name before it logs it to MLflow, which does not allow them.
_BRACKETS = re.compile(r"[()]")


class MetricTableReader:
    """Reads the end of a table of metrics."""

    name = "metric table"

    def __init__(self, _: Recipe) -> None:
        pass

    def wants(self, file: FileStat) -> bool:
        """Say whether it is a framework's table by its name."""
        return file.kind == "file" and file.path.rpartition("/")[2] in _NAMES

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Yield the last value of every column, as it is written."""
        for key, text in _last_values(*_ends(path)).items():
            count = _COUNTS.get(key.lower())
            if count is None:
                yield Fact(FactKind.METRIC, key, text, file.path, self.name)
            elif float(text).is_integer() and 0 <= float(text) < _COUNT_END:
                yield Fact(FactKind.COUNT, count, int(float(text)), file.path, self.name)


def _ends(path: str) -> tuple[str, list[str]]:
    """Return the first line of a file, and its last whole lines."""
    descriptor = open_file(path)
    try:
        head = read_at(descriptor, 0, MAX_HEAD_BYTES)
        first, newline, _ = head.partition(b"\n")
        if not newline:
            raise ReaderError("no table: its first line does not end")
        start = max(len(first) + 1, os.fstat(descriptor).st_size - MAX_TAIL_BYTES)
        tail = read_at(descriptor, start, MAX_TAIL_BYTES)
    finally:
        os.close(descriptor)
    if start > len(first) + 1:
        # The first line of the tail is most likely a part of one.
        tail = tail.partition(b"\n")[2]
    # Zeros stand where a disk ran full; older Pythons read no line with one.
    text = tail.replace(b"\0", b"").decode("utf-8", "replace")
    return first.replace(b"\0", b"").decode("utf-8-sig", "replace"), text.splitlines()


def _last_values(header: str, lines: list[str]) -> dict[str, str]:
    try:
        names = [_BRACKETS.sub("", name.strip()) for name in next(csv.reader([header]), [])]
        rows = [row for row in csv.reader(lines) if len(row) == len(names)]
    except csv.Error as error:
        raise ReaderError(f"no table: {error}") from error
    found: dict[str, str] = {}
    for row in rows:
        for name, cell in zip(names, row, strict=True):
            text = cell.strip()
            if name and _NUMBER.fullmatch(text):
                found[name] = text
    return found
