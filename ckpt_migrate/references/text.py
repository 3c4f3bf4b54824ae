"""Text as bytes: which encoding it is in, and the lines around places in it."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from ckpt_migrate.references.records import LineChange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
WIDE = tuple(encoding for _, encoding in _MARKS)
"""Encodings of several bytes a letter, which are told by their byte order mark."""
_AROUND = 100
"""Letters shown on either side of a name in a long line."""
_CUT = "…"


def encoding_of(data: bytes) -> str | None:
    """Return the encoding that names in these bytes are written in; None for bytes that are no text.

    Every eight-bit encoding writes names as UTF-8 does, so one that is not UTF-8 is called `latin-1` and no more is
    asked of it. Bytes with a NUL and without a byte order mark are no text, as for git and grep.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    if b"\0" in data:
        return None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def line_changes(
    data: bytes,
    spans: Sequence[tuple[int, int]],
    encoding: str,
    replace: Callable[[bytes], bytes],
    *,
    most: int,
) -> tuple[LineChange, ...]:
    """Return the lines around spans of bytes, before and after `replace` has changed each span.

    Args:
        data: The whole text.
        spans: Where names stand, ascending and apart.
        encoding: As `encoding_of` says.
        replace: Returns what a span's bytes become.
        most: How many lines are returned at most.
    """
    newline = "\n".encode(encoding)
    around = _AROUND * len(newline)
    windows: list[tuple[int, int, list[tuple[int, int]]]] = []
    for start, end in spans:
        first = _line_start(data, start, newline, around)
        last = _line_end(data, end, newline, around)
        if windows and first <= windows[-1][1] and newline not in data[windows[-1][2][-1][1] : start]:
            windows[-1] = (windows[-1][0], last, [*windows[-1][2], (start, end)])
        elif len(windows) < most:
            windows.append((first, last, [(start, end)]))
        else:
            break
    changes = []
    line, counted = 1, 0
    for first, last, inside in windows:
        line += _count_lines(data, counted, first, encoding)
        counted = first
        pieces, place = [], first
        for start, end in inside:
            pieces += [data[place:start], replace(data[start:end])]
            place = end
        after = b"".join([*pieces, data[place:last]])
        head = _CUT if _is_cut_before(data, first, newline, encoding) else ""
        tail = _CUT if last < len(data) and data[last : last + len(newline)] != newline else ""
        before_text, after_text = (part.decode(encoding, "replace").rstrip("\r") for part in (data[first:last], after))
        changes.append(LineChange(line, f"{head}{before_text}{tail}", f"{head}{after_text}{tail}"))
    return tuple(changes)


def _count_lines(data: bytes, start: int, end: int, encoding: str) -> int:
    if encoding in WIDE:
        return data[start:end].decode(encoding, "replace").count("\n")
    return data.count(b"\n", start, end)


def _line_start(data: bytes, start: int, newline: bytes, around: int) -> int:
    lowest = max(0, start - around)
    found = data.rfind(newline, lowest, start)
    while found >= 0 and found % len(newline):
        found = data.rfind(newline, lowest, found + len(newline) - 1)
    return lowest if found < 0 else found + len(newline)


def _line_end(data: bytes, end: int, newline: bytes, around: int) -> int:
    highest = min(len(data), end + around)
    found = data.find(newline, end, highest)
    while found >= 0 and found % len(newline):
        found = data.find(newline, found + 1, highest)
    return highest if found < 0 else found


def _is_cut_before(data: bytes, first: int, newline: bytes, encoding: str) -> bool:
    mark = next((len(mark) for mark, name in _MARKS if name == encoding), 0)
    return first > mark and data[first - len(newline) : first] != newline
