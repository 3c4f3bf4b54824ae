"""Contradictions: what a true pair would hardly show, however well the rest fits.

A weight sets a run against accident, so that a rare config can make up for a param that differs. A contradiction sets
the run against itself: how seldom do directories lie so to their own runs? It is asked where a reference names the
run, for references are copied, and directories are renamed by hand.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ckpt_migrate.matching.clock.lags import LARGEST_SKEW_S
from ckpt_migrate.matching.families.mtimes import AFTER_S, APART_S, is_outside
from ckpt_migrate.matching.families.references import named_runs
from ckpt_migrate.matching.families.stamps import ANY_LAG_SHARE, NAMED_REACH_S
from ckpt_migrate.matching.families.timing import are_at_start, end_shares, is_inside, late_shares, nearest_lags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.columns import Bools, Columns, Floats
    from ckpt_migrate.matching.model.pair import Seen, World
    from ckpt_migrate.matching.model.weights import Weights
    from ckpt_migrate.tracking.records import Run

CONTRADICTION_BITS = 10.0
"""A run that would show what was seen once in a thousand times is not believed on a reference's word alone."""
SPOKEN_BITS = 2.5
"""A family contradicts when it shows what one directory in six shows..."""
SEVERAL = 2
"""...and so many that do are not explained by one mishap."""
SUPPORT_BITS = 2.0
"""Bits from which a family speaks for a run. What lies in a directory must: its stamp and what refers to it are about
its name, and go wherever the name is moved."""
COPIED_SHARE, COPIED_WORTH = 0.003, 20.0
"""Share of references that were copied from another run, and how many references that is worth before any is seen."""
UNTIMED_BITS = 6.0
"""A stamp so far off alone contradicts where modification times were lost: nothing else says when the weights were
made."""
NO_FURTHER_BITS = 5.0
"""A directory made within its run, where nothing says that the run was taken up again: one in thirty."""
OLDER_BITS = CONTRADICTION_BITS
"""All files of a directory are older than its stamp: a touched file is newer, and so is a copied one."""
LATER_S, COPY_S = 3600.0, 60.0
"""Neither is a directory its run's whose files were all written so long after the end, and not within one minute."""
USUAL_SHARE, EARLY_SCALES = 0.5, 10.0
"""Directories that are complete so much earlier than usual, in widths of the usual time, are unusual."""
ENDED_SCALES = 3.0
"""A file this near to a run's end, in widths of the usual time between the two, may be the run's last."""
_FAMILIES = ("params", "time", "mtime", "metrics")
"""Those that can contradict."""


class Doubt(NamedTuple):
    """What speaks against a pair, however well it fits.

    Attributes:
        against: The families that contradict the run so much that a reference to it is not believed.
        is_finished_oddly: Whether the directory was complete though its run broke off, or long before or after its
            end, unlike others. A twin on a faster machine, whose run is gone, leaves such a one; so does a run that
            goes on to other things. Weights later than that by more than any clock is off are of another run, which
            trained into the same directory.
        is_begun_apart: Whether it was made at another time than the run's start, though nothing says that it was
            resumed. What crashed is started again within minutes, with the same config, and with fixed seeds to the
            same losses.
    """

    against: tuple[str, ...]
    is_finished_oddly: bool
    is_begun_apart: bool


def find_doubts(cases: Sequence[Case], weights: Weights, world: World) -> list[Doubt]:
    """Return what speaks against each pair.

    Args:
        cases: The checkpoints with their candidates.
        weights: Of all candidates.
        world: The shared facts.
    """
    columns = weights.columns
    time = _time(weights.resume > 0, columns, world)
    metrics = np.where(weights.missed > 0, CONTRADICTION_BITS, np.maximum(-weights.metrics, 0.0))
    bits = np.array([_params(cases, weights, world), time, _end(columns, world), metrics])
    is_against = bits >= SPOKEN_BITS
    supports = np.array([weights.content, weights.mtime, weights.params, weights.metrics])  # what lies in it
    is_alone = (supports < SUPPORT_BITS).all(axis=0)
    directories, row = world.times.directories, columns.row
    # the files may be of the other of two hours
    is_other_instant = is_against[_FAMILIES.index("mtime")] & directories.has_several[row]
    is_much = (is_against.sum(axis=0) >= SEVERAL) | (bits.sum(axis=0) >= CONTRADICTION_BITS)
    is_untimed = (time >= UNTIMED_BITS) & np.isnan(directories.newest_s[row])
    is_against &= is_much | is_alone | is_other_instant | is_untimed
    oddly, apart = _finished_oddly(columns, world), _begun_apart(columns, time, world)
    every = np.array([*is_against, oddly, apart])
    codes = (every << np.arange(len(every))[:, None]).sum(axis=0)
    known = list(map(_doubt, range(1 << len(every))))
    return [known[code] for code in codes.tolist()]


def _doubt(code: int) -> Doubt:
    """Return the doubt whose parts are the bits of a number."""
    *is_against, is_finished_oddly, is_begun_apart = (bool(code >> n & 1) for n in range(len(_FAMILIES) + 2))
    return Doubt(tuple(compress(_FAMILIES, is_against)), is_finished_oddly, is_begun_apart)


def share_copied(cases: Sequence[Case], doubts: Sequence[Doubt]) -> float:
    """Return the share of references that cannot be true, so that those which can may be copied as well.

    Args:
        cases: The checkpoints.
        doubts: What speaks against their candidates, in order.
    """
    believed = copied = begin = 0
    for case in cases:
        end = begin + len(case.scores)
        if case.seen.references:
            named = named_runs(case.seen.references)
            both = zip(case.scores, doubts[begin:end], strict=True)
            contradicted = sum(bool(doubt.against) for one, doubt in both if one.run_id in named)
            copied += max(contradicted, len(named) - 1)
            believed += len(named)
        begin = end
    return (copied + COPIED_SHARE * COPIED_WORTH) / (believed + COPIED_WORTH)


def _params(cases: Sequence[Case], weights: Weights, world: World) -> Floats:
    """Return, per pair and in bits, how rarely a directory of this run would have params as this one does."""
    bits = np.zeros(len(weights.scores))
    for place, one in enumerate(weights.scores):
        comparison = one.comparison
        if comparison.differing or comparison.unlike:
            config = cases[weights.columns.row[place]].seen.config
            bits[place] = world.differences.surprise(config, comparison)
    return bits


def _time(is_resumed: Bools, columns: Columns, world: World) -> Floats:
    """Return how rarely a directory of this run would be stamped as this one is; 0 for as usual."""
    row, run, times = columns.row, columns.run, world.times
    late = -np.log2(late_shares(times, row, run) + ANY_LAG_SHARE)
    within = np.where(is_resumed, 0.0, NO_FURTHER_BITS)
    is_usual = np.isnan(times.runs.start_s[run]) | ~times.directories.is_read[row] | are_at_start(times, row, run)
    return np.where(is_usual, 0.0, np.where(is_inside(times, row, run), within, late))


def _end(columns: Columns, world: World) -> Floats:
    """Return how rarely a directory of this run would have files of such times; 0 for as usual."""
    row, run, ends = columns.row, columns.run, world.ends
    directories, runs, habits = world.times.directories, world.times.runs, world.times.habits
    start_s, end_s, newest_s = runs.start_s[run], runs.end_s[run], directories.newest_s[row]
    is_known = ~np.isnan(start_s + end_s + newest_s)
    share = end_shares(world.times, row, run)
    bits = np.maximum(-np.log2(np.where(is_known, share, 1.0)), 0.0)
    if ends.is_saved_last:
        is_lacking = runs.is_finished[run] & ~directories.is_complete[row]
        bits -= np.where(is_lacking, np.log2(ends.lacking_share), 0.0)
    away_s = np.abs(end_s - newest_s - habits.center_s[row])
    bits += np.where(away_s > 2 * ENDED_SCALES * habits.scale_s[row], _other_ends(world)[row], 0.0)
    is_later = (directories.oldest_s[row] - end_s > LATER_S) & _is_spread(columns, world)
    bits = np.where(is_known, np.where(is_later, OLDER_BITS, bits), 0.0)

    is_older = directories.is_older[row]
    if not ends.is_logged_after:
        last_s, skew_s = directories.last_s[row], directories.skew_s[row]
        # The weights were there before the run began, by the clock of either side: it did not make them.
        is_older |= np.maximum(last_s, last_s - skew_s) < start_s
        if not ends.holds_others:
            is_older |= is_outside(world.times, row, run)
    if ends.is_saved_last:
        is_older |= directories.config_apart_s[row] > 2 * APART_S
    return np.where(is_older, OLDER_BITS, bits)


def _is_spread(columns: Columns, world: World) -> Bools:
    """Say whether the files were written over time, as training does, and not together, as a copy does."""
    directories = world.times.directories
    return (directories.newest_s - directories.oldest_s > COPY_S)[columns.row]


def _other_ends(world: World) -> Floats:
    """Return, per directory, in bits, how far its time is not that of a touch, but one at which another run ended."""
    directories, habits, ends_s = world.times.directories, world.times.habits, np.array(world.ends_s)
    if not len(ends_s):
        return np.zeros(len(directories.newest_s))
    due_s, reach_s = directories.newest_s + habits.center_s, ENDED_SCALES * habits.scale_s
    near = np.searchsorted(ends_s, due_s + reach_s, "right") - np.searchsorted(ends_s, due_s - reach_s, "left")
    by_accident = 2 * reach_s * len(ends_s) / np.maximum(ends_s[-1] - ends_s[0], reach_s)
    is_told = directories.is_complete & (near > 0) & ~np.isnan(due_s)
    return np.where(is_told, np.maximum(-np.log2(by_accident), 0.0), 0.0)


def _finished_oddly(columns: Columns, world: World) -> Bools:
    """Return `Doubt.is_finished_oddly`."""
    row, run = columns.row, columns.run
    directories, runs, habits = world.times.directories, world.times.runs, world.times.habits
    if not world.ends.is_saved_last:
        return np.zeros(len(row), np.bool_)
    newest_s, center_s, widths_s = directories.newest_s[row], habits.center_s[row], EARLY_SCALES * habits.scale_s[row]
    end_s = runs.end_s[run]
    early_s = end_s - newest_s - center_s
    late_s = center_s + np.where(np.isnan(directories.last_s[row]), newest_s, directories.last_s[row]) - end_s
    is_late = (late_s > np.maximum(LARGEST_SKEW_S, widths_s)) & _is_spread(columns, world)
    is_odd = (early_s > widths_s) | (is_late & ~np.isnan(newest_s))
    is_usual = habits.end_share[row] >= USUAL_SHARE
    return directories.is_complete[row] & (runs.is_broken_off[run] | (is_odd & is_usual))


def _begun_apart(columns: Columns, time: Floats, world: World) -> Bools:
    """Return `Doubt.is_begun_apart`.

    Args:
        columns: The pairs.
        time: How rarely directories would be stamped so.
        world: The shared facts.
    """
    away_s = nearest_lags(world.times, columns.row, world.times.runs.start_s[columns.run])
    return (away_s > NAMED_REACH_S) & (time >= NO_FURTHER_BITS)


def is_left_later(seen: Seen, run: Run, world: World) -> bool:
    """Say whether a directory without what is saved last was written after its run had ended well: by another."""
    if seen.newest_s is None or run.end_utc_ms is None or seen.is_complete or not world.ends.is_saved_last:
        return False
    return run.status == "FINISHED" and seen.newest_s > run.end_utc_ms / 1000 + AFTER_S
