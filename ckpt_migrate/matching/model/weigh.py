"""Weighing: the match weight of one pair, by every family that needs no second look."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.compare import compare
from ckpt_migrate.matching.families.mtimes import end_bits, most_end_bits
from ckpt_migrate.matching.families.params import most_param_bits, param_bits
from ckpt_migrate.matching.families.references import reference_bits
from ckpt_migrate.matching.families.stamps import is_first, name_stamp, time_bits
from ckpt_migrate.matching.model.pair import LARGEST_BITS, Score

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt_migrate.matching.model.pair import Seen, World
    from ckpt_migrate.tracking.records import Run


SKIPPED_BITS = 30.0
"""A run this far behind the best, with references and without, is no candidate: no metric can help it."""


def weigh_all(seen: Seen, candidates: Sequence[str], runs: Mapping[str, Run], world: World) -> tuple[Score, ...]:
    """Weigh all candidates of a checkpoint that can be its run, best first, params included.

    In a burst dozens of runs start near a stamp, and nearly all differ from the config in several params. They are
    looked at in the order of how many those are. One that could not come near the best even if all that has not been
    looked at spoke for it as strongly as it may is not looked at further: first its times are unknown, then its params.
    """
    priors, kinds, params, rates = world.priors, world.strata.kinds, world.params, world.rates
    in_store = math.log2(world.store_odds(seen.path))
    named = {reference.run_id for reference in seen.references}
    unnamed = reference_bits(seen.references, "", world.run_total)
    most = most_param_bits(seen.config, world)
    mildest = world.differences.mildest
    rate = max([0.0, *(rates[run_id] for run_id in candidates if run_id in rates)])
    # No density of a stamp is above one per second.
    ceiling = max(priors.values(), default=0.0) + in_store + unnamed + rate + most_end_bits(seen, rate)
    best = least = -LARGEST_BITS
    is_hopeless = False
    out = []
    for apart, run_id in sorted(zip(world.index.count_apart(seen.config, candidates), candidates, strict=True)):
        most_params = max(-LARGEST_BITS, most + apart * mildest)
        if run_id not in named:
            highest = max(-LARGEST_BITS, ceiling + most_params)
            is_hopeless = is_hopeless or (highest < least and highest - unnamed < best - SKIPPED_BITS)
            if is_hopeless:
                continue
        prior = priors[kinds[run_id]] + in_store
        reference = reference_bits(seen.references, run_id, world.run_total) if run_id in named else unnamed
        run = runs[run_id]
        time, mtime = time_bits(seen, run, world), end_bits(seen, run, world)
        highest = max(-LARGEST_BITS, prior + reference + time + mtime + most_params)
        if highest < least and highest - reference < best - SKIPPED_BITS:
            continue
        one = Score(run_id, prior=prior, reference=reference, time=time, mtime=mtime)
        plain = one.bits - reference
        one.comparison = compare(seen.config, params[run_id], world.index.telling)
        one.params = param_bits(seen.config, one.comparison, world, most)
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

    Of params, of ends of runs and of stamps in their names is learned; all else is as it was.

    Args:
        scores: Their weights so far, which are changed.
        seen: The checkpoint; keys that drift may have been taken from its config.
        runs: All runs by id.
        world: The shared facts.
    """
    most = most_param_bits(seen.config, world)
    for one in scores:
        run = runs[one.run_id]
        one.mtime = end_bits(seen, run, world)
        if name_stamp(run.name) is not None:
            one.time = time_bits(seen, run, world)
        if one.comparison.compared + len(one.comparison.absent) != len(seen.config):
            one.comparison = compare(seen.config, world.params[one.run_id], world.index.telling)
        one.is_first = is_first(seen, run)
        one.params = param_bits(seen.config, one.comparison, world, most)
    return tuple(sorted(scores, key=lambda one: (-one.bits, one.run_id)))
