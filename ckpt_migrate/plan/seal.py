"""Seals: short digests by which a reader of a plan sees which field a person has edited, and whether any was.

A seal begins with eight hexadecimal digits over all fields together, which settle the usual case at once; then come
four for each field, in the order of the field names given, and four over the seal itself. Seals are over values, so
that a plan may be written anew by any YAML tool. The checksum on a plan's last line is over its bytes: it tells
whether the file is exactly as it was written and may be written over. Both guard against slips, not against forgers.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDTH_ALL = 8
WIDTH = 4
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
_CHECKSUM = "# checksum: "
_CREATED = "\ncreated: "


def seal(values: Mapping[str, object]) -> str:
    """Return the seal of fields; values are plain data (what JSON can hold)."""
    parts = _digest(list(values.values()), WIDTH_ALL) + "".join(_digest(value, WIDTH) for value in values.values())
    return parts + _digest(parts, WIDTH)


def broken(sealed: str, values: Mapping[str, object]) -> tuple[str, ...] | None:
    """Return the names of the fields whose value is not the sealed one; None when the seal itself is damaged."""
    parts, check = sealed[:-WIDTH], sealed[-WIDTH:]
    if len(parts) != WIDTH_ALL + WIDTH * len(values) or check != _digest(parts, WIDTH):
        return None
    if _digest(list(values.values()), WIDTH_ALL) == parts[:WIDTH_ALL]:
        return ()
    starts = range(WIDTH_ALL, len(parts), WIDTH)
    names = tuple(
        name
        for start, (name, value) in zip(starts, values.items(), strict=True)
        if _digest(value, WIDTH) != parts[start : start + WIDTH]
    )
    return names or None


def may_be(sealed: str, values: Mapping[str, object], name: str, value: object) -> bool:
    """Say whether a value may be the one that was sealed for a field; one in 65,536 others may be, too."""
    start = WIDTH_ALL + WIDTH * list(values).index(name)
    return _digest(value, WIDTH) == sealed[start : start + WIDTH]


def _digest(value: object, width: int) -> str:
    return hashlib.blake2b(_encode(value).encode("utf-8", "surrogatepass"), digest_size=width // 2).hexdigest()


def checksum_line(text: str) -> str:
    """Return the last line of a plan, over all that stands above it but the time of its creation."""
    before, created, after = text.partition(_CREATED)
    digest = hashlib.sha256((before + created).encode())
    digest.update(after[after.find("\n") + 1 :].encode())
    return f"{_CHECKSUM}{digest.hexdigest()}\n"


def is_untouched(data: bytes) -> bool:
    """Say whether these bytes are a plan as it was written, to the last one."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    above, mark, last = text.rpartition(_CHECKSUM)
    return bool(mark) and mark + last == checksum_line(above)
