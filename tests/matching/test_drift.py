"""Keys that drift between config and log, and kinds of runs told by their keys."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from worlds import SCENARIOS
from worlds.world import tell

from ckpt_migrate.matching.families.compare import compare
from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.matching.families.values import Params, comparable
from ckpt_migrate.matching.link import link
from ckpt_migrate.plan.records import Status
from ckpt_migrate.recipe import load_recipe

if TYPE_CHECKING:
    from worlds.world import World

    from ckpt_migrate.matching.records import Matching


def linked_rightly(world: World, least_share: float) -> Matching:
    """Match a world; nothing may be renamed wrongly, and so much of what can be identified must be."""
    matching = link(world.checkpoints, world.evidence, world.store, load_recipe())
    renamed = {v.checkpoint.path: v.run_id for v in matching.verdicts if v.status is Status.MATCHED}
    assert all(world.truth[path] == run_id for path, run_id in renamed.items())
    assert len(renamed) >= least_share * len(world.identifiable)
    return matching


@pytest.mark.parametrize("seed", [0, 3])
def test_a_swept_param_is_not_taken_for_one_that_drifts(seed: int) -> None:
    """Siblings of purged runs, a second away, differ in it; in the second project another key really drifts."""
    world = SCENARIOS["text_sweeps"](seed, 60)
    matching = linked_rightly(world, 0.95)
    notes = [note for note in matching.warnings if note.startswith("not compared")]
    assert [note.rpartition(": ")[2] for note in notes] == (["training/gpus"] if seed == 3 else [])


@pytest.mark.parametrize("seed", [318, 326])
def test_a_run_that_logged_next_to_nothing_does_not_hide_which_keys_drift(seed: int) -> None:
    """Each job opens a run, closes it at once, and logs to the next; configs differ from the logs in some keys."""
    world = SCENARIOS["late_logging"](seed, 60)
    matching = linked_rightly(world, 0.85)
    assert any("training/log_every" in note for note in matching.warnings if note.startswith("not compared"))


def test_no_reason_says_that_a_directory_lacks_what_it_has() -> None:
    """Where what sets two runs apart is a key that drifts, the reason says so."""
    story = SCENARIOS["text_sweeps"](8, 60).story
    project = story.projects[0]
    habits = replace(project.habits, drifting=(*project.habits.drifting, "strategy"), jitter_s=2.0)
    world = tell(replace(story, projects=(replace(project, habits=habits),)))
    matching = link(world.checkpoints, world.evidence, world.store, load_recipe())
    reasons = [verdict.reason or "" for verdict in matching.verdicts]
    assert any("not compared because configs differ from their logs" in reason for reason in reasons)
    assert not any("which the directory does not say" in reason for reason in reasons)


@pytest.mark.parametrize("name", ["ghosts", "tiny", "everything"])
def test_status_and_candidates_agree_with_the_reason(name: str) -> None:
    """What no run fits is unmatched, and nothing else is; where several fit, a person sees which."""
    for seed in range(3):
        world = SCENARIOS[name](seed, 30)
        for verdict in link(world.checkpoints, world.evidence, world.store, load_recipe()).verdicts:
            reason = verdict.reason or ""
            if verdict.status in {Status.AMBIGUOUS, Status.UNMATCHED}:
                assert (verdict.status is Status.UNMATCHED) == reason.startswith("no run"), reason
            if " runs fit" in reason:
                assert len(verdict.candidates) > 1, reason
            if "the nearest candidates are listed" in reason:
                assert verdict.candidates


def params(**values: object) -> Params:
    return comparable({key: str(value) for key, value in values.items()}, KeyPatterns(()))


def test_runs_that_each_lack_what_the_other_has_are_of_two_kinds() -> None:
    """A log that only lacks keys may have been cut short, and a config may hold a part of what was logged."""
    config, telling = params(fit=True, n_jobs=None), frozenset({"n_jobs", "alpha"})
    assert compare(config, params(fit=True, alpha=1), telling).unlike == ("n_jobs", "alpha")
    assert compare(config, params(fit=True), telling).unlike == ()
    assert compare(config, params(fit=True, n_jobs=None, alpha=1), telling).unlike == ()
    assert compare(config, params(fit=True, alpha=1)).unlike == ()
