"""Protocol buffers without their schemas: the fields of one message, by number.

A message is keys and values in turn; a key is the field's number and how long its value is.
(https://protobuf.dev/programming-guides/encoding)
"""

from __future__ import annotations

import struct
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FIELDS = 100_000
"""Fields of one message; more are made to exhaust the memory."""

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


class ProtobufError(ValueError):
    """Bytes are no message."""


class Message:
    r"""One message, decoded one level deep.

    Args:
        data: Its bytes.

    Raises:
        ProtobufError: They are no message.

    >>> message = Message(b"\x0a\x02hi\x10\x05")
    >>> message.text(1), signed(message.first(2)), message.first(3)
    ('hi', 5, None)
    """

    def __init__(self, data: bytes) -> None:
        self._fields: defaultdict[int, list[int | bytes]] = defaultdict(list)
        at = count = 0
        while at < len(data):
            count += 1
            if count > MAX_FIELDS:
                raise ProtobufError(f"over {MAX_FIELDS:,} fields")
            key, at = _varint(data, at)
            value, at = _value(data, at, key & 7)
            self._fields[key >> 3].append(value)

    def first(self, number: int) -> int | bytes | None:
        """Return the first value of a field: an int, or the bytes of a number, text or message; None without any."""
        values = self._fields.get(number)
        return values[0] if values else None

    def text(self, number: int) -> str:
        """Return a field as text, empty where it is none."""
        value = self.first(number)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""

    def messages(self, number: int) -> Iterator[Message]:
        """Yield each value of a field as a message.

        Raises:
            ProtobufError: One is none.
        """
        for value in self._fields.get(number, ()):
            if isinstance(value, bytes):
                yield Message(value)


def number(value: int | bytes | None, layout: str) -> float | None:
    """Return bytes as the floating-point number of a `struct` layout; None when they are too few, or no bytes."""
    if not isinstance(value, bytes) or len(value) < struct.calcsize(layout):
        return None
    return float(struct.unpack_from(layout, value)[0])


def signed(value: int | bytes | None) -> int:
    """Return a varint as the signed 64-bit integer that it stands for; 0, as the format has it, where there is none."""
    if not isinstance(value, int):
        return 0
    return value - (1 << 64) if value >> 63 else value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        if at >= len(data):
            raise ProtobufError("cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that another byte follows
            return value & (1 << 64) - 1, at
    raise ProtobufError("a number of over ten bytes")


def _value(data: bytes, at: int, kind: int) -> tuple[int | bytes, int]:
    if kind == _VARINT:
        return _varint(data, at)
    if kind == _BYTES:
        length, at = _varint(data, at)
    elif kind in {_FIXED_64, _FIXED_32}:
        length = 8 if kind == _FIXED_64 else 4
    else:
        raise ProtobufError(f"a value of unknown kind {kind}")
    if at + length > len(data):
        raise ProtobufError("cut short")
    return data[at : at + length], at + length
