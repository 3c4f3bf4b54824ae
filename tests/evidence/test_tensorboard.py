"""Event files: held against the library that writes them, and against every way in which one can be damaged."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import pytest
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from ckpt_migrate.evidence import tensorboard
from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.protobuf import Message, ProtobufError, signed
from ckpt_migrate.evidence.tensorboard import TensorboardReader
from evidence.files_read import read, wants

if TYPE_CHECKING:
    from pathlib import Path

START_S = 1769915547.25


def write(folder: Path) -> Path:
    """Write an event file with the library: scalars of 100 steps, hyperparameters, a histogram."""
    writer = SummaryWriter(str(folder))
    for summary in hparams({"lr": 2e-4, "layers": 4, "name": "GAT", "amp": True}, {"val_loss": 0.5}):
        writer.file_writer.add_summary(summary, 0, START_S)
    for step in range(100):
        writer.add_scalar("train_loss", 1 / (step + 1), step, walltime=START_S + step)
    writer.add_scalar("lr", 0.1, 50, walltime=START_S + 100.5)
    writer.add_histogram("weights", [1.0, 2.0, 3.0], 99, walltime=START_S + 101)
    writer.close()
    (path,) = folder.iterdir()
    return path


def test_what_the_library_wrote_is_told(tmp_path: Path) -> None:
    """Single precision is told with the digits that it has: 0.1, not 0.10000000149."""
    told = read(TensorboardReader, write(tmp_path))
    times = {key: value for kind, key, value in told if kind == "time"}
    assert times["last event"] == START_S + 101
    assert sorted((fact for fact in told if fact[0] != "time"), key=str) == [
        ("count", "step", 99),
        ("metric", "lr", "0.1"),
        ("metric", "train_loss", "0.01"),
        ("param", "amp", True),
        ("param", "layers", 4),
        ("param", "lr", 0.0002),
        ("param", "name", "GAT"),
    ]


def record(data: bytes) -> bytes:
    """Return bytes as a record."""
    length = struct.pack("<Q", len(data))
    crcs = (struct.pack("<I", tensorboard._masked_crc(part)) for part in (length, data))
    return length + next(crcs) + data + next(crcs)


def event(value: bytes, step: int = 3) -> bytes:
    """Return a record of an event with one value of a summary."""
    summary = b"\x0a" + bytes([len(value)]) + value
    return record(
        b"\x09" + struct.pack("<d", START_S) + b"\x10" + bytes([step]) + b"\x2a" + bytes([len(summary)]) + summary
    )


def test_scalars_of_newer_writers_are_tensors(tmp_path: Path) -> None:
    """TensorFlow 2 writes a scalar as a tensor without dimensions; one with some is no scalar."""
    scalar = b"\x0a\x01a\x42\x08\x08\x01\x12\x00\x22\x04" + struct.pack("<f", 0.25)
    scalar = scalar.replace(b"\x42\x08", b"\x42\x0a")
    double = b"\x0a\x01b\x42\x0c\x08\x02\x32\x08" + struct.pack("<d", 1e-9)
    vector = b"\x0a\x01c\x42\x0e\x08\x01\x12\x04\x12\x02\x08\x02\x2a\x04" + struct.pack("<f", 0.5)
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes(event(scalar) + event(double, 4) + event(vector, 5))
    assert read(TensorboardReader, path)[2:] == [
        ("count", "step", 4),
        ("metric", "a", "0.25"),
        ("metric", "b", "1e-09"),
    ]


def test_long_records_are_passed_over(tmp_path: Path) -> None:
    """Images of megabytes between the scalars are not read, and cost no memory."""
    path = tmp_path / "events.out.tfevents.1.host"
    length = struct.pack("<Q", 8 << 20)
    image = length + struct.pack("<I", tensorboard._masked_crc(length)) + bytes((8 << 20) + 4)
    path.write_bytes(
        event(b"\x0a\x01a\x15" + struct.pack("<f", 1)) + image + event(b"\x0a\x01a\x15" + struct.pack("<f", 2))
    )
    assert ("metric", "a", "2.0") in read(TensorboardReader, path)


def test_a_file_cut_short_tells_what_it_has(tmp_path: Path) -> None:
    """A killed training leaves half a record; all before it counts."""
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:-7])
    assert ("count", "step", 99) in read(TensorboardReader, path)


def test_behind_damage_nothing_is_last(tmp_path: Path) -> None:
    """A flipped bit is noticed by the checksums; what is before it still tells when the training began."""
    path = write(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    told = read(TensorboardReader, path)
    assert {kind for kind, _, _ in told} == {"time", "param"}
    assert [key for kind, key, _ in told if kind == "time"] == ["first event"]


def test_a_file_too_long_to_be_read_whole_has_no_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "MAX_RECORDS", 50)
    assert "count" not in {kind for kind, _, _ in read(TensorboardReader, write(tmp_path / "a"))}
    monkeypatch.setattr(tensorboard, "MAX_RECORDS", 5000)
    monkeypatch.setattr(tensorboard, "MAX_READ_BYTES", 1000)
    assert "count" not in {kind for kind, _, _ in read(TensorboardReader, write(tmp_path / "b"))}


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"no events" * 100, record(b"\x0f"), record(b"\x2a\x02\x0a\x05")])
def test_what_is_no_event_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes(data)
    with pytest.raises(ReaderError, match="no event"):
        read(TensorboardReader, path)


def test_whatever_stands_in_records_is_read_or_refused(tmp_path: Path) -> None:
    """With right checksums, too: the reader raises nothing but its own error."""
    path = tmp_path / "events.out.tfevents.1.host"
    rng = random.Random(5)  # noqa: S311 - reproducible, not secret
    whole = event(b"\x0a\x01a\x42\x0a\x08\x01\x12\x00\x22\x04" + struct.pack("<f", 0.25))[12:-4]
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(record(bytes(data)))
        try:
            read(TensorboardReader, path)
        except ReaderError:
            continue


def test_files_are_known_by_their_names() -> None:
    assert wants(TensorboardReader, "version_0/events.out.tfevents.1769915547.host.1.0")
    assert not wants(TensorboardReader, "tfevents.txt")


@pytest.mark.parametrize("data", [b"\x08", b"\x08" + b"\xff" * 11, b"\x0a\x05hi", b"\x0b", b"\x09\0\0"])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(ProtobufError):
        Message(data)


def test_numbers_below_zero_take_ten_bytes() -> None:
    assert signed(Message(b"\x10" + b"\xff" * 9 + b"\x01").first(2)) == -1
