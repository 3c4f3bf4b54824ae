"""What people's hands do to a tree: move, exchange, rename, edit, copy, pack."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from worlds.launches import by_hand, train
from worlds.references import refer_some
from worlds.scenarios.plain import draw_project, draw_world_rng, lose
from worlds.scenarios.sweeps import draw_sweep
from worlds.traces import FOLDER, LAST
from worlds.trainings import DAY_S, Outcome, new_id
from worlds.world import Project, World, assemble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt_migrate.evidence.records import Fact
    from ckpt_migrate.records import FileStat

    Part = Callable[[str], bool]

_PARTS: Mapping[str, Part] = {
    "folder": lambda path: path.startswith(FOLDER),
    "top": lambda path: not path.startswith(FOLDER),
    "config": lambda path: path == "config.json",
}


def mixed_swaps(seed: int, size: int) -> World:
    """Names of directories were exchanged, or all that lies in them, or their weights or their configs alone."""
    rng = draw_world_rng("mixed_swaps", seed)
    habits, host = draw_project(rng)
    habits = replace(habits, has_torch=rng.random() < 0.5)
    trainings = lose(rng, by_hand(rng, habits, (host,), size), rng.choice((0.0, 0.1)))
    trainings = refer_some(rng, trainings, rng.choice((0.0, 0.6)))
    here = [i for i, each in enumerate(trainings) if each.has_directory and each.outcome is Outcome.FINISHED]
    chosen = rng.sample(here, min(2 * max(1, size // 7), len(here) // 2 * 2))
    parts: dict[str, tuple[str, Part]] = {}
    for one, other in zip(chosen[::2], chosen[1::2], strict=True):
        paths = trainings[one].directory_path(), trainings[other].directory_path()
        for index in (one, other):
            trainings[index] = replace(trainings[index], is_contested=True)
        kind = rng.choice(("whole", "whole", "folder", "top", "config"))
        if kind == "whole":
            names = trainings[other].directory_name(), trainings[one].directory_name()
            for index, name in zip((one, other), names, strict=True):
                trainings[index] = replace(trainings[index], moved_to=name)
        else:
            for path, source in (paths, paths[::-1]):
                parts[path] = source, _PARTS[kind]
    return _exchange(assemble("mixed_swaps", seed, [Project(habits, tuple(trainings))]), parts)


def _exchange(world: World, parts: dict[str, tuple[str, Part]]) -> World:
    """Return a world in which some files of a directory are another's; whose it is, its weights say."""
    whole = {each.path: each for each in world.checkpoints}
    checkpoints, evidence, truth = [], dict(world.evidence), dict(world.truth)
    for each in world.checkpoints:
        if each.path not in parts:
            checkpoints.append(each)
            continue
        source, is_moved = parts[each.path]
        files: list[FileStat] = [file for file in each.files if not is_moved(file.path)]
        files += [file for file in whole[source].files if is_moved(file.path)]
        checkpoints.append(replace(each, files=tuple(sorted(files, key=lambda file: file.path))))
        facts: list[Fact] = [fact for fact in world.evidence[each.path].facts if not is_moved(fact.source)]
        facts += [fact for fact in world.evidence[source].facts if is_moved(fact.source)]
        facts.sort(key=lambda fact: (fact.source, fact.key))
        evidence[each.path] = replace(evidence[each.path], facts=tuple(facts))
        if is_moved(LAST) or is_moved("model.pt"):  # two runs' weights in one directory: nobody's
            truth[each.path] = None
    known = frozenset(path for path, run_id in truth.items() if run_id is not None)
    return replace(
        world,
        checkpoints=tuple(checkpoints),
        evidence=evidence,
        truth=truth,
        identifiable=world.identifiable & known,
        hopeless=world.hopeless & known,
    )


def renamed_by_hand(seed: int, size: int) -> World:
    """People gave some directories new names: another id, a stamp put right by an hour, the stamp of a copy."""
    rng = draw_world_rng("renamed_by_hand", seed)
    habits, host = draw_project(rng)
    habits = replace(habits, has_torch=rng.random() < 0.5)
    trainings = refer_some(rng, lose(rng, by_hand(rng, habits, (host,), size), 0.2), rng.choice((0.0, 0.5)))
    out = []
    for each in trainings:
        kind = rng.random()
        if kind < 0.1:
            out.append(replace(each, moved_to=f"{new_id(rng)}_{host.stamp(each.made_s[0])}", is_contested=True))
        elif kind < 0.25:
            at_s = rng.choice((each.made_s[0] + 3600, each.made_s[0] - 3600, each.end_s, each.end_s + 40_000))
            out.append(replace(each, moved_to=f"{each.uids[0]}_{host.stamp(at_s)}", is_contested=True))
        elif kind < 0.3:
            other = rng.choice(trainings)  # called like another's, whose own directory was thrown away
            out.append(replace(each, moved_to=f"{new_id(rng)}_{host.stamp(other.made_s[0])}", is_contested=True))
        else:
            out.append(each)
    return assemble("renamed_by_hand", seed, [Project(habits, tuple(out))])


def edited_configs(seed: int, size: int) -> World:
    """People edited the config.json of an old directory to launch the next run from: it tells that run's params."""
    rng = draw_world_rng("edited_configs", seed)
    habits, host = draw_project(rng)
    trainings = lose(rng, by_hand(rng, habits, (host,), size), rng.choice((0.1, 0.3)))
    habits = replace(habits, has_torch=rng.random() < 0.5)
    world = assemble("edited_configs", seed, [Project(habits, tuple(trainings))])
    here = [each for each in trainings if each.has_directory and each.outcome is Outcome.FINISHED]
    parts: dict[str, tuple[str, Part]] = {}
    for one, following in pairwise(here):
        if rng.random() < 0.25:
            parts[one.directory_path()] = following.directory_path(), _PARTS["config"]
    changed = _exchange(world, parts)
    return replace(
        changed,
        identifiable=world.identifiable - parts.keys(),
        hopeless=world.hopeless | (world.identifiable & parts.keys()),
    )


def partly_copied(seed: int, size: int) -> World:
    """Some directories were copied one by one, without their times, at various days; of sweeps, too."""
    rng = draw_world_rng("partly_copied", seed)
    habits, host = draw_project(rng, seed_key=True)
    trainings = by_hand(rng, habits, (host,), max(2, size // 2))
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(3_600, 200_000)
        trainings += draw_sweep(rng, habits, host, start_s=start_s, count=4)
    trainings = lose(rng, trainings, rng.choice((0.1, 0.3)))
    ends = [each.end_s for each in trainings]
    out = []
    for each in trainings:
        if rng.random() < 0.3:
            at_s = each.end_s + rng.choice((rng.uniform(60, 4000), rng.uniform(1, 20) * DAY_S))
            if rng.random() < 0.3:  # just when another run ended
                at_s = rng.choice([end_s for end_s in ends if end_s >= each.end_s])
            out.append(replace(each, copied_s=at_s))
        else:
            out.append(each)
    return assemble("partly_copied", seed, [Project(habits, tuple(out))])


def zipped(seed: int, size: int) -> World:
    """The tree, or some of it, came in a zip archive packed in another zone: all times are off by whole hours."""
    rng = draw_world_rng("zipped", seed)
    habits, host = draw_project(rng)
    shift_s = 3600.0 * rng.choice((1, 1, 2, -5, 9))
    share = rng.choice((0.3, 1.0))
    trainings = by_hand(rng, habits, (host,), max(2, size // 2))
    config = habits.schema.shaken(rng)
    start_s = habits.first_day_s // 3600 * 3600
    while len(trainings) < size:  # on the hour, mostly unchanged
        start_s += 3600.0
        if rng.random() < 0.15:
            config = habits.schema.wander(rng, config)
        trainings.append(
            train(rng, habits, host, start_s=start_s + rng.uniform(0, 2), config=config, duration_s=1500.0)
        )
    trainings = lose(rng, trainings, rng.choice((0.1, 0.3)))
    trainings = [replace(each, shift_s=shift_s) if rng.random() < share else each for each in trainings]
    return assemble("zipped", seed, [Project(habits, tuple(trainings))])
