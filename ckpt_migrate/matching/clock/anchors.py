"""Anchors: stamps whose run is known, or guessed, by something other than time; and the clocks fitted with them."""

from __future__ import annotations

import bisect
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock.fit import fit_clock
from ckpt_migrate.matching.clock.lags import Stamp
from ckpt_migrate.matching.clock.zones import local_seconds
from ckpt_migrate.matching.families.references import named_runs
from ckpt_migrate.matching.families.stamps import is_plausible, name_stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ckpt_migrate.matching.clock.fit import FittedClock
    from ckpt_migrate.matching.families.references import Reference
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run

END_WINDOW_S = 10.0
"""A run that ended within so many seconds of a directory's newest file may be its run."""
MOST_BY_END = 3
"""More runs than this that ended together say nothing."""
FEWEST_FOR_OWN_CLOCK = 5
"""Directories at run starts from which a folder's own clock is taken instead of that of all."""
MOST_OWN_CLOCKS = 32
"""Folders, those with the most directories first, that may have a clock of their own."""


def find_stamps(
    checkpoints: Iterable[Checkpoint],
    references: Mapping[str, Sequence[Reference]],
    newest_s: Mapping[str, float],
    runs: Mapping[str, Run],
) -> dict[str, list[Stamp]]:
    """Return the stamps of directories by folder, each with the starts of the runs that may be its own.

    Args:
        checkpoints: All directories of a known name form.
        references: By path.
        newest_s: When each directory's newest file was written (UTC seconds), by path, where that can be trusted.
        runs: All runs by id.
    """
    named: defaultdict[datetime, list[Run]] = defaultdict(list)
    for run in runs.values():
        stamp = name_stamp(run.name)
        if stamp is not None and run.start_utc_ms is not None:
            named[stamp].append(run)
    ends = sorted(
        (run.end_utc_ms / 1000, run.start_utc_ms / 1000)
        for run in runs.values()
        if run.end_utc_ms is not None and run.start_utc_ms is not None
    )
    found: defaultdict[str, list[Stamp]] = defaultdict(list)
    for checkpoint in checkpoints:
        if checkpoint.name is None:
            continue
        stamps, local = found[checkpoint.collection], checkpoint.name.local_time
        if not is_plausible(local):
            continue
        ids = set(named_runs(references.get(checkpoint.path, ()))) & runs.keys()
        ids |= {checkpoint.name.uid} & runs.keys()
        same = [run for seconds in (-1, 0, 1) for run in named.get(local + timedelta(seconds=seconds), ())]
        if not ids and len(same) == 1:
            ids = {same[0].run_id}
        starts = [(runs[run_id].start_utc_ms or 0) / 1000 for run_id in ids if runs[run_id].start_utc_ms is not None]
        is_named = len(starts) == 1
        if not is_named:
            starts = _ended_with(ends, newest_s.get(checkpoint.path))
        stamps.append(Stamp(local_seconds(local), tuple(sorted(starts)), is_named))
    return dict(found)


def _ended_with(ends: Sequence[tuple[float, float]], newest_s: float | None) -> list[float]:
    """Return the starts of the few runs that ended when a directory's newest file was written."""
    if newest_s is None:
        return []
    low = bisect.bisect_left(ends, (newest_s - END_WINDOW_S, 0.0))
    high = bisect.bisect_left(ends, (newest_s + END_WINDOW_S, 0.0))
    return [start for _, start in ends[low:high]] if high - low <= MOST_BY_END else []


def fit_clocks(
    stamps: Mapping[str, Sequence[Stamp]], starts_s: Sequence[float], timezone: str | None
) -> tuple[FittedClock, dict[str, FittedClock], tuple[str, ...]]:
    """Fit one clock to all directories, and to each folder its own where its data suffice.

    A folder is written by one host more often than a whole root is, and hosts differ in zone and skew.

    Args:
        stamps: By folder.
        starts_s: Run starts, UTC seconds, ascending.
        timezone: A zone that a person gave, for all.

    Returns:
        The clock of all, the clock of each folder, and what a person should know of them.

    Raises:
        UsageError: `timezone` is no IANA zone.
    """
    whole = fit_clock([one for found in stamps.values() for one in found], starts_s, timezone_name=timezone)
    clocks = dict.fromkeys(stamps, whole)
    warnings = list(whole.warnings)
    by_size = sorted(stamps, key=lambda folder: (-len(stamps[folder]), folder))
    for folder in by_size[:MOST_OWN_CLOCKS] if len(stamps) > 1 else ():
        if len(stamps[folder]) < FEWEST_FOR_OWN_CLOCK:
            continue
        clock = fit_clock(stamps[folder], starts_s, timezone_name=timezone)
        if not clock.phases or clock.summary.directories < FEWEST_FOR_OWN_CLOCK:
            continue
        clocks[folder] = clock
        if clock.summary.timezone != whole.summary.timezone and clock.summary.timezone not in whole.summary.same_as:
            warnings.append(f"stamps in {folder} are read in {clock.summary.timezone}, by a clock of its own")
    return whole, clocks, tuple(dict.fromkeys(warnings))
