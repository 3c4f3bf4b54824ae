"""Decoys and disorder: what is added beside a project turns no refusal into a rename of something else."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from worlds import SCENARIOS
from worlds.store import MemoryStore, RecordedRun

from ckpt_migrate.evidence.records import Evidence
from ckpt_migrate.matching.families.references import ID_PATTERN
from ckpt_migrate.matching.link import link
from ckpt_migrate.naming import DirectoryName
from ckpt_migrate.plan.records import Status
from ckpt_migrate.recipe import load_recipe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from re import Pattern

    from worlds import World

    from ckpt_migrate.matching.records import Matching
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Mention, Run, RunDetails

SCENARIO_NAMES = ("everything", "ghosts", "sweeps", "references")
SMALL = 30
DECOYS = 12


class Disordered(MemoryStore):
    """A store that hands out what it has in an order of its own."""

    def __init__(self, recorded: Collection[RecordedRun], rng: random.Random) -> None:
        super().__init__(recorded)
        self._rng = rng

    def runs(self) -> Sequence[Run]:
        """Return every run in any order."""
        return self._rng.sample(super().runs(), len(super().runs()))

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        """Return details in any order."""
        found = list(super().details(run_ids).items())
        self._rng.shuffle(found)
        return dict(found)

    def mentions(self, pattern: Pattern[str]) -> Iterator[Mention]:
        """Yield mentions in any order."""
        found = list(super().mentions(pattern))
        self._rng.shuffle(found)
        yield from found


def renames(matching: Matching) -> dict[str, str | None]:
    """Return the run of each directory that is renamed, by its path."""
    return {v.checkpoint.path: v.run_id for v in matching.verdicts if v.status is Status.MATCHED}


def decoy_runs(world: World, rng: random.Random) -> list[RecordedRun]:
    """Return runs like some of the store's, started within ten minutes of them, that made no directory."""
    out = []
    for each in rng.sample(world.store.recorded(), min(DECOYS, len(world.store.recorded()))):
        shift_ms = rng.randrange(-600_000, 600_000)
        run = each.run
        moved = replace(
            run,
            run_id=f"{rng.getrandbits(128):032x}",
            name="decoy",
            start_utc_ms=None if run.start_utc_ms is None else run.start_utc_ms + shift_ms,
            end_utc_ms=None if run.end_utc_ms is None else run.end_utc_ms + shift_ms,
            artifact_uri=None,
        )
        out.append(RecordedRun(moved, replace(each.details, tags={}, metrics={}), {}, ()))
    return out


def decoy_directories(world: World, rng: random.Random) -> tuple[list[Checkpoint], dict[str, Evidence]]:
    """Return directories like some of the tree's, stamped within ten minutes of them, whose runs are in no store."""
    checkpoints, evidence = [], {}
    legacy = [
        c for c in world.checkpoints if c.name is not None and c.name.local_time is not None and c.path in world.truth
    ]
    for each in rng.sample(legacy, min(DECOYS, len(legacy))):
        assert each.name is not None
        assert each.name.local_time is not None
        shift = timedelta(seconds=rng.choice((-1, 1)) * rng.randrange(30, 600))
        local = each.name.local_time + shift
        uid, stamp = f"{rng.getrandbits(128):032x}", local.strftime("%Y%m%d_%H%M%S")
        path = f"{each.collection}/{uid}_{stamp}"
        files = tuple(replace(f, mtime_ns=f.mtime_ns + int(shift.total_seconds() * 1e9)) for f in each.files)
        checkpoints.append(replace(each, path=path, name=DirectoryName(uid, stamp, local), files=files))
        facts = world.evidence[each.path].facts
        evidence[path] = Evidence(tuple(fact for fact in facts if not ID_PATTERN.search(str(fact.value))))
    return checkpoints, evidence


@pytest.mark.parametrize("name", SCENARIO_NAMES)
def test_the_order_of_what_is_read_never_changes_a_verdict(name: str) -> None:
    world = SCENARIOS[name](3, SMALL)
    expected = link(world.checkpoints, world.evidence, world.store, load_recipe())
    rng = random.Random(name)  # noqa: S311 - an order, no secret
    checkpoints = rng.sample(world.checkpoints, len(world.checkpoints))
    evidence = {path: world.evidence[path] for path in rng.sample(sorted(world.evidence), len(world.evidence))}
    store = Disordered(rng.sample(world.store.recorded(), len(world.store.recorded())), rng)
    assert link(checkpoints, evidence, store, load_recipe()) == expected


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", SCENARIO_NAMES)
def test_decoys_never_turn_a_refusal_into_a_rename_of_something_else(name: str, seed: int) -> None:
    """What was refused may be decided with more to compare it with, but only for its own run; decoys stay alone."""
    world = SCENARIOS[name](seed, SMALL)
    rng = random.Random(seed)  # noqa: S311 - which are copied, no secret
    before = renames(link(world.checkpoints, world.evidence, world.store, load_recipe()))
    store = MemoryStore([*world.store.recorded(), *decoy_runs(world, rng)])
    checkpoints, evidence = decoy_directories(world, rng)
    worlds = {
        "runs": (world.checkpoints, world.evidence, store),
        "directories": ([*world.checkpoints, *checkpoints], {**world.evidence, **evidence}, world.store),
    }
    for kind, (found, facts, runs) in worlds.items():
        for path, run_id in renames(link(found, facts, runs, load_recipe())).items():
            assert run_id == before.get(path, world.truth.get(path)), f"{path} beside decoys of {kind}"
