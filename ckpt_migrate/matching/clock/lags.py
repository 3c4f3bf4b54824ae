"""Lags: how long after its run's start a directory is stamped, and how well a zone makes stamps fall on run starts."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.clock.zones import OffsetFunction
    from ckpt_migrate.matching.model.columns import Floats

LARGEST_SKEW_S = 420.0
"""Seconds a stamp may lie off its run's start. Below 450, half the smallest distance of two zones (15 min)."""
SCALES_S = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Widths tried for the lag's distribution: real projects lie between 0.4 and 31 seconds."""
CORE_SHARE, SLOW_SHARE = 0.95, 0.03
"""Shares of usual starts and of slow ones (cold caches, busy disks); the rest lies anywhere within the skew."""
SLOW_FACTOR = 8.0
"""How much wider the distribution of slow starts is..."""
SLOW_LAGS = 2.0
"""...and at least so many usual lags wide: what is slow takes a multiple of its time."""
LONGEST_SLOW_S = 60.0
"""A larger lag is no waiting but a wrong clock, whose starts are no slower than others."""
STAMP_S = 1.0
"""Stamps have whole seconds, cut off."""
ORPHAN_SHARE = 0.5
"""Share of stamps taken to have no run at all while a zone is scored; 206 of 292 real folders had none."""
NAMED_ORPHAN_SHARE = 0.02
"""The same for a stamp whose run is known by a reference: only a lying reference is left."""
ENDED_ORPHAN_SHARE = 0.2
"""The same for a stamp whose run is guessed by its end alone."""
DAY_S = 86400.0
HIT_SCALES = 4.0
"""A start within so many widths of the modal lag is a hit; further ones are as likely an accident."""
DENSITY_WINDOW_S = 3600.0
"""Half-width of the window in which the local rate of run starts is counted."""
_MOST_MODES = 3
_FLOOR = (1 - CORE_SHARE - SLOW_SHARE) / (2 * LARGEST_SKEW_S)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A directory's stamp, ready to be set against run starts.

    Attributes:
        local_s: Naive local time as seconds since 1970-01-01 00:00 of the same clock.
        starts_s: Starts (UTC seconds) of the runs that the directory's other evidence names; empty for none.
        is_named: Whether they were named by a reference, not guessed by their ends.
    """

    local_s: float
    starts_s: tuple[float, ...] = ()
    is_named: bool = False

    @property
    def orphan_share(self) -> float:
        """The share of such stamps that have no run among those named, or none at all."""
        if not self.starts_s:
            return ORPHAN_SHARE
        return NAMED_ORPHAN_SHARE if self.is_named else ENDED_ORPHAN_SHARE


@dataclass(frozen=True, slots=True)
class LagRow:
    """What one function makes of one stamp: lags of stamp after starts (seconds), and what they are set against.

    Attributes:
        lags_s: Lags to the starts that are near, or to those that are named.
        rate: Rate of starts that lie there by accident, per second.
        orphan_share: As of the stamp.
    """

    lags_s: tuple[float, ...]
    rate: float
    orphan_share: float

    def odds(self, center_s: float, scale_s: float) -> float:
        """Return sum_j f(lag_j) / rate: how much better some run's start explains the stamp than accident does."""
        slow_scale_s = slow_scale(center_s, scale_s)
        density = 0.0
        for lag_s in self.lags_s:
            density += lag_density(lag_s - center_s, center_s, scale_s, slow_scale_s)
        return density / self.rate

    def is_hit(self, center_s: float, scale_s: float) -> bool:
        """Say whether a start lies where it should, and hardly by accident."""
        reach_s = HIT_SCALES * scale_s + STAMP_S
        for lag_s in self.lags_s:
            if abs(lag_s - center_s) <= reach_s:
                return self.odds(center_s, scale_s) > 1
        return False


@dataclass(frozen=True, slots=True)
class LagFit:
    """How well one function fits: log-likelihood (nats), modal lag and width (seconds), and stamps that are hits."""

    log_likelihood: float
    lag_s: float
    scale_s: float
    hits: int


def lag_density(away_s: float, center_s: float, scale_s: float, slow_scale_s: float) -> float:
    """Return the density (per second) of a lag that is so far off the modal lag.

    A Laplace distribution, convolved with the second that a stamp cuts off; an exponential one for slow starts, which
    only lengthen the usual lag, whichever of directory and run comes first; and a floor within the largest skew.

    Args:
        away_s: The lag minus the modal lag, seconds.
        center_s: The modal lag, seconds.
        scale_s: Width of the Laplace distribution, seconds.
        slow_scale_s: Of these two by `slow_scale`, seconds; not computed here, where a project asks a million times.
    """
    if not -LARGEST_SKEW_S <= away_s <= LARGEST_SKEW_S:
        return 0.0
    longer = away_s + STAMP_S / 2 if center_s > 0 else -(away_s + STAMP_S / 2)
    slow = math.exp(-longer / slow_scale_s) / slow_scale_s if longer > 0 else 0.0
    # A Laplace variable minus a uniform one on [0, STAMP_S] has F(x + 1) - F(x).
    low, high = away_s / scale_s, (away_s + STAMP_S) / scale_s
    if low >= 0:
        core = 0.5 * (math.exp(-low) - math.exp(-high)) / STAMP_S
    elif high <= 0:
        core = 0.5 * (math.exp(high) - math.exp(low)) / STAMP_S
    else:
        core = (1 - 0.5 * (math.exp(low) + math.exp(-high))) / STAMP_S
    return CORE_SHARE * core + SLOW_SHARE * slow + _FLOOR


def lag_densities(away_s: Floats, center_s: Floats, scale_s: Floats, slow_scale_s: Floats) -> Floats:
    """Return `lag_density` of many, none of them further off than the largest skew; arguments likewise."""
    longer = np.where(center_s > 0, 1.0, -1.0) * (away_s + STAMP_S / 2)
    slow = np.where(longer > 0, np.exp(-np.maximum(longer, 0.0) / slow_scale_s) / slow_scale_s, 0.0)
    low, high = away_s / scale_s, (away_s + STAMP_S) / scale_s
    at_low, at_high = np.exp(-np.abs(low)), np.exp(-np.abs(high))
    within = 1 - 0.5 * (at_low + at_high)
    core = np.where(low >= 0, 0.5 * (at_low - at_high), np.where(high <= 0, 0.5 * (at_high - at_low), within)) / STAMP_S
    density: Floats = CORE_SHARE * core + SLOW_SHARE * slow + _FLOOR
    return density


def lag_tail(away_s: float, center_s: float, scale_s: float) -> float:
    """Return the share of lags that lie so far off the modal lag, or farther; see `lag_density`."""
    scale = slow_scale(center_s, scale_s)
    away = max(abs(away_s) - STAMP_S, 0.0)
    return CORE_SHARE * math.exp(-away / scale_s) + SLOW_SHARE * math.exp(-away / scale)


@lru_cache(maxsize=1 << 10)
def slow_scale(center_s: float, scale_s: float) -> float:
    """Return the width of the distribution of slow starts, seconds."""
    return max(SLOW_FACTOR * scale_s, min(SLOW_LAGS * abs(center_s), LONGEST_SLOW_S))


def start_rate(starts_s: Sequence[float], instant_s: float) -> float:
    """Return the local rate of run starts, per second, never below one in the whole range and an hour."""
    near = bisect.bisect_right(starts_s, instant_s + DENSITY_WINDOW_S) - bisect.bisect_left(
        starts_s, instant_s - DENSITY_WINDOW_S
    )
    span = (starts_s[-1] - starts_s[0] if starts_s else 0.0) + 2 * DENSITY_WINDOW_S
    return max(near / (2 * DENSITY_WINDOW_S), max(len(starts_s), 1) / span)


class Lags:
    """What functions make of stamps: of each stamp the same wherever they take it for the same instants."""

    def __init__(self, stamps: Sequence[Stamp], starts_s: Sequence[float]) -> None:
        """Set stamps against run starts, UTC seconds since 1970, ascending."""
        self._starts_s = starts_s
        self._known: list[tuple[Stamp, dict[tuple[float, ...], LagRow]]] = [(stamp, {}) for stamp in stamps]

    def rows(self, function: OffsetFunction) -> list[LagRow]:
        """Return what a function makes of each stamp."""
        out = []
        for stamp, known in self._known:
            instants = function.instants(stamp.local_s)
            row = known.get(instants)
            if row is None:
                row = known[instants] = _lag_row(instants, stamp, self._starts_s)
            out.append(row)
        return out


def _lag_row(instants: Sequence[float], stamp: Stamp, starts_s: Sequence[float]) -> LagRow:
    if stamp.starts_s:
        lags = tuple(instant - start for instant in instants for start in stamp.starts_s)
        return LagRow(lags, len(stamp.starts_s) / DAY_S, stamp.orphan_share)
    found: list[float] = []
    for instant in instants:
        low = bisect.bisect_left(starts_s, instant - LARGEST_SKEW_S)
        high = bisect.bisect_right(starts_s, instant + LARGEST_SKEW_S)
        found += [instant - start for start in starts_s[low:high]]
    rate = max((start_rate(starts_s, instant) for instant in instants), default=1.0) if found else 1.0
    return LagRow(tuple(found), rate, stamp.orphan_share)


def fit_lags(rows: Sequence[LagRow], scales_s: Sequence[float] = SCALES_S) -> LagFit:
    """Return the lag and width at which the rows are likeliest.

    The likelihood of a stamp against a background in which starts fall at the local rate r is
    e + (1 - e) * sum_j f(lag_j) / r, with e the share of stamps without a run and f the lag's density.
    """
    best = LagFit(-math.inf, 0.0, scales_s[-1], 0)
    for center in _modes(rows):
        for scale in scales_s:
            total = log_likelihood(rows, center, scale)
            if total > best.log_likelihood:
                best = LagFit(total, center, scale, 0)
    hits = sum(row.is_hit(best.lag_s, best.scale_s) for row in rows)
    return LagFit(best.log_likelihood, best.lag_s, best.scale_s, hits)


def log_likelihood(rows: Sequence[LagRow], center_s: float, scale_s: float) -> float:
    """Return the log-likelihood (nats) of all rows against accident; see `fit_lags`."""
    slow_scale_s = slow_scale(center_s, scale_s)
    total = 0.0
    for row in rows:
        odds = row.orphan_share
        if row.lags_s:
            density = 0.0
            for lag_s in row.lags_s:
                density += lag_density(lag_s - center_s, center_s, scale_s, slow_scale_s)
            odds += (1 - odds) * (density / row.rate)
        total += math.log(odds)
    return total


def refine(rows: Sequence[LagRow], fit: LagFit) -> LagFit:
    """Return a fit with the modal lag moved to the median of its hits, where that is likelier."""
    near = sorted(
        min(row.lags_s, key=lambda lag: abs(lag - fit.lag_s)) + STAMP_S / 2
        for row in rows
        if row.lags_s and row.is_hit(fit.lag_s, fit.scale_s)
    )
    if not near:
        return fit
    median = round(near[len(near) // 2], 3)
    return max(
        (LagFit(log_likelihood(rows, center, scale), center, scale, fit.hits) for center in (fit.lag_s, median)
         for scale in SCALES_S),
        key=lambda one: one.log_likelihood,
    )  # fmt: skip


def _modes(rows: Sequence[LagRow]) -> list[float]:
    """Return the most crowded lags, to the second, as centers to try: true lags, half a second above the stamps'."""
    crowd: Counter[int] = Counter()
    for row in rows:
        for second in {math.floor(lag) for lag in row.lags_s if abs(lag) <= LARGEST_SKEW_S}:
            crowd.update({second - 1: 1, second: 2, second + 1: 1})
    ranked = sorted(crowd.items(), key=lambda item: (-item[1], abs(item[0]), item[0]))
    return [float(second) + 1.0 for second, _ in ranked[:_MOST_MODES]] or [0.0]
