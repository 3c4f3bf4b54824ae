"""Shifts: file times that an archive has moved by whole hours.

Zip keeps local times without their zone. Unpacked in another, all files are off by the difference, and a job that
starts every hour then seems to have ended with the next one.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

FEWEST_DOUBTED = 3
"""So many files that fit the ends of runs when they are shifted, and more than as they are, are a reason to doubt."""
STEP_S, LARGEST_S = 900, 15 * 3600
"""Zones lie quarters of an hour apart, and fifteen hours at most between work and home."""
NEAR_S = 10.0
"""A newest file so near to the end of a run may be of that run."""
FEWEST, LEAST_LEAD = 8, 0.25
"""So many directories more, and so large a share of all, must lie at the end of a run with a shift than without."""
MOST_LOOKED_AT = 500
"""Directories looked at, evenly spread."""


def shift_of(newest_s: Mapping[str, float], ends_s: Sequence[float]) -> float | None:
    """Return by how much all files are later than they were written, seconds; 0 where nothing shows it.

    None where more files fit the ends of runs when shifted, and too few to be sure: then their times tell nothing, nor
    do they say which zone the stamps are of, for a zone that is off by as much fits them.

    Args:
        newest_s: When each directory's newest file was written, UTC seconds, by path.
        ends_s: Ends of all runs, UTC seconds, ascending.
    """
    times = [newest_s[path] for path in sorted(newest_s)]
    times = times[:: len(times) // MOST_LOOKED_AT + 1]
    as_they_are = _count(times, ends_s)
    least = as_they_are + max(FEWEST, LEAST_LEAD * len(times))
    shifts = [sign * step for step in range(STEP_S, LARGEST_S + 1, STEP_S) for sign in (1, -1)]
    counts = {shift: _count([time_s - shift for time_s in times], ends_s) for shift in shifts} if times else {}
    best = max(shifts, key=lambda shift: (counts.get(shift, 0), -abs(shift)))
    if counts.get(best, 0) >= max(as_they_are + 1, FEWEST_DOUBTED) and counts[best] < least:
        return None
    return float(best) if counts.get(best, 0) >= least else 0.0


def shifted_note(shift_s: float | None) -> tuple[str, ...]:
    """Return a sentence for people about a shift; none where there is none."""
    if shift_s is None:
        words = "file times are not used: shifted, as by an archive, they fit more ends of runs, but too few to be sure"
        return (f"{words}; --timezone settles more, where you know the stamps' zone",)
    if not shift_s:
        return ()
    side = "later" if shift_s > 0 else "earlier"
    words = f"all file times are read as {abs(shift_s) / 3600:g} h {side} than the files were written"
    return (f"{words}, as an archive leaves them that was packed in another time zone: so they fit the ends of runs",)


def _count(times_s: Collection[float], ends_s: Sequence[float]) -> int:
    """Return how many times lie near the end of a run."""
    return sum(
        bisect.bisect_left(ends_s, time_s - NEAR_S) < bisect.bisect_right(ends_s, time_s + NEAR_S) for time_s in times_s
    )
