"""Where the pickle lies in a file that torch wrote.

==========  =====================================================================================
zip         since torch 1.6: an archive whose member `NAME/data.pkl` is the object, stored first; tensors are
            other members
legacy      five pickles in a row (a magic number, a version, system facts, the object, tensor keys), then tensors
plain       one pickle
==========  =====================================================================================

Tensors are never read. A pickle says itself where it ends, so that neither the size that an archive claims nor its
directory at the end is needed: a file cut short while it was written still tells its config.
"""

from __future__ import annotations

import os
import struct
import zlib

from ckpt_migrate.evidence.files import ReaderError, open_file, read_at
from ckpt_migrate.evidence.inert import TruncatedError
from ckpt_migrate.evidence.pickles import load_pickle

FIRST_WINDOW_BYTES = 16 << 10
"""Read first, bytes; enough for the whole pickle of a small model, in one system call."""

MAX_PICKLE_BYTES = 32 << 20
"""Longest pickle looked at, bytes. Without its tensors, a checkpoint's is some hundred bytes a tensor."""

MAX_DIRECTORY_BYTES = 16 << 20
"""Longest directory of an archive looked at, bytes; some 200,000 members."""

_MEMBER = "data.pkl"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# Between a member's bytes and the next member, torch repeats the sizes.
_DESCRIPTOR = b"PK\x07\x08"
_SIZES_FOLLOW = 1 << 3
# The descriptor's signature is optional in the format; a pickle this long is worth a try without it.
_MOST_UNTRIED_BYTES = 1 << 20
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_LONGEST_COMMENT = 0xFFFF
_STORED, _DEFLATED = 0, 8
_ELSEWHERE = 0xFFFFFFFF


def load_torch(path: str) -> object:
    """Return the object in a file of torch, as `load_pickle` does.

    Raises:
        ReaderError: It is no file of torch, cut short before the end of its pickle, or beyond the limits.
        OSError: It cannot be read.
    """
    descriptor = open_file(path)
    try:
        return _load(descriptor)
    finally:
        os.close(descriptor)


def _load(descriptor: int) -> object:
    head = read_at(descriptor, 0, FIRST_WINDOW_BYTES)
    if head.startswith(b"PK\x03\x04"):
        found = _first_member(head)
        return _search(descriptor) if found is None else _grow(descriptor, found[0], head[found[0] :], found[1])
    if head.startswith(b"\x80"):
        return _grow(descriptor, 0, head)
    raise ReaderError("neither a zip archive nor a pickle" if head else "empty")


def _grow(descriptor: int, start: int, data: bytes, follower: bytes = b"") -> object:
    """Load a pickle whose length is not known, from ever more of the file.

    Args:
        descriptor: The file.
        start: Where the pickle begins in it.
        data: Its first bytes.
        follower: What stands behind the pickle, where that is known; until it is in sight, none is tried in vain.
    """
    is_all = False
    while True:
        if is_all or follower in data or len(data) >= _MOST_UNTRIED_BYTES:
            try:
                return _object(data)
            except TruncatedError:
                if is_all:
                    raise
        if len(data) >= MAX_PICKLE_BYTES:
            raise ReaderError(f"its pickle is over {MAX_PICKLE_BYTES >> 20} MiB")
        longer = read_at(descriptor, start, min(max(len(data), FIRST_WINDOW_BYTES) * 8, MAX_PICKLE_BYTES))
        is_all = len(longer) <= len(data)
        data = longer


def _object(data: bytes) -> object:
    value, at = load_pickle(data)
    if isinstance(value, int) and value == _LEGACY_MAGIC:
        for _ in ("version", "system"):
            _, at = load_pickle(data, at)
        value, _ = load_pickle(data, at)
    return value


def _first_member(head: bytes) -> tuple[int, bytes] | None:
    """Return where the first member's bytes start and what follows them, when it is the stored pickle."""
    if len(head) < _LOCAL.size:
        return None
    _, _, flags, method, *_, name_length, extra_length = _LOCAL.unpack_from(head)
    name = head[_LOCAL.size : _LOCAL.size + name_length]
    if method != _STORED or not _is_member(name):
        return None
    return _LOCAL.size + name_length + extra_length, _DESCRIPTOR if flags & _SIZES_FOLLOW else b""


def _is_member(name: bytes) -> bool:
    return name.rpartition(b"/")[2] == _MEMBER.encode() and name.count(b"/") <= 1


def _search(descriptor: int) -> object:
    """Load the pickle of an archive that another tool packed, found by its directory."""
    for method, compressed, local in _members(descriptor):
        header = read_at(descriptor, local, _LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            break
        start = local + _LOCAL.size + sum(_LOCAL.unpack(header)[-2:])
        if method == _STORED:
            return _grow(descriptor, start, b"")
        if method != _DEFLATED:
            raise ReaderError(f"its {_MEMBER} is compressed by a method that this tool does not know")
        packed = read_at(descriptor, start, min(compressed, MAX_PICKLE_BYTES))
        return _object(_inflate(packed))
    raise ReaderError(f"a zip archive without {_MEMBER}")


def _inflate(packed: bytes) -> bytes:
    try:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, MAX_PICKLE_BYTES + 1)
    except zlib.error as error:
        raise ReaderError(f"its {_MEMBER} is damaged") from error
    if len(data) > MAX_PICKLE_BYTES:
        raise ReaderError(f"its pickle is over {MAX_PICKLE_BYTES >> 20} MiB")
    return data


def _members(descriptor: int) -> list[tuple[int, int, int]]:
    """Return method, compressed size and local header's offset of each member that is the pickle."""
    offset, length = _directory(descriptor, os.fstat(descriptor).st_size)
    if length > MAX_DIRECTORY_BYTES:
        raise ReaderError(f"its archive's directory is over {MAX_DIRECTORY_BYTES >> 20} MiB")
    data = read_at(descriptor, offset, length)
    found: list[tuple[int, int, int]] = []
    at = 0
    while at + _CENTRAL.size <= len(data) and data.startswith(b"PK\x01\x02", at):
        entry = _CENTRAL.unpack_from(data, at)
        method, compressed, local = entry[4], entry[8], entry[16]
        name_length, extra_length, comment_length = entry[10:13]
        at += _CENTRAL.size
        if _is_member(data[at : at + name_length]):
            if _ELSEWHERE in {compressed, local}:
                raise ReaderError(f"its {_MEMBER} lies beyond 4 GiB")
            found.append((method, compressed, local))
        at += name_length + extra_length + comment_length
    return found


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
