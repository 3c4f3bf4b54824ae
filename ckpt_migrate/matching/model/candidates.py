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
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ckpt_migrate.matching.families.background import ParamIndex
    from ckpt_migrate.matching.families.content import Contents
    from ckpt_migrate.matching.model.pair import Seen, World
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run

END_WINDOW_S = 120.0
"""Half-width in which a run's end is looked for about a directory's newest file."""
MOST_BY_PARAMS = 20
"""Runs that agree in all params are candidates only when they are at most so many: else params identify nothing."""
MOST_BY_TIME = 32
"""Of the runs that start near a stamp, those that lie nearest to where they should; a burst may have thousands."""
MOST_AROUND = 20
"""Runs within which a stamp lies are candidates only when they are at most so many."""


def find_candidates(
    checkpoints: Iterable[Checkpoint],
    seen: Mapping[str, Seen],
    runs: Mapping[str, Run],
    world: World,
    contents: Contents,
) -> list[Sequence[str]]:
    """Return, per directory, the ids of the runs that it is compared with, sorted."""
    index = CandidateIndex(runs.values(), world.index)
    # Who has its bytes takes reading to know: that is asked where nothing else gives a candidate.
    return [index.find(seen[each.path]) or sorted(contents.makers(each)) for each in checkpoints]


class CandidateIndex:
    """Indexes over all runs: by start, end, the time between, stamp in the name, and params."""

    def __init__(self, runs: Iterable[Run], params: ParamIndex) -> None:
        runs = list(runs)
        self._params = params
        self._starts = _Events((r.start_utc_ms / 1000, r.run_id) for r in runs if r.start_utc_ms is not None)
        self._ends = _Events((r.end_utc_ms / 1000, r.run_id) for r in runs if r.end_utc_ms is not None)
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
            found.update(self._starts.near(reading.instant_s - reading.lag_s, LARGEST_SKEW_S))
            found.update(self._around.containing(reading.instant_s))
        if self._named and is_plausible(seen.local):
            for seconds in (-1, 0, 1):
                found.update(self._named.get(seen.local + timedelta(seconds=seconds), ()))
        if seen.newest_s is not None:
            found.update(self._ends.near(seen.newest_s, END_WINDOW_S))
        if self._params.count_agreeing(seen.config) <= MOST_BY_PARAMS:
            found.update(self._params.agreeing(seen.config, MOST_BY_PARAMS))
        return tuple(sorted(found))


class _Events:
    """Runs by the second at which each did something, ascending."""

    def __init__(self, events: Iterable[tuple[float, str]]) -> None:
        found = sorted(events)
        self._times_s = [time_s for time_s, _ in found]
        self._run_ids = [run_id for _, run_id in found]

    def near(self, center_s: float, half_width_s: float) -> list[str]:
        """Return the runs whose events lie within a window; of too many, the nearest to its center."""
        times_s = self._times_s
        low = bisect.bisect_left(times_s, center_s - half_width_s)
        high = bisect.bisect_right(times_s, center_s + half_width_s)
        if high - low <= MOST_BY_TIME:
            return self._run_ids[low:high]
        # Of all stretches of so many events, the first whose next event is no nearer than its own first one.
        first, last = low, high - MOST_BY_TIME
        while first < last:
            middle = (first + last) // 2
            if center_s - times_s[middle] > times_s[middle + MOST_BY_TIME] - center_s:
                first = middle + 1
            else:
                last = middle
        reach_s = max(abs(times_s[first] - center_s), abs(times_s[first + MOST_BY_TIME - 1] - center_s))
        beside = (
            *times_s[max(low, first - 1) : first],
            *times_s[first + MOST_BY_TIME : min(high, first + MOST_BY_TIME + 1)],
        )
        if any(abs(time_s - center_s) <= reach_s for time_s in beside):
            return self._nearest(center_s, low, high)
        return self._run_ids[first : first + MOST_BY_TIME]

    def _nearest(self, center_s: float, low: int, high: int) -> list[str]:
        """Return the runs nearest to a second, of equally near ones those with the smallest ids."""
        middle = bisect.bisect_left(self._times_s, center_s)
        low, high = max(low, middle - MOST_BY_TIME), min(high, middle + MOST_BY_TIME)
        away = [abs(time_s - center_s) for time_s in self._times_s[low:high]]
        return [run_id for _, run_id in sorted(zip(away, self._run_ids[low:high], strict=True))[:MOST_BY_TIME]]


class _Intervals:
    """Runs by the time between start and end: in bins as wide as the run is long, so that each lies in two at most."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._bins: defaultdict[tuple[int, int], list[tuple[float, float, str]]] = defaultdict(list)
        self._levels: set[int] = set()
        self._starts_s: list[float] = []
        self._ends_s: list[float] = []
        for run in runs:
            if run.start_utc_ms is not None and run.end_utc_ms is not None and run.end_utc_ms > run.start_utc_ms:
                start_s, end_s = run.start_utc_ms / 1000, run.end_utc_ms / 1000
                level = max(0, math.ceil(math.log2(end_s - start_s)))
                self._levels.add(level)
                self._starts_s.append(start_s)
                self._ends_s.append(end_s)
                for number in {int(start_s // 2**level), int(end_s // 2**level)}:
                    self._bins[level, number].append((start_s, end_s, run.run_id))
        self._starts_s.sort()
        self._ends_s.sort()

    def containing(self, instant_s: float) -> list[str]:
        """Return the runs that an instant lies within; none when they are too many to tell anything."""
        count = bisect.bisect_right(self._starts_s, instant_s) - bisect.bisect_left(self._ends_s, instant_s)
        if not 0 < count <= MOST_AROUND:
            return []
        return [
            run_id
            for level in self._levels
            for start_s, end_s, run_id in self._bins.get((level, int(instant_s // 2**level)), ())
            if start_s <= instant_s <= end_s
        ]
