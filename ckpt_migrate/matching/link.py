"""Linking: from checkpoints, their evidence and a store to one verdict for each."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock.anchors import find_stamps, fit_clocks
from ckpt_migrate.matching.clock.lags import start_rate
from ckpt_migrate.matching.decision.decide import decide, share_gone
from ckpt_migrate.matching.families.artifacts import add_artifacts
from ckpt_migrate.matching.families.background import ParamIndex
from ckpt_migrate.matching.families.drift import drift_note, learn_drift
from ckpt_migrate.matching.families.histories import Histories, worth_reading
from ckpt_migrate.matching.families.keys import align_keys, keys_of, unwrap_configs
from ckpt_migrate.matching.families.metrics import add_metrics, last_values, learn_habits
from ckpt_migrate.matching.families.mtimes import NO_ENDS, copied_note, learn_habits_of_ends, newest_own_files
from ckpt_migrate.matching.families.params import Differences
from ckpt_migrate.matching.families.references import Reference, choosing_runs, find_references
from ckpt_migrate.matching.families.resumes import add_resumes, learn_resumes
from ckpt_migrate.matching.families.shifts import shift_of, shifted_note
from ckpt_migrate.matching.families.stamps import (
    FURTHER_CHECKPOINT,
    NAME_STAMP_SHARES,
    is_first,
    learn_name_shares,
    name_difference,
)
from ckpt_migrate.matching.families.steps import add_steps
from ckpt_migrate.matching.families.values import comparable
from ckpt_migrate.matching.model.candidates import CandidateIndex
from ckpt_migrate.matching.model.cases import Case, plain_run, ranked
from ckpt_migrate.matching.model.pair import World
from ckpt_migrate.matching.model.presence import near_in_time
from ckpt_migrate.matching.model.sharing import CERTAIN
from ckpt_migrate.matching.model.sight import FileTimes, ignored_keys, see
from ckpt_migrate.matching.model.strata import LEAST_IN_STORE, MOST_IN_STORE, count_made, draw_strata, find_parents
from ckpt_migrate.matching.model.twins import (
    NEAR_WINDOW_S,
    PRIOR_NEIGHBOURS,
    PRIOR_SIBLINGS,
    count_twins,
    expect_lone,
    launch_window,
)
from ckpt_migrate.matching.model.weigh import weigh_again, weigh_all
from ckpt_migrate.matching.records import Matching, Verdict
from ckpt_migrate.plan.records import Status
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckpt_migrate.evidence.records import Evidence
    from ckpt_migrate.matching.model.pair import Seen
    from ckpt_migrate.matching.model.strata import Strata
    from ckpt_migrate.matching.model.twins import Twins
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run, RunDetails, RunStore

STRATA_ROUNDS = 6
"""How often kinds of runs are counted, at most: once with equal priors, and again with what came of it."""
SETTLED = 0.005
"""Change of the rate of every kind below which counting again changes nothing that matters."""


def link(
    checkpoints: Sequence[Checkpoint],
    evidence: Mapping[str, Evidence],
    store: RunStore,
    recipe: Recipe,
    *,
    timezone: str | None = None,
    answers: Mapping[str, str] | None = None,
    progress: Progress = SILENT,
) -> Matching:
    """Say of each checkpoint directory which run made it, and how sure that is.

    Directories of neither name form, links and loose files are not linked and have no verdict.

    Args:
        checkpoints: As scanned, in any order.
        evidence: By checkpoint path.
        store: The runs.
        recipe: Which keys are references, which are ignored.
        timezone: An IANA zone that overrides the inferred one.
        answers: Run ids that a person gave, by checkpoint path; certain, and without a verdict.
        progress: Watches the loop over checkpoints.

    Raises:
        StoreError: The store could not be read to its end.
        UsageError: `timezone` is no IANA zone.
    """
    runs = {run.run_id: run for run in sorted(store.runs(), key=lambda run: run.run_id)}
    unreadable = [c for c in checkpoints if c.state is State.UNREADABLE]
    eligible = sorted((c for c in checkpoints if c.state in {State.LEGACY, State.TARGET}), key=lambda c: c.path)
    answered = {c.path: answers[c.path] for c in eligible if answers is not None and c.path in answers}
    linked = [c for c in eligible if c.uid in runs and c.path not in answered]
    open_ones = [c for c in eligible if c.uid not in runs and c.path not in answered and c.name is not None]
    details = store.details(runs.keys())
    parents = find_parents(details)
    references = find_references(open_ones, evidence, store, runs.keys(), recipe, parents=parents)
    references |= {path: (Reference(run_id, "a person", run_id),) for path, run_id in answered.items()}
    newest = newest_own_files(eligible, recipe)
    ends = sorted(run.end_utc_ms / 1000 for run in runs.values() if run.end_utc_ms is not None)
    shift_s = shift_of(newest, ends)
    newest = {path: time_s - shift_s for path, time_s in newest.items()}
    starts = sorted(run.start_utc_ms / 1000 for run in runs.values() if run.start_utc_ms is not None)
    whole, clocks, warnings = fit_clocks(find_stamps(eligible, references, newest, runs), starts, timezone)
    times = FileTimes(newest, shift_s)
    seen = see(open_ones, evidence, references, clocks=clocks, times=times, run_ids=runs.keys(), recipe=recipe)
    window = launch_window(clocks.values())
    choosing = choosing_runs(references.values())
    seen, world = _world(seen, runs, details, recipe, starts_s=starts, ends_s=ends, window_s=window, choosing=choosing)
    owned = Counter([*(c.uid for c in linked), *answered.values()])
    cases, world = _first_cases(open_ones, seen, runs, world, progress)
    cases, world = _count_kinds(cases, world, runs, owned)
    histories = Histories(store)
    asked = worth_reading(cases)
    habits = learn_habits(asked, histories, world, details)
    values = last_values(habits.names, details)
    add_metrics(asked, world, histories, habits)
    add_steps(asked, world, histories)
    cases, world = learn_resumes([ranked(case) for case in cases], runs, world)
    world = replace(world, twins=_twins(cases, runs, world, values, window), strata=_recount(cases, world, owned))
    verdicts = decide(cases, world, runs, owned)
    looked_up = add_artifacts(cases, verdicts, world, store, recipe)
    if looked_up != cases:
        cases = add_resumes(looked_up, runs, world.further)
        verdicts = decide(cases, world, runs, owned)
    verdicts = [_hold_back(verdict, runs) for verdict in verdicts]
    verdicts += [Verdict(c, Status.LINKED, c.uid, 1.0) for c in linked]
    verdicts += [Verdict(c, Status.UNREADABLE, reason=c.reason) for c in unreadable]
    verdicts.sort(key=lambda verdict: verdict.checkpoint.path)
    expected = sum(1 - (v.confidence or 0.0) for v in verdicts if v.status is Status.MATCHED)
    warnings += (*drift_note(world.drifting), *copied_note(eligible, newest), *shifted_note(shift_s))
    return Matching(whole.summary, tuple(verdicts), expected, warnings)


def _world(
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
    )
    return {path: replace(one, config=configs[path]) for path, one in seen.items()}, world


def _rates(runs: Iterable[Run], starts_s: Sequence[float]) -> dict[str, float]:
    """Return, per run with a start, log2 of N / r, r being the local rate of the starts of all N runs."""
    total = math.log2(max(len(starts_s), 1))
    return {
        run.run_id: total - math.log2(start_rate(starts_s, run.start_utc_ms / 1000))
        for run in runs
        if run.start_utc_ms is not None
    }


def _first_cases(
    checkpoints: Iterable[Checkpoint],
    seen: Mapping[str, Seen],
    runs: Mapping[str, Run],
    world: World,
    progress: Progress,
) -> tuple[list[Case], World]:
    """Score all candidates, learn from the plain pairs how the project behaves, and score again."""
    world = replace(world, priors=world.strata.priors())
    finder = CandidateIndex(runs.values(), world.index)
    cases = []
    checkpoints = list(checkpoints)
    for checkpoint in progress.track(checkpoints, label="matching", total=len(checkpoints)):
        one = seen[checkpoint.path]
        scores = weigh_all(one, finder.find(one), runs, world)
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


def _count_kinds(
    cases: Sequence[Case], world: World, runs: Mapping[str, Run], owned: Mapping[str, int]
) -> tuple[list[Case], World]:
    """Count the directories of each kind of run, and give each candidate the prior of its kind."""
    out = list(cases)
    kinds = world.strata.totals.items()
    for _ in range(STRATA_ROUNDS):
        before, strata = world.strata, _recount(out, world, owned)
        if all(abs(strata.made.get(kind, 0.0) - before.made.get(kind, 0.0)) < SETTLED * n for kind, n in kinds):
            break
        found = [sum(case.shares().values()) for case in out]
        near = zip(out, near_in_time(out, found, strata.in_store), strict=True)
        presence = {case.checkpoint.path: min(max(each, LEAST_IN_STORE), MOST_IN_STORE) for case, each in near}
        world = replace(world, strata=strata, priors=strata.priors(), presence=presence)
        for case in out:
            shares, odds = case.shares(), math.log2(world.store_odds(case.checkpoint.path))
            for one in case.scores:
                one.prior = odds + world.priors[strata.kinds[one.run_id]]
                if one.run_id not in owned and is_first(case.seen, runs[one.run_id]):
                    one.prior += strata.wanting(one.run_id, shares[one.run_id])
        out = [ranked(case) for case in out]
    return out, world


def _twins(
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
    for width_s, prior in ((window_s, PRIOR_SIBLINGS), (NEAR_WINDOW_S, PRIOR_NEIGHBOURS)):
        twins = count_twins(runs.values(), world.index.logged, values, world.strata, window_s=width_s, prior=prior)
        out.append(replace(twins, lone=expect_lone(twins, runs.values(), gone_share, stamped_s)))
    return tuple(out)


def _began_s(cases: Iterable[Case], runs: Mapping[str, Run]) -> Iterator[float]:
    """Yield when runs of directories began by their stamps, UTC seconds; of stamps that say it, first ones of a run."""
    for case in cases:
        if len(case.seen.readings) == 1 and (not case.scores or is_first(case.seen, runs[case.scores[0].run_id])):
            reading = case.seen.readings[0]
            yield reading.instant_s - reading.lag_s


def _recount(cases: Sequence[Case], world: World, owned: Mapping[str, int]) -> Strata:
    return count_made(
        world.strata, [*(case.odds() for case in cases), *({run_id: CERTAIN} for run_id in sorted(owned))]
    )


def _hold_back(verdict: Verdict, runs: Mapping[str, Run]) -> Verdict:
    """Turn a match to a run that is still RUNNING into `busy`."""
    if verdict.status is Status.MATCHED and verdict.run_id is not None and runs[verdict.run_id].status == "RUNNING":
        reason = "its run is RUNNING; when it is known to be dead, end it in MLflow and plan again"
        return replace(verdict, status=Status.BUSY, reason=reason)
    return verdict
