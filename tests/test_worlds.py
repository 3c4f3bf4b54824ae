"""Worlds with known truth: repeatable, consistent, and the same on disk as in memory."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from worlds import SCENARIOS
from worlds.disk import write_world
from worlds.real import find_stores, grow, unpack
from worlds.trainings import Record

from ckpt_migrate.evidence import read_all
from ckpt_migrate.evidence.records import Evidence, FactKind
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import State
from ckpt_migrate.scan.walk import scan_roots
from ckpt_migrate.tracking import open_stores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worlds import World

    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import RunStore

REPOSITORY = Path(__file__).parents[1]
SMALL = 24


def content(world: World) -> tuple[object, ...]:
    """Return all that a matcher sees of a world, and the truth."""
    runs = [(each.run, each.details, each.histories, each.artifacts) for each in world.store.recorded()]
    return world.checkpoints, dict(world.evidence), runs, dict(world.truth), world.identifiable, world.hopeless


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_seed_gives_the_same_world_every_time_and_another_seed_another(name: str) -> None:
    scenario = SCENARIOS[name]
    assert content(scenario(3, SMALL)) == content(scenario(3, SMALL))
    assert content(scenario(3, SMALL)) != content(scenario(4, SMALL))


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_truth_is_consistent(name: str) -> None:
    """Every checkpoint has a truth, true runs are in the store, and what can be decided is what is to be renamed."""
    for seed in range(3):
        world = SCENARIOS[name](seed, SMALL)
        paths = [checkpoint.path for checkpoint in world.checkpoints]
        runs = {run.run_id: run for run in world.store.runs()}
        states = {checkpoint.path: checkpoint.state for checkpoint in world.checkpoints}
        assert paths == sorted(set(paths))
        assert set(world.truth) == set(paths)
        assert {run_id for run_id in world.truth.values() if run_id is not None} <= set(runs)
        assert not world.identifiable & world.hopeless
        for path in world.identifiable | world.hopeless:
            run_id = world.truth[path]
            assert run_id is not None
            assert states[path] is State.LEGACY
            assert runs[run_id].status != "RUNNING"
            assert not runs[run_id].is_deleted


@pytest.mark.parametrize(
    ("name", "difficulty"),
    [
        ("orphans", lambda world: world.orphans),
        ("ghosts", lambda world: world.orphans),
        ("blind_sweeps", lambda world: world.hopeless),
        ("hopeless_twins", lambda world: world.hopeless),
        ("deleted", lambda world: [run for run in world.store.runs() if run.is_deleted]),
        ("deleted", lambda world: [run for run in world.store.runs() if run.status == "RUNNING"]),
        ("resumed", lambda world: [run for run, count in Counter(world.truth.values()).items() if run and count > 1]),
        ("already_current", lambda world: [each for each in world.checkpoints if each.state is State.TARGET]),
        ("multi_experiment", lambda world: {run.experiment for run in world.store.runs()} - {"alignment"}),
        ("traps", lambda world: list(world.store.mentions(re.compile("_2[0-9]{7}_[0-9]{6}")))),
    ],
)
def test_a_scenario_has_the_difficulty_that_it_is_named_after(name: str, difficulty: object) -> None:
    assert callable(difficulty)
    assert any(difficulty(SCENARIOS[name](seed, SMALL)) for seed in range(3))


def test_sweeps_that_differ_only_in_what_the_config_lacks_cannot_be_decided() -> None:
    world = SCENARIOS["blind_sweeps"](0, SMALL)
    seen = {path: _visible(world, path) for path in world.hopeless}
    for path, visible in seen.items():
        assert sum(other == visible for other in seen.values()) > 1, path


def _visible(world: World, path: str) -> frozenset[tuple[str, str]]:
    facts = world.evidence[path].facts
    return frozenset((fact.key, str(fact.value)) for fact in facts if fact.kind is FactKind.PARAM)


@pytest.mark.parametrize("through_client", [True, False], ids=["client", "rows"])
@pytest.mark.parametrize("name", ["everything", "deleted", "already_current"])
def test_a_written_world_is_read_back_as_it_is_in_memory(tmp_path: Path, name: str, *, through_client: bool) -> None:
    """Scan, the readers and the store find on disk what the world in memory shows; sizes aside."""
    written = write_world(SCENARIOS[name](1, 10), str(tmp_path), through_client=through_client)
    world = written.world
    recipe = load_recipe()
    found = scan_roots(written.roots, recipe)
    assert [_shown(each) for each in found.checkpoints] == [_shown(each) for each in world.checkpoints]
    evidence = read_all(found.checkpoints, recipe)
    for checkpoint in world.checkpoints:
        if checkpoint.state in {State.LEGACY, State.TARGET}:
            assert _facts(evidence[checkpoint.path]) == _facts(world.evidence[checkpoint.path])
    store = open_stores([written.tracking_uri])
    try:
        _assert_same_runs(world, store)
    finally:
        store.close()


def _shown(checkpoint: Checkpoint) -> tuple[object, ...]:
    files = [(file.path, file.kind, file.mtime_ns) for file in checkpoint.files]
    legacy = checkpoint.state in {State.LEGACY, State.TARGET}
    return checkpoint.path, checkpoint.state, (files, checkpoint.evidence, checkpoint.mtime_ns) if legacy else ()


def _facts(evidence: Evidence) -> Counter[str]:
    assert not evidence.problems
    return Counter(map(repr, evidence.facts))


def _assert_same_runs(world: World, store: RunStore) -> None:
    expected = {each.run.run_id: each for each in world.store.recorded()}
    assert [run.run_id for run in store.runs()] == sorted(expected)
    details = store.details(expected)
    for run in store.runs():
        each = expected[run.run_id]
        for field in ("name", "experiment", "status", "is_deleted", "start_utc_ms", "end_utc_ms"):
            assert getattr(run, field) == getattr(each.run, field), field
        assert details[run.run_id].params == each.details.params
        assert each.details.tags.items() <= details[run.run_id].tags.items()
        assert details[run.run_id].metrics == each.details.metrics
        histories = {key: tuple(points) for key, points in store.metric_histories(run.run_id).items()}
        assert histories == each.histories
        assert [file.path for file in store.artifact_files(run.run_id)] == [file.path for file in each.artifacts]


@pytest.fixture(scope="module")
def real_stores(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Name and URI of the real stores that lie beside the repository; skips without them."""
    archive = REPOSITORY.parent / "shared" / "realdata" / "stores.tar.gz"
    if not archive.is_file():
        pytest.skip("the real stores do not lie beside the repository (../shared/realdata/stores.tar.gz)")
    folder = tmp_path_factory.mktemp("stores")
    unpack(str(archive), str(folder))
    return find_stores(str(folder))


def test_worlds_grown_on_real_stores_keep_their_runs_but_for_those_taken_away(real_stores: Mapping[str, str]) -> None:
    """Directories whose run was taken away are orphans; what can be decided has its run in the store."""
    assert real_stores
    for name, uri in real_stores.items():
        world = grow(name, uri, 1)
        runs = {run.run_id for run in world.store.runs()}
        assert repr(content(world)) == repr(content(grow(name, uri, 1))), name  # real metrics have NaN in them
        assert world.orphans, name
        assert world.identifiable, name
        assert {world.truth[path] for path in world.identifiable | world.hopeless} <= runs, name
        gone = {each.run_id for each in world.story.projects[0].trainings if each.record is Record.GONE}
        assert gone, name
        assert not gone & runs, name
