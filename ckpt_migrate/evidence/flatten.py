"""Nested configs as flat params: keys joined with `/`, values as MLflow loggers would have seen them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt_migrate.evidence.records import Scalar

MAX_VALUES = 50_000
"""Values in one config. The largest seen in practice have some hundreds; more is a table or an attack."""

MAX_DEPTH = 64
"""Levels of nesting in one config; deeper ones are made to exhaust whoever walks them."""

MAX_INTEGER_BITS = 1024
"""Longer integers are kept as hexadecimal text: Python refuses to print those over 4,300 digits."""


def flatten(top: object) -> Iterator[tuple[str, Scalar]]:
    """Yield key and value of every value in a config, in its order.

    Empty mappings stay as the text `{}`, lists stay lists; a list that holds mappings becomes the text that
    `str` gives, which is what loggers log. Values with an unresolved `${…}` are left out: they say nothing yet.

    Raises:
        ReaderError: It holds too many values or is nested too deeply.

    >>> list(flatten({"model": {"lr": 2e-4, "sizes": [1, 2]}, "seed": None}))
    [('model/lr', 0.0002), ('model/sizes', [1, 2]), ('seed', None)]
    """
    budget = _Budget()
    if isinstance(top, dict):
        yield from _members("", top, budget, 1)


class _Budget:
    """Counts what is visited: a few shared lists can stand for billions of values."""

    def __init__(self) -> None:
        self.left = MAX_VALUES

    def spend(self, depth: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise ReaderError(f"holds over {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise ReaderError(f"nested over {MAX_DEPTH} levels deep")


def _members(prefix: str, mapping: dict[object, object], budget: _Budget, depth: int) -> Iterator[tuple[str, Scalar]]:
    for name, value in mapping.items():
        budget.spend(depth)
        key = f"{prefix}/{_text(name)}" if prefix else _text(name)
        if isinstance(value, dict) and value:
            yield from _members(key, value, budget, depth + 1)
            continue
        scalar = _scalar(value, budget, depth)
        if not _is_unresolved(scalar):
            yield key, scalar


def _text(value: object) -> str:
    if isinstance(value, str):
        # Half a surrogate pair can be read from JSON and pickles but never be written.
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > MAX_INTEGER_BITS:
        return hex(value)
    return str(value)


def _scalar(value: object, budget: _Budget, depth: int) -> Scalar:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and value.bit_length() <= MAX_INTEGER_BITS:
        return value
    if isinstance(value, (list, tuple)):
        items = []
        for item in value:
            budget.spend(depth)
            items.append(_plain(item, budget, depth + 1))
        if any(isinstance(item, dict) for item in items):
            return str(items)
        return items  # type: ignore[return-value] # no mapping is among them
    if isinstance(value, dict):
        return "{}"
    return _text(value)


def _plain(value: object, budget: _Budget, depth: int) -> object:
    if not isinstance(value, dict):
        return _scalar(value, budget, depth)
    plain = {}
    for name, item in value.items():
        budget.spend(depth)
        plain[_text(name)] = _plain(item, budget, depth + 1)
    return plain


def _is_unresolved(value: Scalar) -> bool:
    if isinstance(value, str):
        return "${" in value
    return isinstance(value, list) and any(_is_unresolved(item) for item in value)
