"""Many names at once in bytes: every occurrence, exactly, at the speed of one search.

Names made from one template agree in some places: the underscore, the century of the stamp. The longest such stretch is
the anchor. One regular expression looks for the anchor and for what may follow it, and a look-up in a dictionary
decides: faster than an automaton over all names, and with nothing to build for each of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Searchable = bytes | bytearray

_SHORTEST_ANCHOR = 2
_BEFORE, _AFTER = 8, 4
"""Bytes of a name's surroundings that decide whether it stands alone, in each direction."""
_ESCAPE = re.compile(rb"(?:\\[abefnrtv0]|%[0-9A-Fa-f]{2})\Z")
_WORD_BEFORE = re.compile(rb"(?:[0-9A-Za-z_-]|[0-9A-Za-z_-]\.)\Z")
_WORD_AFTER = re.compile(rb"[0-9A-Za-z_-]|\.[0-9A-Za-z_-]")


@dataclass(frozen=True, slots=True)
class _Anchored:
    """Names of one length that agree from `offset` on, and the expression that finds that stretch."""

    pattern: re.Pattern[bytes]
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A name found; `offset` in bytes, `is_whole` unless it is a part of a longer word."""

    offset: int
    name: str
    is_whole: bool


class Names:
    """Names to look for.

    >>> names = Names(["ac7c134d5a5a44c4ac38fbc83f650af0_20260201_041227"])
    >>> text = b"a: x/ac7c134d5a5a44c4ac38fbc83f650af0_20260201_041227/model.pt"
    >>> [(found.offset, found.is_whole) for found in names.find(text)]
    [(5, True)]

    Args:
        names: The names; none is part of another.
        encoding: How they are written in what is searched.
    """

    def __init__(self, names: Iterable[str], encoding: str = "utf-8") -> None:
        self._encoding = encoding
        self._names = {_encode(name, encoding): name for name in names}
        by_length: defaultdict[int, list[bytes]] = defaultdict(list)
        for name in self._names:
            by_length[len(name)].append(name)
        self._anchored = [one for length in sorted(by_length) for one in _anchor(by_length[length])]
        self.longest = max(by_length, default=0)

    def offsets(self, data: Searchable, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield where a name stands, in no order, and which; of a buffer only what lies before `end`."""
        limit = len(data) if end is None else end
        for one in self._anchored:
            for match in one.pattern.finditer(data, 0, limit):
                start = match.start() - one.offset
                if start >= 0:
                    name = bytes(data[start : start + one.length])
                    if name in self._names:
                        yield start, name

    def has_any(self, data: Searchable, end: int) -> bool:
        """Say whether a name stands in a buffer before `end`."""
        return next(self.offsets(data, end), None) is not None

    def find(self, data: bytes) -> list[Occurrence]:
        """Return all occurrences, sorted by offset."""
        return [
            Occurrence(offset, self._names[name], self._is_whole(data, offset, offset + len(name)))
            for offset, name in sorted(self.offsets(data))
        ]

    def encoded(self, name: str) -> bytes:
        """Return a name as it stands in what is searched."""
        return _encode(name, self._encoding)

    def replaced(self, found: bytes, targets: Mapping[str, str]) -> bytes:
        """Return what stands in the place of a name, given as it stands there, once names have become their targets."""
        return _encode(targets[self._names[found]], self._encoding)

    def at(self, data: bytes, offset: int) -> str | None:
        """Return the name that stands at an offset; None for none."""
        for length in {one.length for one in self._anchored}:
            name = self._names.get(data[offset : offset + length])
            if name is not None:
                return name
        return None

    def _is_whole(self, data: bytes, start: int, end: int) -> bool:
        """Say whether neither side goes on as a word does.

        A letter before it that belongs to an escape (a backslash and n, or %2F) belongs to no word.
        """
        width = len("a".encode(self._encoding))
        before = data[max(0, start - _BEFORE * width) : start].decode(self._encoding, "replace")
        after = data[end : end + _AFTER * width].decode(self._encoding, "replace")
        ahead, behind = before.encode("utf-8"), after.encode("utf-8")
        if _WORD_AFTER.match(behind) or _is_cased(after[:1]):
            return False
        return _ESCAPE.search(ahead) is not None or not (_WORD_BEFORE.search(ahead) or _is_cased(before[-1:]))


def _is_cased(character: str) -> bool:
    """Say whether this is a letter of a script with upper and lower case: others write no spaces between words."""
    return character.lower() != character.upper()


def _encode(name: str, encoding: str) -> bytes:
    return name.encode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")


def _anchor(names: Sequence[bytes]) -> list[_Anchored]:
    """Return expressions that together find all of these names of one length."""
    columns = [set(column) for column in zip(*names, strict=True)]
    start, stop = _longest_run([len(column) == 1 for column in columns])
    if stop - start < min(_SHORTEST_ANCHOR, len(columns)) and len(names) > 1:
        least = min((place for place, column in enumerate(columns) if len(column) > 1), key=lambda p: len(columns[p]))
        parts: defaultdict[int, list[bytes]] = defaultdict(list)
        for name in names:
            parts[name[least]].append(name)
        return [one for part in sorted(parts) for one in _anchor(parts[part])]
    # Matches must not hide each other: of the anchor no more is consumed than can be without overlapping itself.
    anchor = names[0][start:stop]
    consumed = len(anchor) if not any(anchor.startswith(anchor[place:]) for place in range(1, len(anchor))) else 1
    tail = re.escape(anchor[consumed:]) + b"".join(_class(column) for column in columns[stop:])
    pattern = re.escape(anchor[:consumed]) + b"(?=" + tail + b")"
    return [_Anchored(re.compile(pattern, re.DOTALL), start, len(columns))]


def _longest_run(flags: Sequence[bool]) -> tuple[int, int]:
    best = (0, 0)
    start = 0
    for place, flag in enumerate([*flags, False]):
        if not flag:
            best = max(best, (start, place), key=lambda run: run[1] - run[0])
            start = place + 1
    return best


def _class(column: Iterable[int]) -> bytes:
    return b"[" + b"".join(re.escape(bytes([byte])) for byte in sorted(column)) + b"]"
