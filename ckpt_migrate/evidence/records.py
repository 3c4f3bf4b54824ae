"""Facts that readers find in a checkpoint directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

Scalar: TypeAlias = "str | int | float | bool | list[Scalar] | None"


class FactKind(str, Enum):
    """What a fact is about.

    PARAM: a config value; `key` flattened with `/`, `value` as read (not normalised).
    METRIC: a metric's value; `value` is the text as written, so that its digits say the rounding.
    COUNT: `key` is `epoch` or `step`, `value` an int.
    MENTION: a text that may name a run or a checkpoint directory; `key` says where in the file.
    TIME: when something happened, UTC seconds since 1970; `key` says what.
    """

    PARAM = "param"
    METRIC = "metric"
    COUNT = "count"
    MENTION = "mention"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact; `source` is the file relative to the checkpoint directory, `reader` the reader's name."""

    kind: FactKind
    key: str
    value: Scalar
    source: str
    reader: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that could not be read as what it claims to be.

    Attributes:
        source: The file.
        reader: Who tried.
        what: What is wrong, for people.
        is_lasting: Whether it stays so until the file changes: its content is wrong, not the system.
    """

    source: str
    reader: str
    what: str
    is_lasting: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was read from one checkpoint directory, in a fixed order."""

    facts: tuple[Fact, ...] = ()
    problems: tuple[Problem, ...] = ()
