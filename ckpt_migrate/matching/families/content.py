"""Content: a file of the directory and an artifact of a run with the same bytes."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import ArtifactFile

CONTENT_BITS = 15.0
"""Equal weights that one run alone has: less than a reference, for fixed seeds make equal weights."""
CONFIG_BITS = 3.0
"""An equal config file says little beyond the params: the same order, the same keys that were not logged."""
LARGEST_FILE_BYTES = 256 << 20
"""Larger files are not read: a plan must not take hours."""
SMALLEST_FILE_BYTES = 32
_CHUNK_BYTES = 1 << 20


def content_bits(
    checkpoint: Checkpoint, artifacts: Mapping[str, Sequence[ArtifactFile]], configs: Sequence[str]
) -> dict[str, tuple[float, str]]:
    """Return bits and words for each of these runs that has a file of the directory among its artifacts.

    Args:
        checkpoint: The directory.
        artifacts: Of every run that might have the same bytes, by run id.
        configs: Files of the directory that hold its config.
    """
    out: dict[str, tuple[float, str]] = {}
    for file in checkpoint.files:
        if file.kind != "file" or not SMALLEST_FILE_BYTES <= file.size_bytes <= LARGEST_FILE_BYTES:
            continue
        name = os.path.basename(file.path)
        path = os.path.join(checkpoint.path, file.path)
        equal = {}
        for run_id, found in sorted(artifacts.items()):
            for each in found:
                is_like = os.path.basename(each.path) == name and each.size_bytes == file.size_bytes
                if is_like and each.local_path is not None and have_same_bytes(path, each.local_path):
                    equal[run_id] = each.path
        most = CONFIG_BITS if file.path in configs else CONTENT_BITS
        for run_id, place in equal.items():
            bits = most if len(equal) == 1 else min(most, math.log2(len(artifacts) / len(equal)))
            if bits > out.get(run_id, (0.0, ""))[0]:
                out[run_id] = (bits, f"{file.path} has the same bytes as its artifact {place}")
    return out


def have_same_bytes(one: str, other: str) -> bool:
    """Say whether two files have the same bytes; files that cannot be read have not."""
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            while True:
                a, b = first.read(_CHUNK_BYTES), second.read(_CHUNK_BYTES)
                if a != b:
                    return False
                if not a:
                    return True
    except OSError:
        return False
