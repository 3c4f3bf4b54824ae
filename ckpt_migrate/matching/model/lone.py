"""Lone runs: how many siblings, all gone, a run that stands alone is expected to have had."""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.matching.model.twins import PRIOR_RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt_migrate.matching.model.twins import Twins
    from ckpt_migrate.tracking.records import Run

LEAST_BESIDE = 0.25
"""A run beside one whose kind has a directory in fewer cases than these stands alone."""
SEEN_WORTH = 0.25
"""What a directory beside a run that stands alone counts for. It shows a sibling that is gone while the run's own
directory is here; the chance that this one is gone as well is weighed apart, and few runs cannot show it to be small:
counted fully, no project of less than some hundred runs would be decided."""


def expect_lone(twins: Twins, runs: Iterable[Run], gone_share: float, stamped_s: Sequence[float]) -> Twins:
    """Return what is known of siblings with how many, all gone, a run that stands alone is expected to have had.

    A visible group of m is what is left of about n = m / (1 - g) when a share g is gone. For each such group there
    are P(1 left of n) / P(2 or more left of n) groups of which one run is left; it has lost n - 1 siblings. Or they
    are seen: of several directories made with a run that stands alone, all but one are of siblings that are gone.

    Args:
        twins: What is known of siblings.
        runs: All runs, in the order of their places.
        gone_share: Share of directories whose run is gone.
        stamped_s: When the run of each directory began by its stamp, UTC seconds, ascending.
    """
    seen: defaultdict[str, int] = defaultdict(int)
    lost: defaultdict[str, float] = defaultdict(float)
    alone: defaultdict[str, float] = defaultdict(float)
    for run, beside in zip(runs, twins.siblings.tolist(), strict=True):
        in_group = min(beside, 1.0) if beside >= LEAST_BESIDE else 0.0
        alone[run.experiment_id] += 1 - in_group
        if not in_group:
            own = _count_near(stamped_s, run, twins.nearest_s) if twins.nearest_s else 1
            seen[run.experiment_id] += max(_count_near(stamped_s, run, twins.window_s) - own, 0)
            continue
        size = max(2, round((1 + beside) / (1 - gone_share)))
        one_left = size * (1 - gone_share) * gone_share ** (size - 1)
        more_left = max(1 - one_left - gone_share**size, 1e-9)
        lost[run.experiment_id] += in_group * one_left / more_left * (size - 1) / (1 + beside)
    gone_odds = gone_share / (1 - gone_share)
    experiments = alone.keys() | lost.keys()
    told = frozenset(each for each in experiments if SEEN_WORTH * seen[each] > lost[each])
    lone = {
        each: (max(lost[each], SEEN_WORTH * seen[each]) + twins.prior * gone_odds) / (alone[each] + PRIOR_RUNS)
        for each in sorted(experiments)
    }
    return replace(twins, lone=lone, told=told)


def _count_near(stamped_s: Sequence[float], run: Run, window_s: float) -> int:
    if run.start_utc_ms is None:
        return 0
    start_s = run.start_utc_ms / 1000
    return bisect.bisect_right(stamped_s, start_s + window_s) - bisect.bisect_left(stamped_s, start_s - window_s)
