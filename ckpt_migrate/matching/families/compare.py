"""Comparison: params of a checkpoint's config against params that a run logged, after formats are set aside."""

from __future__ import annotations

import ast
import json
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.keys import KeyPatterns, normalise_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from ckpt_migrate.evidence.records import Scalar

__all__ = ["Comparison", "KeyPatterns", "Params", "Sign", "Value", "comparable", "compare"]

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
        if self.canonical == logged.canonical:
            return True
        return len(logged.raw) in TRUNCATED_LENGTHS and self.raw.startswith(logged.raw)

    @staticmethod
    def of(value: Scalar) -> Value:
        """Return a config value or a logged text, normalised."""
        if isinstance(value, str):
            return _value_of_text(value)
        if isinstance(value, (int, float)) and value:  # 0.0 and -0.0 are equal, and not the same text
            return _value_of_number(value)
        return Value(_canonical(value), str(value))


@lru_cache(maxsize=MOST_KNOWN)
def _value_of_text(text: str) -> Value:
    return Value(_canonical(text), text)


@lru_cache(maxsize=MOST_KNOWN, typed=True)
def _value_of_number(number: float) -> Value:
    return Value(_canonical(number), str(number))


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


Sign = frozenset[tuple[str, str]]
"""Keys with their canonical values."""


class Params(dict[str, Value]):
    """Values by normalised key; not changed once they are looked at."""

    __slots__ = ("_names", "_sign")

    _names: frozenset[str]
    _sign: Sign

    @property
    def names(self) -> frozenset[str]:
        """All keys."""
        try:
            return self._names
        except AttributeError:
            self._names = _one_copy(frozenset(self))
            return self._names

    @property
    def sign(self) -> Sign:
        """What makes two sets of params equal, as one hashable value."""
        try:
            return self._sign
        except AttributeError:
            # From a dict a set is made in half the room that it takes when it grows.
            self._sign = frozenset({_pair(key, value.canonical): None for key, value in self.items()})
            return self._sign

    def sign_of(self, keys: frozenset[str]) -> Sign:
        """Return what makes two sets of params equal in these keys."""
        return self.sign if self.names <= keys else frozenset(pair for pair in self.sign if pair[0] in keys)

    def without(self, keys: frozenset[str]) -> Params:
        """Return the params without some keys."""
        return Params({key: value for key, value in self.items() if key not in keys}) if keys else self


@lru_cache(maxsize=MOST_KNOWN)
def _pair(key: str, canonical: str) -> tuple[str, str]:
    """Return a key with a value, one copy for all params that have it."""
    return key, canonical


@lru_cache(maxsize=MOST_KNOWN)
def _one_copy(names: frozenset[str]) -> frozenset[str]:
    return names


def comparable(values: Mapping[str, Scalar] | Iterable[tuple[str, Scalar]], ignored: KeyPatterns) -> Params:
    """Return params by normalised key, without those that say nothing about identity; the first of a key wins."""
    out = Params()
    items = values.items() if hasattr(values, "items") else values
    for key, value in items:
        if not ignored.matches(key):
            out.setdefault(normalise_key(key), Value.of(value))
    return out


@dataclass(frozen=True, slots=True)
class Comparison:
    """A checkpoint's params beside a run's.

    Attributes:
        same: How many keys agree.
        differing: Keys that both have and that differ, sorted.
        absent: Keys of the config that the run did not log, sorted.
        unlike: Keys that show the run to be of another kind: of the config, which the run lacks though others log
            them, then of the run, which the config lacks though others have them; empty unless there are both.
    """

    same: int = 0
    differing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    @property
    def compared(self) -> int:
        """How many keys both sides have."""
        return self.same + len(self.differing)

    def keys(self, config: Params) -> frozenset[str]:
        """Return the keys that both sides have; `config` as it was compared."""
        return config.names.difference(self.absent) if self.absent else config.names


def compare(config: Params, logged: Params, telling: AbstractSet[str] = frozenset()) -> Comparison:
    """Compare a checkpoint's params with a run's.

    Equal values are found as the intersection of two sets; of what is left, only values that were cut may agree.

    Args:
        config: The checkpoint's.
        logged: The run's.
        telling: Keys whose presence tells kinds of runs apart. A log that lacks some of them may be cut short, and a
            config may hold a part; only where each has what the other lacks are they of two kinds.
    """
    common = config.sign & logged.sign
    same = len(common)
    if same == len(config):
        return Comparison(same)
    differing, absent = [], []
    for key, _ in config.sign - common:
        other = logged.get(key)
        if other is None:
            absent.append(key)
        elif len(other.raw) in TRUNCATED_LENGTHS and config[key].agrees(other):
            same += 1
        else:
            differing.append(key)
    missing = [key for key in absent if key in telling]
    more = sorted((logged.names & telling) - config.names) if missing and logged else []
    unlike = (*sorted(missing), *more) if more else ()
    return Comparison(same, tuple(sorted(differing)), tuple(sorted(absent)), unlike)
