"""Candidates: the runs worth comparing with a checkpoint, from a union of indexes, never the full product."""

from __future__ import annotations

import bisect
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock import LARGEST_SKEW_S
from ckpt_migrate.matching.model import name_stamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ckpt_migrate.matching.background import ParamIndex
    from ckpt_migrate.matching.model import Seen
    from ckpt_migrate.tracking.records import Run

END_WINDOW_S = 120.0
"""Half-width in which a run's end is looked for about a directory's newest file."""
MOST_BY_PARAMS = 20
"""Runs that agree in all params are candidates only when they are at most so many: else params identify nothing."""


class CandidateIndex:
    """Indexes over all runs: by start, end, stamp in the name, and params."""

    def __init__(self, runs: Iterable[Run], params: ParamIndex) -> None:
        runs = list(runs)
        self._params = params
        self._starts = sorted((r.start_utc_ms / 1000, r.run_id) for r in runs if r.start_utc_ms is not None)
        self._ends = sorted((r.end_utc_ms / 1000, r.run_id) for r in runs if r.end_utc_ms is not None)
        self._named: defaultdict[datetime, list[str]] = defaultdict(list)
        self._known = {run.run_id for run in runs}
        for run in runs:
            stamp = name_stamp(run.name)
            if stamp is not None:
                self._named[stamp].append(run.run_id)

    def find(self, seen: Seen) -> tuple[str, ...]:
        """Return the ids of all candidates of a checkpoint, sorted."""
        found = {reference.run_id for reference in seen.references if reference.run_id in self._known}
        for instant in seen.instants:
            found.update(_within(self._starts, instant - seen.clock.lag_s, LARGEST_SKEW_S))
        for seconds in (-1, 0, 1):
            found.update(self._named.get(seen.local + timedelta(seconds=seconds), ()))
        if seen.newest_s is not None:
            found.update(_within(self._ends, seen.newest_s, END_WINDOW_S))
        agreeing = self._params.agreeing(seen.config)
        if agreeing.bit_count() <= MOST_BY_PARAMS:
            found.update(self._params.ids(agreeing, MOST_BY_PARAMS))
        return tuple(sorted(found))


def _within(events: list[tuple[float, str]], center_s: float, half_width_s: float) -> list[str]:
    low = bisect.bisect_left(events, (center_s - half_width_s, ""))
    high = bisect.bisect_right(events, (center_s + half_width_s, "g"))
    return [run_id for _, run_id in events[low:high]]
