"""What training scripts put into the header of safetensors files; the tensors behind it are never read.

The format: eight bytes say how long the header is, a JSON mapping of tensors by name; under `__metadata__` stand texts
by key, which the writer chose. (https://huggingface.co/docs/safetensors, "Format")
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError, open_file, read_at
from ckpt_migrate.evidence.flatten import text_of
from ckpt_migrate.evidence.records import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

MAX_HEADER_BYTES = 4 << 20
"""Longest header read, bytes; a tensor takes some hundred. The format itself allows 100 MB."""

MAX_VALUES = 10_000
"""Texts in one header; training scripts write some dozens."""

_LENGTH_BYTES = 8
_METADATA = "__metadata__"
# Says which library wrote the tensors: `pt`, `tf`, `mlx`.
_FORMAT = "format"
_MENTIONS = frozenset({"run_id", "mlflow_run_id", "mlflow.run_id", "checkpoint_dir"})


class SafetensorsReader:
    """Reads the texts that a writer left beside the tensors."""

    name = "safetensors"

    def __init__(self, _: Recipe) -> None:
        pass

    def wants(self, file: FileStat) -> bool:
        """Say whether a file is of this format by its name."""
        return file.kind == "file" and file.path.lower().endswith(".safetensors")

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Yield a param for each text, or a mention where its key says that it names a run."""
        for key, value in _metadata(path).items():
            if key != _FORMAT and isinstance(value, str):
                kind = FactKind.MENTION if key in _MENTIONS else FactKind.PARAM
                yield Fact(kind, text_of(key), text_of(value), file.path, self.name)


def _metadata(path: str) -> dict[str, object]:
    descriptor = open_file(path)
    try:
        length = int.from_bytes(read_at(descriptor, 0, _LENGTH_BYTES), "little")
        if length > MAX_HEADER_BYTES:
            raise ReaderError(f"its header is over {MAX_HEADER_BYTES >> 20} MiB")
        data = read_at(descriptor, _LENGTH_BYTES, length)
    finally:
        os.close(descriptor)
    if not data or len(data) < length:
        raise ReaderError("cut short: its header is not whole")
    try:
        header = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ReaderError(f"its header is no JSON: {error}") from error
    found = header.get(_METADATA, {}) if isinstance(header, dict) else None
    if not isinstance(found, dict):
        raise ReaderError("its header is no mapping")
    if len(found) > MAX_VALUES:
        raise ReaderError(f"its header holds over {MAX_VALUES:,} texts")
    return found
