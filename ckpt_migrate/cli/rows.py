"""Tables that fit the terminal: ids are shortened first, then the last column is wrapped, or goes below its row."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from typing import TYPE_CHECKING

from ckpt_migrate.cli.output import echo_painted, shown
from ckpt_migrate.cli.terminal import ELLIPSIS, NARROWEST, columns, cut, cut_before, is_terminal, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEAST_FOR_WORDS = 24
"""Columns that the last column needs to be of any use beside the others."""
LEAST_FOR_A_NAME = 26
"""Columns of a shortened id and a stamp, by which a directory is known."""
MOST_LINES = 3
"""Lines of a row's last column; the rest is cut off, and the whole is elsewhere."""
_GAP = "  "
_INDENT = "   "
_ID = re.compile(r"([0-9a-f]{8})[0-9a-f]{24}")


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; nothing is cut or shortened when standard output is no terminal."""
    cells = [list(header), *([shown(cell) for cell in row] for row in rows)]
    if not is_terminal(sys.stdout):
        echo_painted(_whole(cells))
        return
    here = f"{os.getcwd()}/"
    echo_painted(fitted([[cell.removeprefix(here) for cell in row] for row in cells], width_of(sys.stdout)))


def fitted(cells: Sequence[Sequence[str]], columns_wide: int) -> list[str]:
    """Return the lines of a table that fit a terminal of this width.

    Only a word of the last column that is wider than the whole terminal is left as it is: the terminal breaks it, and
    puts it together again when it is copied.

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
    short = _narrowed([[_ID.sub(r"\1..", cell) for cell in row] for row in cells], columns_wide)
    sizes = _sizes(short)
    left = columns_wide - sum(size + len(_GAP) for size in sizes)
    if columns(short[0][-1]) > left:
        short[0][-1] = ""
    return [line for row in short for line in _lines(row, sizes, left, columns_wide)]


def _narrowed(cells: list[list[str]], columns_wide: int) -> list[list[str]]:
    """Return a table whose widest column is made narrow enough for all but the last to fit; names keep their ends."""
    sizes = _sizes(cells)
    over = sum(sizes) + len(_GAP) * (len(sizes) - 1) - columns_wide
    if over <= 0:
        return cells
    widest = max(range(len(sizes)), key=lambda place: sizes[place])
    room = max(sizes[widest] - over, LEAST_FOR_A_NAME)
    return [[cut_before(cell, room) if place == widest else cell for place, cell in enumerate(row)] for row in cells]


def _lines(row: Sequence[str], sizes: Sequence[int], left: int, columns_wide: int) -> list[str]:
    """Return the lines of a row whose last column has this many columns left for it."""
    if columns(row[-1]) <= left:
        return [_joined(row, [*sizes, 0])]
    if left >= LEAST_FOR_WORDS and all(columns(word) <= left for word in row[-1].split()):
        first, *more = _parts(row[-1], left)
        return [_joined([*row[:-1], first], [*sizes, 0]), *(" " * (columns_wide - left) + part for part in more)]
    start = cut(_joined(row[:-1], sizes), columns_wide)
    return [start, *(_INDENT + part for part in _parts(row[-1], columns_wide - len(_INDENT)))]


def _parts(text: str, room: int) -> list[str]:
    """Return a text in a few lines of at most this many columns; a longer word is left whole."""
    letters = room if columns(text) == len(text) else room // 2  # no letter is wider than two columns
    return textwrap.wrap(
        text,
        letters,
        max_lines=MOST_LINES,
        placeholder=f" {ELLIPSIS}",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _whole(cells: Sequence[Sequence[str]]) -> list[str]:
    sizes = _sizes(cells)
    return [_joined(row, [*sizes, 0]) for row in cells]


def _sizes(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(columns(row[i]) for row in cells) for i in range(len(cells[0]) - 1)]


def _joined(row: Sequence[str], sizes: Sequence[int]) -> str:
    padded = [cell + " " * (size - columns(cell)) for cell, size in zip(row, sizes, strict=True)]
    return _GAP.join(padded).rstrip()
