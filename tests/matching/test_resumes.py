"""Resumes: what a directory that was resumed from another says of both."""

from __future__ import annotations

from worlds import SCENARIOS

from ckpt_migrate.matching.link import link
from ckpt_migrate.plan.records import Status
from ckpt_migrate.recipe import load_recipe


def test_what_was_resumed_from_a_directory_of_its_run_mostly_follows_it() -> None:
    """A run that is gone would have resumed from a directory of its own, and the one named is plainly this run's."""
    later: set[str] = set()
    followed: set[str] = set()
    for seed in (2, 4):
        world = SCENARIOS["resumed"](seed, 60)
        matching = link(world.checkpoints, world.evidence, world.store, load_recipe())
        renamed = {one.checkpoint.path: one.run_id for one in matching.verdicts if one.status is Status.MATCHED}
        assert all(world.truth[path] == run_id for path, run_id in renamed.items())
        for path, found in world.evidence.items():
            earlier = {str(fact.value).rsplit("/", 2)[0] for fact in found.facts if fact.key == "resume_from"}
            if {world.truth[path]} == {renamed.get(each) for each in earlier}:
                later.add(path)
                followed.update({path} & renamed.keys())
    assert 2 * len(followed) > len(later) > 0
