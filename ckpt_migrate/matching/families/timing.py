"""Timing: when directories were stamped and written, set against when runs began and ended, for all pairs at once.

Stamps and newest files are one family of evidence in two parts: the start of a run is told by the stamp, its end by
the newest file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ckpt_migrate.matching.clock.lags import CORE_SHARE, LARGEST_SKEW_S, SLOW_SHARE, STAMP_S, lag_densities
from ckpt_migrate.matching.families.mtimes import DEFAULT_SCALE_S, DURATION_DECADES_NATS, SHORTEST_RUN_S
from ckpt_migrate.matching.families.stamps import ANY_LAG_SHARE, FURTHER_CHECKPOINT, NAMED_REACH_S, SHORTEST_RESUMED_S

if TYPE_CHECKING:
    from ckpt_migrate.matching.families.times import EndHabits, Times
    from ckpt_migrate.matching.model.columns import Bools, Floats, Ints
    from ckpt_migrate.matching.model.pair import World


def is_inside(times: Times, row: Ints, run: Ints) -> Bools:
    """Say whether stamps lie within runs, after their start."""
    start_s, end_s = times.runs.start_s[run], times.runs.end_s[run]
    is_within = np.zeros(len(row), np.bool_)
    for reading in times.directories.readings:
        instant_s = reading.instant_s[row]
        is_within |= (start_s <= instant_s) & (instant_s <= end_s)
    return is_within


def is_named_so(times: Times, row: Ints, run: Ints) -> Bools:
    """Say whether runs bear the stamps of directories in their names, to a second."""
    return np.abs(times.directories.local_s[row] - times.runs.named_s[run]) <= 1


def start_densities(times: Times, row: Ints, start_s: Floats) -> Floats:
    """Return the densities (per second) of stamps of directories made at the starts of runs; 0 while undecided."""
    density = np.zeros(len(row))
    for reading in times.directories.readings:
        lag_s = reading.lag_s[row]
        away_s = reading.instant_s[row] - start_s - lag_s
        near = np.flatnonzero(np.abs(away_s) <= LARGEST_SKEW_S)  # of two clocks one is hours off
        at = row[near]
        found = lag_densities(away_s[near], lag_s[near], reading.scale_s[at], reading.slow_scale_s[at])
        density[near] += reading.share[at] * found
    return density


class Best(NamedTuple):
    """The likeliest reading of stamps, given when runs began; "not a number" without any.

    Attributes:
        began_s: When the run began by it.
        away_s: By how much the stamp lies later than it should, seconds.
        scale_s: Width of the lag's distribution, seconds.
    """

    began_s: Floats
    away_s: Floats
    scale_s: Floats


def best_readings(times: Times, row: Ints, start_s: Floats) -> Best:
    """Return the likeliest readings of the stamps of directories, given when runs began."""
    found = Best(*np.full((3, len(row)), math.nan))
    best, nearest_s = np.full(len(row), -1.0), np.full(len(row), math.inf)
    for reading in times.directories.readings:
        lag_s, scale_s = reading.lag_s[row], reading.scale_s[row]
        away_s = reading.instant_s[row] - start_s - lag_s
        is_near = np.abs(away_s) <= LARGEST_SKEW_S
        density = lag_densities(np.where(is_near, away_s, 0.0), lag_s, scale_s, reading.slow_scale_s[row])
        likely = np.where(is_near, reading.share[row] * density, 0.0)
        is_better = (likely > best) | ((likely == best) & (np.abs(away_s) < nearest_s))
        is_better &= ~np.isnan(away_s)
        each = Best(reading.instant_s[row] - lag_s, away_s, scale_s)
        found = Best(*(np.where(is_better, new, old) for new, old in zip(each, found, strict=True)))
        best, nearest_s = np.where(is_better, likely, best), np.where(is_better, np.abs(away_s), nearest_s)
    return found


def are_at_start(times: Times, row: Ints, run: Ints) -> Bools:
    """Say whether stamps lie where the starts of runs make directories; see `stamps.is_at_start`."""
    is_named = is_named_so(times, row, run)
    best = best_readings(times, row, times.runs.start_s[run])
    is_near = np.abs(best.away_s) <= np.where(is_named, NAMED_REACH_S, 10 * best.scale_s + 1)
    return np.where(np.isnan(best.away_s), is_named, is_near)


def nearest_lags(times: Times, row: Ints, start_s: Floats) -> Floats:
    """Return how far stamps lie off these starts, read as it suits best, seconds; "not a number" while undecided."""
    away_s = np.full(len(row), math.nan)
    for reading in times.directories.readings:
        away_s = np.fmin(away_s, np.abs(reading.instant_s[row] - start_s - reading.lag_s[row]))
    return away_s


def late_shares(times: Times, row: Ints, run: Ints) -> Floats:
    """Return the shares of directories that are stamped so far off their run's start, or farther; 1 while undecided."""
    share = np.full(len(row), -math.inf)
    for reading in times.directories.readings:
        away_s = np.abs(reading.instant_s[row] - times.runs.start_s[run] - reading.lag_s[row])
        away_s = np.maximum(away_s - STAMP_S, 0.0)
        scale_s, slow_scale_s = reading.scale_s[row], reading.slow_scale_s[row]
        share = np.fmax(share, CORE_SHARE * np.exp(-away_s / scale_s) + SLOW_SHARE * np.exp(-away_s / slow_scale_s))
    return np.where(np.isfinite(share), share, 1.0)


def further_densities(times: Times, run: Ints, further: float) -> Floats:
    """Return the densities (per second) of stamps of directories made when runs were taken up again."""
    return further / np.fmax(times.runs.end_s[run] - times.runs.start_s[run], SHORTEST_RESUMED_S)


def are_first(times: Times, row: Ints, run: Ints) -> Bools:
    """Say whether directories, if they are the runs', are their first: not made when the run was taken up again."""
    at_start = start_densities(times, row, times.runs.start_s[run])
    is_further = is_inside(times, row, run) & (at_start <= further_densities(times, run, FURTHER_CHECKPOINT))
    return ~is_further | is_named_so(times, row, run)


def stamp_densities(times: Times, row: Ints, run: Ints, world: World) -> Floats:
    """Return the densities (per second) of stamps, given their runs; 0 when nothing is known.

    Where run names have stamps, the name's stamp says more than the start. A resumed run has directories whose
    stamps lie anywhere within it.
    """
    density = start_densities(times, row, times.runs.start_s[run])
    density += np.where(is_inside(times, row, run), further_densities(times, run, world.further), 0.0)
    named = np.flatnonzero(is_named_so(times, row, run))
    if len(named):
        differences = times.directories.local_s[row[named]] - times.runs.named_s[run[named]]
        density[named] = [world.name_shares[round(each)] for each in differences.tolist()]
    return density


def time_bits(times: Times, row: Ints, run: Ints, world: World) -> Floats:
    """Return log2 of f(stamp) * N / r: f the stamp's density, r the local rate of starts among N runs."""
    density = stamp_densities(times, row, run, world)
    is_told = ~np.isnan(times.runs.start_s[run]) & ((density > 0) | times.directories.is_read[row])
    bits = np.log2(np.maximum(density, ANY_LAG_SHARE / world.span_s)) + times.runs.rate[run]
    return np.where(is_told, bits, 0.0)


def end_densities(times: Times, row: Ints, start_s: Floats, end_s: Floats, span_s: float) -> Floats:
    """Return the densities (per second) of newest files, given the starts and ends of runs.

    A host whose clock is off writes stamps and files alike, so the end is looked for by both clocks.

    Args:
        times: All times.
        row: The directories.
        start_s: The start of a run, for each.
        end_s: Its end.
        span_s: The whole range of time in which a touched file may lie.
    """
    newest_s, skew_s = times.directories.newest_s[row], times.directories.skew_s[row]
    density = _end_densities(times.habits, row, newest_s, (start_s, end_s), span_s)
    off = np.flatnonzero(np.abs(skew_s) > 2 * DEFAULT_SCALE_S)
    if len(off):
        run_s = (start_s[off], end_s[off])
        other = _end_densities(times.habits, row[off], newest_s[off] - skew_s[off], run_s, span_s)
        density[off] = 0.5 * (density[off] + other)
    return density


def _end_densities(
    habits: EndHabits, row: Ints, newest_s: Floats, run_s: tuple[Floats, Floats], span_s: float
) -> Floats:
    start_s, end_s = run_s
    scale_s, end_share, inside_share = habits.scale_s[row], habits.end_share[row], habits.inside_share[row]
    away = np.abs(end_s - newest_s - habits.center_s[row])
    density: Floats = end_share * np.exp(-away / scale_s) / (2 * scale_s)
    density += (1 - end_share - inside_share) / span_s
    is_within = (start_s - DEFAULT_SCALE_S <= newest_s) & (newest_s <= end_s + DEFAULT_SCALE_S)
    return density + np.where(is_within, inside_share / np.fmax(end_s - start_s, 2 * DEFAULT_SCALE_S), 0.0)


def end_shares(times: Times, row: Ints, run: Ints) -> Floats:
    """Return the shares of directories whose newest file lies so or more oddly, by the clock that suits best."""
    start_s, end_s, habits = times.runs.start_s[run], times.runs.end_s[run], times.habits
    scale_s, end_share, inside_share = habits.scale_s[row], habits.end_share[row], habits.inside_share[row]
    shares = []
    for skew_s in (np.zeros(len(row)), times.directories.skew_s[row]):
        newest_s = times.directories.newest_s[row] - skew_s
        away = np.abs(end_s - newest_s - habits.center_s[row])
        is_within = (start_s - DEFAULT_SCALE_S <= newest_s) & (newest_s <= end_s + DEFAULT_SCALE_S)
        share = end_share * np.exp(-away / scale_s) + (1 - end_share - inside_share)
        shares.append(share + np.where(is_within, inside_share, 0.0))
    return np.minimum(np.maximum(*shares), 1.0)


def end_bits(times: Times, row: Ints, run: Ints, world: World) -> Floats:
    """Return log2 of how much better newest files' times fit these runs' ends than they fit any run's.

    Against a known stamp the background is the spread of durations (log-uniform); without one, it is the rate of
    runs over the whole range.
    """
    start_s, end_s, newest_s = times.runs.start_s[run], times.runs.end_s[run], times.directories.newest_s[row]
    density = end_densities(times, row, start_s, end_s, world.span_s)
    is_told = ~np.isnan(density) & ~np.isnan(start_s)
    density = np.where(is_told, density, 1.0)
    bits = np.log2(density) + times.runs.rate[run]
    if times.directories.readings:
        stamped_s = times.directories.readings[0].instant_s[row]
        took_s = np.fmax(newest_s - stamped_s, SHORTEST_RUN_S)
        bits = np.where(np.isnan(stamped_s), bits, np.log2(density * took_s * DURATION_DECADES_NATS))
    return np.where(is_told, bits, 0.0)
