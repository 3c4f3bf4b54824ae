"""The log file: one JSON record a line, each with its own checksum, only ever appended to.

A line is a JSON object whose last member is the CRC-32 of the line without it, eight hexadecimal digits. `seq` counts
the records from 0, so that a lost line shows as well as a damaged one.

A crash or a full disk can leave a torn last line. Nothing is cut off the file; the next writer starts a new line, and
a reader passes over lines that are no record as long as the numbers of the records around them follow on each other.
Whether the file still ends where its writer left it is known from its extent (see `journal.extent`).
"""

from __future__ import annotations

import errno
import os
import stat
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_migrate import storage
from ckpt_migrate.errors import JournalError
from ckpt_migrate.journal.extent import Extent, path_of, read_extent
from ckpt_migrate.journal.line import checksum_of, decode, encode, with_checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

LOG_FORMAT = 1
SUFFIX = ".jsonl"
LONGEST_LINE_BYTES = 128 << 20
"""No record comes near: two manifests of at most 4 MiB, each before and after, with every byte escaped, are 96 MiB."""
LAST_KINDS = frozenset({"end", "stopped", "pointer"})
"""Kinds of records that a writer leaves last, unless it was cut short."""


@dataclass(frozen=True, slots=True)
class Contents:
    """All that could be read of a log.

    Attributes:
        path: Absolute path of the file.
        records: Every whole record, in order; none when they were handed over one by one.
        damage: A line for each place where a record was lost, empty for a log that is whole.
        is_cut: Whether records are missing at its end, or may be; `damage` says so, too.
        next_seq: Number that the next record gets. Records that were cut off keep theirs, so that they stay missed.
        ends_in_line: Whether the file ends with a newline.
        size_bytes: How long the file was when it was read.
    """

    path: str
    records: tuple[dict[str, Any], ...]
    damage: tuple[str, ...]
    is_cut: bool
    next_seq: int
    ends_in_line: bool
    size_bytes: int


class Journal:
    """A log open for appending; also a context manager that closes it.

    Attributes:
        path: Absolute path of the file.
    """

    def __init__(self, path: str, *, is_new: bool, next_seq: int, ends_in_line: bool) -> None:
        self.path = path
        self._next_seq = next_seq
        self._ends_in_line = ends_in_line
        # First, so that a log without an extent was not left so by a crash.
        self._extent = Extent(path)
        try:
            self._handle = storage.open_log(path, is_new=is_new)
        except OSError:
            self._extent.close()
            raise

    @classmethod
    def create(cls, path: str) -> Journal:
        """Make a new log, still empty.

        Raises:
            OSError: It cannot be made, or there is one.
        """
        return cls(path, is_new=True, next_seq=0, ends_in_line=True)

    @classmethod
    def reopen(cls, contents: Contents) -> Journal:
        """Open a log that was read, to go on with it.

        Raises:
            OSError: It cannot be opened for writing.
        """
        return cls(contents.path, is_new=False, next_seq=contents.next_seq, ends_in_line=contents.ends_in_line)

    def append(self, records: Iterable[dict[str, Any] | str], *, is_synced: bool = True) -> None:
        """Append records, by default waiting until they are on the disk.

        A record is data, or the JSON of one without its number, in ASCII and on one line.

        Raises:
            OSError: They could not be written or synced; the log stays readable and can be gone on with.
        """
        lines: list[str] = [] if self._ends_in_line else [""]
        seq = self._next_seq
        for record in records:
            if isinstance(record, str):
                lines.append(with_checksum(f'{{"seq":{seq},{record[1:]}'))
            else:
                lines.append(encode({"seq": seq, **record}))
            seq += 1
        data = "\n".join([*lines, ""]).encode("ascii")
        size_bytes = os.fstat(self._handle).st_size
        try:
            storage.append(self._handle, data)
        except BaseException:  # a signal that stops at once comes through here as well
            self._take_stock(data[: max(os.fstat(self._handle).st_size - size_bytes, 0)])
            raise
        self._ends_in_line = True
        self._next_seq = seq
        if is_synced:
            storage.sync_log(self._handle)
            self._extent.note(seq)

    def _take_stock(self, written: bytes) -> None:
        """Count the records of a writing that was cut short (a full disk): the next one must follow on them."""
        if written:
            tail = written.rpartition(b"\n")[2]
            is_whole = decode(tail) is not None  # all of it but the newline
            self._next_seq += written.count(b"\n") - (not self._ends_in_line) + is_whole
            self._ends_in_line = not tail

    def check(self) -> None:
        """Raise OSError when the file was removed or replaced: what is written to it now would be lost."""
        try:
            if os.path.samestat(os.lstat(self.path), os.fstat(self._handle)):
                return
        except FileNotFoundError:
            pass
        raise OSError(errno.ESTALE, "the log was removed or replaced while it was written", self.path)

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
            self._extent.close()

    def __enter__(self) -> Journal:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(path: str, take: Callable[[dict[str, Any]], None] | None = None) -> Contents:
    """Read all that can be read of a log.

    `take` is given each record as it is read, and `Contents.records` is empty then: those of a long log fill memory.

    A last line without an end is what a crash leaves, and was never acted upon: intents are on the disk before
    anything is changed. A last line with an end that is no record, a number missing in between, or fewer records
    than its extent says, is damage.

    Raises:
        JournalError: It cannot be opened, is no file, or not one line of it is a record of this tool.
    """
    records: list[dict[str, Any]] = []
    try:
        return _read(path, records, records.append if take is None else take)
    except OSError as error:
        remedy = "Logs lie in ROOT/.ckpt-migrate; `ckpt-migrate log ROOT` lists them."
        raise JournalError(f"cannot read the log ({error.strerror})", where=path, remedy=remedy) from error


def _read(path: str, records: list[dict[str, Any]], take: Callable[[dict[str, Any]], None]) -> Contents:
    damage: list[str] = []
    unread: list[int] = []
    number = size_bytes = expected = 0
    last_kind: str | None = None
    seen = _Seen()
    start, ends_in_line = b"", True
    for number, full_line in enumerate(_lines(path), 1):
        size_bytes += len(full_line)
        ends_in_line = full_line.endswith(b"\n")
        line = full_line.removesuffix(b"\n")
        start = start or line[:2]
        # A damaged newline must not pass for a damaged or torn record: the record before it is whole.
        record = decode(line)
        if record is None:
            record, line = decode(line[:-1]), line[:-1]
        if record is None:
            unread += [number] if line else []
            continue
        if record["seq"] < expected and not unread:
            if not seen.has(record["seq"], line):
                damage.append(f"line {number}: its number is that of another record before it; it is passed over")
            continue
        if record["seq"] != expected:
            damage.append(_describe_loss(unread, number, record["seq"] - expected))
        unread.clear()
        seen.add(record["seq"], line)
        expected = record["seq"] + 1
        last_kind = record.get("kind", "")
        take(record)
    is_end_damaged = bool(unread) and (ends_in_line or unread[0] != number)
    if is_end_damaged:
        damage.append(_describe_loss(unread, number, len(unread)))
    is_torn_start = number == 1 and start in {b'{"', b"{"} and path.endswith(SUFFIX)
    if last_kind is None and size_bytes and not is_torn_start:
        what = "this is no log of ckpt-migrate, or every line of it is damaged"
        remedy = "Name a file from ROOT/.ckpt-migrate; `ckpt-migrate log ROOT` lists them."
        raise JournalError(what, where=path, remedy=remedy)
    missing, cut = _missing_end(path, last_kind, expected, explained=len(unread) if is_end_damaged else 0)
    return Contents(
        path=path,
        records=tuple(records),
        damage=(*damage, *cut),
        is_cut=bool(cut),
        next_seq=expected + missing,
        ends_in_line=ends_in_line,
        size_bytes=size_bytes,
    )


class _Seen:
    """The records read so far by number and checksum; the numbers rise."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._checksums = array("L")

    def add(self, number: int, line: bytes) -> None:
        self._numbers.append(number)
        self._checksums.append(checksum_of(line))

    def has(self, number: int, line: bytes) -> bool:
        """Say whether a record was read before: read twice, it says nothing new."""
        position = bisect_left(self._numbers, number)
        is_known = position < len(self._numbers) and self._numbers[position] == number
        return is_known and self._checksums[position] == checksum_of(line)


def _lines(path: str) -> Iterator[bytes]:
    """Yield the lines of a log with their ends; never waits for what is no file, never takes an endless line in."""
    handle = os.open(path, storage.READ_QUIETLY)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no regular file", path)
        number = 0
        while line := file.readline(LONGEST_LINE_BYTES):
            number += 1
            if len(line) == LONGEST_LINE_BYTES:
                what = f"line {number} is longer than any record, so this is no log, or its end was overwritten"
                remedy = "Put back a whole copy of the log, or cut it off before that line; then run the command again."
                raise JournalError(what, where=path, remedy=remedy)
            yield line


def _missing_end(path: str, last_kind: str | None, expected: int, *, explained: int) -> tuple[int, tuple[str, ...]]:
    """Return how many records are missing at the end, and in words whether they were cut off.

    `explained` is how many damaged lines stand there. Where it cannot be told, one is taken to be missing.
    """
    extent = read_extent(path)
    if extent is None:
        if last_kind in LAST_KINDS:
            return 0, ()
        beside = os.path.basename(path_of(path))
        return 1, (f"its end may have been cut off: it has no last record, and {beside}, which tells, is missing",)
    if extent <= expected + explained:
        return max(extent - expected, explained), ()
    what = f"its end was cut off: {expected:,} records are left of {extent:,}; what the others recorded is not known"
    return extent - expected, (what,)


def _describe_loss(unread: list[int], number: int, lost: int) -> str:
    if not unread:
        return f"line {number}: {abs(lost)} record(s) before it are missing"
    lines = f"line {unread[0]}" if len(unread) == 1 else f"lines {unread[0]}-{unread[-1]}"
    return f"{lines}: damaged; what was recorded there is not known"
