"""Local time in its ways: zones, daylight saving, clocks that are moved, wrong or drift, starts that repeat."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from worlds.launches import by_hand, nightly, train
from worlds.scenarios.plain import DST_ZONES, FIXED_ZONES, draw_project, draw_world_rng, lose
from worlds.trainings import DAY_S, Host
from worlds.world import Project, World, assemble

if TYPE_CHECKING:
    from random import Random

    from worlds.trainings import Habits

ODD_ZONES = ("Asia/Kathmandu", "Australia/Eucla", "Pacific/Kiritimati", "Pacific/Honolulu", "Asia/Yangon")
_HOUR_S = 3600.0


def offset_changes(zone: str, year: int) -> list[tuple[float, float]]:
    """Return when a zone's offset changes in a year (UTC seconds), and by how much (seconds)."""
    begin_s = datetime(year, 1, 1, tzinfo=timezone.utc).timestamp()
    hours = [begin_s + hour * _HOUR_S for hour in range(24 * 366)]
    offsets = [_offset_s(zone, hour_s) for hour_s in hours]
    pairs = zip(hours[1:], offsets, offsets[1:], strict=False)
    return [(hour_s, after - before) for hour_s, before, after in pairs if before != after]


def _offset_s(zone: str, utc_s: float) -> float:
    offset = datetime.fromtimestamp(utc_s, ZoneInfo(zone)).utcoffset()
    return 0.0 if offset is None else offset.total_seconds()


def timezones(seed: int, size: int) -> World:
    """A zone without daylight saving, odd ones among them; a tenth of the runs is gone."""
    rng = draw_world_rng("timezones", seed)
    habits, host = draw_project(rng, zone=rng.choice(FIXED_ZONES + ODD_ZONES))
    trainings = lose(rng, by_hand(rng, habits, (host,), size), 0.1)
    return assemble("timezones", seed, [Project(habits, tuple(trainings))])


def daylight_saving(seed: int, size: int) -> World:
    """A project that goes on through a change to or from summer time; a tenth of the runs is gone."""
    rng = draw_world_rng("daylight_saving", seed)
    zone = rng.choice(DST_ZONES)
    habits, host = draw_project(rng, zone=zone)
    change_s, _ = rng.choice(offset_changes(zone, rng.randint(2023, 2025)))
    habits = replace(habits, first_day_s=change_s - rng.uniform(1, 8) * DAY_S)
    trainings = lose(rng, by_hand(rng, habits, (host,), size), 0.1)
    return assemble("daylight_saving", seed, [Project(habits, tuple(trainings))])


def repeated_hour(seed: int, size: int) -> World:
    """A third of all trainings start in the hour that the end of summer time repeats, or in the one it repeats."""
    rng = draw_world_rng("repeated_hour", seed)
    zone = rng.choice(DST_ZONES)
    habits, host = draw_project(rng, zone=zone)
    change_s = next(at_s for at_s, by_s in offset_changes(zone, rng.randint(2023, 2025)) if by_s < 0)
    habits = replace(habits, first_day_s=change_s - rng.uniform(2, 6) * DAY_S)
    trainings = by_hand(rng, habits, (host,), max(3, 2 * size // 3))
    config = habits.schema.shaken(rng)
    while len(trainings) < size:
        config = habits.schema.wander(rng, config)
        start_s = change_s + rng.uniform(-_HOUR_S, 0)
        trainings.append(train(rng, habits, host, start_s=start_s, config=config))
        if rng.random() < 0.5:  # an hour later to the second, by the same cron line
            start_s += _HOUR_S + rng.uniform(-0.5, 0.5)
            trainings.append(train(rng, habits, host, start_s=start_s, config=habits.schema.wander(rng, config)))
    trainings = lose(rng, trainings, 0.1)
    return assemble("repeated_hour", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.5)


def rerun_hour(seed: int, size: int) -> World:
    """In the repeated hour trainings are run, and again an hour later to the second; runs and directories are gone."""
    rng = draw_world_rng("rerun_hour", seed)
    zone = rng.choice(DST_ZONES)
    habits, host = draw_project(rng, zone=zone)
    habits = replace(habits, is_deterministic=rng.random() < 0.5)
    change_s = next(at_s for at_s, by_s in offset_changes(zone, rng.randint(2023, 2025)) if by_s < 0)
    habits = replace(habits, first_day_s=change_s - rng.uniform(2, 6) * DAY_S)
    trainings = by_hand(rng, habits, (host,), max(3, 2 * size // 3))
    while len(trainings) < size:
        start_s = change_s + rng.uniform(-_HOUR_S, 0)
        first = train(rng, habits, host, start_s=start_s, config=habits.schema.shaken(rng))
        took_s = first.end_s - start_s + rng.uniform(-3, 3)
        start_s += _HOUR_S + rng.uniform(-0.5, 0.5)
        trainings += [first, train(rng, habits, host, start_s=start_s, config=first.config, duration_s=took_s)]
    trainings = lose(rng, trainings, rng.choice((0.1, 0.3)))
    cleaned = rng.choice((0.1, 0.3))
    trainings = [replace(each, has_directory=False) if rng.random() < cleaned else each for each in trainings]
    return assemble("rerun_hour", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.3)


def moved_to_utc(seed: int, size: int) -> World:
    """In mid-project the machine is set to UTC; stamps before and after are not of one zone."""
    rng = draw_world_rng("moved_to_utc", seed)
    habits, host = draw_project(rng, zone=rng.choice(FIXED_ZONES[1:] + DST_ZONES))
    middle_s = habits.first_day_s + DAY_S * size * rng.uniform(0.05, 0.15)
    host = replace(host, zones=(*host.zones, (middle_s, "UTC")))
    trainings = lose(rng, by_hand(rng, habits, (host,), size), 0.1)
    return assemble("moved_to_utc", seed, [Project(habits, tuple(trainings))], is_steady=False)


def _wrong_hosts(rng: Random, habits: Habits, *, drift_s_per_day: float) -> tuple[Host, ...]:
    """Return two or three machines, each with its own root, zone and wrong clock."""
    zones = rng.sample(FIXED_ZONES, 2)
    return tuple(
        Host(
            root=f"/data/host{number}/checkpoints/phase2",
            zones=((0.0, rng.choice(zones)),),
            skew_s=rng.uniform(-240, 240),
            drift_s_per_day=rng.uniform(-drift_s_per_day, drift_s_per_day),
            epoch_s=habits.first_day_s,
        )
        for number in range(rng.choice((2, 3)))
    )


def skewed_clocks(seed: int, size: int) -> World:
    """Machines with a root each, whose clocks are wrong by up to four minutes."""
    rng = draw_world_rng("skewed_clocks", seed)
    habits, _ = draw_project(rng)
    hosts = _wrong_hosts(rng, habits, drift_s_per_day=0.0)
    trainings = lose(rng, by_hand(rng, habits, hosts, size), 0.1)
    return assemble("skewed_clocks", seed, [Project(habits, tuple(trainings))])


def drifting_clocks(seed: int, size: int) -> World:
    """Machines with a root each, whose clocks are wrong, and gain or lose up to three seconds a day."""
    rng = draw_world_rng("drifting_clocks", seed)
    habits, _ = draw_project(rng)
    hosts = _wrong_hosts(rng, habits, drift_s_per_day=3.0)
    trainings = lose(rng, by_hand(rng, habits, hosts, size), 0.1)
    return assemble("drifting_clocks", seed, [Project(habits, tuple(trainings))], is_steady=False)


def nightly_jobs(seed: int, size: int) -> World:
    """Cron starts nearly everything at the same clock time, or every few hours; a fifth of the runs is gone."""
    rng = draw_world_rng("nightly_jobs", seed)
    habits, host = draw_project(rng, zone=rng.choice(FIXED_ZONES + ODD_ZONES[2:4]))
    every_s = rng.choice((DAY_S, DAY_S, 6 * _HOUR_S, _HOUR_S))
    trainings = nightly(rng, habits, host, nights=size, every_s=every_s)
    few = by_hand(rng, habits, (host,), rng.choice((0, 3, 8)))
    return assemble(
        "nightly_jobs",
        seed,
        [Project(habits, tuple(lose(rng, trainings + few, 0.2)))],
        is_copied=rng.random() < 0.3,
        alias_s=every_s if len(few) < 8 else None,
    )


def tiny(seed: int, size: int) -> World:
    """Five to ten directories (whatever the size asked for), from which the clock can hardly be worked out."""
    rng = draw_world_rng("tiny", seed)
    zone = rng.choice(FIXED_ZONES + DST_ZONES + ODD_ZONES)
    habits, host = draw_project(rng, zone=zone)
    count = min(rng.randint(6, 12), max(size, 1))
    trainings = lose(rng, by_hand(rng, habits, (host,), count), rng.choice((0.0, 0.0, 0.3)))
    return assemble("tiny", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.2)
