"""What Lightning and training scripts put into checkpoints besides tensors."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.flatten import OPAQUE, flatten, text_of
from ckpt_migrate.evidence.found import Block
from ckpt_migrate.evidence.inert import Inert
from ckpt_migrate.evidence.records import FactKind
from ckpt_migrate.evidence.torch_files import Earlier, load_torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckpt_migrate.evidence.found import Pairs
    from ckpt_migrate.evidence.records import Fact, Scalar
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

_ARGUMENTS = "training_args.bin"  # the Hugging Face trainer: one object, the config itself

SUFFIXES = (".ckpt", ".pt", ".pth", ".pth.tar", _ARGUMENTS)
"""Endings of files that torch writes."""

CONFIG_KEYS = ("config", "cfg", "args", "hparams", "hyper_parameters", "datamodule_hyper_parameters")
"""Where a checkpoint keeps its training config: Lightning the last two, training scripts the others."""

_COUNTS = {"epoch": "epoch", "global_step": "step", "step": "step"}
_CALLBACK_PATHS = ("best_model_path", "dirpath", "kth_best_model_path", "last_model_path")
# Wrappers in wrappers, such as a path in a node of OmegaConf; a file could make them endless.
_MAX_WRAPPERS = 8
_NUMPY_LAYOUTS = {
    "f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b",
    "u8": "Q", "u4": "I", "u2": "H", "u1": "B", "b1": "?",
}  # fmt: skip
_COUNT_END = 10**15


class TorchReader:
    """Reads the plain data of checkpoints that torch wrote, and none of their tensors."""

    name = "torch"

    def wants(self, file: FileStat) -> bool:
        """Say whether a file is torch's by its name."""
        return file.kind == "file" and file.path.lower().endswith(SUFFIXES)

    def __init__(self, _: Recipe) -> None:
        self._earlier = Earlier()
        self._last: tuple[object, bool, list[tuple[FactKind, Pairs]]] | None = None

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Return config values, counts, the callbacks' best score, and what names a run or a directory."""
        return [fact for block in self.read_blocks(path, file) for fact in block.facts()]

    def read_blocks(self, path: str, file: FileStat) -> list[Block]:
        """Return the same in blocks."""
        is_arguments = file.path.endswith(_ARGUMENTS)
        loaded = load_torch(path, self._earlier)
        last = self._last
        if last is None or last[0] is not loaded or last[1] is not is_arguments:
            content = _content(loaded, is_arguments=is_arguments)
            parts: list[tuple[FactKind, Pairs]] = [(kind, ((key, value),)) for kind, key, value in small_facts(content)]
            params = [pair for key in CONFIG_KEYS if key in content for pair in flatten(content[key], reveal)]
            if params:
                parts.append((FactKind.PARAM, tuple(params)))
            last = self._last = (loaded, is_arguments, parts)
        return [Block(file.path, self.name, kind, pairs) for kind, pairs in last[2]]


def _content(loaded: object, *, is_arguments: bool) -> dict[object, object]:
    top = reveal(loaded)
    if is_arguments:
        return {"config": top}
    return top if isinstance(top, dict) else {}


def small_facts(content: dict[object, object]) -> Iterator[tuple[FactKind, str, Scalar]]:
    """Yield kind, key and value of all but the configs.

    A METRIC has the shortest text of the number, so that it stands for the whole, unrounded value.
    """
    for key, name in _COUNTS.items():
        count = reveal(content.get(key))
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < _COUNT_END:
            yield FactKind.COUNT, name, count
    run_id = content.get("run_id")
    if isinstance(run_id, str) and run_id:
        yield FactKind.MENTION, "run_id", text_of(run_id)
    callbacks = content.get("callbacks")
    if isinstance(callbacks, dict):
        for state in callbacks.values():
            yield from _callback(reveal(state))


def _callback(state: object) -> Iterator[tuple[FactKind, str, Scalar]]:
    if not isinstance(state, dict):
        return
    score, monitor = reveal(state.get("best_model_score")), state.get("monitor")
    if isinstance(score, (int, float)) and not isinstance(score, bool):
        key = text_of(monitor) if isinstance(monitor, str) and monitor else "best_model_score"
        yield FactKind.METRIC, key, repr(score)
    for key in _CALLBACK_PATHS:
        path = reveal(state.get(key))
        if isinstance(path, str) and path:
            yield FactKind.MENTION, key, text_of(path)


def reveal(value: object) -> object:
    """Return the plain data that an inert record stands for, one level of it; `OPAQUE` when there is none.

    Known are paths, devices, types and sizes of torch, numbers of numpy, configs of OmegaConf, and any object that
    is its attributes, such as a Namespace or a dataclass.
    """
    for _ in range(_MAX_WRAPPERS):
        if isinstance(value, bytes):
            return OPAQUE
        if not isinstance(value, Inert):
            return value
        value = _reveal_once(value)
    return OPAQUE


def _reveal_once(record: Inert) -> object:
    if record.entries is not None:
        return record.entries
    module, _, name = record.name.rpartition(".")
    if record.arguments is None:
        return record.name if module == "torch" else OPAQUE
    arguments = record.arguments if isinstance(record.arguments, tuple) else ()
    if module in {"pathlib", "pathlib._local"}:
        return _path(name, arguments)
    if module == "torch":
        return _torch_value(name, arguments)
    if name == "scalar" and module.startswith("numpy."):
        return _number(arguments)
    return _attributes(module, record.state)


def _attributes(module: str, state: object) -> object:
    if isinstance(state, tuple) and len(state) == 2:  # noqa: PLR2004 - attributes, and those in slots
        state = state[1]
    if not isinstance(state, dict):
        return OPAQUE
    if module.startswith("omegaconf"):
        return state.get("_content", state.get("_val", OPAQUE))
    return {key: item for key, item in state.items() if isinstance(key, str) and not key.startswith("_")}


def _torch_value(name: str, arguments: tuple[object, ...]) -> object:
    if name == "device":
        return ":".join(str(part) for part in arguments if isinstance(part, (str, int)))
    return arguments[0] if name == "Size" and arguments else OPAQUE


def _path(name: str, parts: tuple[object, ...]) -> object:
    texts = [part for part in parts if isinstance(part, str)]
    separator = "\\" if "Windows" in name else "/"
    if texts and texts[0].endswith(separator):
        return texts[0] + separator.join(texts[1:])
    return separator.join(texts)


def _number(arguments: tuple[object, ...]) -> object:
    """Return a number of numpy from its type and its bytes."""
    kind, data = arguments if len(arguments) == 2 else (None, None)  # noqa: PLR2004 - type and bytes
    if not isinstance(kind, Inert):
        return OPAQUE
    if isinstance(data, Inert) and data.name == "_codecs.encode" and isinstance(data.arguments, tuple):
        # How protocol 2 writes bytes: as text and the encoding that turns it back.
        text = data.arguments[0] if data.arguments else None
        data = text.encode("latin-1", "replace") if isinstance(text, str) else None
    code = kind.arguments[0] if isinstance(kind.arguments, tuple) and kind.arguments else None
    layout = _NUMPY_LAYOUTS.get(code.lstrip("<>|=")) if isinstance(code, str) else None
    if layout is None or not isinstance(data, bytes) or len(data) != struct.calcsize(layout):
        return OPAQUE
    is_big_endian = isinstance(kind.state, tuple) and ">" in kind.state[:2]
    value = struct.unpack((">" if is_big_endian else "<") + layout, data)[0]
    return _shortest(value) if layout == "f" else value


def _shortest(value: float) -> float:
    """Return the number of fewest digits that is the same in single precision, as numpy prints it."""
    exact = struct.pack("<f", value)
    for digits in range(6, 10):
        shorter = float(f"{value:.{digits}g}")
        if struct.pack("<f", shorter) == exact:
            return shorter
    return value
