"""Terminals: which streams are one, how wide it is, whether it moves its cursor and shows colours."""

from __future__ import annotations

import os
import re
import textwrap
import unicodedata
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

NARROWEST = 30
"""Columns of the narrowest terminal that text is made for."""
USUAL = 80
"""Columns of a terminal that does not say how wide it is."""
ELLIPSIS = "..."  # ASCII: a terminal on the far side of an ssh may know nothing else

_MARKS = {"~": "green", "*": "cyan", "+": "green", "?": "yellow", "!": "red", "-": "blue"}
_MARKED = re.compile(r"([?!*~+-])(  ?[a-z]+)?(?= )")
_EVIDENCE = re.compile(r"( +)(for|against)(?= [0-9.]+ bits)")
_CHANGED = re.compile(r"( +[0-9]+: )([-+] .*)")
_LOUD = re.compile(r"( *)(Error|Warning|Doubt|DOUBT)(?=:)")
_COMMAND = re.compile(r" *ckpt-migrate ")
_UNEVEN = re.compile(r"[^\S ]|\s$")
"""What breaking a line changes even in a short one: other white space than blanks, and that at the end."""


def is_terminal(stream: TextIO | None) -> bool:
    """Say whether a stream is a terminal; one that was closed before the start is None."""
    return stream is not None and not stream.closed and stream.isatty()


def can_move(stream: TextIO | None) -> bool:
    """Say whether a stream is a terminal on which a line can be drawn anew."""
    return is_terminal(stream) and os.environ.get("TERM", "dumb") != "dumb"


def has_colours(stream: TextIO | None) -> bool:
    """Say whether a stream is a terminal that shows colours, and nobody asked for none (no-color.org)."""
    return can_move(stream) and not os.environ.get("NO_COLOR")


def width_of(stream: TextIO | None) -> int:
    """Return the columns of a terminal."""
    given = os.environ.get("COLUMNS", "")
    found = int(given) if given.isdecimal() else 0
    if not found and stream is not None:
        try:
            found = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):  # no terminal after all, or a stream without a descriptor
            found = 0
    return max(found or USUAL, NARROWEST)


def painted(line: str, stream: TextIO | None) -> str:
    """Return a line with what is to be seen first in colours; as it is where the stream shows none.

    A colour never says what no word or mark says.

    Args:
        line: One line without control characters.
        stream: Where it is to be printed.
    """
    return _coloured(line) if has_colours(stream) else line


def _coloured(line: str) -> str:
    if (found := _MARKED.match(line)) is not None:
        return click.style(found[0], fg=_MARKS[found[1]]) + line[found.end() :]
    if (found := _EVIDENCE.match(line)) is not None:
        colour = "green" if found[2] == "for" else "red"
        return found[1] + click.style(found[2], fg=colour) + line[found.end() :]
    if (found := _CHANGED.match(line)) is not None:
        return found[1] + click.style(found[2], fg="red" if found[2][0] == "-" else "green")
    if (found := _LOUD.match(line)) is not None:
        colour = "red" if found[2] == "Error" else "yellow"
        return found[1] + click.style(found[2], fg=colour, bold=True) + line[found.end() :]
    return line


def folded(line: str, stream: TextIO | None) -> list[str]:
    """Return a line as it is to be printed: on a terminal broken between words, but a command left whole."""
    return _broken(line, width_of(stream)) if is_terminal(stream) else [line]


def dressed(lines: Iterable[str], stream: TextIO | None, *, is_folded: bool) -> Iterator[str]:
    """Yield many lines as they are to be printed: painted, before that folded when that is wanted.

    The terminal is asked once for all of them.
    """
    columns_wide = width_of(stream) if is_folded and is_terminal(stream) else None
    is_coloured = has_colours(stream)
    for line in lines:
        for part in (line,) if columns_wide is None else _broken(line, columns_wide):
            yield _coloured(part) if is_coloured else part


def _broken(line: str, columns_wide: int) -> list[str]:
    return [line] if _COMMAND.match(line) else wrapped(line, columns_wide)


def wrapped(text: str, columns_wide: int) -> list[str]:
    """Return a text in lines of at most this many letters; a longer word is left whole, to be copied.

    >>> wrapped("    for 3.9 bits, params: 14 of 14 agree", 30)
    ['    for 3.9 bits, params: 14', '      of 14 agree']
    """
    if len(text) <= max(columns_wide, NARROWEST) and not _UNEVEN.search(text):
        return [text]
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    lines = textwrap.wrap(
        text,
        max(columns_wide, NARROWEST),
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines or [""]


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide letters take two, combining marks none.

    >>> columns("実験"), columns("e\\u0301")
    (4, 1)
    """
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in {"W", "F"} for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def cut(text: str, columns_wide: int) -> str:
    """Return as much of a text as fits, an ellipsis in the place of the rest."""
    if columns(text) <= columns_wide:
        return text
    room = columns_wide - len(ELLIPSIS)
    while columns(text) > room:
        text = text[: min(len(text) - 1, room)]
    return text + ELLIPSIS


def cut_before(text: str, columns_wide: int) -> str:
    """Return as much of the end of a path as fits, an ellipsis in the place of what stands before it.

    Its name alone stands without one, rather than to lose its beginning.

    >>> cut_before("/data/checkpoints/phase2/last", 14), cut_before("phase2/ac7c134d.._20260201", 20)
    ('...phase2/last', 'ac7c134d.._20260201')
    """
    if columns(text) <= columns_wide:
        return text
    room = columns_wide - len(ELLIPSIS)
    name = text.rpartition("/")[2]
    if room < columns(name) <= columns_wide:
        return name
    while columns(text) > room:
        text = text[max(1, len(text) - room) :]
    return ELLIPSIS + text
