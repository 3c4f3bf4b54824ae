"""Tables that fit the terminal: ids are shortened first, then the last column is wrapped, or goes below its row."""

from __future__ import annotations

import re
import sys
import textwrap
from typing import TYPE_CHECKING

from ckpt_migrate.cli.output import echo_painted, shown
from ckpt_migrate.cli.terminal import ELLIPSIS, NARROWEST, columns, cut, is_terminal, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEAST_FOR_WORDS = 24
"""Columns that the last column needs to be of any use beside the others."""
MOST_LINES = 3
"""Lines of a row's last column; the rest is cut off, and the whole is elsewhere."""
_GAP = "  "
_INDENT = "   "
_ID = re.compile(r"([0-9a-f]{8})[0-9a-f]{24}")


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; nothing is cut or shortened when standard output is no terminal."""
    cells = [list(header), *([shown(cell) for cell in row] for row in rows)]
    echo_painted(_whole(cells) if not is_terminal(sys.stdout) else fitted(cells, width_of(sys.stdout)))


def fitted(cells: Sequence[Sequence[str]], columns_wide: int) -> list[str]:
    """Return the lines of a table, none wider than a terminal of this width.

    Args:
        cells: The header, then the rows; the last column holds words.
        columns_wide: Columns of the terminal.

    >>> fitted([["", "NAME", "WHY"], ["?", "ac7c134d5a5a44c4ac38fbc83f650af0", "no run fits"]], 42)[1:]
    ['?  ac7c134d..  no run fits']
    >>> fitted([["", "NAME", "WHY"], ["?", "ac7c134d5a5a44c4ac38fbc83f650af0", "two runs fit equally well"]], 32)[1:]
    ['?  ac7c134d..', '   two runs fit equally well']
    """
    columns_wide = max(columns_wide, NARROWEST)
    lines = _whole(cells)
    if all(columns(line) <= columns_wide for line in lines):
        return lines
    short = [[_ID.sub(r"\1..", cell) for cell in row] for row in cells]
    sizes = _sizes(short)
    left = columns_wide - sum(size + len(_GAP) for size in sizes)
    if columns(short[0][-1]) > left:
        short[0][-1] = ""
    return [cut(line, columns_wide) for row in short for line in _lines(row, sizes, left, columns_wide)]


def _lines(row: Sequence[str], sizes: Sequence[int], left: int, columns_wide: int) -> list[str]:
    """Return the lines of a row whose last column has this many columns left for it."""
    if columns(row[-1]) <= left:
        return [_joined(row, [*sizes, 0])]
    if left >= LEAST_FOR_WORDS:
        first, *more = _parts(row[-1], left)
        return [_joined([*row[:-1], first], [*sizes, 0]), *(" " * (columns_wide - left) + part for part in more)]
    start = _joined(row[:-1], sizes)
    return [start, *(_INDENT + part for part in _parts(row[-1], columns_wide - len(_INDENT)))]


def _parts(text: str, room: int) -> list[str]:
    """Return a text in a few lines of at most this many columns."""
    letters = room if columns(text) == len(text) else room // 2  # no letter is wider than two columns
    return textwrap.wrap(text, letters, max_lines=MOST_LINES, placeholder=f" {ELLIPSIS}", break_on_hyphens=False)


def _whole(cells: Sequence[Sequence[str]]) -> list[str]:
    sizes = _sizes(cells)
    return [_joined(row, [*sizes, 0]) for row in cells]


def _sizes(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(columns(row[i]) for row in cells) for i in range(len(cells[0]) - 1)]


def _joined(row: Sequence[str], sizes: Sequence[int]) -> str:
    padded = [cell + " " * (size - columns(cell)) for cell, size in zip(row, sizes, strict=True)]
    return _GAP.join(padded).rstrip()
