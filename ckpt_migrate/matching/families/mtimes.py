"""Modification times: when a directory's newest file is written by its run."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.model.columns import grouped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.matching.families.times import Times
    from ckpt_migrate.matching.model.columns import Bools, Floats, Ints

DEFAULT_SCALE_S = 20.0
"""Seconds between the last file of a directory and the end of its run, before anything is known of the project."""
SMALLEST_SCALE_S, LARGEST_SCALE_S = 2.0, 60.0
FEWEST_TEACHERS = 5
FEWEST_IN_FOLDER = 8
"""Plain pairs from which a folder has a habit of its own."""
END_SHARE, INSIDE_SHARE, ANYWHEN_SHARE = 0.6, 0.3, 0.1
"""Share of directories whose newest file is from the run's end, from within the run, from any time (touched)."""
SHARE_WORTH = 3.0
"""How many observed directories these shares are worth."""
APART_S, MOST_APART = 300.0, 0.2
"""A config is saved with the newest file when it is so little older, in all but this share of directories."""
LACKING_SHARE, LACKING_WORTH = 0.1, 5.0
"""Share of directories of finished runs that lack what is saved last (it was deleted, or its disk was full), and of how
many directories that is taken for known before any is seen."""
BEFORE_S, AFTER_S = 120.0, 600.0
"""Weights so much older than the run were made by another; so much newer ones by another, or later from these."""
DURATION_DECADES_NATS = 9.2
"""ln of the longest over the shortest run (a minute to a week): the width of a log-uniform background."""
SHORTEST_RUN_S = 60.0


@dataclass(frozen=True, slots=True)
class EndHabit:
    """When a project writes the newest files of its directories.

    Attributes:
        center_s: Usual time of the run's end after the newest file, seconds.
        scale_s: Spread of that time, seconds.
        end_share: Share of directories whose newest file is from the run's end.
        inside_share: Share of those whose newest file is from within the run.
    """

    center_s: float = 0.0
    scale_s: float = DEFAULT_SCALE_S
    end_share: float = END_SHARE
    inside_share: float = INSIDE_SHARE


@dataclass(frozen=True, slots=True)
class Ends:
    """When newest files are written, over all directories and in folders of a habit of their own.

    A host whose clock is off shifts all that it writes, and hosts often have a folder each.

    Attributes:
        overall: Of complete directories (True) and of others (False).
        by_folder: Likewise, by folder, where enough plain pairs lie in one.
        is_logged_after: Whether most runs begin when their weights are there: logged after training, all at once.
        holds_others: Whether most directories hold weights from before or after their runs: base models, conversions.
        is_saved_last: Whether configs are written with the newest files, and not when training begins.
        lacking_share: Share of directories of runs that finished which lack a config all the same.
    """

    overall: Mapping[bool, EndHabit]
    by_folder: Mapping[tuple[str, bool], EndHabit]
    is_logged_after: bool = False
    holds_others: bool = False
    is_saved_last: bool = False
    lacking_share: float = 1.0

    def of(self, path: str, *, is_complete: bool) -> EndHabit:
        """Return the habit of a directory's folder, or of all."""
        return self.of_folder(os.path.dirname(path), is_complete=is_complete)

    def of_folder(self, folder: str, *, is_complete: bool) -> EndHabit:
        """Return the habit of a folder, or of all."""
        return self.by_folder.get((folder, is_complete), self.overall[is_complete])


NO_ENDS = Ends({True: EndHabit(), False: EndHabit()}, {})


def learn_habits_of_ends(times: Times, row: Ints, run: Ints) -> Ends:
    """Return when newest files are written, as pairs show that are plain by other evidence.

    Args:
        times: When directories were written, and when runs began and ended.
        row: The directory of each plain pair.
        run: Its run.
    """
    directories, runs = times.directories, times.runs
    start_s, end_s, newest_s = runs.start_s[run], runs.end_s[run], directories.newest_s[row]
    is_complete = directories.is_complete[row]
    lag_s, is_inside = end_s - newest_s, (start_s <= newest_s) & (newest_s <= end_s)

    timed = np.flatnonzero(~np.isnan(start_s + lag_s))

    def learn(chosen: Ints) -> EndHabit:
        return learn_ends(lag_s[chosen], is_inside[chosen])

    own = {
        (directories.folders[number // 2], bool(number % 2)): learn(timed[places])
        for number, places in grouped((2 * directories.folder[row] + is_complete)[timed])
        if len(places) >= FEWEST_IN_FOLDER
    }
    overall = {kind: learn(timed[is_complete[timed] == kind]) for kind in (True, False)}
    is_weighed = ~np.isnan(start_s + end_s + directories.weights_s[0][row])
    are_outside = is_outside(times, row, run)[is_weighed]
    last_s, apart_s = directories.last_s[row], directories.config_apart_s[row]
    are_before = (last_s < start_s)[~np.isnan(last_s + start_s)]
    are_apart = (apart_s > APART_S)[~np.isnan(apart_s)]
    are_lacking = ~is_complete[runs.is_finished[run]]
    return Ends(
        overall,
        own,
        is_logged_after=_is_most(are_before),
        holds_others=_is_most(are_outside),
        is_saved_last=len(are_apart) >= FEWEST_TEACHERS and int(are_apart.sum()) <= MOST_APART * len(are_apart),
        lacking_share=(int(are_lacking.sum()) + LACKING_SHARE * LACKING_WORTH) / (len(are_lacking) + LACKING_WORTH),
    )


def _is_most(values: Bools) -> bool:
    """Say whether more than half of enough are so."""
    return len(values) >= FEWEST_TEACHERS and 2 * int(values.sum()) > len(values)


def is_outside(times: Times, row: Ints, run: Ints) -> Bools:
    """Say whether directories hold weights written long before their run began or after it ended, by either's clock."""
    (first_s, last_s), skew_s = (each[row] for each in times.directories.weights_s), times.directories.skew_s[row]
    start_s, end_s = times.runs.start_s[run], times.runs.end_s[run]
    is_before = np.maximum(first_s, first_s - skew_s) < start_s - BEFORE_S
    is_after = np.minimum(last_s, last_s - skew_s) > end_s + AFTER_S
    found: Bools = (is_before | is_after) & ~np.isnan(start_s + end_s)
    return found


def learn_ends(lag_s: Floats, is_inside: Bools) -> EndHabit:
    """Return the habit that plain pairs show.

    Args:
        lag_s: Per plain pair, the run's end minus the newest file's time, seconds.
        is_inside: Whether the file was written within the run.
    """
    near = np.sort(lag_s[np.abs(lag_s) <= LARGEST_SCALE_S * 4])
    if len(near) < FEWEST_TEACHERS:
        center, scale = 0.0, DEFAULT_SCALE_S
    else:
        center = float(near[len(near) // 2])
        spread = float(np.sort(np.abs(near - center))[len(near) // 2])
        scale = min(max(spread / math.log(2), SMALLEST_SCALE_S), LARGEST_SCALE_S)
    is_ended = np.abs(lag_s - center) <= 4 * scale
    total = len(lag_s) + SHARE_WORTH
    return EndHabit(
        center,
        scale,
        (int(is_ended.sum()) + END_SHARE * SHARE_WORTH) / total,
        (int((is_inside & ~is_ended).sum()) + INSIDE_SHARE * SHARE_WORTH) / total,
    )
