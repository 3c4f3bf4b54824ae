"""Local time in its ways: zones, daylight saving, moved and drifting clocks."""

from __future__ import annotations

from worlds.launches import by_hand
from worlds.scenarios.plain import FIXED_ZONES, draw_project, draw_world_rng, lose
from worlds.world import Project, World, assemble

ODD_ZONES = ("Asia/Kathmandu", "Australia/Eucla", "Pacific/Kiritimati", "Pacific/Honolulu", "Asia/Yangon")


def timezones(seed: int, size: int) -> World:
    """A zone without daylight saving, odd ones among them; a tenth of the runs is gone."""
    rng = draw_world_rng("timezones", seed)
    habits, host = draw_project(rng, zone=rng.choice(FIXED_ZONES + ODD_ZONES))
    trainings = lose(rng, by_hand(rng, habits, (host,), size), 0.1)
    return assemble("timezones", seed, [Project(habits, tuple(trainings))])
