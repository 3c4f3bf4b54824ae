"""Members of zip archives that nobody vouches for: found by the directory at the end, read within bounds."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError, read_at

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DIRECTORY_BYTES = 16 << 20
"""Longest directory of an archive looked at, bytes; some 200,000 members."""

STORED, DEFLATED = 0, 8
LOCAL = struct.Struct("<4s5H3I2H")
"""The header before each member's bytes; ends with the lengths of its name and its extra field."""

_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_LONGEST_COMMENT = 0xFFFF
_ELSEWHERE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """A member as the directory has it.

    Attributes:
        name: Its path in the archive, as bytes.
        method: STORED, DEFLATED or another.
        packed_bytes: Its size in the archive, or `None` where that is written elsewhere (beyond 4 GiB).
        offset: Where its local header begins, bytes; `None` likewise.
    """

    name: bytes
    method: int
    packed_bytes: int | None
    offset: int | None

    def start(self, descriptor: int) -> int:
        """Return where its bytes begin.

        Raises:
            ReaderError: It lies beyond 4 GiB, or there is no member.
            OSError: The file cannot be read.
        """
        if self.offset is None or self.packed_bytes is None:
            raise ReaderError(f"its {self.shown} lies beyond 4 GiB")
        header = read_at(descriptor, self.offset, LOCAL.size)
        if len(header) < LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise ReaderError(f"its {self.shown} is not where its directory says")
        return int(self.offset + LOCAL.size + sum(LOCAL.unpack(header)[-2:]))

    def read(self, descriptor: int, limit_bytes: int) -> bytes:
        """Return its bytes, unpacked, when they are at most `limit_bytes`.

        Raises:
            ReaderError: They are more, damaged, or packed in an unknown way.
            OSError: The file cannot be read.
        """
        start = self.start(descriptor)
        data = read_at(descriptor, start, min(self.packed_bytes or 0, limit_bytes + 1))
        if self.method == DEFLATED:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit_bytes + 1)
            except zlib.error as error:
                raise ReaderError(f"its {self.shown} is damaged") from error
        elif self.method != STORED:
            raise ReaderError(f"its {self.shown} is compressed by a method that this tool does not know")
        if len(data) > limit_bytes:
            raise ReaderError(f"its {self.shown} is over {limit_bytes >> 20} MiB")
        return data

    @property
    def shown(self) -> str:
        """The last part of its name, for people."""
        return self.name.rpartition(b"/")[2].decode("utf-8", "replace")


def members(descriptor: int) -> Iterator[Member]:
    """Yield the members of an archive in the order of its directory, as far as that is whole.

    Raises:
        ReaderError: It is no archive, cut short, or its directory is too large.
        OSError: The file cannot be read.
    """
    offset, length = _directory(descriptor, os.fstat(descriptor).st_size)
    if length > MAX_DIRECTORY_BYTES:
        raise ReaderError(f"its archive's directory is over {MAX_DIRECTORY_BYTES >> 20} MiB")
    data = read_at(descriptor, offset, length)
    at = 0
    while at + _CENTRAL.size <= len(data) and data.startswith(b"PK\x01\x02", at):
        entry = _CENTRAL.unpack_from(data, at)
        method, packed, local = entry[4], entry[8], entry[16]
        name_length, extra_length, comment_length = entry[10:13]
        at += _CENTRAL.size
        name = data[at : at + name_length]
        yield Member(name, method, None if packed == _ELSEWHERE else packed, None if local == _ELSEWHERE else local)
        at += name_length + extra_length + comment_length


def _directory(descriptor: int, size: int) -> tuple[int, int]:
    """Return offset and length, bytes, of an archive's directory."""
    tail_start = max(0, size - _LONGEST_COMMENT - _END.size - _LOCATOR_64.size)
    tail = read_at(descriptor, tail_start, size - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise ReaderError("a zip archive cut short: its directory is missing")
    length, offset = _END.unpack_from(tail, at)[5:7]
    if _ELSEWHERE not in {length, offset}:
        return offset, length
    if at >= _LOCATOR_64.size and tail.startswith(b"PK\x06\x07", at - _LOCATOR_64.size):
        where = _LOCATOR_64.unpack_from(tail, at - _LOCATOR_64.size)[2]
        record = read_at(descriptor, where, _END_64.size) if where < size else b""
        if len(record) == _END_64.size and record.startswith(b"PK\x06\x06"):
            length, offset = _END_64.unpack(record)[8:10]
            if offset < size:
                return offset, length
    raise ReaderError("a zip archive cut short: its directory is missing")
