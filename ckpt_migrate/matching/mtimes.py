"""Modification times of checkpoints: which can be trusted, and when a directory was last written by its run."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint

CLUSTER_S = 3600.0
"""A copy of a tree writes its files within about this time."""
CLUSTER_SHARE = 0.5
"""When more of the directories than this were last written within one hour, they were copied."""
SPREAD_S = 86400.0
"""...unless their stamps, too, lie within a day."""
FEWEST_FOR_A_TEST = 3


def newest_own_files(checkpoints: Sequence[Checkpoint], recipe: Recipe) -> dict[str, float]:
    """Return when each directory's newest file (manifests aside) was written, UTC seconds since 1970, by path.

    Empty when the times of the whole tree cannot be trusted: a copied tree has them all in one cluster.
    """
    manifests = {manifest.name for manifest in recipe.manifests}
    newest: dict[str, float] = {}
    for checkpoint in checkpoints:
        times = [file.mtime_ns for file in checkpoint.files if file.kind == "file" and file.path not in manifests]
        if times:
            newest[checkpoint.path] = max(times) / 1e9
    stamps = [c.name.local_time for c in checkpoints if c.name is not None and c.path in newest]
    is_short = not stamps or (max(stamps) - min(stamps)).total_seconds() <= SPREAD_S
    if is_short or len(newest) < FEWEST_FOR_A_TEST:
        return newest
    times_s = sorted(newest.values())
    largest = max(bisect.bisect_right(times_s, at + CLUSTER_S) - i for i, at in enumerate(times_s))
    return {} if largest > CLUSTER_SHARE * len(times_s) else newest
