"""Headers of safetensors: the writer's texts, and nothing beyond the header."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.safetensors import MAX_HEADER_BYTES, SafetensorsReader
from evidence.files_read import read, wants

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, metadata: dict[str, str] | None) -> Path:
    """Write a file with the library itself."""
    path.write_bytes(save({"weight": np.zeros(2, np.float32)}, metadata))
    return path


def test_texts_beside_the_tensors_are_params(tmp_path: Path) -> None:
    """What names a run is a mention; the library's own mark says nothing."""
    told = read(
        SafetensorsReader,
        write(tmp_path / "m.safetensors", {"format": "pt", "ss_learning_rate": "0.0002", "mlflow_run_id": "94" * 16}),
    )
    assert sorted(told) == [("mention", "mlflow_run_id", "94" * 16), ("param", "ss_learning_rate", "0.0002")]
    assert read(SafetensorsReader, write(tmp_path / "n.safetensors", None)) == []


def test_only_the_header_is_read(tmp_path: Path) -> None:
    """Terabytes of tensors behind it cost nothing."""
    path = write(tmp_path / "m.safetensors", {"seed": "7"})
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    assert read(SafetensorsReader, path) == [("param", "seed", "7")]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "cut short"),
        (b"\x05\0\0", "cut short"),
        ((100).to_bytes(8, "little") + b"{}", "cut short"),
        ((MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b"{}", "over 4 MiB"),
        (b"\xff" * 16, "over 4 MiB"),
        ((2).to_bytes(8, "little") + b"[]", "no mapping"),
        ((4).to_bytes(8, "little") + b"\xff{}[", "no JSON"),
        ((20_000).to_bytes(8, "little") + b"[" * 20_000, "no JSON"),
        ((20).to_bytes(8, "little") + b'{"__metadata__": 12}', "no mapping"),
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, data: bytes, what: str) -> None:
    (tmp_path / "m.safetensors").write_bytes(data)
    with pytest.raises(ReaderError, match=what):
        read(SafetensorsReader, tmp_path / "m.safetensors")


def test_a_flood_of_texts_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {str(i): "" for i in range(20_000)}}).encode()
    (tmp_path / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ReaderError, match="over 10,000 texts"):
        read(SafetensorsReader, tmp_path / "m.safetensors")


def test_files_are_known_by_their_ending() -> None:
    assert wants(SafetensorsReader, "checkpoint-5/Model.SAFETENSORS")
    assert not wants(SafetensorsReader, "model.safetensors", "link")
    assert not wants(SafetensorsReader, "model.safetensors.index.json")
