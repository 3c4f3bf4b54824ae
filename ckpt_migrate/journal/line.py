"""A line of a log: a record as JSON, whose last member is the checksum of the line without it."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

_CRC_START = ',"crc":"'
_CRC_START_BYTES = _CRC_START.encode()
_TAIL_LENGTH = len(_CRC_START) + 8 + len('"}')
_CHECKSUM = slice(-8 - len('"}'), -len('"}'))
_MOST_RECORDS = 1 << 62
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def encode(record: dict[str, Any]) -> str:
    """Return a record as its line, without the newline."""
    return with_checksum(_ENCODER.encode(record))


def with_checksum(text: str) -> str:
    """Return the JSON of a record, given in ASCII and on one line, as its line, without the newline."""
    return f'{text[:-1]}{_CRC_START}{crc32(text.encode("ascii")):08x}"}}'


def decode(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line, or None when the line is not whole."""
    text, tail = line[:-_TAIL_LENGTH] + b"}", line[-_TAIL_LENGTH:]
    if tail != b'%b%08x"}' % (_CRC_START_BYTES, crc32(text)):
        return None
    try:
        record = json.loads(text.decode("ascii"))
    except ValueError:
        return None
    seq = record.get("seq") if isinstance(record, dict) else None
    return record if isinstance(seq, int) and 0 <= seq < _MOST_RECORDS else None


def checksum_of(line: bytes) -> int:
    """Return the checksum that stands in the line of a whole record."""
    return int(line[_CHECKSUM], 16)
