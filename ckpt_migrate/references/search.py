"""The search for names in files: a quick look at each, and a close one at those that have a name in them."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.references.names import Names
from ckpt_migrate.references.records import EditAction, LeftKind, LineChange, MentionKind, Reference
from ckpt_migrate.references.text import WIDE, encoding_of, line_changes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.references.names import Occurrence
    from ckpt_migrate.references.paths import Leads
    from ckpt_migrate.references.walk import Place

BLOCK_BYTES = 1 << 20
"""Read at once."""
LARGEST_EDITED_BYTES = 64 << 20
"""A larger text is searched, and listed, but not edited: it would be held in memory as a whole."""
LARGEST_SEARCHED_BYTES = 1 << 30
"""A larger file is listed as not searched: it holds data, and would be read for minutes."""
MOST_LINES = 1_000
"""Lines of one file that a plan shows; the mentions in further ones are edited all the same."""
LONGEST_BEFORE = 4096
OWN_MARKS = (b"# A migration plan. ", b"<!-- A report of ckpt-migrate.")
"""What stands at the head of plans and reports of this tool; they name old names, and are nobody's reference."""
_HEAD_BYTES = 256
_O_QUIET = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in one file or link.

    Attributes:
        reference: What can be edited, its path absolute; None for nothing.
        left: What cannot, and why, in words.
        names: The names in `reference`, sorted.
    """

    reference: Reference | None
    left: tuple[tuple[LeftKind, str], ...] = ()
    names: tuple[str, ...] = ()


class Search:
    """Looks for names in files and links.

    Args:
        targets: For each name what it becomes, or itself while that is undecided.
        leads: Tells mentions of the directories that are meant from others.
    """

    def __init__(self, targets: Mapping[str, str], leads: Leads) -> None:
        self._targets = targets
        self._leads = leads
        self._narrow = Names(targets)
        self._wide = {encoding: Names(targets, encoding) for encoding in WIDE}
        self._kept = max((names.longest for names in (self._narrow, *self._wide.values())), default=0)
        self._buffer = bytearray(BLOCK_BYTES + self._kept)

    def look(self, place: Place) -> Found | None:
        """Return what a file or link mentions; None for nothing.

        Raises:
            OSError: It cannot be read.
        """
        if place.is_link:
            return self._link(place.path)
        size_bytes = self._size_with_names(place.path)
        if size_bytes is None:
            return None
        if size_bytes > LARGEST_SEARCHED_BYTES:
            limit = LARGEST_SEARCHED_BYTES >> 30
            return Found(None, ((LeftKind.LARGE, f"larger than {limit} GiB, so it was not searched"),))
        if size_bytes > LARGEST_EDITED_BYTES:
            limit = LARGEST_EDITED_BYTES >> 20
            return Found(None, ((LeftKind.LARGE, f"mentions old names, and is larger than {limit} MiB"),))
        return self._text(place.path)

    def bears_name(self, path: str) -> bool:
        """Say whether a file's or folder's own name holds one of the names."""
        return self._narrow.has_any(name := os.fsencode(os.path.basename(path)), len(name))

    def _size_with_names(self, path: str) -> int | None:
        """Return the size of a file that has a name in it, or is too large to be read; None for all others."""
        handle = os.open(path, os.O_RDONLY | _O_QUIET)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                return None
            if found.st_size > LARGEST_SEARCHED_BYTES or self._has_names(handle):
                return found.st_size
            return None
        finally:
            os.close(handle)

    def _has_names(self, handle: int) -> bool:
        view = memoryview(self._buffer)
        kept = 0
        while True:
            read = os.readv(handle, [view[kept : kept + BLOCK_BYTES]])
            end = kept + read
            if not read:
                return False
            if self._narrow.has_any(self._buffer, end):
                return True
            if self._buffer.find(0, 0, end) >= 0 and any(n.has_any(self._buffer, end) for n in self._wide.values()):
                return True
            if read < BLOCK_BYTES:
                return False
            kept = min(self._kept, end)
            view[:kept] = bytes(view[end - kept : end])

    def _text(self, path: str) -> Found | None:
        data = read_text(path)
        if any(mark in data[:_HEAD_BYTES] for mark in OWN_MARKS):
            return None
        encoding = encoding_of(data)
        if encoding is None:
            return Found(None, ((LeftKind.BINARY, "is no text"),))
        names = self._wide.get(encoding, self._narrow)
        found = [one for one in names.find(data) if one.offset % len("a".encode(encoding)) == 0]
        edited, left = self._sort_out(found, data, encoding, path)
        if not edited:
            return Found(None, left) if left else None
        return Found(
            Reference(
                file=path,
                action=EditAction.EDIT,
                kind=MentionKind.TEXT,
                lines=line_changes(
                    data,
                    [(one.offset, one.offset + len(names.encoded(one.name))) for one in edited],
                    encoding,
                    lambda name: names.replaced(name, self._targets),
                    most=MOST_LINES,
                ),
                at=tuple(one.offset for one in edited),
                encoding=encoding,
                digest=hashlib.sha256(data).hexdigest(),
            ),
            left,
            tuple(sorted({one.name for one in edited})),
        )

    def _sort_out(
        self, found: Sequence[Occurrence], data: bytes, encoding: str, path: str
    ) -> tuple[list[Occurrence], tuple[tuple[LeftKind, str], ...]]:
        """Tell the occurrences that are meant from those that are something else."""
        edited: list[Occurrence] = []
        left: dict[tuple[LeftKind, str], None] = {}
        for one in found:
            if not one.is_whole:
                left[LeftKind.WORD, "the name is a part of a longer word"] = None
                continue
            before = data[max(0, one.offset - LONGEST_BEFORE) : one.offset].decode(encoding, "replace")
            elsewhere = self._leads.elsewhere(before, one.name, os.path.dirname(path))
            if elsewhere is None:
                edited.append(one)
            else:
                left[LeftKind.ELSEWHERE, f"the path leads to {elsewhere}"] = None
        return edited, tuple(left)

    def _link(self, path: str) -> Found | None:
        text = os.readlink(path)
        if not self._narrow.has_any(data := os.fsencode(text), len(data)):
            return None
        through = self._leads.through_link(path, text)
        if not through:
            return Found(None, ((LeftKind.ELSEWHERE, "the link names an old name, and leads elsewhere"),))
        after, end = "", 0
        for place, name in through:
            after += text[end:place] + self._targets[name]
            end = place + len(name)
        reference = Reference(
            file=path,
            action=EditAction.EDIT,
            kind=MentionKind.LINK,
            lines=(LineChange(1, text, after + text[end:]),),
            at=tuple(len(os.fsencode(text[:place])) for place, _ in through),
            encoding="utf-8",
            digest=hashlib.sha256(data).hexdigest(),
        )
        return Found(reference, (), tuple(sorted({name for _, name in through})))


def read_text(path: str) -> bytes:
    """Read a regular file that may be edited, as a whole.

    Raises:
        OSError: It cannot be read, is no regular file, or is too large.
    """
    handle = os.open(path, os.O_RDONLY | _O_QUIET)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no regular file", path)
        data = file.read(LARGEST_EDITED_BYTES + 1)
    if len(data) > LARGEST_EDITED_BYTES:
        raise OSError(errno.EFBIG, f"larger than {LARGEST_EDITED_BYTES >> 20} MiB", path)
    return data
