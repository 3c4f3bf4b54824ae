"""Values: params under one form, whatever wrote them down."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.keys import Layout, choose, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ckpt_migrate.evidence.records import Scalar
    from ckpt_migrate.matching.families.keys import Arrangement, KeyPatterns

TRUNCATED_LENGTHS = frozenset({250, 500, 6000})
"""Characters at which MLflow versions cut a param value."""
MOST_KNOWN = 1 << 17
"""Values that are remembered, since most stand in many configs and logs: one copy serves all."""
_NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)|nan", re.IGNORECASE)
_WORDS = {"none": "null", "null": "null", "~": "null", "true": "true", "false": "false"}
_LONGEST_LITERAL = 6000
_LONGEST_INTEGER = 300
"""Digits; longer ones are compared as floats (Python refuses to parse over 4,300)."""
_FLOAT_DIGITS = 6
"""Significant digits of a float that are compared: what a 32-bit tensor keeps of it, so that both sides agree."""
_EXACT_FLOAT = 1e15
"""Below it every whole float prints as the integer that it is."""


@dataclass(frozen=True, slots=True)
class Value:
    """A param's value: `canonical` for comparison, `raw` as written."""

    canonical: str
    raw: str

    def agrees(self, logged: Value) -> bool:
        """Say whether a logged value is this one: equal after formats, or this one cut at MLflow's limit.

        >>> Value.of(2e-4).agrees(Value.of("0.0002")), Value.of([1, 2]).agrees(Value.of("(1, 2)"))
        (True, True)
        """
        return self.canonical == logged.canonical or (
            len(logged.raw) in TRUNCATED_LENGTHS and self.raw.startswith(logged.raw)
        )

    @staticmethod
    def of(value: Scalar) -> Value:
        """Return a config value or a logged text, normalised."""
        return Value(*_texts(value))


def _texts(value: Scalar) -> tuple[str, str]:
    """Return a value for comparison, and as written."""
    if type(value) is str:
        return _texts_of_text(value)
    if type(value) is int:
        return _texts_of_whole(value)
    if type(value) is float and value:  # 0.0 and -0.0 are equal, and not the same text
        return _texts_of_float(value)
    return _canonical(value), str(value)


@lru_cache(maxsize=MOST_KNOWN)
def _texts_of_text(text: str) -> tuple[str, str]:
    return _with_text(_canonical(text), text)


@lru_cache(maxsize=MOST_KNOWN)
def _texts_of_whole(number: int) -> tuple[str, str]:
    return _with_text(_canonical(number), str(number))


@lru_cache(maxsize=MOST_KNOWN)
def _texts_of_float(number: float) -> tuple[str, str]:
    return _with_text(_canonical(number), str(number))


def _with_text(canonical: str, text: str) -> tuple[str, str]:
    """Return two texts, as one object where they are equal: so they are told to be by a glance."""
    return canonical, canonical if text == canonical else text


def _canonical(value: object) -> str:
    if value is None or isinstance(value, bool):
        return _WORDS[str(value).lower()]
    if isinstance(value, (int, float)):
        return _canonical_number(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_canonical(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{key}:{_canonical(item)}" for key, item in value.items())) + "}"
    if isinstance(value, (set, frozenset)):
        return "{" + ",".join(sorted(map(_canonical, value))) + "}"
    return _canonical_text(value.strip()) if isinstance(value, str) else str(value)


def _canonical_text(text: str) -> str:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _NUMBER.fullmatch(text):
        try:
            return _canonical_number(int(text) if text.isdigit() and len(text) < _LONGEST_INTEGER else float(text))
        except ValueError:  # `1_` has the looks of a number and is none
            return text
    if text[:1] in "[({" and text[-1:] in "])}" and len(text) <= _LONGEST_LITERAL:
        for parse in (ast.literal_eval, json.loads):
            try:
                return _canonical(parse(text))
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                continue
        return text
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _canonical_number(number: float) -> str:
    if isinstance(number, int):
        return str(number)
    if math.isfinite(number) and number == int(number) and abs(number) < _EXACT_FLOAT:
        return str(int(number))
    return f"{number:.{_FLOAT_DIGITS}g}"


class Params(Mapping[str, Value]):
    """Values by normalised key, never changed; two are equal whose values are, formats aside.

    Of a large project most of what is held are params, 30 of each directory and 30 of each run. As rows of texts that
    stand for all under keys that stand for all they take a fifth of the room of dicts, and are compared as wholes.

    Attributes:
        layout: The keys.
        canonicals: The values for comparison, by place.
        raws: The values as written, by place.
    """

    __slots__ = ("_may_be_cut", "canonicals", "layout", "raws")

    def __init__(self, layout: Layout, canonicals: tuple[str, ...], raws: tuple[str, ...]) -> None:
        self.layout = layout
        self.canonicals = canonicals
        self.raws = canonicals if raws == canonicals else raws
        self._may_be_cut: bool | None = None

    @property
    def names(self) -> frozenset[str]:
        """All keys."""
        return self.layout.names

    @property
    def may_be_cut(self) -> bool:
        """Whether any value is as long as those are that MLflow cuts."""
        known = self._may_be_cut
        if known is None:
            known = self._may_be_cut = not TRUNCATED_LENGTHS.isdisjoint(map(len, self.raws))
        return known

    def canonical(self, key: str) -> str | None:
        """Return a value for comparison; None without one."""
        place = self.layout.places.get(key)
        return None if place is None else self.canonicals[place]

    def arranged(self, arrange: Callable[[Layout], Arrangement]) -> Params:
        """Return the values that a function of layouts picks, under the keys that it gives them."""
        layout, places = arrange(self.layout)
        if layout is self.layout:
            return self
        return Params(layout, tuple([self.canonicals[i] for i in places]), tuple([self.raws[i] for i in places]))

    def without(self, keys: frozenset[str]) -> Params:
        """Return the params without some keys."""
        return self.only(self.names - keys)

    def only(self, keys: frozenset[str]) -> Params:
        """Return the params of some keys."""
        return self if self.names <= keys else self.arranged(lambda layout: within(layout, keys))

    def __getitem__(self, key: str) -> Value:
        place = self.layout.places[key]
        return Value(self.canonicals[place], self.raws[place])

    def __contains__(self, key: object) -> bool:
        return key in self.layout.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.keys)

    def __len__(self) -> int:
        return len(self.canonicals)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Params):
            return NotImplemented
        return self.canonicals == other.canonicals and self.layout.keys == other.layout.keys

    def __hash__(self) -> int:
        return hash(self.canonicals)

    def __repr__(self) -> str:
        return f"Params({dict(self)!r})"


def comparable(values: Mapping[str, Scalar] | Iterable[tuple[str, Scalar]], ignored: KeyPatterns) -> Params:
    """Return params by normalised key, without those that say nothing about identity; the first of a key wins."""
    pairs = values.items() if isinstance(values, Mapping) else tuple(values)
    layout, places = choose(tuple([key for key, _ in pairs]), ignored)
    texts = [_texts_of_text(value) if type(value) is str else _texts(value) for _, value in pairs]
    return Params(layout, tuple([texts[i][0] for i in places]), tuple([texts[i][1] for i in places]))
