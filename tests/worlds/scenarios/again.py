"""The same training once more: in the directory of the first, a day later, on a second machine, by a colleague."""

from __future__ import annotations

from dataclasses import replace

from worlds.launches import by_hand, train
from worlds.references import refer_some
from worlds.scenarios.plain import draw_project, draw_world_rng, lose
from worlds.traces import LAST
from worlds.trainings import DAY_S, Outcome, Record
from worlds.world import Project, World, assemble


def reused(seed: int, size: int) -> World:
    """Scripts wrote into the directory of an earlier training, hours later, mostly with the same config."""
    rng = draw_world_rng("reused", seed)
    habits, host = draw_project(rng)
    is_copied = rng.random() < 0.3
    habits = replace(habits, is_deterministic=not is_copied and rng.random() < 0.3, has_torch=rng.random() < 0.5)
    if is_copied:  # else nothing is left to tell one from the other
        habits = replace(habits, names_loss=True)
    trainings = lose(rng, by_hand(rng, habits, (host,), size), 0.05)
    trainings = refer_some(rng, trainings, rng.choice((0.0, 0.6)))
    out = []
    for each in trainings:
        out.append(each)
        if rng.random() < 0.2 and each.has_directory:
            start_s = each.end_s + rng.choice((rng.uniform(5, 120), rng.uniform(600, 7200), DAY_S + rng.gauss(0, 60)))
            same = dict(each.config) if rng.random() < 0.7 else habits.schema.wander(rng, each.config)
            again = train(rng, habits, host, start_s=start_s, config=same)
            record = Record.GONE if rng.random() < 0.7 else Record.LOGGED
            again = replace(again, uids=each.uids, made_s=each.made_s, record=record, is_contested=True)
            if rng.random() < 0.4:
                again = replace(again, extra_config={"resume_from": f"{each.directory_path()}/{LAST}"})
            out[-1] = replace(each, has_directory=False)
            out.append(again)
    return assemble("reused", seed, [Project(habits, tuple(out))], is_copied=is_copied)


def resumed_in_place(seed: int, size: int) -> World:
    """Crashed trainings were taken up again as runs of their own, in the same directories: the weights are theirs."""
    rng = draw_world_rng("resumed_in_place", seed)
    habits, host = draw_project(rng)
    habits = replace(habits, has_torch=rng.random() < 0.5)
    out = []
    for each in refer_some(rng, by_hand(rng, habits, (host,), size), rng.choice((0.0, 0.6))):
        if rng.random() < 0.25 and each.has_directory:
            crashed = replace(
                each, outcome=Outcome.CRASHED, has_directory=False, losses=each.losses[:1], is_contested=True
            )
            start_s = each.end_s + rng.choice((rng.uniform(20, 300), rng.uniform(600, 40_000)))
            again = train(rng, habits, host, start_s=start_s, config=each.config)
            again = replace(again, uids=each.uids, made_s=each.made_s, is_contested=True)
            if rng.random() < 0.5:
                again = replace(again, extra_config={"resume_from": f"{each.directory_path()}/{LAST}"})
            if rng.random() < 0.3:
                again = replace(again, record=Record.GONE)
            out += [crashed, again]
        else:
            out.append(each)
    return assemble("resumed_in_place", seed, [Project(habits, tuple(out))])


def next_day(seed: int, size: int) -> World:
    """A config was run again the next day, with fixed seeds; first runs were deleted, and second directories."""
    rng = draw_world_rng("next_day", seed)
    habits, host = draw_project(rng)
    habits = replace(habits, is_deterministic=rng.random() < 0.7, run_names=rng.choice(("words", "plain")))
    trainings = []
    every_s = rng.choice((DAY_S, DAY_S, 3600.0, 7 * DAY_S))
    for each in by_hand(rng, habits, (host,), size):
        trainings.append(each)
        if rng.random() < 0.5:
            start_s = each.start_s + every_s + rng.choice((rng.gauss(0, 0.4), rng.gauss(0, 600)))
            again = train(rng, habits, host, start_s=start_s, config=each.config, duration_s=each.end_s - each.start_s)
            again = replace(again, has_directory=rng.random() < 0.3)
            fate = Record.GONE if rng.random() < 0.7 else Record.LOGGED
            trainings[-1] = replace(each, record=fate)
            trainings.append(again)
    return assemble("next_day", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.4)


def two_machines(seed: int, size: int) -> World:
    """The same trainings ran on two machines in two zones; their trees were joined, and of one store runs are lost."""
    rng = draw_world_rng("two_machines", seed)
    habits, host = draw_project(rng)
    habits = replace(habits, is_deterministic=rng.random() < 0.5)
    _, second = draw_project(rng)
    lost = rng.choice((0.1, 0.5, 1.0))
    trainings = []
    for each in by_hand(rng, habits, (host,), size // 2):
        start_s = each.start_s + rng.choice((rng.uniform(-3, 3), rng.uniform(60, 7200)))
        slower_s = (each.end_s - each.start_s) * rng.uniform(0.8, 1.3)
        other = train(rng, habits, second, start_s=start_s, config=each.config, duration_s=slower_s)
        trainings += [each, replace(other, record=Record.GONE if rng.random() < lost else Record.LOGGED)]
    trainings = lose(rng, trainings, rng.choice((0.0, 0.1)))
    return assemble("two_machines", seed, [Project(habits, tuple(trainings))], is_steady=False)


def teammates(seed: int, size: int) -> World:
    """A colleague logs the same configs to the same experiment, often at once; her directories are elsewhere."""
    rng = draw_world_rng("teammates", seed)
    habits, host = draw_project(rng)
    habits = replace(habits, is_deterministic=rng.random() < 0.5)
    hers = replace(host, root="/home/bea/checkpoints/phase2")
    lost = rng.choice((0.05, 0.2, 0.4))
    trainings = []
    for each in by_hand(rng, habits, (host,), size):
        mine = replace(each, tags=dict(each.tags) | {"mlflow.user": "ana"})
        if rng.random() < 0.5:
            start_s = each.start_s + rng.choice((rng.uniform(-3, 3), rng.uniform(-60, 60), rng.uniform(-4e4, 4e4)))
            duration_s = (each.end_s - each.start_s) * rng.choice((1.0, rng.uniform(0.8, 1.2)))
            her = train(rng, habits, hers, start_s=start_s, config=each.config, duration_s=duration_s)
            trainings.append(replace(her, tags=dict(her.tags) | {"mlflow.user": "bea"}, has_directory=False))
            if rng.random() < lost:
                mine = replace(mine, record=Record.GONE)
        trainings.append(mine)
    return assemble("teammates", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.2)
