"""All difficulties in one project."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from worlds.launches import below, by_hand, loop, parent_of, replicate, resume
from worlds.references import KINDS, refer
from worlds.scenarios.directories import draw_junk, mislead
from worlds.scenarios.plain import draw_project, draw_world_rng, lose
from worlds.scenarios.stores import draw_format, draw_other_projects
from worlds.scenarios.sweeps import draw_sweep
from worlds.trainings import ConfigPlace, Outcome, Record
from worlds.world import Project, World, assemble

if TYPE_CHECKING:
    from random import Random

    from worlds.trainings import Habits, Host, Training


def everything(seed: int, size: int) -> World:
    """Sweeps, twins, loops, parents, resumed and crashed runs, orphans, lies, other projects, formats: all at once."""
    rng = draw_world_rng("everything", seed)
    habits, host = draw_project(rng, seed_key=True)
    habits = replace(habits, format=draw_format(rng))
    second = replace(host, root="/data/gpu2/checkpoints/phase2", skew_s=rng.uniform(-5, 5))
    trainings = _launch(rng, habits, (host, second), size)
    trainings.sort(key=lambda training: training.start_s)
    trainings = [_befall(rng, each) for each in mislead(rng, lose(rng, trainings, 0.2))]
    projects = [Project(habits, tuple(trainings)), *draw_other_projects(rng, habits, host, trainings)]
    return assemble("everything", seed, projects, is_copied=rng.random() < 0.3, junk=draw_junk(rng))


def _launch(rng: Random, habits: Habits, hosts: tuple[Host, ...], size: int) -> list[Training]:
    """Return half the trainings by hand, the rest as sweeps, loops and twins."""
    trainings = by_hand(rng, habits, hosts, max(2, size // 2))
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(3_600, 200_000)
        host, base = rng.choice(hosts), habits.schema.shaken(rng)
        kind = rng.choice(("sweep", "loop", "twins"))
        if kind == "twins":
            trainings += replicate(rng, habits, host, start_s=start_s, base=base, count=2)
            continue
        if kind == "sweep":
            group = draw_sweep(rng, habits, host, start_s=start_s, count=8)
        else:
            group = loop(rng, habits, host, start_s=start_s, base=base, count=8)
        if rng.random() < 0.5:
            parent = parent_of(rng, habits, group, base)
            group = [parent, *below(parent, group)]
        trainings += group
    return trainings


def _befall(rng: Random, training: Training) -> Training:
    """Return the training after what may happen to it, or to its run."""
    fate = rng.random()
    if fate < 0.25 and not training.is_contested:
        return refer(training, rng.choice(KINDS))
    if fate < 0.33:
        return resume(rng, training)
    if fate < 0.43:
        place = rng.choice((ConfigPlace.CHECKPOINT, ConfigPlace.NOWHERE))
        return replace(training, outcome=Outcome.CRASHED, config_place=place)
    if fate < 0.47 and training.record is Record.LOGGED:
        return replace(training, record=Record.DELETED)
    return training
