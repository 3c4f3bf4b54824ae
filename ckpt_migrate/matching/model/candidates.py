"""Candidates: the runs worth comparing with a checkpoint, from a union of indexes, never the full product."""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock.lags import LARGEST_SKEW_S
from ckpt_migrate.matching.families.stamps import is_plausible, name_stamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ckpt_migrate.matching.families.background import ParamIndex
    from ckpt_migrate.matching.model.pair import Seen
    from ckpt_migrate.tracking.records import Run

END_WINDOW_S = 120.0
"""Half-width in which a run's end is looked for about a directory's newest file."""
MOST_BY_PARAMS = 20
"""Runs that agree in all params are candidates only when they are at most so many: else params identify nothing."""
MOST_BY_TIME = 32
"""Of the runs that start near a stamp, those that lie nearest to where they should; a burst may have thousands."""
MOST_AROUND = 20
"""Runs within which a stamp lies are candidates only when they are at most so many."""


class CandidateIndex:
    """Indexes over all runs: by start, end, the time between, stamp in the name, and params."""

    def __init__(self, runs: Iterable[Run], params: ParamIndex) -> None:
        runs = list(runs)
        self._params = params
        self._starts = sorted((r.start_utc_ms / 1000, r.run_id) for r in runs if r.start_utc_ms is not None)
        self._ends = sorted((r.end_utc_ms / 1000, r.run_id) for r in runs if r.end_utc_ms is not None)
        self._around = _Intervals(runs)
        self._named: defaultdict[datetime, list[str]] = defaultdict(list)
        self._known = {run.run_id for run in runs}
        for run in runs:
            stamp = name_stamp(run.name)
            if stamp is not None:
                self._named[stamp].append(run.run_id)

    def find(self, seen: Seen) -> tuple[str, ...]:
        """Return the ids of all candidates of a checkpoint, sorted."""
        found = {reference.run_id for reference in seen.references if reference.run_id in self._known}
        found.update(run_id for run_id in seen.resumed_from if run_id in self._known)
        for reading in seen.readings:
            found.update(_near(self._starts, reading.instant_s - reading.lag_s, LARGEST_SKEW_S))
            found.update(self._around.containing(reading.instant_s))
        near = [seen.local + timedelta(seconds=each) for each in (-1, 0, 1)] if is_plausible(seen.local) else []
        for local in near:
            found.update(self._named.get(local, ()))
        if seen.newest_s is not None:
            found.update(_near(self._ends, seen.newest_s, END_WINDOW_S))
        if self._params.count_agreeing(seen.config) <= MOST_BY_PARAMS:
            found.update(self._params.agreeing(seen.config, MOST_BY_PARAMS))
        return tuple(sorted(found))


def _near(events: list[tuple[float, str]], center_s: float, half_width_s: float) -> list[str]:
    """Return the runs whose events lie within a window; of too many, the nearest to its center."""
    low = bisect.bisect_left(events, (center_s - half_width_s, ""))
    high = bisect.bisect_right(events, (center_s + half_width_s, "g"))
    if high - low > MOST_BY_TIME:
        middle = bisect.bisect_left(events, (center_s, ""))
        close = sorted(events[max(low, middle - MOST_BY_TIME) : min(high, middle + MOST_BY_TIME)],
                       key=lambda event: (abs(event[0] - center_s), event[1]))  # fmt: skip
        return [run_id for _, run_id in close[:MOST_BY_TIME]]
    return [run_id for _, run_id in events[low:high]]


class _Intervals:
    """Runs by the time between start and end: in bins as wide as the run is long, so that each lies in two at most."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._bins: defaultdict[tuple[int, int], list[tuple[float, float, str]]] = defaultdict(list)
        self._levels: set[int] = set()
        for run in runs:
            if run.start_utc_ms is not None and run.end_utc_ms is not None and run.end_utc_ms > run.start_utc_ms:
                start_s, end_s = run.start_utc_ms / 1000, run.end_utc_ms / 1000
                level = max(0, math.ceil(math.log2(end_s - start_s)))
                self._levels.add(level)
                for number in {int(start_s // 2**level), int(end_s // 2**level)}:
                    self._bins[level, number].append((start_s, end_s, run.run_id))

    def containing(self, instant_s: float) -> list[str]:
        """Return the runs that an instant lies within; none when they are too many to tell anything."""
        found: list[str] = []
        for level in self._levels:
            for start_s, end_s, run_id in self._bins.get((level, int(instant_s // 2**level)), ()):
                if start_s <= instant_s <= end_s:
                    found.append(run_id)
                    if len(found) > MOST_AROUND:
                        return []
        return found
