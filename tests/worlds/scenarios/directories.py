"""What lies in the tree: crashed and resumed trainings, misleading references, junk, copies without times."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.records import Checkpoint, FileStat, State
from worlds.launches import by_hand, resume
from worlds.references import KINDS, claim, refer, start_from
from worlds.scenarios.plain import ROOT, draw_project, draw_world_rng, lose
from worlds.scenarios.sweeps import draw_sweep
from worlds.trainings import ConfigPlace, Outcome, Record, new_id
from worlds.world import Project, World, assemble

if TYPE_CHECKING:
    from random import Random

    from worlds.trainings import Training


def crashed(seed: int, size: int) -> World:
    """Most trainings crashed: their config is only inside a .ckpt, or nowhere."""
    rng = draw_world_rng("crashed", seed)
    habits, host = draw_project(rng)
    place = rng.choice((ConfigPlace.CHECKPOINT, ConfigPlace.NOWHERE))
    trainings = []
    for training in lose(rng, by_hand(rng, habits, (host,), size), 0.15):
        if rng.random() < 0.7:
            few = training.losses[: rng.randint(1, len(training.losses))]
            changed = replace(training, outcome=Outcome.CRASHED, config_place=place, losses=few)
        else:
            changed = training
        trainings.append(changed)
    return assemble("crashed", seed, [Project(habits, tuple(trainings))], is_copied=rng.random() < 0.2)


def resumed(seed: int, size: int) -> World:
    """A third of the trainings was taken up again: several directories, one run."""
    rng = draw_world_rng("resumed", seed)
    habits, host = draw_project(rng)
    place = rng.choice((ConfigPlace.JSON, ConfigPlace.CHECKPOINT))
    trainings = [
        replace(resume(rng, each) if rng.random() < 0.33 else each, config_place=place)
        for each in lose(rng, by_hand(rng, habits, (host,), size), 0.15)
    ]
    return assemble("resumed", seed, [Project(habits, tuple(trainings))])


def mislead(rng: Random, trainings: list[Training]) -> list[Training]:
    """Return the trainings with what looks like references and is none: to origins, copied, and plain lies."""
    changed = list(trainings)
    for index in range(1, len(changed)):
        if rng.random() < 0.3:
            key = rng.choice(("resume_from", "init_from_checkpoint", "training/pretrained_path"))
            changed[index] = start_from(changed[index], rng.choice(changed[:index]), key)
    first = rng.randrange(max(1, len(changed) - 10))
    shown = f"checkpoints/phase2/{changed[first].directory_name()}"
    for index in range(first, min(first + 10, len(changed))):  # one config file, copied again and again
        changed[index] = replace(
            changed[index],
            extra_config=changed[index].extra_config | {"output_dir": shown},
            extra_params=dict(changed[index].extra_params) | {"output_dir": shown},
        )
    for _ in range(max(1, len(changed) // 15)):  # tags carried over when a run was started again
        liar, owner = rng.sample(range(len(changed)), 2)
        changed[liar] = claim(changed[liar], changed[owner])
        changed[owner] = replace(changed[owner], is_contested=True)
    return changed


def traps(seed: int, size: int) -> World:
    """Texts name directories that are another run's: origins, a config copied by ten runs, tags that lie."""
    rng = draw_world_rng("traps", seed)
    habits, host = draw_project(rng)
    trainings = mislead(rng, lose(rng, by_hand(rng, habits, (host,), size), 0.2))
    return assemble("traps", seed, [Project(habits, tuple(trainings))])


def _swap(rng: Random, trainings: list[Training], count: int) -> list[Training]:
    """Return the trainings, the directories of so many pairs each under the name of the other."""
    changed = list(trainings)
    here = [i for i, each in enumerate(changed) if each.has_directory and len(each.uids) == 1]
    chosen = rng.sample(here, min(2 * count, len(here) // 2 * 2))
    for one, other in zip(chosen[::2], chosen[1::2], strict=True):
        names = changed[other].directory_name(), changed[one].directory_name()
        for index, name in zip((one, other), names, strict=True):
            changed[index] = replace(changed[index], moved_to=name, is_contested=True)
    return changed


def swapped(seed: int, size: int) -> World:
    """Some directories lie under each other's names, which runs may name: the weights are another run's."""
    rng = draw_world_rng("swapped", seed)
    habits, host = draw_project(rng)
    habits = replace(habits, has_torch=rng.random() < 0.5)
    kinds = rng.sample(KINDS[:4], 2)
    trainings = [
        refer(each, rng.choice(kinds)) if rng.random() < 0.6 else each
        for each in lose(rng, by_hand(rng, habits, (host,), size), 0.1)
    ]
    return assemble("swapped", seed, [Project(habits, tuple(_swap(rng, trainings, max(1, size // 12))))])


def copied_tags(seed: int, size: int) -> World:
    """Of each sweep, one run carries another's tag; that one may have its own still, or be gone."""
    rng = draw_world_rng("copied_tags", seed)
    habits, host = draw_project(rng, seed_key=True)
    trainings = by_hand(rng, habits, (host,), max(2, size // 4))
    start_s = habits.first_day_s
    while len(trainings) < size:
        start_s += rng.uniform(3_600, 200_000)
        group = draw_sweep(rng, habits, host, start_s=start_s, count=6, within_s=rng.choice((3.0, 60.0)))
        if rng.random() < 0.5:
            group = [refer(each, "tag") for each in group]
        liar, owner = rng.sample(range(len(group)), 2)
        group[liar] = replace(claim(group[liar], group[owner]), referred=())
        fate = Record.GONE if rng.random() < 0.6 else group[owner].record
        group[owner] = replace(group[owner], is_contested=True, record=fate)
        if rng.random() < 0.4:
            group[liar] = replace(group[liar], has_directory=False)
        trainings += group
    return assemble("copied_tags", seed, [Project(habits, tuple(trainings))])


def copied_tree(seed: int, size: int) -> World:
    """The tree was copied: every modification time is of the copy."""
    rng = draw_world_rng("copied_tree", seed)
    habits, host = draw_project(rng)
    trainings = lose(rng, by_hand(rng, habits, (host,), size), 0.15)
    return assemble("copied_tree", seed, [Project(habits, tuple(trainings))], is_copied=True)


def draw_junk(rng: Random) -> list[Checkpoint]:
    """Return what lies beside the checkpoint directories: odd names, loose files, links, an unreadable one."""
    stamp = "20240508_101112"
    found = [
        (f"{new_id(rng).upper()}_{stamp}", State.OTHER, "the id has upper-case letters"),
        (f"{new_id(rng)}_20240230_101112", State.OTHER, "the time stamp 20240230_101112 is no date that exists"),
        ("best_model", State.OTHER, "the name is not of the form {uuid}_{stamp}"),
        ("last.ckpt", State.LOOSE, "flat file of the oldest generation"),
        ("latest", State.LINK, "a symbolic link; links are not followed"),
        (f"{new_id(rng)}_{stamp}", State.UNREADABLE, "Permission denied"),
    ]
    weights = FileStat("model.pt", "file", 400_000, 1_700_000_000_000_000_000)
    return [
        Checkpoint(
            path=f"{ROOT}/{name}",
            root=ROOT,
            state=state,
            reason=reason,
            name=None,
            files=(weights,) if state is State.OTHER else (),
            mtime_ns=weights.mtime_ns,
            fingerprint=f"junk {name}",
        )
        for name, state, reason in found
    ]


def junk(seed: int, size: int) -> World:
    """Beside the directories lie odd names, loose files, links and what cannot be read."""
    rng = draw_world_rng("junk", seed)
    habits, host = draw_project(rng)
    trainings = lose(rng, by_hand(rng, habits, (host,), size), 0.15)
    return assemble("junk", seed, [Project(habits, tuple(trainings))], junk=draw_junk(rng))
