"""The matchers that can be measured, by name."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from ckpt_migrate.plan.records import Status
from ckpt_migrate.recipe import load_recipe
from evaluation.outcomes import Answer, Score, score
from evaluation.peers import nearest_start, nearest_with_params
from evaluation.splink_peer import USUAL_THRESHOLD, is_installed, splink_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worlds import World

    from ckpt_migrate.matching.records import Verdict

PEERS: Mapping[str, Callable[[World], list[Answer]]] = {
    "nearest": nearest_start,
    "nearest+params": nearest_with_params,
    "splink": splink_matches,
    "splink 0.95": partial(splink_matches, threshold=USUAL_THRESHOLD),
}
OURS = ("ckpt-migrate", "ckpt-migrate+zone")
MATCHERS = (*OURS, *PEERS)
"""`ckpt-migrate` infers the time zone; `ckpt-migrate+zone` is given the true one, where there is one."""


def is_here(matcher: str) -> bool:
    """Say whether what a matcher needs is installed."""
    return not matcher.startswith("splink") or is_installed()


def measure(world: World, matcher: str) -> Score:
    """Return how one matcher does in one world."""
    if matcher in PEERS:
        began = time.perf_counter()
        answers = PEERS[matcher](world)
        return score(world, answers, seconds=time.perf_counter() - began)
    from ckpt_migrate.matching.link import link  # noqa: PLC0415 - the peers do not need it

    zone = world.timezone if matcher == "ckpt-migrate+zone" else None
    recipe = load_recipe()
    began = time.perf_counter()
    matching = link(world.checkpoints, world.evidence, world.store, recipe, timezone=zone)
    seconds = time.perf_counter() - began
    answers = [_answer(verdict) for verdict in matching.verdicts]
    return score(world, answers, expected_wrong=matching.expected_wrong, seconds=seconds)


def _answer(verdict: Verdict) -> Answer:
    path = verdict.checkpoint.path
    if verdict.status is Status.MATCHED:
        return Answer(path, verdict.run_id, verdict.confidence)
    first = verdict.candidates[0] if verdict.candidates else None
    return Answer(path, None, None, None if first is None else (first.run_id, first.confidence))
