"""Files of torch: the pickle is found in every format, tensors are never read, and broken files say what is wrong."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt_migrate.evidence import torch_files
from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.torch_files import FIRST_WINDOW_BYTES, Earlier, load_torch
from evidence.torch_format import archive, dumps, legacy_file, lightning, other_members, tensor, zip_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20
CONTENT = {"config": {"lr": 0.1}, "run_id": "old"}


def packed(
    method: int, name: str = "archive/data.pkl", data: bytes | None = None, first: str = "archive/version"
) -> bytes:
    """Return an archive that another tool than torch wrote, without sizes behind its members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as target:
        if first != name:
            target.writestr(first, "3\n")
        target.writestr(name, dumps(CONTENT) if data is None else data)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        zip_file(CONTENT),
        zip_file(CONTENT, folder="a name of its own"),
        zip_file(CONTENT, protocol=4),
        zip_file(CONTENT, protocol=5),
        legacy_file(CONTENT),
        pickle.dumps(CONTENT, 4),
        archive([*other_members("archive"), ("archive/data.pkl", dumps(CONTENT))]),
        packed(zipfile.ZIP_STORED),
        packed(zipfile.ZIP_DEFLATED),
        packed(zipfile.ZIP_STORED, "data.pkl"),
    ],
    ids=["zip", "folder", "protocol4", "protocol5", "legacy", "plain", "last", "repacked", "deflated", "bare"],
)
def test_every_format_is_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    assert load_torch(str(path)) == CONTENT


def test_an_archive_in_front_of_fifty_gigabytes_is_read_at_once(tmp_path: Path) -> None:
    """Only the first bytes of a file are read, whatever its size; a sparse file shows it."""
    path = tmp_path / "last.ckpt"
    for data in (zip_file(CONTENT), legacy_file(CONTENT), packed(zipfile.ZIP_STORED, first="archive/data.pkl")):
        path.write_bytes(data)
        os.truncate(path, 50 * 10**9)
        tracemalloc.start()
        assert load_torch(str(path)) == CONTENT
        assert tracemalloc.get_traced_memory()[1] < MIB
        tracemalloc.stop()
    empty = tmp_path / "empty.ckpt"
    empty.touch()
    os.truncate(empty, 50 * 10**9)
    with pytest.raises(ReaderError, match="neither a zip archive nor a pickle"):
        load_torch(str(empty))


@pytest.mark.parametrize("make", [zip_file, legacy_file, lambda content: pickle.dumps(content, 2)])
def test_pickles_longer_than_the_first_read_are_read_on(tmp_path: Path, make: Callable[[object], bytes]) -> None:
    """However the boundaries of the reads fall into the pickle."""
    for count in (300, 3000):
        content = {f"key {i}": [f"value {i}", i] for i in range(count)}
        data = make(content)
        assert len(data) > FIRST_WINDOW_BYTES * (count // 3000)
        path = tmp_path / "model.pt"
        path.write_bytes(data)
        assert load_torch(str(path)) == content


def test_a_file_cut_short_after_its_pickle_still_tells(tmp_path: Path) -> None:
    """A disk that filled up while tensors were written leaves no directory at the archive's end."""
    path = tmp_path / "last.ckpt"
    data = zip_file(lightning({"lr": 0.1}))
    path.write_bytes(data[: data.index(b"PK\x07\x08")])
    read = load_torch(str(path))
    assert isinstance(read, dict)
    assert read["hyper_parameters"] == {"lr": 0.1}


@pytest.mark.parametrize("make", [zip_file, legacy_file, lambda content: pickle.dumps(content, 2)])
def test_a_file_cut_within_its_pickle_says_so(tmp_path: Path, make: Callable[[object], bytes]) -> None:
    data = make(CONTENT)
    path = tmp_path / "last.ckpt"
    for end in range(4, len(dumps(CONTENT)), 7):
        path.write_bytes(data[:end])
        with pytest.raises(ReaderError):
            load_torch(str(path))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"\0" * 4096, "neither"),
        (b"version https://git-lfs.github.com/spec/v1\n", "neither"),
        (b"PK\x03\x04", "cut short"),
        (packed(zipfile.ZIP_STORED, "archive/code/data.pkl.txt"), r"without data\.pkl"),
        (packed(zipfile.ZIP_LZMA), "method"),
        (packed(zipfile.ZIP_DEFLATED, data=b"N"), "ends in the middle"),
        (b"\x80\x02" + b"\xff" * 100, "no valid pickle"),
    ],
    ids=("empty", "zeros", "pointer", "cut", "no pickle", "lzma", "short", "garbage"),  # zip bytes hold the time
)
def test_what_is_no_file_of_torch_says_why(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(ReaderError, match=what):
        load_torch(str(path))


def test_a_compressed_pickle_cannot_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip bomb is inflated up to the limit and refused there."""
    monkeypatch.setattr(torch_files, "MAX_PICKLE_BYTES", MIB)
    path = tmp_path / "bomb.pt"
    path.write_bytes(packed(zipfile.ZIP_DEFLATED, data=b"\x80\x02" + b"N" * (64 * MIB)))
    assert path.stat().st_size < MIB
    tracemalloc.start()
    with pytest.raises(ReaderError, match="over 1 MiB"):
        load_torch(str(path))
    assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    tracemalloc.stop()


def test_an_endless_pickle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that claims the whole of a large file is read up to the limit."""
    monkeypatch.setattr(torch_files, "MAX_PICKLE_BYTES", MIB)
    path = tmp_path / "long.pt"
    path.write_bytes(b"\x80\x02X\xff\xff\xff\x7f")
    os.truncate(path, 2 * 10**9)
    with pytest.raises(ReaderError, match="over 1 MiB"):
        load_torch(str(path))


def test_lies_of_an_archive_are_refused(tmp_path: Path) -> None:
    """Offsets, lengths and counts that point beyond the file, or claim gigabytes, raise the one error."""
    honest = archive([*other_members("archive"), ("archive/data.pkl", dumps(CONTENT))])
    path = tmp_path / "lie.pt"
    end, end_64 = honest.rindex(b"PK\x05\x06"), honest.rindex(b"PK\x06\x06")
    lies = [
        honest[:position] + struct.pack("<I", value) + honest[position + 4 :]
        for position in (end + 12, end + 16)
        for value in (0xFFFFFFFE, 0xFFFFFFFF, 0x7FFFFFFF)
    ]
    everywhere = honest[: end + 12] + b"\xff" * 8 + honest[end + 20 :]
    lies += [
        everywhere[:position] + b"\xff" * 8 + everywhere[position + 8 :] for position in (end_64 + 40, end_64 + 48)
    ]
    lies.append(honest.replace(b"PK\x03\x04", b"PK\x03\x05"))
    entry = honest.rindex(b"PK\x01\x02")
    lies.append(honest[: entry + 42] + b"\xff\xff\xff\xff" + honest[entry + 46 :])
    lies.append(honest[: entry + 42] + b"\xfe\xff\xff\x7f" + honest[entry + 46 :])
    path.write_bytes(everywhere)
    assert load_torch(str(path)) == CONTENT
    for lie in lies:
        path.write_bytes(lie)
        try:
            assert load_torch(str(path)) == CONTENT
        except ReaderError:
            continue


def test_links_and_pipes_are_not_opened(tmp_path: Path) -> None:
    """A link is refused, and a pipe in the place of a file does not wait for a writer."""
    real = tmp_path / "real.pt"
    real.write_bytes(zip_file(CONTENT))
    link, pipe = tmp_path / "link.pt", tmp_path / "pipe.pt"
    link.symlink_to(real)
    os.mkfifo(pipe)
    for path in (link, pipe):
        with pytest.raises((OSError, ReaderError)):
            load_torch(str(path))


VALID = [
    zip_file(lightning({"lr": 0.1})),
    legacy_file({"w": tensor("0")}),
    packed(zipfile.ZIP_DEFLATED),
    archive([*other_members("archive"), ("archive/data.pkl", dumps(CONTENT))]),
]


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(VALID), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=5)), max_size=4), st.floats(0, 1))
def test_damaged_files_end_in_a_value_or_the_one_error(
    tmp_path: Path, data: bytes, changes: list[tuple[float, bytes]], cut: float
) -> None:
    """Bytes changed anywhere, and the end cut anywhere, raise nothing but ReaderError or OSError."""
    damaged = bytearray(data)
    for where, new in changes:
        at = int(where * len(damaged))
        damaged[at : at + len(new)] = new
    path = tmp_path / "model.pt"
    path.write_bytes(damaged[: len(damaged) - int(cut * cut * len(damaged))])
    try:
        load_torch(str(path))
    except (OSError, ReaderError):
        return


def test_the_same_state_saved_twice_is_loaded_once(tmp_path: Path) -> None:
    """Equal first bytes stand for equal objects only where they hold the whole pickle."""
    earlier = Earlier()
    for name, content in (("best", CONTENT), ("last", CONTENT), ("other", {"epoch": 1})):
        (tmp_path / name).write_bytes(zip_file(content) + b"weights" * 5000)
    best, again, other = (load_torch(str(tmp_path / name), earlier) for name in ("best", "last", "other"))
    assert best is again
    assert other == {"epoch": 1}
    for seed in (1, 2):
        long = {**{f"layer {number}": "x" * 100 for number in range(1000)}, "seed": seed}
        (tmp_path / "long").write_bytes(zip_file(long))
        assert len(zip_file(long)) > FIRST_WINDOW_BYTES
        assert load_torch(str(tmp_path / "long"), earlier) == long
