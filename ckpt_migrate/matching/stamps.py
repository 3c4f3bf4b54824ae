"""Stamps: a directory's local stamp against a run's start, or against the stamp in its name."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ckpt_migrate.matching.lags import start_rate
from ckpt_migrate.naming import parse_stamp

if TYPE_CHECKING:
    from datetime import datetime

    from ckpt_migrate.matching.clock import Reading
    from ckpt_migrate.matching.model import Seen, World
    from ckpt_migrate.tracking.records import Run

NAME_STAMP_EXACT = 0.85
"""Share of stamps in run names that equal the directory's to the second."""
NAME_STAMP_NEAR = 0.07
"""Share that is one second later; as many are one second earlier. Further ones say nothing."""
FURTHER_CHECKPOINT = 0.03
"""rho: factor for each further checkpoint on a run; resumed runs are legal but rare."""
ANY_LAG_SHARE = 0.01
"""Share of directories whose stamp has nothing to do with the run's start (a clock that was reset)."""
_STAMP = re.compile(r"(?<!\d)\d{8}_\d{6}(?!\d)")


@lru_cache(maxsize=1 << 16)
def name_stamp(run_name: str) -> datetime | None:
    """Return the first stamp in a run's name as naive local time.

    >>> name_stamp("phase2_20260201_041227")
    datetime.datetime(2026, 2, 1, 4, 12, 27)
    """
    match = _STAMP.search(run_name)
    return None if match is None else parse_stamp(match[0])


def name_difference(seen: Seen, run: Run) -> float | None:
    """Return the directory's stamp minus a stamp in the run's name, seconds; None when the name has none.

    Both were written by the same local clock, so no time zone is needed.
    """
    stamp = name_stamp(run.name)
    return None if stamp is None else (seen.local - stamp).total_seconds()


def best_reading(seen: Seen, run: Run) -> Reading | None:
    """Return the likeliest reading of a stamp, given a run's start; None when there is none."""
    if run.start_utc_ms is None or not seen.readings:
        return None
    start_s = run.start_utc_ms / 1000
    return max(seen.readings, key=lambda one: (one.share * one.density(start_s), -abs(one.lag_to(start_s))))


def is_at_start(seen: Seen, run: Run) -> bool:
    """Say whether a stamp lies where the start of the run makes a directory."""
    difference = name_difference(seen, run)
    if difference is not None and abs(difference) <= 1:
        return True
    reading = best_reading(seen, run)
    return reading is not None and abs(reading.lag_to((run.start_utc_ms or 0) / 1000)) <= 10 * reading.scale_s + 1


def is_inside(seen: Seen, run: Run) -> bool:
    """Say whether a stamp lies within a run, after its start."""
    if run.start_utc_ms is None or run.end_utc_ms is None:
        return False
    return any(run.start_utc_ms <= 1000 * one.instant_s <= run.end_utc_ms for one in seen.readings)


def start_density(seen: Seen, start_s: float) -> float:
    """Return the density (per second) of a directory's stamp, made at the start of a run; 0 while undecided."""
    return sum(one.share * one.density(start_s) for one in seen.readings)


def stamp_density(seen: Seen, run: Run) -> float:
    """Return the density (per second) of a directory's stamp, given its run; 0 when nothing is known.

    Where run names have stamps, the name's stamp says more than the start. A resumed run has directories whose
    stamps lie anywhere within it.
    """
    difference = name_difference(seen, run)
    if difference is not None and abs(difference) <= 1:
        return NAME_STAMP_NEAR if difference else NAME_STAMP_EXACT
    if run.start_utc_ms is None or not seen.readings:
        return 0.0
    density = start_density(seen, run.start_utc_ms / 1000)
    if run.end_utc_ms is not None and is_inside(seen, run):
        density += FURTHER_CHECKPOINT / max((run.end_utc_ms - run.start_utc_ms) / 1000, 1.0)
    return density


def time_bits(seen: Seen, run: Run, world: World) -> float:
    """Return log2 of f(stamp) * N / r: f the stamp's density, r the local rate of starts among N runs."""
    density = stamp_density(seen, run)
    if run.start_utc_ms is None or (not density and not seen.readings):
        return 0.0
    rate = start_rate(world.starts_s, run.start_utc_ms / 1000)
    return math.log2(max(density, ANY_LAG_SHARE / world.span_s) * world.run_total / rate)
