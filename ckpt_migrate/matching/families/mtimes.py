"""Modification times: when a directory's newest file is written by its run."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckpt_migrate.matching.model.pair import Seen
    from ckpt_migrate.tracking.records import Run

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
        own = self.by_folder.get((_folder(path), is_complete)) if self.by_folder else None
        return self.overall[is_complete] if own is None else own


@lru_cache(maxsize=1024)
def _folder(path: str) -> str:
    return os.path.dirname(path)


NO_ENDS = Ends({True: EndHabit(), False: EndHabit()}, {})


def learn_habits_of_ends(plain: Iterable[tuple[Seen, Run]]) -> Ends:
    """Return when newest files are written, as pairs show that are plain by other evidence."""
    found: defaultdict[tuple[str, bool], list[tuple[float, bool]]] = defaultdict(list)
    are_before, are_outside, are_apart, are_lacking = [], [], [], []
    for seen, run in plain:
        if run.status == "FINISHED":
            are_lacking.append(not seen.is_complete)
        if seen.config_apart_s is not None:
            are_apart.append(seen.config_apart_s > APART_S)
        if seen.weights_s is not None and run.start_utc_ms is not None and run.end_utc_ms is not None:
            are_outside.append(is_outside(seen, run))
        if seen.last_s is not None and run.start_utc_ms is not None:
            are_before.append(seen.last_s < run.start_utc_ms / 1000)
        if seen.newest_s is None or run.start_utc_ms is None or run.end_utc_ms is None:
            continue
        is_inside = run.start_utc_ms / 1000 <= seen.newest_s <= run.end_utc_ms / 1000
        found[os.path.dirname(seen.path), seen.is_complete].append((run.end_utc_ms / 1000 - seen.newest_s, is_inside))
    overall = {
        kind: learn_ends([pair for (_, is_complete), pairs in found.items() if is_complete is kind for pair in pairs])
        for kind in (True, False)
    }
    own = {key: learn_ends(pairs) for key, pairs in found.items() if len(pairs) >= FEWEST_IN_FOLDER}
    is_logged_after = len(are_before) >= FEWEST_TEACHERS and 2 * sum(are_before) > len(are_before)
    holds_others = len(are_outside) >= FEWEST_TEACHERS and 2 * sum(are_outside) > len(are_outside)
    is_saved_last = len(are_apart) >= FEWEST_TEACHERS and sum(are_apart) <= MOST_APART * len(are_apart)
    lacking_share = (sum(are_lacking) + LACKING_SHARE * LACKING_WORTH) / (len(are_lacking) + LACKING_WORTH)
    return Ends(overall, own, is_logged_after, holds_others, is_saved_last, lacking_share)


def is_outside(seen: Seen, run: Run) -> bool:
    """Say whether a directory holds weights written long before its run began or after it ended, by either's clock."""
    if seen.weights_s is None or run.start_utc_ms is None or run.end_utc_ms is None:
        return False
    start_s, end_s, (first_s, last_s) = run.start_utc_ms / 1000, run.end_utc_ms / 1000, seen.weights_s
    skew_s = seen.clock.lag_s
    return max(first_s, first_s - skew_s) < start_s - BEFORE_S or min(last_s, last_s - skew_s) > end_s + AFTER_S


def learn_ends(pairs: Iterable[tuple[float, bool]]) -> EndHabit:
    """Return the habit that plain pairs show.

    Args:
        pairs: Per plain pair, the run's end minus the newest file's time (seconds), and whether the file was written
            within the run.
    """
    pairs = sorted(pairs)
    near = [lag for lag, _ in pairs if abs(lag) <= LARGEST_SCALE_S * 4]
    if len(near) < FEWEST_TEACHERS:
        center, scale = 0.0, DEFAULT_SCALE_S
    else:
        center = near[len(near) // 2]
        spreads = sorted(abs(lag - center) for lag in near)
        scale = min(max(spreads[len(spreads) // 2] / math.log(2), SMALLEST_SCALE_S), LARGEST_SCALE_S)
    ended = sum(abs(lag - center) <= 4 * scale for lag, _ in pairs)
    inside = sum(is_inside and abs(lag - center) > 4 * scale for lag, is_inside in pairs)
    return EndHabit(
        center,
        scale,
        (ended + END_SHARE * SHARE_WORTH) / (len(pairs) + SHARE_WORTH),
        (inside + INSIDE_SHARE * SHARE_WORTH) / (len(pairs) + SHARE_WORTH),
    )
