"""Parts: the weights at the top of a directory and those in its folders, which one training writes together.

A script saves the final weights right after the last checkpoint. Where a project always does and one directory holds
the two hours apart, somebody moved a folder from one directory to another, or a second training began in it and never
came to its end. Then these are the weights of two runs, whatever name, config and the rest of the files say.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.patterns import compile_patterns

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterable

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint

FEWEST_WITH_BOTH = 8
"""Directories with weights in both places from which a project has a habit."""
USUALLY = 0.6
"""Share of them that must lie within a scale of the usual time, for people exchange many at once; else there is no
habit."""
LARGEST_SCALE_S = 60.0
"""What a project writes so far apart in its usual course, seconds, is not written together."""
LEAST_APART_S, APART_SCALES = 60.0, 10.0
"""Weights are apart when they are so much further apart than usual, in seconds and in scales: a slow disk, or a last
look at the validation set, takes less."""


def find_mixed(checkpoints: Iterable[Checkpoint], timed: Collection[str], recipe: Recipe) -> dict[str, float]:
    """Return, by path, how many seconds apart the weights of two places are that others have together.

    Args:
        checkpoints: The directories.
        timed: Paths of those whose times are those of writing, not of a copy.
        recipe: Says which files are weights.
    """
    weights = compile_patterns(recipe.weights)
    gaps = {}
    for checkpoint in checkpoints:
        gap_s = _gap_s(checkpoint, weights) if checkpoint.path in timed else None
        if gap_s is not None:
            gaps[checkpoint.path] = gap_s
    if len(gaps) < FEWEST_WITH_BOTH:
        return {}
    usual_s = statistics.median(gaps.values())
    away = sorted(abs(gap_s - usual_s) for gap_s in gaps.values())
    scale_s = away[int(USUALLY * len(away))]
    if scale_s > LARGEST_SCALE_S:
        return {}
    most_s = max(LEAST_APART_S, APART_SCALES * scale_s)
    return {path: abs(gap_s) for path, gap_s in gaps.items() if abs(gap_s - usual_s) > most_s}


def _gap_s(checkpoint: Checkpoint, weights: re.Pattern[str]) -> float | None:
    """Return when the newest weights at the top were written, seconds after the newest in folders; None without one."""
    top: list[float] = []
    below: list[float] = []
    for file in checkpoint.files:
        if file.kind == "file" and weights.fullmatch(file.path):
            (below if "/" in file.path else top).append(file.mtime_ns / 1e9)
    return max(top) - max(below) if top and below else None
