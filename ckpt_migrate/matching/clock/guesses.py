"""Guesses: one clock, or two, that may have written a set of stamps, each with how well it explains them.

And when a lag that no training has may be taken for a clock that is off.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock.lags import (
    HIT_SCALES,
    STAMP_S,
    LagFit,
    LagRow,
    Lags,
    Stamp,
    fit_lags,
    refine,
    start_rate,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt_migrate.matching.clock.zones import OffsetFunction

DECISIVE_MARGIN_NATS = 7.0
"""Margin at which the inferred zone was right in 114 of 114 simulated projects of 8 to 100 checkpoints."""
MOST_REPEATED, REPEATED_S = 0.2, 10.0
"""A second clock is not told by runs of which so large a share is followed by another after just its difference..."""
FEWEST_REPEATED, REPEATED_OF_HITS, REPEATED_BY_CHANCE = 2, 0.1, 3.0
"""...nor by fewer: so many, so large a share of the stamps it explains, and so many times those expected by chance."""
SECOND_CLOCK_NATS = DECISIVE_MARGIN_NATS + math.log(100)
"""What a second clock must add: the margin, and a choice among some hundred functions."""
FEWEST_BY_EACH = 3
"""Stamps that each of two clocks must explain and the other does not."""
TIED_AGREEMENT = 0.9
"""Functions that part for fewer stamps than one in ten are one answer; those few stamps are not used."""
COARSE_SCALES_S = (1.0, 10.0)
"""Widths tried on every function; the best ones are then fitted with all widths."""
MOST_FINE = 8
MOST_FIRST = 3
"""Functions that are tried as the first of two clocks."""
SECOND_ORPHAN_SHARES = (0.3, 0.6, 0.9)
"""Shares tried of stamps without a run among those that the first clock leaves unexplained."""
LARGEST_PLAIN_LAG_S = 40.0
"""Lag up to which a stamp needs no proof: public projects lie between 0.4 and 31 seconds."""
LAUNCH_GAP_S = 3600.0
"""Stamps further apart are of different launches."""
FEWEST_LAUNCHES = 3
"""Launches that must lie equally far off before a larger lag is taken for a clock that is off."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A function with its fit and what it makes of the sample."""

    function: OffsetFunction
    fit: LagFit
    stamps: Sequence[Stamp]
    rows: Sequence[LagRow]


@dataclass(frozen=True, slots=True)
class Guess:
    """One clock, or two: the phases' functions with their fits, and the log-likelihood of both together."""

    parts: tuple[Fitted, ...]
    log_likelihood: float


def guess_clocks(
    sample: Sequence[Stamp], functions: Sequence[OffsetFunction], starts_s: Sequence[float]
) -> list[Guess]:
    """Return all single clocks and such pairs as explain clearly more than any of them, the likeliest first.

    A zone with daylight saving looks like two clocks without; it is the simpler answer.

    Args:
        sample: The stamps.
        functions: The zones to choose from.
        starts_s: Run starts, UTC seconds, ascending.
    """
    lags = Lags(sample, starts_s)
    fitted = []
    for function in functions:
        rows = lags.rows(function)
        fitted.append(Fitted(function, fit_lags(rows, COARSE_SCALES_S), sample, rows))
    fitted.sort(key=lambda one: -one.fit.log_likelihood)
    fitted[:MOST_FINE] = [replace(one, fit=refine(one.rows, fit_lags(one.rows))) for one in fitted[:MOST_FINE]]
    fitted.sort(key=lambda one: -one.fit.log_likelihood)
    guesses = [Guess((one,), one.fit.log_likelihood) for one in fitted]
    for one in fitted[:MOST_FIRST]:
        pairs = _second_clocks(one, functions, sample, starts_s) if one.fit.hits >= FEWEST_BY_EACH else []
        least = fitted[0].fit.log_likelihood + DECISIVE_MARGIN_NATS
        guesses += (pair for pair in pairs if pair.log_likelihood >= least)
    return sorted(guesses, key=lambda guess: -guess.log_likelihood)


def _second_clocks(
    first: Fitted, functions: Sequence[OffsetFunction], sample: Sequence[Stamp], starts_s: Sequence[float]
) -> list[Guess]:
    """Return the first clock with each second one that explains enough, but not more, of what it leaves.

    Only runs that no stamp has by the first clock are free for the second. Starts that repeat (every night, every
    hour) fit a wrong zone as well, so that a hit counts only as far as stamps that the first clock explains are not
    hit likewise.
    """
    is_hit = [row.is_hit(first.fit.lag_s, first.fit.scale_s) for row in first.rows]
    left = [stamp for stamp, hit in zip(sample, is_hit, strict=True) if not hit]
    explained = [stamp for stamp, hit in zip(sample, is_hit, strict=True) if hit]
    if len(left) < FEWEST_BY_EACH or not explained:
        return []
    lags = Lags(left, _free_starts(first, explained, starts_s))
    guesses = []
    for function in functions:
        rows = lags.rows(function) if function is not first.function else []
        fit = fit_lags(rows, COARSE_SCALES_S)
        if fit.hits < FEWEST_BY_EACH:
            continue
        fit = refine(rows, fit)
        repeated = _repeated_rate(function, first.function, fit, explained, starts_s)
        rows = [
            row if stamp.starts_s or row.rate >= repeated else replace(row, rate=repeated)
            for stamp, row in zip(left, rows, strict=True)
        ]
        hits = sum(row.is_hit(fit.lag_s, fit.scale_s) for row in rows)
        gain = _gain(left, rows, fit)
        is_told = FEWEST_BY_EACH <= hits <= first.fit.hits and gain >= SECOND_CLOCK_NATS
        if is_told and not _repeats(function, first.function, left, hits, starts_s):
            second = Fitted(function, replace(fit, log_likelihood=gain, hits=hits), left, rows)
            guesses.append(Guess((first, second), first.fit.log_likelihood + gain - math.log(len(functions))))
    return guesses


def _gain(stamps: Sequence[Stamp], rows: Sequence[LagRow], fit: LagFit) -> float:
    """Return how much likelier (nats) a second clock makes stamps than they are if the first left only orphans."""
    odds = [row.odds(fit.lag_s, fit.scale_s) for row in rows]
    free = [one for stamp, one in zip(stamps, odds, strict=True) if not stamp.starts_s]
    gain = max(sum(math.log(share + (1 - share) * one) for one in free) for share in SECOND_ORPHAN_SHARES)
    for stamp, one in zip(stamps, odds, strict=True):
        if stamp.starts_s:
            gain += math.log1p((1 - stamp.orphan_share) * one / stamp.orphan_share)
    return gain


def _free_starts(first: Fitted, explained: Sequence[Stamp], starts_s: Sequence[float]) -> list[float]:
    """Return the starts that no stamp has by the first clock, ascending."""
    taken: set[int] = set()
    for stamp in explained:
        for low, high in _reach(first.function, first.fit, stamp, starts_s):
            taken.update(range(low, high))
    return [start for i, start in enumerate(starts_s) if i not in taken]


def _repeats(
    function: OffsetFunction, first: OffsetFunction, stamps: Sequence[Stamp], hits: int, starts_s: Sequence[float]
) -> bool:
    """Say whether runs start again after just the time by which two clocks differ, so that either explains a stamp.

    What an archive does to files' times (zip keeps them as local ones) it does by whole hours as well: where jobs start
    every hour, they speak for the wrong clock with the stamps. So do jobs of which some were started again an hour
    later: of a few both runs are left, and of others only the second.
    """
    apart = sorted(
        there - here
        for stamp in stamps
        for here, there in zip(first.instants(stamp.local_s), function.instants(stamp.local_s), strict=False)
    )
    shift_s = apart[len(apart) // 2] if apart else 0.0
    again = 0
    for start in starts_s:
        at = bisect.bisect_left(starts_s, start + shift_s - REPEATED_S)
        again += at < len(starts_s) and starts_s[at] <= start + shift_s + REPEATED_S
        if again >= MOST_REPEATED * len(starts_s):
            return True
    if again < max(FEWEST_REPEATED, REPEATED_OF_HITS * hits):
        return not starts_s
    by_chance = sum(2 * REPEATED_S * start_rate(starts_s, start + shift_s) for start in starts_s)
    return again >= REPEATED_BY_CHANCE * by_chance


def _repeated_rate(
    function: OffsetFunction, first: OffsetFunction, fit: LagFit, explained: Sequence[Stamp], starts_s: Sequence[float]
) -> float:
    """Return the rate (per second) at which stamps of the first clock, read by another function, hit starts."""
    hit = tried = 0
    for stamp in explained:
        if function.instants(stamp.local_s) != first.instants(stamp.local_s):
            tried += 1
            hit += any(low < high for low, high in _reach(function, fit, stamp, starts_s))
    return (hit + 0.5) / (tried + 1) / (2 * (HIT_SCALES * fit.scale_s + STAMP_S))


def _reach(function: OffsetFunction, fit: LagFit, stamp: Stamp, starts_s: Sequence[float]) -> Iterable[tuple[int, int]]:
    """Yield, per instant of a stamp, the range of positions of the starts that lie where they should."""
    reach_s = HIT_SCALES * fit.scale_s + STAMP_S
    for instant in function.instants(stamp.local_s):
        due = instant - fit.lag_s
        yield bisect.bisect_left(starts_s, due - reach_s), bisect.bisect_right(starts_s, due + reach_s)


def is_same(one: Guess, other: Guess) -> bool:
    """Say whether two guesses read nearly all stamps that the first explains as the same instants."""
    mine, theirs = _instants(one), _instants(other)
    same = sum(theirs.get(local_s) == instants for local_s, instants in mine.items())
    return same >= TIED_AGREEMENT * len(mine)


def _instants(guess: Guess) -> dict[float, tuple[float, ...]]:
    """Return the instants of each stamp that a guess explains, by local second."""
    found: dict[float, tuple[float, ...]] = {}
    for part in guess.parts[::-1]:
        for stamp, row in zip(part.stamps, part.rows, strict=True):
            if row.is_hit(part.fit.lag_s, part.fit.scale_s):
                found[stamp.local_s] = part.function.instants(stamp.local_s)
    return found


def is_lag_proved(part: Fitted) -> bool:
    """Say whether stamps this far from run starts can be believed to belong to those runs.

    Seconds of lag are how trainings start. Minutes mean that a host's clock is off, or that the runs are others: the
    same sweep launched again a minute later, whose first runs are in another store, looks just so, and so does a
    day of trainings a minute apart of which few were logged. Several launches at unrelated times that all lie equally
    far off can only be a clock, and so can a run that other evidence names.
    """
    if abs(part.fit.lag_s) <= LARGEST_PLAIN_LAG_S:
        return True
    pairs = zip(part.stamps, part.rows, strict=True)
    hits = [stamp for stamp, row in pairs if row.is_hit(part.fit.lag_s, part.fit.scale_s)]
    if any(stamp.is_named for stamp in hits):
        return True
    launches = 1 + sum(later.local_s - earlier.local_s > LAUNCH_GAP_S for earlier, later in pairwise(hits))
    return launches >= FEWEST_LAUNCHES


def unproved_words(lag_s: float) -> str:
    """Return a sentence for people about a lag that is not believed."""
    return (
        f"the stamps would fit runs that start {abs(lag_s):,.0f} s {'before' if lag_s > 0 else 'after'} them, in fewer "
        f"than {FEWEST_LAUNCHES} separate launches: a clock may be off, or these are other runs, and the true ones are "
        "in another store; this was not used"
    )
