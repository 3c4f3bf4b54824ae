"""Directories under another's name, copied tags, ghosts of twins and of reruns: what must not be renamed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from worlds import SCENARIOS
from worlds.launches import by_hand, train
from worlds.references import claim, refer
from worlds.scenarios.plain import draw_project, draw_world_rng
from worlds.scenarios.sweeps import draw_sweep
from worlds.trainings import Record
from worlds.world import Project, World, assemble

from ckpt_migrate.matching.link import link
from ckpt_migrate.naming import parse_stamp
from ckpt_migrate.plan.records import Status
from ckpt_migrate.recipe import load_recipe

if TYPE_CHECKING:
    from worlds.trainings import Habits, Training

    from ckpt_migrate.matching.records import Verdict


def verdicts(world: World) -> dict[str, Verdict]:
    """Return what matching says of a world, by path."""
    matching = link(world.checkpoints, world.evidence, world.store, load_recipe())
    return {verdict.checkpoint.path: verdict for verdict in matching.verdicts}


def assert_none_wrong(world: World) -> None:
    for path, verdict in verdicts(world).items():
        if verdict.status is Status.MATCHED:
            assert verdict.run_id == world.truth[path], path


@pytest.mark.parametrize("name", ["swapped", "copied_tags", "ghost_twins", "rerun_hour"])
def test_nothing_is_renamed_to_a_wrong_run(name: str) -> None:
    for seed in range(6):
        assert_none_wrong(SCENARIOS[name](seed, 36))


def test_directories_beside_a_lone_run_tell_of_twins_that_are_gone() -> None:
    """Few pairs of runs are left to be seen, and many directories of pairs: one run of each may have lost its own."""
    assert_none_wrong(SCENARIOS["ghost_twins"](37, 60))


def project_of(name: str, *, has_torch: bool = True) -> tuple[Habits, list[Training]]:
    """Return a project's habits, and twenty trainings of it, each named in a tag of its run."""
    rng = draw_world_rng(name, 0)
    habits, host = draw_project(rng, zone="Europe/Berlin")
    habits = replace(habits, has_torch=has_torch, names_loss=True, is_deterministic=False, jitter_s=0.1)
    trainings = [replace(each, has_directory=True) for each in by_hand(rng, habits, (host,), 20)]
    return habits, [refer(each, "tag") for each in trainings]


@pytest.mark.parametrize("has_torch", [True, False])
def test_two_directories_under_each_others_names_are_left_alone(*, has_torch: bool) -> None:
    """Tags name both, stamps fit both; the weights say otherwise, and so do times and losses where they cannot."""
    habits, trainings = project_of("two", has_torch=has_torch)
    one, other = 4, 11
    names = trainings[other].directory_name(), trainings[one].directory_name()
    for index, name in zip((one, other), names, strict=True):
        trainings[index] = replace(trainings[index], moved_to=name)
    world = assemble("two", 0, [Project(habits, tuple(trainings))])
    found = {path.rpartition("/")[2]: verdict for path, verdict in verdicts(world).items()}
    for name in names:
        assert found[name].status is Status.AMBIGUOUS
        reason = found[name].reason or ""
        assert ("which is another directory" if has_torch else "a reference names the run, but") in reason, reason
        assert all(candidate.confidence <= 0.5 for candidate in found[name].candidates)
    others = [verdict for name, verdict in found.items() if name not in names]
    assert all(verdict.status is Status.MATCHED for verdict in others)


def test_a_tag_copied_from_a_sibling_that_is_gone_does_not_win() -> None:
    """The tag's run has another learning rate, and began half a minute later."""
    habits, trainings = project_of("copied")
    rng = draw_world_rng("copied", 1)
    group = draw_sweep(rng, habits, trainings[0].host, start_s=habits.first_day_s - 9_000, count=4, within_s=60.0)
    group.sort(key=lambda each: each.start_s)
    group = [replace(each, has_directory=True) for each in group]
    liar, owner = replace(claim(group[3], group[0]), has_directory=False), replace(group[0], record=Record.GONE)
    world = assemble("copied", 0, [Project(habits, (*trainings, liar, owner))])
    verdict = verdicts(world)[owner.directory_path()]
    assert verdict.status is not Status.MATCHED
    assert verdict.run_id is None


def test_a_rerun_an_hour_later_is_not_the_run_of_the_hour_before() -> None:
    """In the night when an hour is repeated, the stamp fits both; one run is gone, and the files end an hour early."""
    rng = draw_world_rng("hour", 0)
    habits, host = draw_project(rng, zone="Europe/Berlin")
    habits = replace(habits, is_deterministic=True, lag_s=0.5, jitter_s=0.1)
    first = datetime(2025, 10, 26, 2, 29, 53, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(timezone.utc)
    habits = replace(habits, first_day_s=(first - timedelta(days=5)).timestamp())
    trainings = [replace(each, has_directory=True) for each in by_hand(rng, habits, (host,), 30)]
    config = habits.schema.shaken(rng)
    gone, rerun = (
        train(rng, habits, host, start_s=first.timestamp() + hours * 3600, config=config, duration_s=5000.0)
        for hours in (0, 1)
    )
    gone, rerun = replace(gone, record=Record.GONE), replace(rerun, has_directory=False)
    assert gone.directory_name()[33:46] == "20251026_0229"
    world = assemble("hour", 0, [Project(habits, (*trainings, gone, rerun))])
    verdict = verdicts(world)[gone.directory_path()]
    assert verdict.run_id is None, verdict


def test_equal_twins_are_candidates_with_equal_chances() -> None:
    """Two directories, two runs, nothing between them: a person reads one half for each."""
    habits, trainings = project_of("equal")
    twin = replace(trainings[7], tags={}, extra_params={}, run_name="plain", referred=())
    twins = [replace(twin, run_id=f"{digit}" * 32, uids=(f"{digit + 2}" * 32,)) for digit in (1, 2)]
    trainings[7:8] = twins
    found = verdicts(assemble("equal", 0, [Project(habits, tuple(trainings))]))
    for training in twins:
        verdict = found[training.directory_path()]
        assert verdict.status is Status.AMBIGUOUS
        assert {candidate.run_id for candidate in verdict.candidates} == {each.run_id for each in twins}
        assert all(0.4 < candidate.confidence < 0.5 for candidate in verdict.candidates)


@pytest.mark.parametrize("stamp", ["99991231_235959", "00010101_000000"])
def test_a_stamp_of_an_impossible_year_says_nothing_and_ends_nothing(stamp: str) -> None:
    """Such a directory is matched by what else it has, or is refused for the year of its stamp."""
    habits, trainings = project_of("years")
    world = assemble("years", 0, [Project(habits, tuple(trainings))])
    local_time = parse_stamp(stamp)
    assert local_time is not None
    checkpoints = list(world.checkpoints)
    named, bare = checkpoints[0], checkpoints[1]
    assert named.name is not None
    assert bare.name is not None
    bare_name = replace(bare.name, uid="0123456789abcdef" * 2, stamp=stamp, local_time=local_time)
    checkpoints[0] = replace(named, name=replace(named.name, stamp=stamp, local_time=local_time))
    checkpoints[1] = replace(bare, name=bare_name, files=())
    evidence = {path: each for path, each in world.evidence.items() if path != bare.path}
    matching = link(checkpoints, evidence, world.store, load_recipe())
    found = {verdict.checkpoint.path: verdict for verdict in matching.verdicts}
    assert found[bare.path].status is Status.UNMATCHED
    assert f"the year {stamp[:4]}" in (found[bare.path].reason or "")
    assert found[named.path].run_id in {None, world.truth[named.path]}
    assert sum(verdict.status is Status.MATCHED for verdict in found.values()) >= 17


def test_a_zone_with_summer_time_is_not_taken_for_two_clocks() -> None:
    """A few directories after the change of clocks do not make a second clock where one zone explains all."""
    rng = draw_world_rng("spring", 0)
    habits, host = draw_project(rng, zone="Europe/Berlin")
    change = datetime(2026, 3, 29, 1, tzinfo=timezone.utc).timestamp()
    habits = replace(habits, first_day_s=change - 20 * 86_400)
    starts = [change - (20 - day) * 86_400 + 7_000 * day for day in range(18)] + [
        change + 1e5,
        change + 3e5,
        change + 5e5,
    ]
    config = habits.schema.shaken(rng)
    trainings = []
    for start_s in starts:
        config = habits.schema.wander(rng, config)
        trainings.append(train(rng, habits, host, start_s=start_s, config=config, duration_s=900.0))
    world = assemble("spring", 0, [Project(habits, tuple(trainings))])
    matching = link(world.checkpoints, world.evidence, world.store, load_recipe())
    assert "Europe/Berlin" in {matching.clock.timezone, *matching.clock.same_as}
    assert not matching.warnings
