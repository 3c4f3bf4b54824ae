"""The clock: from a naive local stamp to UTC, with the time zone inferred from the data.

The only module that knows local time. A legacy stamp says neither its zone nor its error. What is inferred is a
zone, not an offset, so that daylight saving comes free: the IANA zones are reduced to their distinct offset
functions over the range of the data, and each is scored by how well its instants fall on run starts.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ckpt_migrate.errors import UsageError
from ckpt_migrate.plan.records import Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LARGEST_SKEW_S = 420.0
"""Seconds a stamp may lie off its run's start. Below 450, half the smallest distance of two zones (15 min)."""
DECISIVE_MARGIN_NATS = 7.0
"""Margin at which the inferred zone was right in 114 of 114 simulated projects of 8 to 100 checkpoints."""
SCALES_S = (1.0, 3.0, 10.0, 30.0)
"""Widths tried for the lag's distribution: real projects lie between 0.4 and 31 seconds."""
ORPHAN_SHARE = 0.5
"""Share of stamps taken to have no run at all while the zone is scored; 206 of 292 real folders had none."""
ANCHORED_ORPHAN_SHARE = 0.02
"""The same for a stamp whose run is known by a reference: only a lying reference is left."""
LARGEST_SAMPLE = 1500
"""Stamps used for scoring; more would not change a margin of hundreds of nats."""
DENSITY_WINDOW_S = 3600.0
"""Half-width of the window in which the local rate of run starts is counted."""
TIED_AGREEMENT = 0.9
"""Functions that part for fewer stamps than one in ten are one answer; those few stamps are not used."""
_WEEK = timedelta(days=7)
_FARTHEST_OFFSET = timedelta(hours=15)


@dataclass(frozen=True, slots=True)
class OffsetFunction:
    """UTC offsets over a range of time, and the zones that have them.

    Attributes:
        zones: IANA names, the best known first.
        begins_utc_s: Ascending instants at which an offset begins; the first is minus infinity.
        offsets_s: The offsets, seconds east of UTC, one per begin.
    """

    zones: tuple[str, ...]
    begins_utc_s: tuple[float, ...]
    offsets_s: tuple[float, ...]

    def instants(self, local_s: float) -> tuple[float, ...]:
        """Return the UTC instants at which a local clock showed this: none in a gap, two in a repeated hour.

        Args:
            local_s: Naive local time as seconds since 1970-01-01 00:00 of the same clock.
        """
        found = []
        for i, offset in enumerate(self.offsets_s):
            instant = local_s - offset
            ends = self.begins_utc_s[i + 1] if i + 1 < len(self.begins_utc_s) else math.inf
            if self.begins_utc_s[i] <= instant < ends:
                found.append(instant)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class FittedClock:
    """A clock that can be read: what the plan says of it, and the functions behind.

    Attributes:
        summary: As the plan shows it.
        functions: Local to UTC: the best, then those that fit as well but part from it for a few stamps; empty
            when undecided.
        lag_s: Modal lag of stamp after run start, seconds.
        scale_s: Width of the lag's distribution, seconds.
    """

    summary: Clock
    functions: tuple[OffsetFunction, ...]
    lag_s: float
    scale_s: float

    def instants(self, local: datetime) -> tuple[float, ...]:
        """Return the UTC instants, seconds since 1970, of a naive local time; none where the zone is undecided."""
        found = {function.instants(local_seconds(local)) for function in self.functions}
        return next(iter(found)) if len(found) == 1 else ()


def local_seconds(local: datetime) -> float:
    """Return a naive local time as seconds since 1970-01-01 00:00 of the same clock."""
    return local.replace(tzinfo=timezone.utc).timestamp()


def lag_density(lag_s: float, center_s: float, scale_s: float) -> float:
    """Return the density (per second) of a lag: Laplace about the modal lag, with a wide floor for stragglers."""
    peak = math.exp(-abs(lag_s - center_s) / scale_s) / (2 * scale_s)
    return 0.95 * peak + (0.05 / (2 * LARGEST_SKEW_S) if abs(lag_s - center_s) <= LARGEST_SKEW_S else 0.0)


def start_rate(starts_s: Sequence[float], instant_s: float) -> float:
    """Return the local rate of run starts, per second, never below one in the whole range and an hour."""
    near = bisect.bisect_right(starts_s, instant_s + DENSITY_WINDOW_S) - bisect.bisect_left(
        starts_s, instant_s - DENSITY_WINDOW_S
    )
    span = (starts_s[-1] - starts_s[0] if starts_s else 0.0) + 2 * DENSITY_WINDOW_S
    return max(near / (2 * DENSITY_WINDOW_S), max(len(starts_s), 1) / span)


@lru_cache(maxsize=8)
def offset_functions(first_utc_s: float, last_utc_s: float) -> tuple[OffsetFunction, ...]:
    """Return the distinct offset functions of all IANA zones between two instants (seconds since 1970)."""
    first = datetime.fromtimestamp(first_utc_s, timezone.utc) - _FARTHEST_OFFSET
    last = datetime.fromtimestamp(last_utc_s, timezone.utc) + _FARTHEST_OFFSET
    by_shape: dict[tuple[tuple[float, ...], tuple[float, ...]], list[str]] = {}
    for name in sorted(available_timezones()):
        if name.startswith(("posix", "right", "SystemV")) or name in {"localtime", "Factory"}:
            continue
        by_shape.setdefault(_shape(ZoneInfo(name), first, last), []).append(name)
    functions = [
        OffsetFunction(tuple(sorted(names, key=_familiarity)), shape[0], shape[1]) for shape, names in by_shape.items()
    ]
    return tuple(sorted(functions, key=lambda function: _familiarity(function.zones[0])))


def zone_function(name: str, first_utc_s: float, last_utc_s: float) -> OffsetFunction:
    """Return the offset function of one zone.

    Raises:
        UsageError: No such IANA zone.
    """
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        remedy = "Give an IANA name such as Europe/Berlin, America/New_York or UTC."
        raise UsageError("no such time zone", where=f"--timezone {name}", remedy=remedy) from error
    first = datetime.fromtimestamp(first_utc_s, timezone.utc) - _FARTHEST_OFFSET
    last = datetime.fromtimestamp(last_utc_s, timezone.utc) + _FARTHEST_OFFSET
    return OffsetFunction((name,), *_shape(zone, first, last))


def _shape(zone: ZoneInfo, first: datetime, last: datetime) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return begins and offsets of a zone: sampled weekly, each change then found to the minute by bisection."""
    begins, offsets = [-math.inf], [_offset_s(zone, first)]
    at = first
    while at < last:
        after = min(at + _WEEK, last)
        if _offset_s(zone, after) != offsets[-1]:
            low, high = at, after
            while high - low > timedelta(seconds=30):
                middle = low + (high - low) / 2
                low, high = (middle, high) if _offset_s(zone, middle) == offsets[-1] else (low, middle)
            begins.append(60.0 * round(high.timestamp() / 60))
            offsets.append(_offset_s(zone, after))
        at = after
    return tuple(begins), tuple(offsets)


def _offset_s(zone: ZoneInfo, at: datetime) -> float:
    offset = at.astimezone(zone).utcoffset()
    return 0.0 if offset is None else offset.total_seconds()


def _familiarity(name: str) -> tuple[int, int, str]:
    """Order zone names so that the one people know stands first: UTC, then the large continents' cities."""
    if name == "UTC":
        return (0, 0, name)
    area = name.split("/", maxsplit=1)[0]
    areas = ("Europe", "America", "Asia", "Australia", "Africa", "Pacific", "Atlantic", "Indian")
    known = (
        "Berlin",
        "London",
        "New_York",
        "Los_Angeles",
        "Chicago",
        "Tokyo",
        "Shanghai",
        "Kolkata",
        "Sydney",
    )
    city = name.rsplit("/", maxsplit=1)[-1]
    rank = areas.index(area) + 2 if area in areas else 1 + len(areas) + 2
    return (1 if city in known else rank, known.index(city) if city in known else 0, name)


def fit_clock(
    stamps: Iterable[datetime],
    starts_s: Sequence[float],
    anchors: Mapping[datetime, float],
    *,
    timezone_name: str | None = None,
) -> FittedClock:
    """Infer the zone, lag and spread of a set of stamps.

    Args:
        stamps: Naive local times of the directories.
        starts_s: Run starts, UTC seconds since 1970, ascending.
        anchors: Stamps whose run start (UTC seconds) is known by a reference.
        timezone_name: A zone that a person has given; it is used whatever the data say.

    Raises:
        UsageError: `timezone_name` is no IANA zone.
    """
    distinct = sorted(set(stamps))
    local = {stamp: local_seconds(stamp) for stamp in distinct}
    ends = [*local.values(), *starts_s] or [0.0]
    first, last = min(ends), max(ends)
    given = None if timezone_name is None else zone_function(timezone_name, first, last)
    if not distinct or not starts_s:
        return FittedClock(_given_clock(timezone_name, None), _some(given), 0.0, SCALES_S[1])
    step = max(1, len(distinct) // LARGEST_SAMPLE)
    sample = {stamp: local[stamp] for stamp in distinct if stamp in anchors}
    sample |= {stamp: local[stamp] for stamp in distinct[::step]}
    if given is not None:
        fit = _fit(given, sample, starts_s, anchors)
        return FittedClock(_given_clock(timezone_name, fit), (given,), fit.lag_s, fit.scale_s)
    hours = sorted({math.floor(at / 3600) * 3600.0 + 1800.0 for at in local.values()})
    functions = _merge_equal(offset_functions(first, last), hours)
    fits = sorted(
        ((_fit(function, sample, starts_s, anchors), function) for function in functions),
        key=lambda pair: -pair[0].log_likelihood,
    )
    best, lead = fits[0]
    tied = [other for fit, other in fits if best.log_likelihood - fit.log_likelihood < DECISIVE_MARGIN_NATS]
    decisive = best.hits > 0 and all(_agreement(lead, other, hours) >= TIED_AGREEMENT for other in tied)
    rest = [fit.log_likelihood for fit, other in fits if other not in tied]
    margin = best.log_likelihood - (rest[0] if rest and decisive else fits[min(1, len(fits) - 1)][0].log_likelihood)
    clock = Clock(
        timezone=lead.zones[0] if decisive else None,
        same_as=(*lead.zones[1:], *(zone for other in tied[1:] for zone in other.zones))[:5] if decisive else (),
        source="inferred" if decisive else "none",
        offset_s=round(best.lag_s, 3) if decisive else None,
        spread_s=best.scale_s if decisive else None,
        directories=best.hits,
        margin_nats=round(min(margin, 1e6), 2),
        is_decisive=decisive,
    )
    return FittedClock(clock, tuple(tied) if decisive else (), best.lag_s, best.scale_s)


def _some(given: OffsetFunction | None) -> tuple[OffsetFunction, ...]:
    return () if given is None else (given,)


def _agreement(one: OffsetFunction, other: OffsetFunction, hours: Sequence[float]) -> float:
    """Return the share of local hours that two functions take for the same instants."""
    return sum(one.instants(hour) == other.instants(hour) for hour in hours) / len(hours)


def _given_clock(timezone_name: str | None, fit: _Fit | None) -> Clock:
    """Return the summary of a clock that a person gave, or of none at all."""
    return Clock(
        timezone=timezone_name,
        same_as=(),
        source="none" if timezone_name is None else "--timezone",
        offset_s=None if fit is None else round(fit.lag_s, 3),
        spread_s=None if fit is None else fit.scale_s,
        directories=0 if fit is None else fit.hits,
        margin_nats=None,
        is_decisive=timezone_name is not None,
    )


def _merge_equal(functions: Sequence[OffsetFunction], hours: Sequence[float]) -> list[OffsetFunction]:
    """Put together functions that give every stamp the same instants: between them the data cannot tell."""
    merged: dict[tuple[tuple[float, ...], ...], list[OffsetFunction]] = {}
    for function in functions:
        merged.setdefault(tuple(function.instants(hour) for hour in hours), []).append(function)
    out = []
    for group in merged.values():
        zones = tuple(sorted((zone for function in group for zone in function.zones), key=_familiarity))
        lead = next(function for function in group if zones[0] in function.zones)
        out.append(OffsetFunction(zones, lead.begins_utc_s, lead.offsets_s))
    return out


@dataclass(frozen=True, slots=True)
class _Fit:
    log_likelihood: float
    lag_s: float
    scale_s: float
    hits: int


def _fit(
    function: OffsetFunction,
    sample: Mapping[datetime, float],
    starts_s: Sequence[float],
    anchors: Mapping[datetime, float],
) -> _Fit:
    """Score one offset function: each stamp is background, or lies at the modal lag of some run's start.

    The likelihood of a stamp against a background in which starts fall at the local rate r is
    e + (1 - e) * sum_j f(lag_j) / r, with e the share of stamps without a run and f the lag's density.
    """
    rows = [_lags(function, stamp, local, starts_s, anchors) for stamp, local in sample.items()]
    best: _Fit | None = None
    for center in _modes(rows):
        for scale in SCALES_S:
            total, hits = 0.0, 0
            for lags, rate, orphan_share in rows:
                near = sum(lag_density(lag, center, scale) for lag in lags) / rate
                total += math.log(orphan_share + (1 - orphan_share) * near)
                hits += near > 1 and any(abs(lag - center) <= 4 * scale for lag in lags)
            if best is None or total > best.log_likelihood:
                best = _Fit(total, center, scale, hits)
    return best or _Fit(-math.inf, 0.0, SCALES_S[1], 0)


def _lags(
    function: OffsetFunction,
    stamp: datetime,
    local: float,
    starts_s: Sequence[float],
    anchors: Mapping[datetime, float],
) -> tuple[list[float], float, float]:
    """Return lags (seconds, stamp after start), the local rate of starts, and the orphan share of a stamp."""
    instants = function.instants(local)
    if stamp in anchors:
        day = 86400.0
        return [instant - anchors[stamp] for instant in instants], 1 / day, ANCHORED_ORPHAN_SHARE
    lags: list[float] = []
    for instant in instants:
        low = bisect.bisect_left(starts_s, instant - LARGEST_SKEW_S)
        high = bisect.bisect_right(starts_s, instant + LARGEST_SKEW_S)
        lags += [instant - start for start in starts_s[low:high]]
    rate = max((start_rate(starts_s, instant) for instant in instants), default=1.0)
    return lags, rate, ORPHAN_SHARE


def _modes(rows: Sequence[tuple[list[float], float, float]]) -> list[float]:
    """Return the three most crowded lags, to the second, as centers to try."""
    crowd: Counter[int] = Counter()
    for lags, _, _ in rows:
        for second in {math.floor(lag) for lag in lags if abs(lag) <= LARGEST_SKEW_S}:
            crowd.update({second - 1: 1, second: 2, second + 1: 1})
    modes = [float(second) + 0.5 for second, _ in sorted(crowd.items(), key=lambda item: (-item[1], abs(item[0])))[:3]]
    return modes or [0.0]
