"""Near-identical runs: sweeps, twins, and what is left of them when runs are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from worlds.launches import by_hand, loop, replicate, sweep, train
from worlds.scenarios.plain import draw_project, draw_world_rng, lose
from worlds.trainings import Record
from worlds.world import Project, World, assemble

if TYPE_CHECKING:
    from random import Random

    from ckpt_migrate.evidence.records import Scalar
    from worlds.trainings import Habits, Host, Training

SWEEP = 16


def draw_sweep(
    rng: Random,
    habits: Habits,
    host: Host,
    *,
    start_s: float,
    key: str | None = None,
    count: int = SWEEP,
    within_s: float = 3.0,
) -> list[Training]:
    """Return a sweep launched within seconds over one knob (or the seed), each value once."""
    schema = habits.schema
    key = key or rng.choice([knob.key for knob in schema.knobs])
    known = next((knob.values for knob in schema.knobs if knob.key == key), ())
    values: tuple[Scalar, ...] = known if key != schema.seed_key else ()
    numbers = [value for value in known if isinstance(value, float) and value > 0]
    if numbers and len(numbers) == len(known):  # a grid on a scale that people use
        values = tuple(numbers[0] * (1 + step) / 4 for step in range(count))
    elif len(values) < count:
        key, values = schema.seed_key or f"{key}_scale", tuple(range(count))
    base = schema.wander(rng, schema.shaken(rng))
    return sweep(rng, habits, host, start_s=start_s, base=base, key=key, values=values[:count], within_s=within_s)


def _sweeps(rng: Random, habits: Habits, host: Host, size: int) -> list[Training]:
    """Return sweeps over weeks, with trainings by hand between them."""
    trainings = by_hand(rng, habits, (host,), max(2, size // 4))
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(3_600, 200_000)
        trainings += draw_sweep(rng, habits, host, start_s=start_s)
    return trainings


def sweeps(seed: int, size: int) -> World:
    """Sweeps of 16 launched in three seconds, runs that differ in one param that the config has."""
    rng = draw_world_rng("sweeps", seed)
    habits, host = draw_project(rng, seed_key=True)
    return assemble("sweeps", seed, [Project(habits, tuple(_sweeps(rng, habits, host, size)))])


def blind_sweeps(seed: int, size: int) -> World:
    """Sweeps over the seed, which config.json lacks, whose files tell no loss: nobody can tell the runs apart."""
    rng = draw_world_rng("blind_sweeps", seed)
    habits, host = draw_project(rng, seed_key=True)
    key = habits.schema.seed_key or ""
    habits = replace(habits, unwritten=(key,), names_loss=False)
    trainings = by_hand(rng, habits, (host,), max(2, size // 4))
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(3_600, 200_000)
        trainings += draw_sweep(rng, habits, host, start_s=start_s, key=key)
    return assemble("blind_sweeps", seed, [Project(habits, tuple(trainings))], is_copied=True)


def ghosts(seed: int, size: int) -> World:
    """Orphans beside surviving siblings: of each sweep some runs are gone, and of others the directory."""
    rng = draw_world_rng("ghosts", seed)
    habits, host = draw_project(rng, seed_key=True)
    is_blind = rng.random() < 0.4
    if is_blind and habits.schema.seed_key is not None:
        habits = replace(habits, unwritten=(habits.schema.seed_key,), names_loss=rng.random() < 0.5)
    trainings = _sweeps(rng, habits, host, size)
    trainings = lose(rng, trainings, rng.choice((0.1, 0.3, 0.6)))
    kept = rng.choice((1.0, 0.7))
    trainings = [each if rng.random() < kept else replace(each, has_directory=False) for each in trainings]
    return assemble("ghosts", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.3)


def late_logging(seed: int, size: int) -> World:
    """A project that logged nothing at first, then all, but for some runs; each job may open an empty run beside."""
    rng = draw_world_rng("late_logging", seed)
    habits, host = draw_project(rng, seed_key=True)
    trainings = sorted(_sweeps(rng, habits, host, size), key=lambda each: each.start_s)
    since_s = trainings[int(len(trainings) * rng.uniform(0.3, 0.7))].start_s
    trainings = [replace(each, record=Record.GONE) if each.start_s < since_s else each for each in trainings]
    trainings = lose(rng, trainings, rng.choice((0.0, 0.05, 0.2)))
    kept = rng.choice((1.0, 0.9))
    trainings = [each if rng.random() < kept else replace(each, has_directory=False) for each in trainings]
    if rng.random() < 0.5:
        logged = [each for each in trainings if each.record is Record.LOGGED]
        trainings += [replace(_opened_before(rng, habits, each), has_directory=False) for each in logged]
    return assemble("late_logging", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.7)


def _opened_before(rng: Random, habits: Habits, training: Training) -> Training:
    """Return the run that the same job opened a moment before, and closed without logging a param."""
    return train(rng, habits, training.host, start_s=training.start_s - 0.02, config={}, duration_s=0.01)


def _twins(rng: Random, habits: Habits, host: Host, size: int) -> list[Training]:
    """Return pairs and triples of one config, started and ended together."""
    trainings = by_hand(rng, habits, (host,), max(2, size // 2))
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(3_600, 150_000)
        base = habits.schema.wander(rng, habits.schema.shaken(rng))
        twins = replicate(rng, habits, host, start_s=start_s, base=base, count=rng.choice((2, 2, 3)))
        trainings += twins
    return trainings


def loss_twins(seed: int, size: int) -> World:
    """Twins of one config, started and ended together, told apart only by the loss in a file name."""
    rng = draw_world_rng("loss_twins", seed)
    habits, host = draw_project(rng)
    habits = replace(habits, names_loss=True, is_deterministic=False)
    trainings = _twins(rng, habits, host, size)
    return assemble("loss_twins", seed, [Project(habits, tuple(lose(rng, trainings, 0.1)))])


def hopeless_twins(seed: int, size: int) -> World:
    """Twins that nobody can tell apart: fixed seeds made their losses equal, one signal ended them all."""
    rng = draw_world_rng("hopeless_twins", seed)
    habits, host = draw_project(rng)
    trainings = _twins(rng, replace(habits, is_deterministic=True), host, size)
    return assemble("hopeless_twins", seed, [Project(habits, tuple(lose(rng, trainings, 0.2)))])


def ghost_twins(seed: int, size: int) -> World:
    """Twins that nobody can tell apart, of which runs are gone and directories: the rest looks like a plain pair."""
    rng = draw_world_rng("ghost_twins", seed)
    habits, host = draw_project(rng)
    habits = replace(habits, is_deterministic=True)
    trainings = lose(rng, _twins(rng, habits, host, size), rng.choice((0.05, 0.15, 0.3)))
    cleaned = rng.choice((0.05, 0.15, 0.3))
    trainings = [replace(each, has_directory=False) if rng.random() < cleaned else each for each in trainings]
    return assemble("ghost_twins", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.2)


def text_sweeps(seed: int, size: int) -> World:
    """A loop starts the same training a second apart over one text param; a few runs are purged, near misses left."""
    rng = draw_world_rng("text_sweeps", seed)
    habits, host = draw_project(rng, seed_key=False)
    names = ("sma_cross", "rsi_bands", "macd", "stochastic", "momentum")
    trainings: list[Training] = []
    start_s = habits.first_day_s
    while len(trainings) < size // 2:
        start_s += rng.uniform(600, 90_000)
        base = habits.schema.defaults
        length_s = rng.uniform(4, 20)
        for turn, name in enumerate(rng.sample(names, 4)):
            at_s = start_s + turn + rng.uniform(0, 0.3)
            config = base | {"strategy": name}
            trainings.append(train(rng, habits, host, start_s=at_s, config=config, duration_s=length_s))
    return assemble("text_sweeps", seed, [Project(habits, tuple(lose(rng, trainings, rng.choice((0.05, 0.1, 0.2)))))])


def reruns(seed: int, size: int) -> World:
    """One config is run again and again, with fixed seeds and the same losses; a quarter of the runs is gone."""
    rng = draw_world_rng("reruns", seed)
    habits, host = draw_project(rng)
    habits = replace(habits, is_deterministic=True)
    trainings = by_hand(rng, habits, (host,), max(2, size // 3))
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(3_600, 150_000)
        base = habits.schema.wander(rng, habits.schema.shaken(rng))
        count = rng.randint(3, 10)
        trainings += loop(rng, habits, host, start_s=start_s, base=base, count=count, is_unchanged=True)
    return assemble("reruns", seed, [Project(habits, tuple(lose(rng, trainings, 0.25)))])


def kept_best(seed: int, size: int) -> World:
    """Of every sweep only the best run was kept in the store, or a few; the rest was purged for good."""
    rng = draw_world_rng("kept_best", seed)
    habits, host = draw_project(rng, seed_key=True)
    if rng.random() < 0.5 and habits.schema.seed_key is not None:
        habits = replace(habits, unwritten=(habits.schema.seed_key,), names_loss=rng.random() < 0.5)
    trainings = by_hand(rng, habits, (host,), max(2, size // 3))
    start_s = habits.first_day_s
    kept, cleaned = rng.choice((1, 1, 2)), rng.choice((0.0, 0.3, 0.7))
    within_s = rng.choice((3.0, 30.0, 200.0))
    while len(trainings) < size:
        start_s += rng.uniform(3_600, 200_000)
        key = habits.schema.seed_key if rng.random() < 0.6 else None
        count = rng.choice((2, 3, 4, 6))
        group = draw_sweep(rng, habits, host, start_s=start_s, count=count, within_s=within_s, key=key)
        group.sort(key=lambda each: each.losses[-1])
        group = [*group[:kept], *(replace(each, record=Record.GONE) for each in group[kept:])]
        trainings += [replace(each, has_directory=rng.random() >= cleaned) for each in group]
    return assemble("kept_best", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.2)
