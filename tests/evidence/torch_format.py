"""Files as torch writes them, built by hand: torch is no dependency, and hostile ones it would not write.

Compared byte for byte in structure with files of torch 2.13: member order, local headers without sizes, the padding
field, data descriptors, and the zip64 end records.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zlib
from collections import OrderedDict
from functools import cache
from types import ModuleType
from typing import Any

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001


_NAMED: dict[str, ModuleType] = {}


class Name:
    """A class or function that a pickle names, without there being one."""

    def __init__(self, module: str, name: str) -> None:
        self.__module__ = module
        self.name = name

    def __call__(self, *_: object) -> None:
        """Exist, since the pickler asks for callables."""

    def __reduce__(self) -> str:
        """Be written as a name."""
        return self.name


@cache
def named(module: str, name: str) -> Name:
    """Return the one stand-in of a name, to be found by the pickler while it writes."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        package = ".".join(parts[:count])
        _NAMED.setdefault(package, ModuleType(package))
    stand_in = Name(module, name)
    setattr(_NAMED[module], name, stand_in)
    return stand_in


FLOAT_STORAGE = named("torch", "FloatStorage")
REBUILD_TENSOR = named("torch._utils", "_rebuild_tensor_v2")


class Storage:
    """The bytes of a tensor, kept outside of the pickle."""

    def __init__(self, key: str, count: int) -> None:
        self.key = key
        self.count = count


class Call:
    """An object that a pickle makes by calling a name, and then sets a state on or stores entries in."""

    def __init__(self, function: object, *arguments: object, state: object = None, **entries: object) -> None:
        self.parts = (function, arguments, state, entries)

    def __reduce__(self) -> Any:
        """Return the call, and what follows it."""
        function, arguments, state, entries = self.parts
        return (function, arguments, state, None, iter(entries.items()) if entries else None)


def tensor(key: str, count: int = 4) -> Call:
    """Return a tensor of one dimension."""
    shape, strides, needs_gradient = (count,), (1,), False
    return Call(REBUILD_TENSOR, Storage(key, count), 0, shape, strides, needs_gradient, OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        return ("storage", FLOAT_STORAGE, obj.key, "cpu", obj.count) if isinstance(obj, Storage) else None


def dumps(content: object, protocol: int = 2) -> bytes:
    """Return a pickle as `torch.save` makes it."""
    out = io.BytesIO()
    before = dict(sys.modules)
    # The pickler looks every name up; here there is one to be found for as long as it does.
    sys.modules.update(_NAMED)
    try:
        _Pickler(out, protocol).dump(content)
    finally:
        for module in _NAMED:
            del sys.modules[module]
        sys.modules.update(before)
    return out.getvalue()


def legacy_file(content: object) -> bytes:
    """Return a file in the format before torch 1.6: five pickles and the tensors' bytes."""
    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": sys.byteorder == "little",
        "type_sizes": {"int": 4},
    }
    heads = [pickle.dumps(part, 2) for part in (MAGIC_NUMBER, PROTOCOL_VERSION, system)]
    return b"".join([*heads, dumps(content), pickle.dumps(["0"], 2), bytes(64)])


def zip_file(content: object, *, folder: str = "archive", protocol: int = 2) -> bytes:
    """Return a file in the format since torch 1.6."""
    return archive([(f"{folder}/data.pkl", dumps(content, protocol)), *other_members(folder)])


def other_members(folder: str) -> list[tuple[str, bytes]]:
    """Return what torch stores besides the pickle."""
    return [(f"{folder}/byteorder", b"little"), (f"{folder}/data/0", bytes(16)), (f"{folder}/version", b"3\n")]


def archive(members: list[tuple[str, bytes]]) -> bytes:
    """Return a zip archive as torch lays it out: stored, sizes after the data, data aligned to 64 bytes."""
    out, directory = io.BytesIO(), io.BytesIO()
    for name, data in members:
        start, raw = out.tell(), name.encode()
        padding = 64 - (start + 30 + len(raw) + 4) % 64
        extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
        out.write(struct.pack("<4s5H3I2H", b"PK\x03\x04", 0, 0x0808, 0, 0, 0, 0, 0, 0, len(raw), len(extra)))
        out.write(raw + extra + data)
        sums = (zlib.crc32(data), len(data), len(data))
        out.write(struct.pack("<4s3I", b"PK\x07\x08", *sums))
        head = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 0, 0, 0x0808, 0, 0, 0, *sums, len(raw), 0, 0, 0, 0, 0, start)
        directory.write(head + raw)
    offset, length, count = out.tell(), directory.tell(), len(members)
    out.write(directory.getvalue())
    end_64 = out.tell()
    out.write(struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 798, 45, 0, 0, count, count, length, offset))
    out.write(struct.pack("<4sIQI", b"PK\x06\x07", 0, end_64, 1))
    out.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, length, offset, 0))
    return out.getvalue()


def lightning(hyper_parameters: object, **more: object) -> dict[str, object]:
    """Return a checkpoint as Lightning makes it, with some tensors."""
    weights = OrderedDict((f"layers.{i}.weight", tensor(str(i))) for i in range(8))
    return {
        "epoch": 3,
        "global_step": 800,
        "pytorch-lightning_version": "2.2.0",
        "state_dict": weights,
        "loops": {"fit_loop": {"epoch_progress": {"total": {"ready": 4}}}},
        "callbacks": {
            "ModelCheckpoint{'monitor': 'train_loss', 'mode': 'min'}": {
                "monitor": "train_loss",
                "best_model_score": tensor("8", 1),
                "best_model_path": "/data/checkpoints/phase2/old/lightning_checkpoints/best.ckpt",
                "dirpath": "/data/checkpoints/phase2/old/lightning_checkpoints",
                "last_model_path": "",
            }
        },
        "optimizer_states": [{"state": {0: {"step": tensor("9", 1)}}, "param_groups": [{"lr": 0.1}]}],
        "hparams_name": "kwargs",
        "hyper_parameters": hyper_parameters,
        **more,
    }
