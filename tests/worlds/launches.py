"""How trainings come about: one after another by hand, as sweeps, every night."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from .trainings import DAY_S, Host, Outcome, Training, new_id, seeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from ckpt_migrate.evidence.records import Scalar

    from .trainings import Habits

_WORDS = ("amusing", "bold", "calm", "dapper", "eager", "fun", "gifted", "honest", "inquisitive", "judicious")
_ANIMALS = ("ant", "bear", "crab", "deer", "eel", "fox", "gnu", "hare", "ibis", "jay", "kit", "lamb", "mole")


def train(
    rng: Random,
    habits: Habits,
    host: Host,
    *,
    start_s: float,
    config: Mapping[str, Scalar],
    duration_s: float | None = None,
    outcome: Outcome = Outcome.FINISHED,
) -> Training:
    """Return one training of a config: its times with their jitter, its losses, its run's name."""
    if duration_s is None:
        duration_s = min(4 * DAY_S, max(150.0, math.exp(rng.gauss(math.log(3600), 1.2))))
    lag_s = rng.gauss(habits.lag_s, habits.jitter_s)
    if rng.random() < 0.02:  # a slow disk, a cold cache
        lag_s *= rng.uniform(2, 6)
    made_s = start_s + lag_s
    epochs = _epochs(config, duration_s) if outcome is Outcome.FINISHED else rng.randint(1, 8)
    training = Training(
        run_id=new_id(rng),
        uids=(new_id(rng),),
        host=host,
        start_s=start_s,
        made_s=(made_s,),
        end_s=start_s + duration_s,
        config=dict(config),
        losses=draw_losses(rng, habits, config, epochs),
        outcome=outcome,
        tags=_tags(rng),
    )
    return replace(training, run_name=_run_name(rng, habits, training))


def draw_losses(rng: Random, habits: Habits, config: Mapping[str, Scalar], epochs: int) -> tuple[float, ...]:
    """Return the loss of each epoch: near for equal configs, and equal where fixed seeds make it so."""
    if habits.is_deterministic:
        rng = seeded(repr(sorted(config.items())))
    effect = sum(_effect(key, value) for key, value in config.items())
    level = habits.loss_level * math.exp(effect + rng.gauss(0, habits.replicates))
    floor = level * rng.uniform(0.2, 0.22)
    rate = rng.uniform(0.25, 0.3)
    noise = habits.replicates * level
    return tuple(
        floor + (level - floor) * math.exp(-rate * epoch) + rng.gauss(0, noise * 0.3) for epoch in range(epochs)
    )


def _effect(key: str, value: Scalar) -> float:
    """Return by how much a setting moves the loss (log scale), the same in every world."""
    digits = sum(ord(character) * (place + 1) for place, character in enumerate(f"{key}={value}"))
    return (digits % 101 - 50) / 2500


def _epochs(config: Mapping[str, Scalar], duration_s: float) -> int:
    epochs = next((value for key, value in config.items() if key.endswith("epochs")), 5)
    asked = epochs if isinstance(epochs, int) else 5
    return max(1, min(asked, int(duration_s // 20)))


def _tags(rng: Random) -> dict[str, str]:
    return {
        "mlflow.user": rng.choice(("ana", "ana", "root")),
        "mlflow.source.name": "train_phase2.py",
        "mlflow.source.type": "LOCAL",
    }


def _run_name(rng: Random, habits: Habits, training: Training) -> str:
    if habits.run_names == "stamp":  # the clock is read again, a moment later
        return f"phase2_{training.host.stamp(training.made_s[0] + rng.uniform(0, 0.9))}"
    if habits.run_names == "plain":
        return "phase2"
    return f"{rng.choice(_WORDS)}-{rng.choice(_ANIMALS)}-{rng.randrange(1000)}"


def by_hand(rng: Random, habits: Habits, hosts: tuple[Host, ...], count: int) -> list[Training]:
    """Return trainings that people start one by one, over weeks; crashed ones are started again soon after."""
    trainings: list[Training] = []
    now_s = habits.first_day_s
    config = habits.schema.shaken(rng)
    while len(trainings) < count:
        start_s = now_s + rng.random()
        is_bad = rng.random() < 0.15
        gap_s = rng.uniform(20, 240) if is_bad else _gap_s(rng)
        host = rng.choice(hosts)
        if is_bad:
            duration_s = gap_s * rng.uniform(0.4, 0.9)
            outcome = rng.choice((Outcome.CRASHED, Outcome.KILLED))
            crashed = train(rng, habits, host, start_s=start_s, config=config, duration_s=duration_s, outcome=outcome)
            trainings.append(replace(crashed, has_directory=rng.random() < 0.3, losses=crashed.losses[:1]))
            if rng.random() < 0.4:
                config = habits.schema.wander(rng, config)
        else:
            outcome = Outcome.CRASHED if rng.random() < 0.08 else Outcome.FINISHED
            trained = train(rng, habits, host, start_s=start_s, config=config, outcome=outcome)
            trainings.append(replace(trained, has_directory=rng.random() < 0.85))
            config = habits.schema.wander(rng, config)
        now_s += gap_s
    return trainings


def _gap_s(rng: Random) -> float:
    """Return the time to the next start: minutes within a session, hours between, days over a week-end."""
    pause = rng.choices(("minutes", "hours", "days"), (50, 38, 12))[0]
    low, high = {"minutes": (90, 2400), "hours": (2400, 30000), "days": (30000, 200000)}[pause]
    return rng.uniform(low, high)


def sweep(
    rng: Random,
    habits: Habits,
    host: Host,
    *,
    start_s: float,
    base: Mapping[str, Scalar],
    key: str,
    values: tuple[Scalar, ...],
    within_s: float = 3.0,
) -> list[Training]:
    """Return trainings that one launcher starts within seconds, alike but for one key."""
    duration_s = math.exp(rng.gauss(math.log(3600), 0.8))
    return [
        train(
            rng,
            habits,
            host,
            start_s=start_s + rng.uniform(0, within_s),
            config=dict(base) | {key: value},
            duration_s=duration_s * rng.uniform(0.97, 1.03),
        )
        for value in values
    ]


def replicate(
    rng: Random, habits: Habits, host: Host, *, start_s: float, base: Mapping[str, Scalar], count: int
) -> list[Training]:
    """Return trainings of one and the same config, started together and ended together by one signal."""
    duration_s = math.exp(rng.gauss(math.log(7200), 0.5))
    return [
        train(
            rng,
            habits,
            host,
            start_s=start_s + rng.uniform(0, 1.0),
            config=base,
            duration_s=duration_s + rng.uniform(0, 1.0),
        )
        for _ in range(count)
    ]


def nightly(rng: Random, habits: Habits, host: Host, *, nights: int, every_s: float = DAY_S) -> list[Training]:
    """Return trainings that cron starts at the same second, night after night, mostly unchanged."""
    trainings = []
    config = habits.schema.shaken(rng)
    first_s = habits.first_day_s // 3600 * 3600 + 1.0
    for night in range(nights):
        if rng.random() < 0.1:
            config = habits.schema.wander(rng, config)
        duration_s = rng.uniform(0.2, 0.5) * min(every_s, 4 * 3600)
        start_s = first_s + night * every_s + rng.uniform(0, 2)
        trainings.append(train(rng, habits, host, start_s=start_s, config=config, duration_s=duration_s))
    return trainings


def loop(
    rng: Random,
    habits: Habits,
    host: Host,
    *,
    start_s: float,
    base: Mapping[str, Scalar],
    count: int,
    is_unchanged: bool = False,
) -> list[Training]:
    """Return trainings that a loop starts one after another, up to a minute each: one knob turned, or unchanged."""
    knob = rng.choice(habits.schema.knobs)
    trainings = []
    now_s = start_s
    length_s = rng.uniform(8, 60)
    for turn in range(count):
        value = knob.values[turn % len(knob.values)]
        duration_s = length_s * rng.uniform(0.8, 1.2)
        config = dict(base) if is_unchanged else dict(base) | {knob.key: value}
        trainings.append(train(rng, habits, host, start_s=now_s, config=config, duration_s=duration_s))
        now_s += duration_s + rng.uniform(1, 6)
    return trainings


def resume(rng: Random, training: Training) -> Training:
    """Return the training as one that crashed and was taken up again, once or twice, with the same run."""
    parts = rng.choice((2, 2, 3))
    if len(training.losses) < parts:
        return training
    end_s = training.end_s + parts * rng.uniform(300, 40_000)
    span_s = (end_s - training.start_s) / parts
    later = tuple(training.start_s + span_s * (part + rng.uniform(-0.2, 0.2)) for part in range(1, parts))
    return replace(
        training,
        uids=training.uids + tuple(new_id(rng) for _ in later),
        made_s=training.made_s + later,
        end_s=end_s,
    )


def parent_of(rng: Random, habits: Habits, children: Sequence[Training], base: Mapping[str, Scalar]) -> Training:
    """Return the run that holds others: no directory, often the base config, and the best child's losses."""
    first = children[0]
    parent = train(
        rng,
        habits,
        first.host,
        start_s=min(child.start_s for child in children) - rng.uniform(0.5, 8),
        config=base if rng.random() < 0.5 else {},
        duration_s=60,
    )
    best = min(children, key=lambda child: child.losses[-1])
    return replace(
        parent,
        end_s=max(child.end_s for child in children) + rng.uniform(0.2, 5),
        losses=best.losses,
        has_directory=False,
    )


def below(parent: Training, children: Sequence[Training]) -> list[Training]:
    """Return the children with the tag that names their parent."""
    return [replace(child, tags=dict(child.tags) | {"mlflow.parentRunId": parent.run_id}) for child in children]
