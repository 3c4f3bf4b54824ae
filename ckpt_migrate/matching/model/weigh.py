"""Weighing: the match weight of one pair, by every family that needs no second look."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.compare import compare, count_apart
from ckpt_migrate.matching.families.mtimes import end_bits, most_end_bits
from ckpt_migrate.matching.families.params import most_param_bits, param_bits
from ckpt_migrate.matching.families.references import reference_bits
from ckpt_migrate.matching.families.stamps import time_bits
from ckpt_migrate.matching.model.pair import LARGEST_BITS, Score

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckpt_migrate.matching.model.pair import Seen, World
    from ckpt_migrate.tracking.records import Run


SKIPPED_BITS = 30.0
"""A run this far behind the best, with references and without, is no candidate: no metric can help it."""


def weigh(seen: Seen, run: Run, world: World) -> Score:
    """Weigh one pair by everything but params, metrics, content and resumes."""
    return Score(
        run_id=run.run_id,
        prior=world.priors[world.strata.kinds[run.run_id]] + math.log2(world.store_odds(seen.path)),
        reference=reference_bits(seen.references, run.run_id, world.run_total),
        time=time_bits(seen, run, world),
        mtime=end_bits(seen, run, world),
    )


def weigh_all(seen: Seen, candidates: Iterable[str], runs: Mapping[str, Run], world: World) -> tuple[Score, ...]:
    """Weigh all candidates of a checkpoint that can be its run, best first, params included.

    In a burst dozens of runs start near a stamp, and nearly all differ from the config in several params. They are
    looked at in the order of how many those are; one that could not come near the best even if all else spoke for it
    as strongly as it may is not weighed.
    """
    most = most_param_bits(seen.config, world)
    best = least = -LARGEST_BITS
    out = []
    for apart, run_id in sorted((count_apart(seen.config, world.params[run_id]), run_id) for run_id in candidates):
        params = max(-LARGEST_BITS, most + apart * world.differences.mildest)
        reference = reference_bits(seen.references, run_id, world.run_total) if seen.references else 0.0
        if reference <= 0:
            rate = max(world.rates.get(run_id, 0.0), 0.0)
            times = rate + most_end_bits(seen, rate)  # no density of a stamp is above one per second either
            highest = max(-LARGEST_BITS, world.priors[world.strata.kinds[run_id]] + reference + times + params)
            if highest < least and highest - reference < best - SKIPPED_BITS:
                continue
        one = weigh(seen, runs[run_id], world)
        plain = one.bits - one.reference
        one.comparison = compare(seen.config, world.params[run_id], world.index.telling)
        one.params = param_bits(seen.config, one.comparison, world)
        best, least = max(best, plain + one.params), max(least, one.bits - SKIPPED_BITS)
        out.append((one, plain + most))
    found = [
        one
        for one, highest in out
        if one.bits - one.reference >= best - SKIPPED_BITS
        or (one.bits >= least and (one.reference > 0 or highest >= best - SKIPPED_BITS))
    ]
    return tuple(sorted(found, key=lambda one: (-one.bits, one.run_id)))


def weigh_again(scores: Iterable[Score], seen: Seen, runs: Mapping[str, Run], world: World) -> tuple[Score, ...]:
    """Weigh the candidates of a checkpoint again with what has been learned, best first.

    Args:
        scores: Their weights so far; left as they are.
        seen: The checkpoint; keys that drift may have been taken from its config.
        runs: All runs by id.
        world: The shared facts.
    """
    out = []
    for one in scores:
        again = weigh(seen, runs[one.run_id], world)
        known = one.comparison.compared + len(one.comparison.absent) == len(seen.config)
        again.comparison = (
            one.comparison if known else compare(seen.config, world.params[one.run_id], world.index.telling)
        )
        again.params = param_bits(seen.config, again.comparison, world)
        out.append(again)
    return tuple(sorted(out, key=lambda one: (-one.bits, one.run_id)))
