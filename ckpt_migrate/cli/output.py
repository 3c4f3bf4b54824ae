"""What commands print: text for people and JSON from the same records; progress; the question before a change."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ckpt_migrate.progress import SILENT
from ckpt_migrate.inspection import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt_migrate.progress import Progress

T = TypeVar("T")
NARROWEST = 60


def plain(value: object) -> Any:  # noqa: ANN401 - plain data is of many types
    """Return a record as plain data for JSON; field names as they are, enums by value, bytes never."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value


def print_json(value: object) -> None:
    """Print plain data as JSON."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False, default=str))


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose last column takes what width is left; nothing is cut when standard output is no terminal."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *shown]) for i in range(len(header) - 1)]
    width = max(shutil.get_terminal_size().columns, NARROWEST) if sys.stdout.isatty() else None
    for row in [list(header), *shown]:
        line = "  ".join([cell.ljust(size) for cell, size in zip(row, widths, strict=False)] + [row[-1]]).rstrip()
        click.echo(line if width is None or len(line) <= width else f"{line[: width - 1]}…")


def say(text: str) -> None:
    """Print a remark to standard error."""
    click.echo(printable_lines(text), err=True)


def printable_lines(text: str) -> str:
    """Return text whose lines hold no control characters."""
    return "\n".join(printable(line) for line in text.split("\n"))


def size(count: int) -> str:
    """Return a number of bytes for people.

    >>> size(1536)
    '1.5 KiB'
    """
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:  # noqa: PLR2004 - bytes in a KiB
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


class _Bars:
    """Progress bars on a terminal."""

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterable[T]:
        from tqdm import tqdm

        return tqdm(items, desc=label, total=total, file=sys.stderr, leave=False, delay=0.5, dynamic_ncols=True)


def bars() -> Progress:
    """Return progress bars when standard error is a terminal, and silence otherwise."""
    return _Bars() if sys.stderr.isatty() else SILENT


def confirm(question: str, *, yes: bool) -> bool:
    """Ask before a change; only `yes` is a yes.

    Raises:
        click.UsageError: There is no terminal to ask on and --yes was not given.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to confirm on; look at --dry-run first, then give --yes")
    click.echo(f"{question}\n  Only 'yes' is accepted: ", nl=False, err=True)
    return sys.stdin.readline().strip() == "yes"
