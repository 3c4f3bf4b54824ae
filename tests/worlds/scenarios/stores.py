"""What else is in the store, and how it says things: formats, other projects, parents, deleted and running runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from worlds.configs import Knob
from worlds.formats import ParamFormat
from worlds.launches import below, by_hand, loop, parent_of, train
from worlds.scenarios.plain import draw_project, draw_world_rng, lose
from worlds.scenarios.sweeps import draw_sweep
from worlds.trainings import DAY_S, Outcome, Record, new_id
from worlds.world import Project, World, assemble

if TYPE_CHECKING:
    from random import Random

    from worlds.trainings import Habits, Host, Training

_LONG = "Say what is in the picture. " * 12
_PROMPTS = Knob("data/template", (_LONG, f"{_LONG}Be brief.", f"{_LONG}Be exact.", f"Please. {_LONG}"))


def draw_format(rng: Random) -> ParamFormat:
    """Return one of the ways in which projects log params and write configs."""
    return ParamFormat(
        separator=rng.choice(("/", ".")),
        prefix=rng.choice(("", "", "", "config/", "hparams.")),
        limit=rng.choice((250, 500, 6000)),
        drops_long=rng.random() < 0.2,
        style=rng.choice(("str", "str", "json", "repr")),
        floats=rng.choice(("str", "scientific", "float32")),
        config_numbers=rng.choice(("plain", "plain", "text")),
        config_wrap=rng.choice(("", "", "", "config")),
    )


def formatting(seed: int, size: int) -> World:
    """Values and keys are written differently on the two sides; long ones are cut, some differ only past the cut."""
    rng = draw_world_rng("formatting", seed)
    habits, host = draw_project(rng)
    schema = replace(habits.schema, knobs=(*habits.schema.knobs, _PROMPTS))
    constants = sorted(schema.constants)
    unresolved = tuple(rng.sample(constants, 3)) if rng.random() < 0.3 else ()
    habits = replace(habits, schema=schema, format=draw_format(rng), unresolved=unresolved)
    trainings = lose(rng, by_hand(rng, habits, (host,), size // 2), 0.1)
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(3_600, 100_000)
        trainings += draw_sweep(rng, habits, host, start_s=start_s)
    return assemble("formatting", seed, [Project(habits, tuple(trainings))])


def draw_other_projects(rng: Random, habits: Habits, host: Host, trainings: list[Training]) -> list[Project]:
    """Return what else logs to the store: Phase 1 of the same code, which runs before Phase 2, and strangers."""
    elsewhere = replace(host, root="/data/checkpoints/alignment")
    first_phase = []
    for training in trainings:
        if rng.random() < 0.4:  # a pipeline runs one after the other, or a second machine both at once
            config = training.config | {"phase": 1}
            duration_s = rng.uniform(60, 7200)
            lead_s = duration_s + rng.uniform(1, 5) if rng.random() < 0.7 else rng.uniform(-3, 3)
            first_phase.append(
                train(
                    rng,
                    habits,
                    elsewhere,
                    start_s=training.start_s - lead_s,
                    config=config,
                    duration_s=duration_s,
                )
            )
    projects = [Project(habits, tuple(first_phase), "alignment", "2", is_migrated=False)]
    for number in range(rng.choice((1, 2))):
        theirs, machine = draw_project(rng)
        theirs = replace(theirs, first_day_s=habits.first_day_s)
        strangers = by_hand(rng, theirs, (replace(machine, root="/home/x/runs"),), len(trainings))
        projects.append(Project(theirs, tuple(strangers), f"stranger-{number}", f"{3 + number}", is_migrated=False))
    return projects


def multi_experiment(seed: int, size: int) -> World:
    """The store holds Phase 1 and other people's projects too, and the experiment may have been renamed."""
    rng = draw_world_rng("multi_experiment", seed)
    habits, host = draw_project(rng)
    trainings = lose(rng, by_hand(rng, habits, (host,), size), 0.25)
    mine = Project(habits, tuple(trainings))
    if rng.random() < 0.25:
        mine = replace(mine, experiment="phase2-old")
    return assemble("multi_experiment", seed, [mine, *draw_other_projects(rng, habits, host, trainings)])


def nested(seed: int, size: int) -> World:
    """Sweeps below a parent run that starts just before, logs the base config and the best child's losses."""
    rng = draw_world_rng("nested", seed)
    habits, host = draw_project(rng, seed_key=True)
    trainings = by_hand(rng, habits, (host,), max(2, size // 4))
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(20_000, 200_000)
        base = habits.schema.shaken(rng)
        if rng.random() < 0.5:
            children = draw_sweep(rng, habits, host, start_s=start_s)
        else:
            children = loop(rng, habits, host, start_s=start_s, base=base, count=10)
        parent = parent_of(rng, habits, children, base)
        trainings += [parent, *below(parent, lose(rng, children, 0.1))]
    return assemble("nested", seed, [Project(habits, tuple(trainings))])


def loops(seed: int, size: int) -> World:
    """Shell loops of short runs, one after another: the next run starts before a slow start's lag is over."""
    rng = draw_world_rng("loops", seed)
    habits, host = draw_project(rng)
    trainings = by_hand(rng, habits, (host,), max(2, size // 4))
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(5_000, 100_000)
        base = habits.schema.shaken(rng)
        trainings += loop(rng, habits, host, start_s=start_s, base=base, count=rng.randint(4, 20))
    trainings = lose(rng, trainings, rng.choice((0.0, 0.2)))
    return assemble("loops", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.3)


def deleted(seed: int, size: int) -> World:
    """A fifth of the runs is deleted in the store, and the last few still run."""
    rng = draw_world_rng("deleted", seed)
    habits, host = draw_project(rng)
    trainings = [
        replace(each, record=Record.DELETED) if rng.random() < 0.2 else each
        for each in lose(rng, by_hand(rng, habits, (host,), size), 0.1)
    ]
    last = rng.randint(1, 4)
    trainings[-last:] = [replace(each, outcome=Outcome.RUNNING) for each in trainings[-last:]]
    return assemble("deleted", seed, [Project(habits, tuple(trainings))])


def already_current(seed: int, size: int) -> World:
    """Half way the script was mended: newer directories bear the run id, or a made-up one where MLflow was down."""
    rng = draw_world_rng("already_current", seed)
    habits, host = draw_project(rng)
    trainings = by_hand(rng, habits, (host,), size)
    half = len(trainings) // 2
    newer = []
    for training in trainings[half:]:
        current = replace(training, is_current=True)
        shown = f"checkpoints/phase2/{current.directory_name()}"
        tags = {"phase": "2", "checkpoint_dir": shown, "timestamp": shown[-15:]}
        pointer = None if rng.random() < 0.2 else training.run_id
        current = replace(current, pointer=pointer, tags=dict(training.tags) | tags, referred=(0,))
        if rng.random() < 0.15:  # the id that names the directory was never a run's
            current = replace(current, record=Record.GONE, run_id=new_id(rng))
            current = replace(current, pointer=current.run_id)
        newer.append(current)
    return assemble("already_current", seed, [Project(habits, (*trainings[:half], *newer))])


def best_tags(seed: int, size: int) -> World:
    """Searches over params: the run that holds them names its best child's directory; that child may be unlogged."""
    rng = draw_world_rng("best_tags", seed)
    habits, host = draw_project(rng, seed_key=True)
    trainings = by_hand(rng, habits, (host,), max(2, size // 3))
    start_s = habits.first_day_s
    key = rng.choice(
        ("best_checkpoint", "best_checkpoint_path", "selected_checkpoint", "checkpoint_dir", "best_model_checkpoint")
    )
    nests = rng.random() < 0.6
    while len(trainings) < size:
        start_s += rng.uniform(20_000, 200_000)
        base = habits.schema.shaken(rng)
        count = rng.choice((1, 2, 4, 6))
        if rng.random() < 0.5:
            children = draw_sweep(rng, habits, host, start_s=start_s, count=count)
        else:
            children = loop(rng, habits, host, start_s=start_s, base=base, count=count)
        parent = parent_of(rng, habits, children, base)
        best = min(range(count), key=lambda i: children[i].losses[-1])
        shown = f"checkpoints/phase2/{children[best].directory_name()}"
        if rng.random() < 0.5:
            parent = replace(parent, config=children[best].config)
        if rng.random() < 0.6:
            children[best] = replace(children[best], record=Record.GONE)
        children = lose(rng, children, 0.1)
        is_seen = nests and any(each.record is Record.LOGGED for each in children)
        said = key if is_seen else "best_checkpoint"  # else nothing would tell it from a run of its own
        parent = replace(parent, tags=dict(parent.tags) | {said: shown}, is_contested=True)
        trainings += [parent, *(below(parent, children) if nests else children)]
    return assemble("best_tags", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.2)


def imported(seed: int, size: int) -> World:
    """The store was filled anew from an export: what it has for the times of runs is when they were imported."""
    rng = draw_world_rng("imported", seed)
    habits, host = draw_project(rng, seed_key=True)
    habits = replace(habits, run_names=rng.choice(("words", "plain")))
    trainings = by_hand(rng, habits, (host,), max(2, size // 2))
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(3_600, 200_000)
        trainings += draw_sweep(rng, habits, host, start_s=start_s, count=6)
    trainings.sort(key=lambda each: each.start_s)
    trainings = lose(rng, trainings, rng.choice((0.0, 0.2, 0.5)))
    now_s = trainings[-1].end_s + 5 * DAY_S
    out = []
    for each in trainings:
        now_s += rng.uniform(0.3, 3)
        out.append(replace(each, recorded_s=(now_s, now_s + rng.uniform(0.1, 0.4))))
    return assemble("imported", seed, [Project(habits, tuple(out))], is_copied=rng.random() < 0.3)
