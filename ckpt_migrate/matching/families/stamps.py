"""Stamps: a directory's local stamp against a run's start, or against the stamp in its name."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeGuard

from ckpt_migrate.naming import parse_stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from ckpt_migrate.matching.clock.fit import Reading
    from ckpt_migrate.matching.model.pair import Seen
    from ckpt_migrate.tracking.records import Run

NAME_STAMP_SHARES: Mapping[int, float] = MappingProxyType({0: 0.85, 1: 0.07, -1: 0.07})
"""Share of directories' stamps that lie so many seconds after the stamp in their run's name, before any is seen.
Further ones say nothing."""
NAME_STAMP_WORTH = 4.0
"""How many observed pairs these shares are worth."""
FURTHER_CHECKPOINT = 0.03
"""rho: factor for each further checkpoint on a run; resumed runs are legal but rare."""
MOST_FURTHER, FURTHER_WORTH = 0.5, 20.0
"""Bound on what is learned of that factor, and how many directories its prior is worth."""
SHORTEST_RESUMED_S = 3600.0
"""Runs shorter than this are the more rarely taken up again, the shorter they are."""
NAMED_REACH_S = 120.0
"""How far a run may start from a stamp that its name bears: several times the slowest start that was seen (31 s)."""
ANY_LAG_SHARE = 0.01
"""Share of directories whose stamp has nothing to do with the run's start (a clock that was reset)."""
FIRST_YEAR, LAST_YEAR = 1990, 2200
"""Stamps of other years were written by no clock that a training ran by; nor can they be computed with."""
_STAMP = re.compile(r"(?<!\d)\d{8}_\d{6}(?!\d)")


@lru_cache(maxsize=1 << 16)
def name_stamp(run_name: str) -> datetime | None:
    """Return the first stamp in a run's name as naive local time.

    >>> name_stamp("phase2_20260201_041227")
    datetime.datetime(2026, 2, 1, 4, 12, 27)
    """
    match = _STAMP.search(run_name)
    found = None if match is None else parse_stamp(match[0])
    return found if found is not None and is_plausible(found) else None


def is_plausible(local: datetime | None) -> TypeGuard[datetime]:
    """Say whether a stamp is of a year in which trainings may have run."""
    return local is not None and FIRST_YEAR <= local.year <= LAST_YEAR


def name_difference(seen: Seen, run: Run) -> float | None:
    """Return the directory's stamp minus a stamp in the run's name, seconds; None when the name has none.

    Both were written by the same local clock, so no time zone is needed.
    """
    stamp = name_stamp(run.name)
    return None if stamp is None or seen.local is None else (seen.local - stamp).total_seconds()


def learn_name_shares(differences: Iterable[float]) -> dict[int, float]:
    """Return the shares of differences between stamps and those in run names, from plain pairs.

    Args:
        differences: Of plain pairs whose run's name has a stamp, seconds.
    """
    seen = Counter(round(each) for each in differences)
    total = sum(seen.values()) + NAME_STAMP_WORTH
    return {each: (seen[each] + share * NAME_STAMP_WORTH) / total for each, share in NAME_STAMP_SHARES.items()}


def best_reading(seen: Seen, run: Run) -> Reading | None:
    """Return the likeliest reading of a stamp, given a run's start; None when there is none."""
    if run.start_utc_ms is None or not seen.readings:
        return None
    start_s = run.start_utc_ms / 1000
    return max(seen.readings, key=lambda one: (one.share * one.density(start_s), -abs(one.lag_to(start_s))))


def is_at_start(seen: Seen, run: Run) -> bool:
    """Say whether a stamp lies where the start of the run makes a directory."""
    difference = name_difference(seen, run)
    is_named = difference is not None and abs(difference) <= 1
    reading = best_reading(seen, run)
    if reading is None:
        return is_named
    # A run may bear a directory's whole name that only evaluates it: its name excuses a slow start, and no more.
    reach_s = NAMED_REACH_S if is_named else 10 * reading.scale_s + 1
    return abs(reading.lag_to((run.start_utc_ms or 0) / 1000)) <= reach_s


def is_inside(seen: Seen, run: Run) -> bool:
    """Say whether a stamp lies within a run, after its start."""
    if run.start_utc_ms is None or run.end_utc_ms is None:
        return False
    start_ms, end_ms, is_within = run.start_utc_ms, run.end_utc_ms, False
    for one in seen.readings:
        is_within = is_within or start_ms <= 1000 * one.instant_s <= end_ms
    return is_within


def learn_further(further: int, first: int) -> float:
    """Return the factor for further checkpoints, from how many directories were seen to be further ones, and first."""
    return min((further + FURTHER_CHECKPOINT * FURTHER_WORTH) / (first + FURTHER_WORTH), MOST_FURTHER)
