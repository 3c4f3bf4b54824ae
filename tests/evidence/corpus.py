"""Files of every kind that readers read, whole ones, and ways to break them."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from functools import cache
from typing import TYPE_CHECKING

from ckpt_migrate.evidence import tensorboard
from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.reading import BUILT_IN
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import FileStat
from evidence.torch_format import legacy_file, lightning, tensor, zip_file

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from ckpt_migrate.evidence.reading import Reader

CONFIG = {"lr": 2e-4, "model": {"layers": [4, 8], "name": "GAT"}, "seed": None, "amp": True}
SPLICES = (
    b"", b"\0", b"\xff" * 8, b"\x7f\xff\xff\xff", b"99999999999999999999", b"[" * 300, b'{"a":' * 300, b"(" * 300,
    b"PK\x01\x02", b"PK\x05\x06", b"!!python/object/apply:os.system [x]\n", b"&a [*a, *a]\n", b"cos\nsystem\n",
    b"\x80\x05", b"NaN", b"1e999", b"\n", b",", b'"', b"\xf0\x9f", b"\xed\xa0\x80",
)  # fmt: skip


def whole_files() -> dict[str, bytes]:
    """Return name and bytes of whole files, several for each reader that opens any."""
    header = json.dumps({"__metadata__": {"lr": "0.1", "run_id": "94" * 16}, "w": {"dtype": "F32"}}).encode()
    state = {
        "global_step": 10,
        "epoch": 1.0,
        "log_history": [{"loss": 0.5, "step": 10}],
        "best_model_checkpoint": "o/c",
    }
    compiled = {"compile_config": {"optimizer": {"config": {"learning_rate": 0.1}}, "loss": "mse"}}
    weights = {"layer.weight": tensor("0"), "layer.bias": tensor("1")}
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "hparams.yaml": b"lr: 2e-4\nmodel: &m {layers: [4, 8]}\nteacher: *m\nbetas: !!python/tuple [0.9, 1]\n",
        ".hydra/overrides.yaml": b"- model.lr=0.1\n- +new=[1, 2]\n- ~gone\n",
        "MLFLOW_RUN_ID.txt": b"MLflow Run ID: " + b"94" * 16 + b"\n",
        "last.ckpt": zip_file(lightning({"seed": 7})),
        "model.pt": legacy_file({"config": CONFIG, "run_id": "x", "model_state_dict": weights}),
        "training_args.bin": zip_file(CONFIG),
        "model.safetensors": len(header).to_bytes(8, "little") + header,
        "trainer_state.json": json.dumps(state).encode(),
        "model.keras": _zip({"metadata.json": {"keras_version": "3.3"}, "config.json": compiled}),
        "results.csv": b"epoch, loss(B)\n0, 0.5\n1, 0.25\n",
        "events.out.tfevents.1.host": _record(b"\x09" + struct.pack("<d", 1.7e9)) + _record(_scalar_event()),
        "epoch=3-val_loss=0.25.ckpt": b"\x80\x02}q\x00.",
    }


def broken(data: bytes, rng: Random) -> bytes:
    """Return bytes with some damage: cut, flipped, repeated, or with something hostile put in."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(5)
        if kind == 0 and out:
            out[at % len(out)] = rng.randrange(256)
        elif kind == 1:
            out[at:at] = rng.choice(SPLICES)
        elif kind == 2:
            del out[at : at + rng.randint(1, 64)]
        elif kind == 3:
            out[at:at] = out[at : at + rng.randint(1, 64)] * rng.randint(1, 8)
        elif rng.random() < 0.1:
            del out[at:]
    return with_checksums(bytes(out)) if rng.random() < 0.5 else bytes(out)


def with_checksums(data: bytes) -> bytes:
    """Return what would be an event file, its checksums put right: else nothing behind them would ever be reached."""
    out, at = b"", 0
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        if length > len(data):
            return data
        out += _record(data[at + 12 : at + 12 + length])
        at += 16 + length
    return out or data


def read_with_all(folder: Path, name: str, data: bytes) -> int:
    """Write a file, read it with every reader that wants it, and return how many facts they found.

    Raises:
        Exception: A reader raised something else than its own error.
    """
    (folder / "file").write_bytes(data)
    return read_in_place(folder / "file", name)


def read_in_place(path: Path, name: str) -> int:
    """Read a file as if it had this name with every reader that wants it; see `read_with_all`."""
    file = FileStat(name, "file", path.stat().st_size, 0)
    count = 0
    for reader in _readers():
        if reader.wants(file):
            try:
                count += sum(1 for _ in reader.read(str(path), file))
            except ReaderError:
                continue
    return count


@cache
def _readers() -> tuple[Reader, ...]:
    recipe = load_recipe()
    return tuple(make(recipe) for make in BUILT_IN)


def _zip(members: dict[str, object]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, json.dumps(content))
    return out.getvalue()


def _scalar_event() -> bytes:
    value = b"\x0a\x04loss\x15" + struct.pack("<f", 0.5)
    summary = b"\x0a" + bytes([len(value)]) + value
    return b"\x09" + struct.pack("<d", 1.7e9) + b"\x10\x05\x2a" + bytes([len(summary)]) + summary


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    checksums = [struct.pack("<I", tensorboard._masked_crc(part)) for part in (length, data)]
    return length + checksums[0] + data + checksums[1]
