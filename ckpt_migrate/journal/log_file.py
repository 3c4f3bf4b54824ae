"""The log file: one JSON record a line, each with its own checksum, only ever appended to.

A line is a JSON object whose last member is the CRC-32 of the line without it, eight hexadecimal digits. `seq` counts
the records from 0, so that a lost line shows as well as a damaged one.

A crash can leave a torn last line. Nothing is cut off the file; the next writer starts a new line, and a reader
passes over lines that are no record as long as the numbers of the records around them follow on each other.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_migrate import storage
from ckpt_migrate.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

LOG_FORMAT = 1
SUFFIX = ".jsonl"
_CRC_START = ',"crc":"'
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_TAIL_LENGTH = len(_CRC_START) + 8 + len('"}')


@dataclass(frozen=True, slots=True)
class Contents:
    """All that could be read of a log.

    Attributes:
        path: Absolute path of the file.
        records: Every whole record, in order.
        damage: A line for each place where a record was lost, empty for a log that is whole.
        next_seq: Number that the next record gets.
        ends_in_line: Whether the file ends with a newline.
        size_bytes: How long the file was when it was read.
    """

    path: str
    records: tuple[dict[str, Any], ...]
    damage: tuple[str, ...]
    next_seq: int
    ends_in_line: bool
    size_bytes: int


class Journal:
    """A log open for appending; also a context manager that closes it.

    Attributes:
        path: Absolute path of the file.
    """

    def __init__(self, path: str, handle: int, next_seq: int, *, ends_in_line: bool) -> None:
        self.path = path
        self._handle = handle
        self._next_seq = next_seq
        self._ends_in_line = ends_in_line

    @classmethod
    def create(cls, path: str) -> Journal:
        """Make a new log, still empty.

        Raises:
            OSError: It cannot be made, or there is one.
        """
        return cls(path, storage.open_log(path, is_new=True), 0, ends_in_line=True)

    @classmethod
    def reopen(cls, contents: Contents) -> Journal:
        """Open a log that was read, to go on with it.

        Raises:
            OSError: It cannot be opened for writing.
        """
        handle = storage.open_log(contents.path, is_new=False)
        return cls(contents.path, handle, contents.next_seq, ends_in_line=contents.ends_in_line)

    def append(self, records: Iterable[dict[str, Any]], *, is_synced: bool = True) -> None:
        """Append records, by default waiting until they are on the disk.

        Raises:
            OSError: They could not be written or synced; the log stays readable.
        """
        lines: list[str] = [] if self._ends_in_line else [""]
        seq = self._next_seq
        for record in records:
            lines.append(encode({"seq": seq, **record}))
            seq += 1
        self._ends_in_line = False
        storage.append(self._handle, "\n".join([*lines, ""]).encode("ascii"))
        self._ends_in_line = True
        self._next_seq = seq
        if is_synced:
            storage.sync_log(self._handle)

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Journal:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def encode(record: dict[str, Any]) -> str:
    """Return a record as its line, without the newline."""
    text = _ENCODER.encode(record)
    return f'{text[:-1]}{_CRC_START}{zlib.crc32(text.encode("ascii")):08x}"}}'


def decode(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line, or None when the line is not whole."""
    tail = line[-_TAIL_LENGTH:]
    if not tail.startswith(_CRC_START.encode()):
        return None
    text = line[:-_TAIL_LENGTH] + b"}"
    if tail[len(_CRC_START) : -2] != f"{zlib.crc32(text):08x}".encode() or tail[-2:] != b'"}':
        return None
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("seq"), int) else None


def read(path: str) -> Contents:
    """Read all that can be read of a log.

    A last line without an end is what a crash leaves, and was never acted upon: intents are on the disk before
    anything is changed. A last line with an end that is no record, or a number missing in between, is damage.

    Raises:
        JournalError: It cannot be opened, or not one line of it is a record of this tool.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        remedy = "Logs lie in ROOT/.ckpt-migrate; `ckpt-migrate log ROOT` lists them."
        raise JournalError(f"cannot read the log ({error.strerror})", where=path, remedy=remedy) from error
    records: list[dict[str, Any]] = []
    damage: list[str] = []
    unread: list[int] = []
    expected = 0
    lines = data.split(b"\n")
    ends_in_line = lines[-1] == b""
    for number, line in enumerate(lines, 1):
        # A damaged newline must not pass for a damaged or torn record: the record before it is whole.
        record = decode(line) or decode(line[:-1])
        if record is None:
            unread += [number] if line else []
            continue
        if record["seq"] != expected:
            damage.append(_describe_loss(unread, number, record["seq"] - expected))
        unread.clear()
        expected = record["seq"] + 1
        records.append(record)
    if unread and (ends_in_line or unread[0] != len(lines)):
        damage.append(_describe_loss(unread, len(lines), len(unread)))
    is_torn_start = len(lines) == 1 and (data[:2] == b'{"' or data == b"{") and path.endswith(SUFFIX)
    if not records and data and not is_torn_start:
        what = "this is no log of ckpt-migrate, or every line of it is damaged"
        remedy = "Name a file from ROOT/.ckpt-migrate; `ckpt-migrate log ROOT` lists them."
        raise JournalError(what, where=path, remedy=remedy)
    return Contents(path, tuple(records), tuple(damage), expected, ends_in_line, len(data))


def _describe_loss(unread: list[int], number: int, lost: int) -> str:
    if not unread:
        return f"line {number}: {abs(lost)} record(s) before it are missing"
    lines = f"line {unread[0]}" if len(unread) == 1 else f"lines {unread[0]}-{unread[-1]}"
    return f"{lines}: damaged; what was recorded there is not known"
