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

from ckpt_migrate.evidence.archive import LOCAL, STORED, members
from ckpt_migrate.evidence.files import ReaderError, open_file, read_at
from ckpt_migrate.evidence.inert import TruncatedError
from ckpt_migrate.evidence.pickles import load_pickle
from ckpt_migrate.evidence.stretches import Stretches

FIRST_WINDOW_BYTES = 16 << 10
"""Read first, bytes; enough for the whole pickle of a small model, in one system call."""

MAX_PICKLE_BYTES = 32 << 20
"""Longest pickle looked at, bytes. Without its tensors, a checkpoint's is some hundred bytes a tensor."""

_MEMBER = "data.pkl"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# Between a member's bytes and the next member, torch repeats the sizes.
_DESCRIPTOR = b"PK\x07\x08"
_SIZES_FOLLOW = 1 << 3
# The descriptor's signature is optional in the format; a pickle this long is worth a try without it.
_MOST_UNTRIED_BYTES = 1 << 20


class Earlier:
    """What files read before have in common with the next.

    Attributes:
        last: The first bytes of the file read last, and the object that they hold whole: the best checkpoint and the
            last are often one state saved twice.
        stretches: Values that many files share.
    """

    def __init__(self) -> None:
        self.last: tuple[bytes, object] | None = None
        self.stretches = Stretches()


def load_torch(path: str, earlier: Earlier | None = None) -> object:
    """Return the object in a file of torch, as `load_pickle` does.

    Args:
        path: The file.
        earlier: What files read before have in common with it; values known from there come back inert.

    Raises:
        ReaderError: It is no file of torch, cut short before the end of its pickle, or beyond the limits.
        OSError: It cannot be read.
    """
    descriptor = open_file(path)
    try:
        return _load(descriptor, Earlier() if earlier is None else earlier)
    finally:
        os.close(descriptor)


def _load(descriptor: int, earlier: Earlier) -> object:
    head = read_at(descriptor, 0, FIRST_WINDOW_BYTES)
    known = earlier.last
    if known is not None and known[0] == head:
        return known[1]
    start, follower = 0, b""
    if head.startswith(b"PK\x03\x04"):
        found = _first_member(head)
        if found is None:
            return _search(descriptor, earlier.stretches)
        start, follower = found
    elif not head.startswith(b"\x80"):
        raise ReaderError("neither a zip archive nor a pickle" if head else "empty")
    value, used = _grow(descriptor, start, head[start:], earlier.stretches, follower)
    if start + used <= len(head):
        earlier.last = (head, value)
    return value


def _grow(descriptor: int, start: int, data: bytes, stretches: Stretches, follower: bytes = b"") -> tuple[object, int]:
    """Load a pickle whose length is not known, from ever more of the file; return it and how many bytes were looked at.

    Args:
        descriptor: The file.
        start: Where the pickle begins in it.
        data: Its first bytes.
        stretches: Values that many files share.
        follower: What stands behind the pickle, where that is known; until it is in sight, none is tried in vain.
    """
    is_all = False
    while True:
        if is_all or follower in data or len(data) >= _MOST_UNTRIED_BYTES:
            try:
                return _object(data, stretches), len(data)
            except TruncatedError:
                if is_all:
                    raise
        if len(data) >= MAX_PICKLE_BYTES:
            raise ReaderError(f"its pickle is over {MAX_PICKLE_BYTES >> 20} MiB")
        longer = read_at(descriptor, start, min(max(len(data), FIRST_WINDOW_BYTES) * 8, MAX_PICKLE_BYTES))
        is_all = len(longer) <= len(data)
        data = longer


def _object(data: bytes, stretches: Stretches) -> object:
    value, at = load_pickle(data, 0, stretches)
    if isinstance(value, int) and value == _LEGACY_MAGIC:
        for _ in ("version", "system"):
            _, at = load_pickle(data, at)
        value, _ = load_pickle(data, at, stretches)
    return value


def _first_member(head: bytes) -> tuple[int, bytes] | None:
    """Return where the first member's bytes start and what follows them, when it is the stored pickle."""
    if len(head) < LOCAL.size:
        return None
    _, _, flags, method, *_, name_length, extra_length = LOCAL.unpack_from(head)
    name = head[LOCAL.size : LOCAL.size + name_length]
    if method != STORED or not _is_member(name):
        return None
    return LOCAL.size + name_length + extra_length, _DESCRIPTOR if flags & _SIZES_FOLLOW else b""


def _is_member(name: bytes) -> bool:
    return name.rpartition(b"/")[2] == _MEMBER.encode() and name.count(b"/") <= 1


def _search(descriptor: int, stretches: Stretches) -> object:
    """Load the pickle of an archive that another tool packed, found by its directory."""
    for member in members(descriptor):
        if _is_member(member.name):
            if member.method == STORED:
                return _grow(descriptor, member.start(descriptor), b"", stretches)[0]
            return _object(member.read(descriptor, MAX_PICKLE_BYTES), stretches)
    raise ReaderError(f"a zip archive without {_MEMBER}")
