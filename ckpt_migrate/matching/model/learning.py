"""Learning: how a project behaves, told by the pairs that are plain, and all pairs weighed with it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock.lags import DAY_S, start_rate
from ckpt_migrate.matching.decision.decide import share_gone
from ckpt_migrate.matching.families.background import ParamIndex
from ckpt_migrate.matching.families.drift import learn_drift
from ckpt_migrate.matching.families.keys import align_keys, keys_of, unwrap_configs
from ckpt_migrate.matching.families.mtimes import NO_ENDS, learn_habits_of_ends
from ckpt_migrate.matching.families.params import Differences
from ckpt_migrate.matching.families.stamps import (
    FURTHER_CHECKPOINT,
    NAME_STAMP_SHARES,
    best_reading,
    is_first,
    learn_name_shares,
    name_difference,
)
from ckpt_migrate.matching.families.values import comparable
from ckpt_migrate.matching.model.candidates import CandidateIndex
from ckpt_migrate.matching.model.cases import Case, plain_run, ranked
from ckpt_migrate.matching.model.lone import expect_lone
from ckpt_migrate.matching.model.pair import World
from ckpt_migrate.matching.model.presence import near_in_time, order_in_time
from ckpt_migrate.matching.model.sharing import CERTAIN
from ckpt_migrate.matching.model.sight import ignored_keys
from ckpt_migrate.matching.model.strata import LEAST_IN_STORE, MOST_IN_STORE, count_made, draw_strata
from ckpt_migrate.matching.model.twins import (
    NEAR_WINDOW_S,
    PRIOR_NEIGHBOURS,
    PRIOR_SIBLINGS,
    count_twins,
)
from ckpt_migrate.matching.model.weigh import weigh_again, weigh_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckpt_migrate.matching.families.content import Contents
    from ckpt_migrate.matching.model.pair import Seen
    from ckpt_migrate.matching.model.strata import Strata
    from ckpt_migrate.matching.model.twins import Twins
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
        priors={},
        presence={},
        ends=NO_ENDS,
        rates=_rates(runs.values(), starts_s),
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


def _rates(runs: Iterable[Run], starts_s: Sequence[float]) -> dict[str, float]:
    """Return, per run with a start, log2 of N / r, r being the local rate of the starts of all N runs."""
    total = math.log2(max(len(starts_s), 1))
    return {
        run.run_id: total - math.log2(start_rate(starts_s, run.start_utc_ms / 1000))
        for run in runs
        if run.start_utc_ms is not None
    }


def weigh_pairs(
    checkpoints: Iterable[Checkpoint],
    seen: Mapping[str, Seen],
    runs: Mapping[str, Run],
    world: World,
    contents: Contents,
) -> tuple[list[Case], World]:
    """Score all candidates, learn from the plain pairs how the project behaves, and score again."""
    world = replace(world, priors=world.strata.priors())
    finder = CandidateIndex(runs.values(), world.index)
    cases = []
    for checkpoint in checkpoints:
        one = seen[checkpoint.path]
        # Who has its bytes takes reading to know: that is asked where nothing else gives a candidate.
        scores = weigh_all(one, finder.find(one) or sorted(contents.makers(checkpoint)), runs, world)
        plain = plain_run(one, scores)
        cases.append(Case(checkpoint, one, scores, "" if plain is None else plain.run_id))
    chances, drifting = learn_drift(cases, runs, world.params)
    world = replace(world, differences=Differences(chances), drifting=drifting)
    world.index.forget(drifting)
    world = replace(world, name_shares=learn_name_shares(_name_differences(cases, runs)))
    world = replace(world, ends=learn_habits_of_ends((case.seen, runs[case.plain]) for case in cases if case.plain))
    out = []
    for case in cases:
        one = replace(case.seen, config=case.seen.config.without(drifting)) if drifting else case.seen
        scores = weigh_again(case.scores, one, runs, world)
        out.append(Case(case.checkpoint, one, scores, case.plain))
    return out, world


def _name_differences(cases: Iterable[Case], runs: Mapping[str, Run]) -> list[float]:
    """Return the differences of plain pairs between the directory's stamp and that in the run's name, if it is one."""
    found = [name_difference(case.seen, runs[case.plain]) for case in cases if case.plain]
    return [each for each in found if each is not None and abs(each) <= 1]


def count_kinds(cases: Sequence[Case], world: World, owned: Mapping[str, int]) -> tuple[list[Case], World]:
    """Count the directories of each kind of run, and give each candidate the prior of its kind."""
    out, order = list(cases), order_in_time(cases)
    kinds = world.strata.totals.items()
    for _ in range(STRATA_ROUNDS):
        before, strata = world.strata, recount(out, world, owned)
        if all(abs(strata.made.get(kind, 0.0) - before.made.get(kind, 0.0)) < SETTLED * n for kind, n in kinds):
            break
        shares = [case.shares() for case in out]
        found = [sum(mine.values()) for mine in shares]
        near = zip(out, near_in_time(order, found, strata.in_store), strict=True)
        presence = {case.checkpoint.path: min(max(each, LEAST_IN_STORE), MOST_IN_STORE) for case, each in near}
        world = replace(world, strata=strata, priors=strata.priors(), presence=presence)
        for case, mine in zip(out, shares, strict=True):
            odds = math.log2(world.store_odds(case.checkpoint.path))
            for one in case.scores:
                one.prior = odds + world.priors[strata.kinds[one.run_id]]
                if one.is_first and one.run_id not in owned:
                    one.prior += strata.wanting(one.run_id, mine[one.run_id])
        out = [ranked(case) for case in out]
    return out, world


def find_twins(
    cases: Sequence[Case],
    runs: Mapping[str, Run],
    world: World,
    values: Mapping[str, tuple[float, ...]],
    window_s: float,
) -> tuple[Twins, ...]:
    """Count siblings of one launch, and neighbours within minutes."""
    gone_share = share_gone(cases)
    stamped_s = sorted(_began_s(cases, runs))
    out = []
    for low_s, high_s, prior in ((0.0, window_s, PRIOR_SIBLINGS), (window_s, NEAR_WINDOW_S, PRIOR_NEIGHBOURS)):
        twins = count_twins(
            runs.values(), world.index.logged, values, world.strata, nearest_s=low_s, window_s=high_s, prior=prior
        )
        out.append(expect_lone(twins, runs.values(), gone_share, stamped_s))
    return tuple(out)


def _began_s(cases: Iterable[Case], runs: Mapping[str, Run]) -> Iterator[float]:
    """Yield when runs of directories began by their stamps, UTC seconds; of stamps that say it, first ones of a run.

    Of several readings (two clocks, a repeated hour) it is the one that fits the run which fits at all.
    """
    for case in cases:
        best = runs[case.scores[0].run_id] if case.scores else None
        readings = case.seen.readings
        if len(readings) > 1:
            fitting = best_reading(case.seen, best) if best is not None and case.scores[0].odds > 1 else None
            readings = () if fitting is None else (fitting,)
        if readings and (best is None or is_first(case.seen, best)):
            yield readings[0].instant_s - readings[0].lag_s


def recount(cases: Sequence[Case], world: World, owned: Mapping[str, int]) -> Strata:
    """Return the strata with the directories counted by their odds as they are now, and those that runs own."""
    return count_made(
        world.strata, [*(case.odds() for case in cases), *({run_id: CERTAIN} for run_id in sorted(owned))]
    )
