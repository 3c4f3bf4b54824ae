"""`.keras` archives of Keras 3: how the model was compiled and when it was saved; the weights are never read.

An archive holds `metadata.json` (Keras version, date saved), `config.json` (the model and how it was compiled) and
`model.weights.h5`. (https://keras.io/guides/serialization_and_saving)
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.archive import members
from ckpt_migrate.evidence.files import ReaderError, open_file
from ckpt_migrate.evidence.flatten import flatten
from ckpt_migrate.evidence.records import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckpt_migrate.evidence.records import Scalar
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

MAX_MEMBER_BYTES = 4 << 20
"""Longest member read, bytes, unpacked; a model of a thousand layers takes one million."""

_METADATA, _CONFIG = b"metadata.json", b"config.json"


class KerasReader:
    """Reads the two small members of an archive."""

    name = "keras"

    def __init__(self, _: Recipe) -> None:
        pass

    def wants(self, file: FileStat) -> bool:
        """Say whether a file is of this format by its name."""
        return file.kind == "file" and file.path.lower().endswith(".keras")

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Yield a param for each setting, the optimizer's named as MLflow's callback for Keras names them."""
        found = _read_members(path)
        values = [*flatten(found.get(_METADATA, {})), *_compiled(found.get(_CONFIG, {}))]
        for key, value in values:
            yield Fact(FactKind.PARAM, key, value, file.path, self.name)


def _read_members(path: str) -> dict[bytes, dict[str, object]]:
    found: dict[bytes, dict[str, object]] = {}
    descriptor = open_file(path)
    try:
        for member in members(descriptor):
            if member.name in {_METADATA, _CONFIG} and member.name not in found:
                found[member.name] = _mapping(member.read(descriptor, MAX_MEMBER_BYTES), member.shown)
    finally:
        os.close(descriptor)
    if not found:
        raise ReaderError(f"a zip archive without {_CONFIG.decode()}")
    return found


def _mapping(data: bytes, name: str) -> dict[str, object]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ReaderError(f"its {name} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ReaderError(f"its {name} is no mapping")
    return value


def _compiled(config: dict[str, object]) -> Iterator[tuple[str, Scalar]]:
    """Yield how a model was compiled; its layers are no params of any run."""
    compiled = config.get("compile_config")
    if not isinstance(compiled, dict):
        return
    optimizer = compiled.get("optimizer")
    settings = optimizer.get("config") if isinstance(optimizer, dict) else None
    if isinstance(settings, dict):
        yield from ((f"optimizer_{key}", value) for key, value in flatten(settings))
    yield from flatten({"loss": compiled.get("loss")} if isinstance(compiled.get("loss"), str) else {})
