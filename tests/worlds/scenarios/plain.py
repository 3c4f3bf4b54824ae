"""Projects without a particular difficulty, and such as lack runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from worlds.configs import draw_schema
from worlds.launches import by_hand
from worlds.references import KINDS, refer
from worlds.trainings import Host, Record, draw_habits, seeded
from worlds.world import Project, World, assemble

if TYPE_CHECKING:
    from random import Random

    from worlds.trainings import Habits, Training

ROOT = "/data/checkpoints/phase2"
FIXED_ZONES = ("UTC", "Asia/Tokyo", "Asia/Kolkata", "Asia/Shanghai", "America/Phoenix", "Asia/Dubai", "Africa/Lagos")
DST_ZONES = ("Europe/Berlin", "America/New_York", "America/Los_Angeles", "Europe/London", "Australia/Sydney")


def draw_world_rng(name: str, seed: int) -> Random:
    """Return the source of all choices of one world."""
    return seeded(f"{name}:{seed}")


def draw_project(rng: Random, *, zone: str | None = None, seed_key: bool | None = None) -> tuple[Habits, Host]:
    """Return the habits of a project and the machine it trains on, in a zone of its own unless one is given."""
    habits = draw_habits(rng, draw_schema(rng, seed_key=seed_key))
    zone = zone or rng.choice(FIXED_ZONES + DST_ZONES)
    return habits, Host(ROOT, ((0.0, zone),), skew_s=rng.uniform(-0.2, 0.2))


def lose(rng: Random, trainings: list[Training], share: float) -> list[Training]:
    """Return the trainings, a share of them without their run in the store."""
    return [replace(each, record=Record.GONE) if rng.random() < share else each for each in trainings]


def clean(seed: int, size: int) -> World:
    """Every directory has its run; no references; params, times and losses as they are."""
    rng = draw_world_rng("clean", seed)
    habits, host = draw_project(rng)
    return assemble("clean", seed, [Project(habits, tuple(by_hand(rng, habits, (host,), size)))])


def references(seed: int, size: int) -> World:
    """Two thirds of the runs and directories name each other, in one of the ways that scripts do."""
    rng = draw_world_rng("references", seed)
    habits, host = draw_project(rng)
    kinds = rng.sample(KINDS, 2)
    trainings = [
        refer(each, rng.choice(kinds)) if rng.random() < 0.66 else each
        for each in lose(rng, by_hand(rng, habits, (host,), size), 0.1)
    ]
    return assemble("references", seed, [Project(habits, tuple(trainings))])


def orphans(seed: int, size: int) -> World:
    """Up to three quarters of the directories have no run: never logged, deleted for good, or in another store."""
    rng = draw_world_rng("orphans", seed)
    habits, host = draw_project(rng)
    trainings = lose(rng, by_hand(rng, habits, (host,), size), rng.choice((0.2, 0.5, 0.75)))
    return assemble("orphans", seed, [Project(habits, tuple(trainings))])
