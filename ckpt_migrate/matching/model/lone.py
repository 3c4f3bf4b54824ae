"""Lone runs: how many siblings, all gone, a run that stands alone is expected to have had."""

from __future__ import annotations

from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.model.columns import sums_of
from ckpt_migrate.matching.model.twins import PRIOR_RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.model.columns import Floats, Ints
    from ckpt_migrate.matching.model.twins import Twins

LEAST_BESIDE = 0.25
"""A run beside one whose kind has a directory in fewer cases than these stands alone."""
SEEN_WORTH = 0.25
"""What a directory beside a run that stands alone counts for. It shows a sibling that is gone while the run's own
directory is here; the chance that this one is gone as well is weighed apart, and few runs cannot show it to be small:
counted fully, no project of less than some hundred runs would be decided."""


def expect_lone(
    twins: Twins, begun_s: Floats, experiments: Sequence[str], *, gone_share: float, stamped_s: Floats
) -> Twins:
    """Return what is known of siblings with how many, all gone, a run that stands alone is expected to have had.

    A visible group of m is what is left of about n = m / (1 - g) when a share g is gone. For each such group there
    are P(1 left of n) / P(2 or more left of n) groups of which one run is left; it has lost n - 1 siblings. Or they
    are seen: of several directories made with a run that stands alone, all but one are of siblings that are gone.

    Args:
        twins: What is known of siblings.
        begun_s: When each run began, UTC seconds.
        experiments: The experiment of each.
        gone_share: Share of directories whose run is gone.
        stamped_s: When the run of each directory began by its stamp, UTC seconds, ascending.
    """
    names = sorted(set(experiments))
    places = {name: place for place, name in enumerate(names)}
    experiment = np.array([places[name] for name in experiments], np.int64)
    in_group = np.where(twins.siblings >= LEAST_BESIDE, np.minimum(twins.siblings, 1.0), 0.0)
    is_alone, grouped = in_group == 0, in_group > 0
    near = _count_near(stamped_s, begun_s, twins.window_s)
    beside = near - (_count_near(stamped_s, begun_s, twins.nearest_s) if twins.nearest_s else 1)
    seen = sums_of(experiment[is_alone], np.maximum(beside[is_alone], 0).astype(np.float64), len(names))
    alone = sums_of(experiment, 1 - in_group, len(names))
    size = np.maximum(2, np.rint((1 + twins.siblings[grouped]) / (1 - gone_share)))
    one_left = size * (1 - gone_share) * gone_share ** (size - 1)
    more_left = np.maximum(1 - one_left - gone_share**size, 1e-9)
    missing = in_group[grouped] * one_left / more_left * (size - 1) / (1 + twins.siblings[grouped])
    lost = sums_of(experiment[grouped], missing, len(names))
    told = frozenset(compress(names, (SEEN_WORTH * seen > lost).tolist()))
    expected = np.maximum(lost, SEEN_WORTH * seen) + twins.prior * gone_share / (1 - gone_share)
    lone = dict(zip(names, (expected / (alone + PRIOR_RUNS)).tolist(), strict=True))
    return replace(twins, lone=lone, told=told)


def _count_near(stamped_s: Floats, begun_s: Floats, window_s: float) -> Ints:
    """Return how many stamps lie so near to the start of each run; 0 where that is not known."""
    low, high = (begun_s - window_s, begun_s + window_s)
    near = np.searchsorted(stamped_s, high, "right") - np.searchsorted(stamped_s, low, "left")
    return np.where(np.isnan(begun_s), 0, near)
