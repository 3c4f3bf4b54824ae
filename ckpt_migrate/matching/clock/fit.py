"""The clock: from a naive local stamp to UTC, with the time zone inferred from the data.

A legacy stamp says neither its zone nor its error. What is inferred is a zone, not an offset, so that daylight saving
comes free. A folder may have been written by two clocks, one after the other (a machine set to UTC in mid-project) or
side by side (a laptop and a cluster): what the first leaves unexplained may be explained by a second.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock.guesses import (
    DECISIVE_MARGIN_NATS,
    TIED_AGREEMENT,
    Fitted,
    guess_clocks,
    is_lag_proved,
    is_same,
    unproved_words,
)
from ckpt_migrate.matching.clock.lags import DAY_S, LagFit, Lags, Stamp, fit_lags, lag_density, refine, slow_scale
from ckpt_migrate.matching.clock.zones import agreement, local_seconds, merge_equal, offset_functions, zone_function
from ckpt_migrate.plan.records import Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt_migrate.matching.clock.guesses import Guess
    from ckpt_migrate.matching.clock.zones import OffsetFunction

__all__ = ["FittedClock", "Phase", "Reading", "fit_clock", "zone_function"]

LARGEST_SAMPLE = 600
"""Stamps used for scoring; more would not change a margin of hundreds of nats."""
UNKNOWN_SCALE_S = 3.0
"""Width of the lag's distribution where nothing is known of it."""
NEIGHBOURS = 8
"""Explained stamps, the nearest in time, that say which of two clocks wrote a stamp."""
_LARGEST_MARGIN = 1e6
_MOST_SAME = 5
_HALF_HOUR_S, _HOUR_S = 1800.0, 3600.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a stamp.

    Attributes:
        instant_s: UTC seconds since 1970.
        share: Probability of this reading, given that one of them is right.
        zone: The zone that it was read in.
        lag_s: Modal lag of stamp after run start by this clock, seconds.
        scale_s: Width of the lag's distribution, seconds.
        slow_scale_s: The same for slow starts.
    """

    instant_s: float
    share: float
    zone: str
    lag_s: float
    scale_s: float
    slow_scale_s: float

    def lag_to(self, start_s: float) -> float:
        """Return by how much the stamp lies later than it should after this start, seconds."""
        return self.instant_s - start_s - self.lag_s

    def density(self, start_s: float) -> float:
        """Return the density (per second) of the stamp, given a run's start."""
        return lag_density(self.lag_to(start_s), self.lag_s, self.scale_s, self.slow_scale_s)


@dataclass(frozen=True, slots=True)
class Phase:
    """One of the clocks of a folder.

    Attributes:
        functions: Local to UTC: the best, then those that fit as well but part from it for a few stamps.
        lag_s: Modal lag of stamp after run start, seconds.
        scale_s: Width of the lag's distribution, seconds.
        written_s: Ascending local seconds of stamps that this clock explains; empty where there is no other clock.
    """

    functions: tuple[OffsetFunction, ...]
    lag_s: float
    scale_s: float
    written_s: tuple[float, ...] = ()

    def instants(self, local_s: float) -> tuple[float, ...]:
        """Return the UTC instants of a local time; none where the functions part."""
        if len(self.functions) == 1:
            return self.functions[0].instants(local_s)
        found = {function.instants(local_s) for function in self.functions}
        return next(iter(found)) if len(found) == 1 else ()


@dataclass(frozen=True, slots=True)
class FittedClock:
    """A clock that can be read.

    Attributes:
        summary: As the plan shows it; of the first phase where there are two.
        phases: The clocks, the one with more stamps first; none while undecided.
        warnings: What a person should know of it, whole sentences.
    """

    summary: Clock
    phases: tuple[Phase, ...]
    warnings: tuple[str, ...] = ()

    @property
    def lag_s(self) -> float:
        """Modal lag of the first phase, seconds; 0 while undecided."""
        return self.phases[0].lag_s if self.phases else 0.0

    @property
    def scale_s(self) -> float:
        """Width of the lag's distribution of the first phase, seconds; 3 while undecided."""
        return self.phases[0].scale_s if self.phases else UNKNOWN_SCALE_S

    def readings(self, local: datetime) -> tuple[Reading, ...]:
        """Return the ways to read a stamp; none where the zone is undecided, two in a repeated hour."""
        local_s = local_seconds(local)
        out = []
        for phase, share in zip(self.phases, self._shares(local_s), strict=True):
            instants = phase.instants(local_s)
            zone = phase.functions[0].zones[0]
            lag_s, scale_s = phase.lag_s, phase.scale_s
            slow_scale_s = slow_scale(lag_s, scale_s)
            out += [Reading(at, share / len(instants), zone, lag_s, scale_s, slow_scale_s) for at in instants]
        return tuple(out)

    def _shares(self, local_s: float) -> tuple[float, ...]:
        """Return the probability of each phase at a local time: its share of the nearest explained stamps."""
        if len(self.phases) <= 1:
            return (1.0,) * len(self.phases)
        near: list[tuple[float, int]] = []
        for number, phase in enumerate(self.phases):
            at = bisect.bisect_left(phase.written_s, local_s)
            around = phase.written_s[max(0, at - NEIGHBOURS) : at + NEIGHBOURS]
            near += [(abs(written - local_s), number) for written in around]
        nearest = [number for _, number in sorted(near)[:NEIGHBOURS]]
        prior = 1 / len(self.phases)
        return tuple([(nearest.count(number) + prior) / (len(nearest) + 1) for number in range(len(self.phases))])


def fit_clock(stamps: Iterable[Stamp], starts_s: Sequence[float], *, timezone_name: str | None = None) -> FittedClock:
    """Infer zone, lag and spread of a set of stamps.

    Args:
        stamps: The directories' stamps.
        starts_s: Run starts, UTC seconds since 1970, ascending.
        timezone_name: A zone that a person has given; it is used whatever the data say, which are heard all the same.

    Raises:
        UsageError: `timezone_name` is no IANA zone.
    """
    distinct = _distinct(stamps)
    first_s, last_s = _common_range(distinct, starts_s)
    given = None if timezone_name is None else zone_function(timezone_name, first_s, last_s)
    if not distinct or not starts_s:
        phases = () if given is None else (Phase((given,), 0.0, UNKNOWN_SCALE_S),)
        return FittedClock(_summary(timezone_name, None, is_given=given is not None), phases)
    sample = _sample(distinct)
    if given is None:
        return _infer(sample, starts_s, first_s, last_s)
    rows = Lags(sample, starts_s).rows(given)
    fit = refine(rows, fit_lags(rows))
    if not is_lag_proved(Fitted(given, fit, sample, rows)):
        undecided = FittedClock(_summary(timezone_name, None, is_given=True), (Phase((given,), 0.0, UNKNOWN_SCALE_S),))
        return replace(undecided, warnings=(unproved_words(fit.lag_s),))
    clock = FittedClock(_summary(timezone_name, fit, is_given=True), (Phase((given,), fit.lag_s, fit.scale_s),))
    return replace(clock, warnings=_contradiction(given, fit, _infer(sample, starts_s, first_s, last_s), sample))


def _distinct(stamps: Iterable[Stamp]) -> list[Stamp]:
    """Return one stamp per local second, ascending, with the runs that any of its directories names."""
    found: dict[float, Stamp] = {}
    for stamp in stamps:
        known = found.get(stamp.local_s)
        if known is None or (stamp.is_named and not known.is_named):
            found[stamp.local_s] = stamp
        elif stamp.is_named == known.is_named:
            starts = tuple(sorted({*known.starts_s, *stamp.starts_s}))
            found[stamp.local_s] = replace(known, starts_s=starts)
    return [found[local_s] for local_s in sorted(found)]


def _sample(stamps: Sequence[Stamp]) -> list[Stamp]:
    """Return at most so many stamps, evenly spread, those with named runs first."""
    named = [stamp for stamp in stamps if stamp.is_named]
    chosen = _evenly(named, LARGEST_SAMPLE // 2)
    rest = [stamp for stamp in stamps if not stamp.is_named]
    chosen += _evenly(rest, LARGEST_SAMPLE - len(chosen))
    return sorted(chosen, key=lambda stamp: stamp.local_s)


def _evenly(stamps: Sequence[Stamp], most: int) -> list[Stamp]:
    count = min(len(stamps), most)
    return [stamps[i * len(stamps) // count] for i in range(count)]


def _common_range(stamps: Sequence[Stamp], starts_s: Sequence[float]) -> tuple[float, float]:
    """Return the range that stamps and starts share: beyond it no stamp can be matched, whatever its zone."""
    if not stamps or not starts_s:
        return 0.0, 0.0
    low, high = max(stamps[0].local_s, starts_s[0]), min(stamps[-1].local_s, starts_s[-1])
    return min(low, high) - DAY_S, max(low, high) + DAY_S


def _infer(sample: Sequence[Stamp], starts_s: Sequence[float], first_s: float, last_s: float) -> FittedClock:
    hours = sorted({math.floor(stamp.local_s / _HOUR_S) * _HOUR_S + _HALF_HOUR_S for stamp in sample})
    guesses = guess_clocks(sample, merge_equal(offset_functions(first_s, last_s), hours), starts_s)
    best = guesses[0]
    lead = best.parts[0]
    rival = next((guess for guess in guesses[1:] if not is_same(best, guess)), None)
    margin = best.log_likelihood - rival.log_likelihood if rival is not None else _LARGEST_MARGIN
    if lead.fit.hits == 0 or margin < DECISIVE_MARGIN_NATS:
        return FittedClock(_summary(None, lead.fit, margin=margin), ())
    unproved = next((part.fit.lag_s for part in best.parts if not is_lag_proved(part)), None)
    if unproved is not None:
        return FittedClock(_summary(None, lead.fit, margin=margin), (), (unproved_words(unproved),))
    tied = [guess for guess in guesses[1:] if best.log_likelihood - guess.log_likelihood < DECISIVE_MARGIN_NATS]
    phases = tuple(_phase(number, best, tied, hours) for number in range(len(best.parts)))
    zones = [zone for function in phases[0].functions for zone in function.zones]
    clock = replace(_summary(zones[0], lead.fit, margin=margin), same_as=tuple(zones[1 : 1 + _MOST_SAME]))
    return FittedClock(clock, phases, _two_clocks(phases))


def _phase(number: int, best: Guess, tied: Sequence[Guess], hours: Sequence[float]) -> Phase:
    """Return one clock of the best guess, with the functions of tied guesses that fit in its place.

    Stamps for which these part are not read at all.
    """
    part = best.parts[number]
    functions = [part.function]
    for guess in tied:
        for other in guess.parts if len(guess.parts) == len(best.parts) else ():
            is_in_place = len(best.parts) == 1 or agreement(part.function, other.function, hours) >= TIED_AGREEMENT
            if other.function not in functions and is_in_place:
                functions.append(other.function)
    written: tuple[float, ...] = ()
    if len(best.parts) > 1:
        pairs = zip(part.stamps, part.rows, strict=True)
        written = tuple(stamp.local_s for stamp, row in pairs if row.is_hit(part.fit.lag_s, part.fit.scale_s))
    return Phase(tuple(functions), part.fit.lag_s, part.fit.scale_s, written)


def _two_clocks(phases: Sequence[Phase]) -> tuple[str, ...]:
    if len(phases) == 1:
        return ()
    first, second = phases
    since = datetime.fromtimestamp(second.written_s[0], timezone.utc).strftime("%Y-%m-%d")
    until = datetime.fromtimestamp(second.written_s[-1], timezone.utc).strftime("%Y-%m-%d")
    zones = f"{second.functions[0].zones[0]}, the others in {first.functions[0].zones[0]}"
    return (f"two clocks wrote the stamps: {len(second.written_s)} from {since} to {until} are read in {zones}",)


def _summary(zone: str | None, fit: LagFit | None, *, margin: float | None = None, is_given: bool = False) -> Clock:
    """Return what the plan shows: a zone that was given, or inferred (then with its margin), or none."""
    inferred = "none" if zone is None else "inferred"
    shown = fit if zone is not None else None
    return Clock(
        timezone=zone,
        same_as=(),
        source="--timezone" if is_given else inferred,
        offset_s=None if shown is None else round(shown.lag_s, 3),
        spread_s=None if shown is None else shown.scale_s,
        directories=0 if fit is None else fit.hits,
        margin_nats=None if margin is None else round(min(margin, _LARGEST_MARGIN), 2),
        is_decisive=zone is not None,
    )


def _contradiction(
    given: OffsetFunction, fit: LagFit, inferred: FittedClock, sample: Sequence[Stamp]
) -> tuple[str, ...]:
    """Return a warning where the data are decided for another zone than the one that a person gave."""
    if not inferred.phases:
        return ()
    differing = sum(given.instants(stamp.local_s) != inferred.phases[0].instants(stamp.local_s) for stamp in sample)
    if differing <= (1 - TIED_AGREEMENT) * len(sample) and len(inferred.phases) == 1:
        return ()
    clock = inferred.summary
    hits = f"{fit.hits} of {len(sample)} stamps lie at the start of a run"
    warning = f"--timezone {given.zones[0]} contradicts the data: read in it, {hits}, but {clock.directories} do"
    return (f"{warning} when read in {clock.timezone}", *inferred.warnings)
