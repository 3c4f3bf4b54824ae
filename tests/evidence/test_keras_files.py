"""Archives of Keras: how a model was compiled, and nothing of its layers or weights."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.keras_files import KerasReader
from evidence.files_read import read, wants

if TYPE_CHECKING:
    from pathlib import Path

# As Keras 3 writes them, shortened.
METADATA = {"keras_version": "3.3.3", "date_saved": "2026-02-01@04:12:27"}
CONFIG = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {"name": "sequential", "layers": [{"class_name": "Dense", "config": {"units": 10}}]},
    "compile_config": {
        "optimizer": {
            "module": "keras.optimizers",
            "class_name": "Adam",
            "config": {"name": "adam", "learning_rate": 0.0002, "weight_decay": None, "amsgrad": False},
        },
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
    },
}


def write(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_how_a_model_was_compiled_is_told_under_the_names_that_mlflow_logs(tmp_path: Path, method: int) -> None:
    members = {
        "metadata.json": json.dumps(METADATA).encode(),
        "config.json": json.dumps(CONFIG).encode(),
        "model.weights.h5": bytes(100_000),
    }
    assert read(KerasReader, write(tmp_path / "model.keras", members, method)) == [
        ("param", "keras_version", "3.3.3"),
        ("param", "date_saved", "2026-02-01@04:12:27"),
        ("param", "optimizer_name", "adam"),
        ("param", "optimizer_learning_rate", 0.0002),
        ("param", "optimizer_weight_decay", None),
        ("param", "optimizer_amsgrad", False),
        ("param", "loss", "sparse_categorical_crossentropy"),
    ]


@pytest.mark.parametrize(
    "config", [{}, {"compile_config": None}, {"compile_config": {"optimizer": "adam", "loss": []}}]
)
def test_a_model_that_was_not_compiled_tells_nothing(tmp_path: Path, config: dict[str, object]) -> None:
    assert read(KerasReader, write(tmp_path / "m.keras", {"config.json": json.dumps(config).encode()})) == []


@pytest.mark.parametrize(
    ("members", "method", "what"),
    [
        ({"x": b""}, zipfile.ZIP_STORED, "without config.json"),
        ({"config.json": b"{"}, zipfile.ZIP_STORED, "no JSON"),
        ({"config.json": b"[]"}, zipfile.ZIP_STORED, "no mapping"),
        ({"config.json": b"{}"}, zipfile.ZIP_LZMA, "does not know"),
        ({"config.json": b" " * (64 << 20)}, zipfile.ZIP_DEFLATED, "over 4 MiB"),
    ],
    ids=["other", "broken", "list", "method", "bomb"],
)
def test_what_is_no_model_is_refused(tmp_path: Path, members: dict[str, bytes], method: int, what: str) -> None:
    with pytest.raises(ReaderError, match=what):
        read(KerasReader, write(tmp_path / "m.keras", members, method))


def test_any_cut_and_flip_is_read_or_refused(tmp_path: Path) -> None:
    """Whatever became of a file, the reader raises nothing but its own error."""
    path = write(tmp_path / "m.keras", {"config.json": json.dumps(CONFIG).encode()}, zipfile.ZIP_DEFLATED)
    whole = path.read_bytes()
    for at in range(0, len(whole), 3):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            path.write_bytes(data)
            try:
                read(KerasReader, path)
            except ReaderError:
                continue


def test_files_are_known_by_their_ending() -> None:
    assert wants(KerasReader, "best.Keras")
    assert not wants(KerasReader, "model.h5")
