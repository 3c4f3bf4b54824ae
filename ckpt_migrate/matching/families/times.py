"""Times: when directories were stamped and written, and when runs began and ended, in arrays.

All are UTC seconds since 1970, save stamps and those in names, which are local; what is not known is "not a number".
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.clock.lags import start_rate
from ckpt_migrate.matching.clock.zones import local_seconds
from ckpt_migrate.matching.families.stamps import name_stamp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ckpt_migrate.matching.families.mtimes import Ends
    from ckpt_migrate.matching.model.columns import Bools, Floats, Ints
    from ckpt_migrate.matching.model.pair import Seen
    from ckpt_migrate.tracking.records import Run

BROKEN_OFF = frozenset({"FAILED", "KILLED"})
"""Statuses of runs that did not come to their end."""
UNKNOWN = math.nan


@dataclass(frozen=True, slots=True)
class RunTimes:
    """When runs began and ended, a figure for each run.

    Attributes:
        start_s: When it began.
        end_s: When it ended.
        named_s: The stamp in its name, local seconds.
        rate: log2 of N / r, r being the local rate of the starts of all N runs; 0 for one without a start.
        is_finished: Whether it came to its end.
        is_broken_off: Whether it is known not to have.
    """

    start_s: Floats
    end_s: Floats
    named_s: Floats
    rate: Floats
    is_finished: Bools
    is_broken_off: Bools

    @staticmethod
    def of(runs: Iterable[Run], starts_s: Sequence[float]) -> RunTimes:
        """Return the times of runs.

        Args:
            runs: All runs.
            starts_s: Their starts, ascending.
        """
        runs = list(runs)
        stamps = [name_stamp(run.name) for run in runs]
        total = math.log2(max(len(starts_s), 1))
        starts = [UNKNOWN if run.start_utc_ms is None else run.start_utc_ms / 1000 for run in runs]
        return RunTimes(
            np.array(starts),
            _known(None if run.end_utc_ms is None else run.end_utc_ms / 1000 for run in runs),
            _known(None if stamp is None else local_seconds(stamp) for stamp in stamps),
            np.array([0.0 if math.isnan(at) else total - math.log2(start_rate(starts_s, at)) for at in starts]),
            np.array([run.status == "FINISHED" for run in runs], np.bool_),
            np.array([run.status in BROKEN_OFF for run in runs], np.bool_),
        )


def _known(seconds: Iterable[float | None]) -> Floats:
    return np.array([UNKNOWN if each is None else each for each in seconds])


@dataclass(frozen=True, slots=True)
class Readings:
    """The n-th reading of each stamp, a figure for each directory; see `fit.Reading`. One that is none has share 0."""

    instant_s: Floats
    share: Floats
    lag_s: Floats
    scale_s: Floats
    slow_scale_s: Floats

    @staticmethod
    def of(seen: Sequence[Seen], number: int) -> Readings:
        """Return the reading of that number of each directory, from 0."""
        none = (UNKNOWN, 0.0, 0.0, 1.0, 1.0)
        rows = [
            (one.instant_s, one.share, one.lag_s, one.scale_s, one.slow_scale_s)
            for one in [each.readings[number] if number < len(each.readings) else None for each in seen]
            if one is not None
        ]
        has_it = np.array([number < len(each.readings) for each in seen], np.bool_)
        table = np.tile(np.array(none), (len(seen), 1))
        if rows:
            table[has_it] = rows
        return Readings(*table.T.copy())


@dataclass(frozen=True, slots=True)
class DirectoryTimes:
    """When directories were stamped and written, a figure for each directory.

    Attributes:
        readings: First readings of all stamps, second readings, and so on.
        local_s: The stamp, local seconds.
        newest_s: When the newest own file was written.
        oldest_s: When the oldest was.
        last_s: When the newest weights were, copied or not.
        weights_s: When the oldest weights were, and the newest.
        config_apart_s: By how much the newest config is older than the newest file.
        is_older: Whether all own files are older than the stamp.
        is_complete: Whether it has a config.
        skew_s: By how much the clock that wrote it is off.
        folders: All folders in which directories lie.
        folder: The folder of each, its place among them.
    """

    readings: tuple[Readings, ...]
    local_s: Floats
    newest_s: Floats
    oldest_s: Floats
    last_s: Floats
    weights_s: tuple[Floats, Floats]
    config_apart_s: Floats
    is_older: Bools
    is_complete: Bools
    skew_s: Floats
    folders: tuple[str, ...]
    folder: Ints

    @staticmethod
    def of(seen: Collection[Seen]) -> DirectoryTimes:
        """Return the times of directories."""
        seen = list(seen)
        most = max((len(one.readings) for one in seen), default=0)
        folders: dict[str, int] = {}
        folder = [folders.setdefault(os.path.dirname(one.path), len(folders)) for one in seen]
        return DirectoryTimes(
            tuple(Readings.of(seen, number) for number in range(most)),
            _known(None if one.local is None else local_seconds(one.local) for one in seen),
            _known(one.newest_s for one in seen),
            _known(one.oldest_s for one in seen),
            _known(one.last_s for one in seen),
            (
                _known(None if one.weights_s is None else one.weights_s[0] for one in seen),
                _known(None if one.weights_s is None else one.weights_s[1] for one in seen),
            ),
            _known(one.config_apart_s for one in seen),
            np.array([one.older_s is not None for one in seen], np.bool_),
            np.array([one.is_complete for one in seen], np.bool_),
            np.array([one.clock.lag_s for one in seen]),
            tuple(folders),
            np.array(folder, np.int64),
        )

    @property
    def has_several(self) -> Bools:
        """Which stamps can be read in several ways."""
        if len(self.readings) < len(("one", "other")):
            return np.zeros(len(self.local_s), np.bool_)
        return ~np.isnan(self.readings[1].instant_s)

    @property
    def is_read(self) -> Bools:
        """Which stamps can be read at all."""
        if not self.readings:
            return np.zeros(len(self.local_s), np.bool_)
        return ~np.isnan(self.readings[0].instant_s)


@dataclass(frozen=True, slots=True)
class EndHabits:
    """The habit of each directory's folder; see `mtimes.EndHabit`."""

    center_s: Floats
    scale_s: Floats
    end_share: Floats
    inside_share: Floats

    @staticmethod
    def of(directories: DirectoryTimes, ends: Ends) -> EndHabits:
        """Return the habits by which newest files of directories are weighed."""
        habits = [ends.of_folder(folder, is_complete=kind) for folder in directories.folders for kind in (False, True)]
        table = np.array([(h.center_s, h.scale_s, h.end_share, h.inside_share) for h in habits]).reshape(-1, 4)
        return EndHabits(*table[2 * directories.folder + directories.is_complete].T.copy())


@dataclass(frozen=True, slots=True)
class Times:
    """All times.

    Attributes:
        directories: Of directories.
        runs: Of runs.
        habits: When newest files are written.
    """

    directories: DirectoryTimes
    runs: RunTimes
    habits: EndHabits
