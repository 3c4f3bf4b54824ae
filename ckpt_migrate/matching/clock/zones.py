"""Zones: the distinct ways in which local clocks were set off from UTC over a range of time.

The IANA zones are reduced to their distinct offset functions, so that daylight saving comes free and zones that no
datum can tell apart are one answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ckpt_migrate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_WEEK = timedelta(days=7)
_FARTHEST_OFFSET = timedelta(hours=15)
_KNOWN_CITIES = ("Berlin", "London", "New_York", "Los_Angeles", "Chicago", "Tokyo", "Shanghai", "Kolkata", "Sydney")
_KNOWN_AREAS = ("Europe", "America", "Asia", "Australia", "Africa", "Pacific", "Atlantic", "Indian")


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
        if len(self.offsets_s) == 1:
            return (local_s - self.offsets_s[0],)
        found = []
        for i, offset in enumerate(self.offsets_s):
            instant = local_s - offset
            ends = self.begins_utc_s[i + 1] if i + 1 < len(self.begins_utc_s) else math.inf
            if self.begins_utc_s[i] <= instant < ends:
                found.append(instant)
        return tuple(found)


def local_seconds(local: datetime) -> float:
    """Return a naive local time as seconds since 1970-01-01 00:00 of the same clock."""
    return local.replace(tzinfo=timezone.utc).timestamp()


@lru_cache(maxsize=8)
def offset_functions(first_utc_s: float, last_utc_s: float) -> tuple[OffsetFunction, ...]:
    """Return the distinct offset functions of all IANA zones between two instants (seconds since 1970)."""
    first, last = _range(first_utc_s, last_utc_s)
    by_shape: dict[tuple[tuple[float, ...], tuple[float, ...]], list[str]] = {}
    for name in sorted(available_timezones()):
        if name.startswith(("posix", "right", "SystemV")) or name in {"localtime", "Factory"}:
            continue
        by_shape.setdefault(_shape(ZoneInfo(name), first, last), []).append(name)
    functions = [
        OffsetFunction(tuple(sorted(names, key=familiarity)), shape[0], shape[1]) for shape, names in by_shape.items()
    ]
    return tuple(sorted(functions, key=lambda function: familiarity(function.zones[0])))


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
    return OffsetFunction((name,), *_shape(zone, *_range(first_utc_s, last_utc_s)))


def merge_equal(functions: Sequence[OffsetFunction], hours: Sequence[float]) -> list[OffsetFunction]:
    """Put together functions that give every one of these local hours the same instants: no stamp tells them apart."""
    merged: dict[tuple[tuple[float, ...], ...], list[OffsetFunction]] = {}
    for function in functions:
        merged.setdefault(tuple(function.instants(hour) for hour in hours), []).append(function)
    out = []
    for group in merged.values():
        zones = tuple(sorted((zone for function in group for zone in function.zones), key=familiarity))
        lead = next(function for function in group if zones[0] in function.zones)
        out.append(OffsetFunction(zones, lead.begins_utc_s, lead.offsets_s))
    return out


def agreement(one: OffsetFunction, other: OffsetFunction, hours: Sequence[float]) -> float:
    """Return the share of local hours that two functions take for the same instants."""
    return sum(one.instants(hour) == other.instants(hour) for hour in hours) / len(hours)


def familiarity(name: str) -> tuple[int, int, str]:
    """Order zone names so that the one people know stands first: UTC, then the large continents' cities."""
    if name == "UTC":
        return (0, 0, name)
    area, city = name.split("/", maxsplit=1)[0], name.rsplit("/", maxsplit=1)[-1]
    if city in _KNOWN_CITIES:
        return (1, _KNOWN_CITIES.index(city), name)
    return (_KNOWN_AREAS.index(area) + 2 if area in _KNOWN_AREAS else len(_KNOWN_AREAS) + 3, 0, name)


def _range(first_utc_s: float, last_utc_s: float) -> tuple[datetime, datetime]:
    """Return both instants in UTC, widened by the farthest offset, for either may have been read as local time."""
    first = datetime.fromtimestamp(first_utc_s, timezone.utc) - _FARTHEST_OFFSET
    return first, datetime.fromtimestamp(last_utc_s, timezone.utc) + _FARTHEST_OFFSET


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
