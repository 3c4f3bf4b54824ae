"""Nested configs as flat params: keys joined with `/`, values as MLflow loggers would have seen them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ckpt_migrate.evidence.records import Scalar

MAX_VALUES = 50_000
"""Values in one config. The largest in practice carry a table of class names; more is data or an attack."""

MAX_DEPTH = 64
"""Levels of nesting in one config; deeper ones are made to exhaust whoever walks them."""

MAX_INTEGER_BITS = 1024
"""Longer integers are kept as hexadecimal text: Python refuses to print those over 4,300 digits."""

OPAQUE = object()
"""What a value is that has no plain form; it is left out, and so is a list that holds one."""


def flatten(top: object, reveal: Callable[[object], object] = lambda value: value) -> Iterator[tuple[str, Scalar]]:
    """Yield key and value of every value in a config, in its order.

    Empty mappings become the text `{}`, lists stay lists; a list that holds mappings becomes the text that `str`
    gives, which is what loggers log. Values with an unresolved `${…}` are left out: they say nothing yet.

    Args:
        top: The config; what is no mapping has no params.
        reveal: Turns a value into plain data, or into `OPAQUE`; called for each value once.

    Raises:
        ReaderError: It holds too many values or is nested too deeply.

    >>> list(flatten({"model": {"lr": 2e-4, "sizes": [1, 2]}, "seed": None}))
    [('model/lr', 0.0002), ('model/sizes', [1, 2]), ('seed', None)]
    """
    top = reveal(top)
    if isinstance(top, dict):
        yield from _Flattening(reveal).members("", top, 1)


@dataclass(slots=True)
class _Flattening:
    """Counts what is visited: a few shared lists can stand for billions of values."""

    reveal: Callable[[object], object]
    left: int = MAX_VALUES

    def spend(self, count: int, depth: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ReaderError(f"holds over {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise ReaderError(f"nested over {MAX_DEPTH} levels deep")

    def members(self, prefix: str, mapping: dict[object, object], depth: int) -> Iterator[tuple[str, Scalar]]:
        self.spend(len(mapping), depth)
        for name, hidden in mapping.items():
            value = self.reveal(hidden)
            if not isinstance(name, (str, int, float)) and name is not None:
                continue
            # The same keys come back in thousands of checkpoints; one copy of each is kept.
            key = sys.intern(f"{prefix}{text_of(name)}")
            if isinstance(value, dict) and value:
                yield from self.members(f"{key}/", value, depth + 1)
                continue
            plain = self.plain(value, depth)
            if plain is not OPAQUE and not _is_unresolved(plain):
                yield key, str(plain) if _holds_mapping(plain) else plain  # type: ignore[misc] # no mapping is left

    def plain(self, value: object, depth: int) -> object:
        """Return a value as text, number, None, or list or mapping of such."""
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, int) and value.bit_length() <= MAX_INTEGER_BITS:
            return value
        if isinstance(value, (str, int)):
            return text_of(value)
        if isinstance(value, (list, tuple)):
            self.spend(len(value), depth)
            items = [self.plain(self.reveal(item), depth + 1) for item in value]
            return OPAQUE if OPAQUE in items else items
        if isinstance(value, dict):
            self.spend(len(value), depth)
            made = {text_of(name): self.plain(self.reveal(item), depth + 1) for name, item in value.items()}
            return OPAQUE if OPAQUE in made.values() else made
        return OPAQUE


def text_of(value: object) -> str:
    """Return a key or value as text that can be written: half a surrogate pair, as JSON may hold, cannot."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return hex(value)
    return str(value)


def _holds_mapping(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(_holds_mapping(item) for item in value))


def _is_unresolved(value: object) -> bool:
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any(_is_unresolved(item) for item in value.values())
    return isinstance(value, list) and any(_is_unresolved(item) for item in value)
