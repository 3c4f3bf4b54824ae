"""TensorBoard event files: when a training began and ended, its hyperparameters, the last value of each scalar.

A file is records one after the other, each with its length and two checksums, and in each record one `Event` of
protocol buffers. Both formats are small enough to be read here, and held against the libraries in tests:
tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto, and
plugin_data.proto of TensorBoard's hparams plugin.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError, open_file, read_at
from ckpt_migrate.evidence.flatten import text_of
from ckpt_migrate.evidence.protobuf import Message, ProtobufError, number, signed
from ckpt_migrate.evidence.records import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckpt_migrate.evidence.records import Scalar
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

MAX_RECORDS = 50_000
"""Records looked at; a training that logs ten scalars every ten steps writes so many in as many steps."""
MAX_RECORD_BYTES = 64 << 10
"""Longest record decoded, bytes; longer ones hold images and graphs, and are passed over unread."""
MAX_READ_BYTES = 32 << 20
"""How much of one file is read, bytes; half a minute of a hostile one, and a second of any other."""
MAX_TAGS = 2_000
"""Scalars and hyperparameters kept of one file."""
_WINDOW_BYTES = 32 << 10

_HEADER = struct.Struct("<QI")
_LENGTH_BYTES, _CRC_BYTES = 8, 4
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
_HPARAMS_TAG = "_hparams_/session_start_info"
_FLOAT, _DOUBLE = 1, 2


class TensorboardReader:
    """Reads the scalars of event files, and none of their images."""

    name = "tensorboard"

    def __init__(self, _: Recipe) -> None:
        pass

    def wants(self, file: FileStat) -> bool:
        """Say whether a file is an event file by its name."""
        return file.kind == "file" and ".tfevents." in file.path.rpartition("/")[2]

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Yield the first and last time, hyperparameters, the last step and the last value of each scalar.

        What is last is said only of files that were read to their end.
        """
        descriptor = open_file(path)
        try:
            session = _read_session(descriptor)
        finally:
            os.close(descriptor)
        for kind, key, value in session.facts():
            yield Fact(kind, key, value, file.path, self.name)


@dataclass(slots=True)
class _Session:
    """What one event file tells so far."""

    times_s: list[float] = field(default_factory=list)
    last_step: int | None = None
    scalars: dict[str, float] = field(default_factory=dict)
    hparams: dict[str, Scalar] = field(default_factory=dict)
    is_whole: bool = True

    def add(self, data: bytes) -> None:
        event = Message(data)
        wall_time_s = number(event.first(1), "<d")
        if wall_time_s is not None and math.isfinite(wall_time_s) and wall_time_s > 0:
            self.times_s = [*self.times_s[:1], wall_time_s]
        for summary in event.messages(5):
            for value in summary.messages(1):
                self.add_value(value, signed(event.first(2)))

    def add_value(self, value: Message, step: int) -> None:
        tag = value.text(1)
        if tag == _HPARAMS_TAG:
            for metadata in value.messages(9):
                for plugin in metadata.messages(1):
                    self.hparams.update(_hparams(plugin.messages(2)))
            return
        scalar = _scalar(value)
        if scalar is None or not tag or tag.startswith("_hparams_"):
            return
        if tag in self.scalars or len(self.scalars) < MAX_TAGS:
            self.scalars[tag] = scalar
        self.last_step = max(step, self.last_step or 0)

    def facts(self) -> Iterator[tuple[FactKind, str, Scalar]]:
        if self.times_s:
            yield FactKind.TIME, "first event", self.times_s[0]
            if self.is_whole:
                yield FactKind.TIME, "last event", self.times_s[-1]
        for key, value in self.hparams.items():
            yield FactKind.PARAM, text_of(key), value
        if self.is_whole:
            if self.last_step is not None:
                yield FactKind.COUNT, "step", self.last_step
            for key, scalar in self.scalars.items():
                if math.isfinite(scalar):
                    yield FactKind.METRIC, text_of(key), repr(scalar)


def _read_session(descriptor: int) -> _Session:
    session, records = _Session(), _Records(descriptor)
    for count, data in enumerate(records, 1):
        try:
            session.add(data)
        except ProtobufError as error:
            raise ReaderError(f"its record {count} is no event: {error}") from error
        if count == MAX_RECORDS:
            return replace(session, is_whole=False)
    if not session.times_s:
        raise ReaderError("no event file, or cut short before its first event")
    return replace(session, is_whole=records.is_whole)


class _Records:
    """The records of a file but for the longest; they end where one is damaged, cut short, or enough was read.

    Attributes:
        is_whole: Whether they ended where the file does.
    """

    def __init__(self, descriptor: int) -> None:
        self.is_whole = True
        self._descriptor = descriptor
        self._window = b""
        self._start = self._read_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        while len(frame := self._bytes(at, _HEADER.size)) == _HEADER.size:
            length, checksum = _HEADER.unpack(frame)
            if _masked_crc(frame[:_LENGTH_BYTES]) != checksum:
                self.is_whole = False
                return
            if length <= MAX_RECORD_BYTES:
                data = self._bytes(at + _HEADER.size, length + _CRC_BYTES)
                if len(data) < length + _CRC_BYTES:
                    # A training that was killed leaves half a record.
                    return
                if _masked_crc(data[:length]) != int.from_bytes(data[length:], "little"):
                    self.is_whole = False
                    return
                yield data[:length]
            at += _HEADER.size + length + _CRC_BYTES
            if self._read_bytes > MAX_READ_BYTES:
                self.is_whole = False
                return

    def _bytes(self, at: int, count: int) -> bytes:
        """Return bytes of the file from a window that moves along it."""
        if not self._start <= at <= at + count <= self._start + len(self._window):
            self._window, self._start = read_at(self._descriptor, at, max(count, _WINDOW_BYTES)), at
            self._read_bytes += len(self._window)
        return self._window[at - self._start : at - self._start + count]


def _scalar(value: Message) -> float | None:
    """Return the value of a scalar summary of either kind; None for all others."""
    simple = number(value.first(2), "<f")
    if simple is not None:
        return _shortest(simple)
    for tensor in value.messages(8):
        kind, layout = signed(tensor.first(1)), None
        if kind in {_FLOAT, _DOUBLE} and not any(True for _ in _sizes(tensor)):
            layout = "<f" if kind == _FLOAT else "<d"
        if layout is not None:
            content = tensor.first(4) or tensor.first(5 if kind == _FLOAT else 6)
            found = number(content, layout)
            return _shortest(found) if found is not None and kind == _FLOAT else found
    return None


def _sizes(tensor: Message) -> Iterator[Message]:
    """Yield the dimensions of a tensor; a scalar has none."""
    for shape in tensor.messages(2):
        yield from shape.messages(2)


def _shortest(single: float) -> float:
    """Return a single-precision number as the shortest decimal that stands for it: 0.1, not 0.10000000149."""
    return float(f"{single:.7g}") if struct.pack("<f", float(f"{single:.7g}")) == struct.pack("<f", single) else single


def _hparams(contents: Iterable[Message]) -> Iterator[tuple[str, Scalar]]:
    for content in contents:
        for session in content.messages(3):
            for pair in list(session.messages(1))[:MAX_TAGS]:
                for value in pair.messages(2):
                    yield pair.text(1), _plain(value)


def _plain(value: Message) -> Scalar:
    """Return a `google.protobuf.Value`: a number, a text or a truth value."""
    real = number(value.first(2), "<d")
    if real is not None:
        return int(real) if real.is_integer() and abs(real) < 2**53 else real
    if value.first(4) is not None:
        return bool(signed(value.first(4)))
    return text_of(value.text(3)) if value.first(3) is not None else None


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


def _masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C that guards a record's length, and its bytes."""
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
