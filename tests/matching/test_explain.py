"""Explanations: bits that sum to what is stated, to the last digit printed, and refusals that say what settles them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from worlds import SCENARIOS, World
from worlds.references import refer
from worlds.trainings import Record
from worlds.world import tell

from ckpt_migrate.matching.decision.explain import lines
from ckpt_migrate.matching.link import link
from ckpt_migrate.plan.records import Status
from ckpt_migrate.plan.words import total_words
from ckpt_migrate.recipe import load_recipe

if TYPE_CHECKING:
    from ckpt_migrate.matching.records import Matching, Weight

SMALL = 14
BITS = re.compile(r"(for|against) ([0-9]+\.[0-9]) bits, ")


def matching_of(world: World, *, timezone: str | None = None, answers: dict[str, str] | None = None) -> Matching:
    return link(world.checkpoints, world.evidence, world.store, load_recipe(), timezone=timezone, answers=answers)


def printed(weights: tuple[Weight, ...]) -> Decimal:
    """Return the sum of the bits as they are printed."""
    found = [BITS.match(line) for line in lines(weights)]
    return sum((Decimal(m[2]) * (1 if m[1] == "for" else -1) for m in found if m is not None), Decimal(0))


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_printed_of_a_case_sums_to_its_confidence(name: str) -> None:
    """Of every directory and candidate: exact as numbers, and in tenths of a bit as lines; a refusal has a reason."""
    for verdict in matching_of(SCENARIOS[name](0, SMALL)).verdicts:
        cases = [(verdict.confidence, verdict.weights)] if verdict.weights else []
        cases += [(candidate.confidence, candidate.weights) for candidate in verdict.candidates]
        for confidence, weights in cases:
            assert confidence is not None
            total = sum(weight.bits for weight in weights)
            bounded = min(confidence, 1 - 1e-15)
            if bounded > 0:
                assert total == pytest.approx(math.log2(bounded / (1 - bounded)), abs=1e-6)
            assert printed(weights) == Decimal(round(total * 10)) / 10
            assert total_words(lines(weights)).startswith(f"in all {printed(weights)} bits: ")
        if verdict.status in {Status.AMBIGUOUS, Status.UNMATCHED, Status.BUSY}:
            assert verdict.reason


def test_a_match_shows_how_far_behind_the_best_rival_and_a_twin_that_is_gone_are() -> None:
    world = SCENARIOS["sweeps"](0, 24)
    found = [verdict for verdict in matching_of(world).verdicts if verdict.status is Status.MATCHED]
    assert found
    for verdict in found:
        told = next(weight.text for weight in verdict.weights if weight.family == "rivals")
        assert re.search(r"(run [0-9a-f]{32} is [0-9.]+ bits behind|no other run is near), ", told), told
        assert re.search(r", (a twin that is gone [0-9.]+ bits behind|no twin that is gone counts)$", told), told


@pytest.mark.parametrize("name", ["blind_sweeps", "hopeless_twins", "ghost_twins"])
def test_a_run_that_names_a_refused_directory_settles_it(name: str) -> None:
    """So says `show` of what has candidates: a reference, and nothing that contradicts it, is enough."""
    world = SCENARIOS[name](1, 24)
    refused = {v.checkpoint.path for v in matching_of(world).verdicts if v.status is not Status.MATCHED}
    projects = tuple(
        replace(
            project,
            trainings=tuple(
                refer(each, "tag") if each.record is Record.LOGGED and each.directory_path() in refused else each
                for each in project.trainings
            ),
        )
        for project in world.story.projects
    )
    told = tell(replace(world.story, projects=projects))
    left = {v.checkpoint.path: v for v in matching_of(told).verdicts if v.checkpoint.path in refused}
    named = [path for path in left if told.truth[path] is not None]
    settled = [path for path in named if left[path].run_id == told.truth[path]]
    assert len(settled) >= 0.8 * len(named)
    assert all(verdict.run_id in {None, told.truth[path]} for path, verdict in left.items())
    assert settled


def test_the_time_zone_settles_what_is_refused_for_want_of_it() -> None:
    """A tree of a few directories tells no zone; its reason names the option, and the option is enough."""
    settled = 0
    for seed in range(12):
        world = SCENARIOS["tiny"](seed, 3)
        asked = {v.checkpoint.path for v in matching_of(world).verdicts if "--timezone" in (v.reason or "")}
        if asked and world.timezone is not None:
            again = {v.checkpoint.path: v for v in matching_of(world, timezone=world.timezone).verdicts}
            assert not any("--timezone" in (again[path].reason or "") for path in asked)
            settled += sum(again[path].status is Status.MATCHED for path in asked)
    assert settled


def test_a_persons_answer_settles_twins_and_leaves_the_other_one_its_run() -> None:
    world = SCENARIOS["hopeless_twins"](1, 24)
    refused = {v.checkpoint.path for v in matching_of(world).verdicts if v.status is Status.AMBIGUOUS}
    answers = {path: run_id for path in refused if (run_id := world.truth[path]) is not None}
    left = {v.checkpoint.path for v in matching_of(world, answers=answers).verdicts}
    assert answers
    assert not left & answers.keys()
