"""Tables that fit the terminal: ids are shortened first, then the last column goes below its row."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
import unicodedata
from typing import TYPE_CHECKING

from ckpt_migrate.cli.output import echo, is_terminal, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NARROWEST = 30
"""Columns of the narrowest terminal that a table is made for."""
LEAST_FOR_WORDS = 24
"""Columns that the last column needs to be of any use beside the others."""
_GAP = "  "
_INDENT = "   "
_ID = re.compile(r"([0-9a-f]{8})[0-9a-f]{24}")
_ELLIPSIS = "…"


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; nothing is cut or shortened when standard output is no terminal."""
    cells = [list(header), *([shown(cell) for cell in row] for row in rows)]
    for line in _whole(cells) if not is_terminal(sys.stdout) else fitted(cells, shutil.get_terminal_size().columns):
        echo(line)


def print_wrapped(lines: Iterable[str]) -> None:
    """Print lines; on a terminal, long ones are broken between words, and go on below their own beginning."""
    texts = [shown(line) for line in lines]
    if is_terminal(sys.stdout):
        width = shutil.get_terminal_size().columns
        texts = [part for text in texts for part in wrapped(text, width)]
    for text in texts:
        echo(text)


def wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of at most this many letters; a longer word is left whole, to be copied.

    >>> wrapped("    for 3.9 bits, params: 14 of 14 agree", 30)
    ['    for 3.9 bits, params: 14', '      of 14 agree']
    """
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    lines = textwrap.wrap(
        text, max(width, NARROWEST), subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
    return lines or [""]


def fitted(cells: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the lines of a table, none wider than a terminal of this width.

    Args:
        cells: The header, then the rows; the last column holds words.
        width: Columns of the terminal.

    >>> fitted([["", "NAME", "WHY"], ["?", "ac7c134d5a5a44c4ac38fbc83f650af0", "no run fits"]], 42)[1:]
    ['?  ac7c134d…  no run fits']
    >>> fitted([["", "NAME", "WHY"], ["?", "ac7c134d5a5a44c4ac38fbc83f650af0", "two runs fit equally well"]], 32)[1:]
    ['?  ac7c134d…', '   two runs fit equally well']
    """
    width = max(width, NARROWEST)
    lines = _whole(cells)
    if all(columns(line) <= width for line in lines):
        return lines
    short = [[_ID.sub(rf"\1{_ELLIPSIS}", cell) for cell in row] for row in cells]
    left = width - sum(size + len(_GAP) for size in _sizes(short))
    if left >= min(LEAST_FOR_WORDS, max(columns(row[-1]) for row in short)):
        return [cut(line, width) for line in _whole(short)]
    lines = []
    for row in short:
        lines.append(cut(_joined(row[:-1], _sizes(short)), width))
        if row[-1] and row is not short[0]:
            lines.append(cut(_INDENT + row[-1], width))
    return lines


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide letters take two, combining marks none.

    >>> columns("実験"), columns("e\\u0301")
    (4, 1)
    """
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in {"W", "F"} for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def cut(text: str, width: int) -> str:
    """Return as much of a text as fits, an ellipsis in the place of the rest."""
    if columns(text) <= width:
        return text
    while columns(text) > width - 1:
        text = text[: min(len(text) - 1, width - 1)]
    return text + _ELLIPSIS


def _whole(cells: Sequence[Sequence[str]]) -> list[str]:
    sizes = _sizes(cells)
    return [_joined(row, [*sizes, 0]) for row in cells]


def _sizes(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(columns(row[i]) for row in cells) for i in range(len(cells[0]) - 1)]


def _joined(row: Sequence[str], sizes: Sequence[int]) -> str:
    padded = [cell + " " * (size - columns(cell)) for cell, size in zip(row, sizes, strict=True)]
    return _GAP.join(padded).rstrip()
