"""Nested configs as flat params: keys joined with `/`, values as MLflow loggers would have seen them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt_migrate.evidence.records import Scalar

MAX_VALUES = 50_000
"""Values in one config. The largest in practice carry a table of class names; more is data or an attack."""

MAX_DEPTH = 64
"""Levels of nesting in one config; deeper ones are made to exhaust whoever walks them."""

MAX_INTEGER_BITS = 1024
"""Longer integers are kept as hexadecimal text: Python refuses to print those over 4,300 digits."""

MISSING = "???"
"""How Hydra writes a value that was never given."""

OPAQUE = object()
"""What a value is that has no plain form; it is left out, and so is a list that holds one."""

_ATOMS = frozenset({str, int, float, bool, type(None)})


def flatten(top: object, reveal: Callable[[object], object] | None = None) -> list[tuple[str, Scalar]]:
    """Return key and value of every value in a config, in its order.

    Empty mappings become the text `{}`, lists stay lists; a list that holds mappings becomes the text that `str`
    gives, which is what loggers log. Values that Hydra has not resolved (`${…}`, `???`) are left out: they say nothing.

    Args:
        top: The config; what is no mapping has no params.
        reveal: Turns a value into plain data, or into `OPAQUE`; asked for each that is neither text, number nor None.

    Raises:
        ReaderError: It holds too many values or is nested too deeply.

    >>> flatten({"model": {"lr": 2e-4, "sizes": [1, 2]}, "seed": None, "out": "${dir}/x"})
    [('model/lr', 0.0002), ('model/sizes', [1, 2]), ('seed', None)]
    """
    top = top if reveal is None else reveal(top)
    flattening = _Flattening(reveal)
    if isinstance(top, dict):
        flattening.add("", top, 1)
    return flattening.found


@dataclass(slots=True)
class _Flattening:
    """Counts what is visited: a few shared lists can stand for billions of values."""

    reveal: Callable[[object], object] | None
    found: list[tuple[str, Scalar]] = field(default_factory=list)
    left: int = MAX_VALUES

    def spend(self, count: int, depth: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ReaderError(f"holds over {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise ReaderError(f"nested over {MAX_DEPTH} levels deep")

    def add(self, prefix: str, mapping: dict[object, object], depth: int) -> None:
        self.spend(len(mapping), depth)
        found = self.found
        for name, value in mapping.items():
            if name.__class__ not in _ATOMS:
                continue
            key = prefix + (name if name.__class__ is str and name.isascii() else text_of(name))
            # This loop runs for every value of every checkpoint: the plainest kinds come first and call nothing.
            if isinstance(value, str):
                if "${" not in value and value != MISSING:
                    found.append((key, value if value.isascii() else text_of(value)))
            elif value is None or isinstance(value, (float, bool)):
                found.append((key, value))
            elif isinstance(value, int):
                found.append((key, value if value.bit_length() <= MAX_INTEGER_BITS else hex(value)))
            else:
                self.add_collection(key, value, depth)

    def add_collection(self, key: str, value: object, depth: int) -> None:
        shown = value if self.reveal is None else self.reveal(value)
        if isinstance(shown, dict) and shown:
            self.add(f"{key}/", shown, depth + 1)
            return
        plain = self.plain(shown, depth)
        if plain is not OPAQUE and not _is_unresolved(plain):
            self.found.append((key, str(plain) if _holds_mapping(plain) else plain))  # type: ignore[arg-type] # plain

    def plain(self, value: object, depth: int) -> object:
        """Return a value as text, number, None, or list or mapping of such."""
        if isinstance(value, str):
            return value if value.isascii() else text_of(value)
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, int):
            return value if value.bit_length() <= MAX_INTEGER_BITS else hex(value)
        if isinstance(value, (list, tuple)):
            self.spend(len(value), depth)
            items = [self.inner(item, depth + 1) for item in value]
            return OPAQUE if OPAQUE in items else items
        if isinstance(value, dict):
            self.spend(len(value), depth)
            made = {text_of(name): self.inner(item, depth + 1) for name, item in value.items()}
            return OPAQUE if OPAQUE in made.values() else made
        return OPAQUE

    def inner(self, value: object, depth: int) -> object:
        is_plain = self.reveal is None or value.__class__ in _ATOMS
        return self.plain(value if is_plain else self.reveal(value), depth)  # type: ignore[misc] # it is not None then


def text_of(value: object) -> str:
    """Return a key or value as text that can be written: half a surrogate pair, as JSON may hold, cannot."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return hex(value)
    return str(value)


def _holds_mapping(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_mapping, value)))


def _is_unresolved(value: object) -> bool:
    if isinstance(value, str):
        return "${" in value or value == MISSING
    if isinstance(value, dict):
        return any(map(_is_unresolved, value.values()))
    return isinstance(value, list) and any(map(_is_unresolved, value))
