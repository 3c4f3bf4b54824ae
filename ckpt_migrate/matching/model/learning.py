"""Learning: how a project behaves, told by the pairs that are plain, and all pairs weighed with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.clock.lags import DAY_S
from ckpt_migrate.matching.decision.decide import share_gone
from ckpt_migrate.matching.families.background import ParamIndex
from ckpt_migrate.matching.families.drift import learn_drift
from ckpt_migrate.matching.families.keys import align_keys, keys_of, unwrap_configs
from ckpt_migrate.matching.families.mtimes import NO_ENDS, learn_habits_of_ends
from ckpt_migrate.matching.families.params import Differences
from ckpt_migrate.matching.families.stamps import (
    FURTHER_CHECKPOINT,
    NAME_STAMP_SHARES,
    learn_name_shares,
)
from ckpt_migrate.matching.families.times import DirectoryTimes, EndHabits, RunTimes, Times
from ckpt_migrate.matching.families.timing import best_readings
from ckpt_migrate.matching.families.values import comparable
from ckpt_migrate.matching.model.cases import Case, all_ranked, counts_at_all, plain_run
from ckpt_migrate.matching.model.columns import exp2
from ckpt_migrate.matching.model.lone import expect_lone
from ckpt_migrate.matching.model.made import count_made
from ckpt_migrate.matching.model.pair import LARGEST_BITS, World
from ckpt_migrate.matching.model.presence import near_in_time, order_in_time
from ckpt_migrate.matching.model.sharing import CERTAIN, divide
from ckpt_migrate.matching.model.sight import ignored_keys
from ckpt_migrate.matching.model.strata import LEAST_IN_STORE, MOST_IN_STORE, draw_strata
from ckpt_migrate.matching.model.twins import (
    NEAR_WINDOW_S,
    PRIOR_NEIGHBOURS,
    PRIOR_SIBLINGS,
    count_twins,
)
from ckpt_migrate.matching.model.weigh import weigh_again, weigh_all
from ckpt_migrate.matching.model.weights import gather

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.model.columns import Columns, Floats
    from ckpt_migrate.matching.model.pair import Seen
    from ckpt_migrate.matching.model.strata import Strata
    from ckpt_migrate.matching.model.twins import Twins
    from ckpt_migrate.matching.model.weights import Weights
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run, RunDetails

STRATA_ROUNDS = 6
"""How often kinds of runs are counted, at most: once with equal priors, and again with what came of it."""
SETTLED = 0.005
"""Change of the rate of every kind below which counting again changes nothing that matters."""


def make_world(
    seen: Mapping[str, Seen],
    runs: Mapping[str, Run],
    details: Mapping[str, RunDetails],
    recipe: Recipe,
    *,
    starts_s: Sequence[float],
    ends_s: Sequence[float],
    window_s: float,
    choosing: frozenset[str],
) -> tuple[dict[str, Seen], World]:
    """Return what is known of the checkpoints, under keys that both sides share, and what all pairs share."""
    ignored = ignored_keys(recipe)
    params = {run_id: comparable(details[run_id].params if run_id in details else {}, ignored) for run_id in runs}
    configs = unwrap_configs({path: one.config for path, one in seen.items()}, keys_of(params.values()))
    keys = keys_of(configs.values())
    params = align_keys(params, keys)
    index = ParamIndex(params, keys)
    directories = DirectoryTimes.of(seen.values())
    world = World(
        starts_s=starts_s or [0.0],
        ends_s=ends_s,
        run_total=max(len(runs), 1),
        index=index,
        params=params,
        twins=(),
        strata=draw_strata(
            runs.values(),
            details,
            logged=index.logged,
            experiments=recipe.experiments,
            window_s=window_s,
            choosing=choosing,
        ),
        priors=np.zeros(len(runs)),
        presence={},
        ends=NO_ENDS,
        times=Times(directories, RunTimes.of(runs.values(), starts_s), EndHabits.of(directories, NO_ENDS)),
        differences=Differences({}),
        drifting=frozenset(),
        name_shares=NAME_STAMP_SHARES,
        further=FURTHER_CHECKPOINT,
        span_s=max(starts_s[-1] - starts_s[0], DAY_S) if starts_s else DAY_S,
    )
    renamed = {
        path: replace(seen[path], config=config) for path, config in configs.items() if config is not seen[path].config
    }
    return {**seen, **renamed}, world


def weigh_pairs(
    checkpoints: Sequence[Checkpoint],
    seen: Mapping[str, Seen],
    candidates: Sequence[Sequence[str]],
    world: World,
) -> tuple[list[Case], World]:
    """Score all candidates, learn from the plain pairs how the project behaves, and score again.

    Args:
        checkpoints: The directories.
        seen: What is known of them, by path.
        candidates: Ids of the runs that each is compared with.
        world: What all pairs share, so far.
    """
    world = replace(world, priors=world.strata.priors())
    directories = [seen[checkpoint.path] for checkpoint in checkpoints]
    cases = []
    scored, most = weigh_all(directories, candidates, world)
    for checkpoint, one, scores in zip(checkpoints, directories, scored, strict=True):
        plain = plain_run(one, scores)
        cases.append(Case(checkpoint, one, scores, "" if plain is None else plain.run_id))
    chances, drifting = learn_drift(cases, world)
    world = replace(world, differences=Differences(chances), drifting=drifting)
    world.index.forget(drifting)
    row = np.array([position for position, case in enumerate(cases) if case.plain], np.int64)
    run = np.array([world.strata.places[case.plain] for case in cases if case.plain], np.int64)
    times = world.times
    differences_s = times.directories.local_s[row] - times.runs.named_s[run]
    world = replace(world, name_shares=learn_name_shares(differences_s[np.abs(differences_s) <= 1].tolist()))
    ends = learn_habits_of_ends(times, row, run)
    world = replace(world, ends=ends, times=replace(times, habits=EndHabits.of(times.directories, ends)))
    return weigh_again(cases, most, world), world


def count_kinds(cases: Sequence[Case], world: World, owned: Mapping[str, int]) -> tuple[list[Case], World]:
    """Count the directories of each kind of run, and give each candidate the prior of its kind."""
    weights = gather(cases, world.strata.places)
    columns, bits = weights.columns, weights.bits
    is_owned = np.zeros(columns.runs, np.bool_)
    is_owned[[world.strata.places[run_id] for run_id in owned]] = True
    wants = weights.is_first & ~is_owned[columns.run]
    order, presence = order_in_time(world.times.directories.local_s), None
    for _ in range(STRATA_ROUNDS):
        before, strata = world.strata, _count(columns, bits, world.strata, owned)
        changes = (abs(strata.made.get(kind, 0.0) - before.made.get(kind, 0.0)) for kind in before.totals)
        if all(change < SETTLED * n for change, n in zip(changes, before.totals.values(), strict=True)):
            break
        shares = divide(columns, exp2(bits))
        near = near_in_time(order, columns.row_sums(shares), strata.in_store)
        presence = np.clip(near, LEAST_IN_STORE, MOST_IN_STORE)
        world = replace(world, strata=strata, priors=strata.priors())
        prior = np.log2(presence / (1 - presence))[columns.row] + world.priors[columns.run]
        prior += np.where(wants, strata.wanting(columns.run, shares), 0.0)
        bits = np.clip(prior + weights.evidence, -LARGEST_BITS, LARGEST_BITS)
    if presence is None:
        return all_ranked(cases), world
    for one, each in zip(weights.scores, prior.tolist(), strict=True):
        one.prior = each
    paths = [case.checkpoint.path for case in cases]
    world = replace(world, presence=dict(zip(paths, presence.tolist(), strict=True)))
    return all_ranked(cases), world


def find_twins(
    weights: Weights,
    runs: Mapping[str, Run],
    world: World,
    *,
    values: Mapping[str, tuple[float, ...]],
    window_s: float,
) -> tuple[Twins, ...]:
    """Count siblings of one launch, and neighbours within minutes."""
    gone_share = share_gone(weights)
    stamped_s = _began_s(weights, world)
    experiments = [run.experiment_id for run in runs.values()]
    out = []
    for low_s, high_s, prior in ((0.0, window_s, PRIOR_SIBLINGS), (window_s, NEAR_WINDOW_S, PRIOR_NEIGHBOURS)):
        twins = count_twins(
            world.times.runs,
            experiments,
            world.index,
            values,
            world.strata,
            nearest_s=low_s,
            window_s=high_s,
            prior=prior,
        )
        begun_s = world.times.runs.start_s
        out.append(expect_lone(twins, begun_s, experiments, gone_share=gone_share, stamped_s=stamped_s))
    return tuple(out)


def _began_s(weights: Weights, world: World) -> Floats:
    """Return when runs of directories began by their stamps, UTC seconds, ascending.

    Of stamps that say it, and first directories of a run. Of several readings (two clocks, a repeated hour) it is the
    one that fits the run which fits at all.
    """
    directories = world.times.directories
    if not directories.readings:
        return np.zeros(0)
    is_first = np.ones(weights.columns.rows, np.bool_)
    is_first[weights.columns.row[weights.begins]] = weights.is_first[weights.begins]
    began_s = directories.readings[0].instant_s - directories.readings[0].lag_s
    began_s[directories.has_several] = np.nan
    best = weights.begins[(exp2(weights.bits) > 1)[weights.begins]]
    best = best[directories.has_several[weights.columns.row[best]]]
    row, run = weights.columns.row[best], weights.columns.run[best]
    began_s[row] = best_readings(world.times, row, world.times.runs.start_s[run]).began_s
    return np.sort(began_s[is_first & ~np.isnan(began_s)])


def recount(weights: Weights, world: World, owned: Mapping[str, int]) -> Strata:
    """Return the strata with the directories counted by their odds as they are now, and those that runs own."""
    return _count(weights.columns, weights.bits, world.strata, owned)


def _count(columns: Columns, bits: Floats, strata: Strata, owned: Mapping[str, int]) -> Strata:
    chosen = counts_at_all(columns, bits)
    columns, odds = columns.only(chosen), exp2(bits[chosen])
    owners = np.array([strata.places[run_id] for run_id in sorted(owned)], np.int64)
    return count_made(strata, columns.with_owners(owners), np.concatenate([odds, np.full(len(owners), CERTAIN)]))
