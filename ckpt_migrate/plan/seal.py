"""Seals: short digests by which a reader of a plan sees which field a person has edited.

A seal has four hexadecimal digits a field, in the order of the field names given. It guards against slips of an
editor, not against forgers: 16 bits a field.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 4


def digest(value: object) -> str:
    """Return the seal of one field; `value` is plain data (what JSON can hold)."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=WIDTH // 2).hexdigest()


def seal(values: Iterable[object]) -> str:
    """Return the seal of several fields, in order."""
    return "".join(digest(value) for value in values)


def broken(sealed: str, names: Sequence[str], values: Sequence[object]) -> tuple[str, ...] | None:
    """Return the names of the fields whose value is not the sealed one; None when the seal itself is damaged."""
    if len(sealed) != WIDTH * len(names):
        return None
    parts = (sealed[i : i + WIDTH] for i in range(0, len(sealed), WIDTH))
    return tuple(name for name, part, value in zip(names, parts, values, strict=True) if digest(value) != part)
