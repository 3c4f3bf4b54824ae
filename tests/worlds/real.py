"""Half-real worlds: legacy directories grown on the runs of real stores, some of which are then taken away.

What is real: when runs started and ended, what they logged, how alike they are. What is drawn: the lag of stamps, the
zone, which runs left a directory, which are gone, and what config.json and file names have of params and metrics.
"""

from __future__ import annotations

import ast
import math
import os
import tarfile
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.errors import CkptMigrateError
from ckpt_migrate.tracking import open_stores
from worlds.configs import Schema
from worlds.formats import ParamFormat
from worlds.scenarios.clocks import ODD_ZONES
from worlds.scenarios.plain import DST_ZONES, FIXED_ZONES, ROOT, draw_world_rng, lose
from worlds.store import RecordedRun
from worlds.trainings import Host, Outcome, Training, draw_habits, new_id
from worlds.world import Project, Story, tell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from ckpt_migrate.evidence.records import Scalar
    from ckpt_migrate.tracking.records import Run, RunStore
    from worlds.configs import Config
    from worlds.trainings import Habits
    from worlds.world import World

FEWEST_RUNS = 10
"""Stores with fewer usable runs are left out."""
STEADY_SHARE = 0.8
"""A param that has one value in this share of the runs is not one that the project varies."""
_OUTCOMES = {outcome.value: outcome for outcome in (Outcome.FINISHED, Outcome.CRASHED, Outcome.KILLED)}
_LONGEST_HISTORY = 200


def unpack(archive: str, folder: str) -> None:
    """Unpack an archive of stores."""
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")


def find_stores(folder: str) -> Mapping[str, str]:
    """Return name and URI of every store below a folder that has enough usable runs, sorted by name."""
    found = {}
    for here, below, files in os.walk(folder):
        places = [os.path.join(here, name) for name in files if name.endswith(".db")]
        if any(os.path.isfile(os.path.join(here, name, "meta.yaml")) for name in below):
            places.append(here)
            below.clear()
        for place in places:
            if _count_usable(place) >= FEWEST_RUNS:
                name = os.path.relpath(place, folder).replace("/data/", "/").removeprefix("for_devs/")
                found[name] = place
    return dict(sorted(found.items()))


def grow(name: str, uri: str, seed: int) -> World:
    """Return a world grown on a store's runs.

    Args:
        name: What the world is called.
        uri: The store.
        seed: What is drawn is drawn from this.
    """
    rng = draw_world_rng(name, seed)
    recorded = _read(uri)
    usable = [each for each in recorded if _is_usable(each.run)]
    habits = _draw_habits(rng, usable)
    host = Host(ROOT, ((0.0, rng.choice(FIXED_ZONES + DST_ZONES + ODD_ZONES)),))
    trainings = [_train(rng, habits, host, each) for each in usable]
    trainings = lose(rng, trainings, rng.choice((0.2, 0.5)))
    trainings = [each if rng.random() < 0.8 else replace(each, has_directory=False) for each in trainings]
    story = Story(name, seed, (Project(habits, tuple(trainings)),), is_copied=rng.random() < 0.3)
    return tell(story, recorded=recorded)


def _count_usable(uri: str) -> int:
    """Return how many runs of a store can be grown on; none when it cannot be read."""
    try:
        store = open_stores([uri])
    except CkptMigrateError:
        return 0
    try:
        return sum(map(_is_usable, store.runs()))
    finally:
        store.close()


def _read(uri: str) -> list[RecordedRun]:
    store = open_stores([uri])
    try:
        return _recorded(store)
    finally:
        store.close()


def _recorded(store: RunStore) -> list[RecordedRun]:
    runs = store.runs()
    details = store.details([run.run_id for run in runs])
    return [
        RecordedRun(
            run,
            details[run.run_id],
            {key: tuple(points) for key, points in store.metric_histories(run.run_id).items()},
            tuple(replace(file, local_path=None) for file in store.artifact_files(run.run_id)),
        )
        for run in runs
    ]


def _is_usable(run: Run) -> bool:
    """Say whether a run can have written a checkpoint directory: it ended, has its times, and was not deleted."""
    return (
        run.status in _OUTCOMES
        and not run.is_deleted
        and run.start_utc_ms is not None
        and run.end_utc_ms is not None
        and run.end_utc_ms >= run.start_utc_ms
    )


def _draw_habits(rng: Random, usable: list[RecordedRun]) -> Habits:
    """Return how the project writes its directories: the drawn share of its habits."""
    habits = draw_habits(rng, Schema({}, (), None))
    keys = Counter(key for each in usable for key in each.details.params)
    metrics = Counter(key for each in usable for key in each.details.metrics if "/" not in key and "=" not in key)
    losses = Counter({key: count for key, count in metrics.items() if "loss" in key.lower()}) or metrics
    loss = max(losses, key=lambda key: (losses[key], key), default="")
    few = sorted(keys)
    # What drifts is a worker count or a device, not what a project turns from run to run.
    steady = [key for key in few if _most_common_share(key, usable) >= STEADY_SHARE]
    return replace(
        habits,
        format=ParamFormat(),
        drifting=tuple(rng.sample(steady, min(len(steady), rng.choice((0, 0, 1, 2, 3))))),
        unwritten=tuple(key for key in few if rng.random() < 0.1),
        run_names="words",
        loss=loss,
        names_loss=bool(loss) and rng.random() < 0.8,
        has_torch=False,
    )


def _most_common_share(key: str, usable: list[RecordedRun]) -> float:
    values = Counter(each.details.params.get(key) for each in usable)
    return max(values.values()) / len(usable)


def _train(rng: Random, habits: Habits, host: Host, recorded: RecordedRun) -> Training:
    """Return the training that a real run may have been."""
    run = recorded.run
    start_s, end_s = (run.start_utc_ms or 0) / 1000, (run.end_utc_ms or 0) / 1000
    config: Config = {key: _value(text) for key, text in recorded.details.params.items()}
    for key in habits.drifting:
        if key in config:
            config[key] = f"{config[key]}-other" if isinstance(config[key], str) else rng.randrange(1, 9)
    history = recorded.histories.get(habits.loss, ())[-_LONGEST_HISTORY:]
    return Training(
        run_id=run.run_id,
        uids=(new_id(rng),),
        host=host,
        start_s=start_s,
        made_s=(start_s + rng.gauss(habits.lag_s, habits.jitter_s),),
        end_s=end_s,
        config=config,
        losses=tuple(point.value for point in history) or (math.nan,),
        outcome=_OUTCOMES[run.status],
    )


def _value(text: str) -> Scalar:
    """Return what a logged text was before it was logged, as far as can be told."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    if isinstance(value, tuple):
        value = list(value)
    plain = (str, int, float, bool, type(None))
    is_plain = isinstance(value, plain) or (isinstance(value, list) and all(isinstance(each, plain) for each in value))
    return value if is_plain else text
