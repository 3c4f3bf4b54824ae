"""Linking: from checkpoints, their evidence and a store to one verdict for each."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.records import Evidence, FactKind
from ckpt_migrate.matching.background import ParamIndex, count_twins
from ckpt_migrate.matching.candidates import CandidateIndex
from ckpt_migrate.matching.clock import fit_clock
from ckpt_migrate.matching.compare import KeyPatterns, align_keys, comparable
from ckpt_migrate.matching.decide import Case, decide
from ckpt_migrate.matching.metrics import add_metrics
from ckpt_migrate.matching.model import Score, Seen, World, key_difference, score
from ckpt_migrate.matching.mtimes import newest_own_files
from ckpt_migrate.matching.records import Matching, Verdict
from ckpt_migrate.matching.references import find_references, named_in_config
from ckpt_migrate.plan.records import Status
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ckpt_migrate.matching.clock import FittedClock
    from ckpt_migrate.matching.compare import Params
    from ckpt_migrate.matching.references import Reference
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run, RunStore

TWIN_WINDOW_SCALES = 5.0
"""Twins are counted within so many widths of the lag's distribution: further ones cannot be mistaken."""
SHORTEST_TWIN_WINDOW_S = 5.0
LONE_BITS = 6.0
"""A pair whose time evidence leads by this much, params aside, may teach how params behave."""
FEWEST_FOR_OWN_CLOCK = 5
"""Directories at run starts from which a folder's own clock is taken instead of that of all."""
_RESUME_KEYS = KeyPatterns(("*resume*", "*restart*", "*continue*", "*ckpt_path*"))
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def link(
    checkpoints: Sequence[Checkpoint],
    evidence: Mapping[str, Evidence],
    store: RunStore,
    recipe: Recipe,
    *,
    timezone: str | None = None,
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
        progress: Watches the loop over checkpoints.

    Raises:
        StoreError: The store could not be read to its end.
        UsageError: `timezone` is no IANA zone.
    """
    runs = {run.run_id: run for run in store.runs()}
    unreadable = [c for c in checkpoints if c.state is State.UNREADABLE]
    eligible = sorted((c for c in checkpoints if c.state in {State.LEGACY, State.TARGET}), key=lambda c: c.path)
    linked = [c for c in eligible if c.uid in runs]
    open_ones = [c for c in eligible if c.uid not in runs]
    references = find_references(open_ones, evidence, store, runs.keys(), recipe)
    anchors = _anchors(eligible, references, runs)
    clock, clocks = _fit_clocks(eligible, runs.values(), anchors, timezone)
    seen = _see(open_ones, evidence, references, clocks, recipe)
    world = _world(seen, runs, store, recipe, clock)
    finder = CandidateIndex(runs.values(), world.index)
    candidates = {path: finder.find(one) for path, one in seen.items()}
    first = {path: _scores(one, candidates[path], runs, world) for path, one in seen.items()}
    world, drifting = _learn_differences(seen, first, world)
    cases = []
    for checkpoint in progress.track(open_ones, label="matching", total=len(open_ones)):
        one = replace(seen[checkpoint.path], config=_without(seen[checkpoint.path].config, drifting))
        resumed_from = named_in_config(evidence.get(checkpoint.path), _RESUME_KEYS)
        scores = _scores(one, candidates[checkpoint.path], runs, world)
        cases.append(Case(checkpoint, one, tuple(scores), resumed_from))
    cases = add_metrics(cases, world, store)
    verdicts = decide(cases, world, runs, Counter(c.uid for c in linked))
    verdicts = [_hold_back(verdict, runs) for verdict in verdicts]
    verdicts += [Verdict(c, Status.LINKED, c.uid, 1.0) for c in linked]
    verdicts += [Verdict(c, Status.UNREADABLE, reason=c.reason) for c in unreadable]
    verdicts.sort(key=lambda verdict: verdict.checkpoint.path)
    expected = sum(1 - (v.confidence or 0.0) for v in verdicts if v.status is Status.MATCHED)
    return Matching(clock.summary, tuple(verdicts), expected)


def _fit_clocks(
    checkpoints: Sequence[Checkpoint], runs: Iterable[Run], anchors: Mapping[datetime, float], timezone: str | None
) -> tuple[FittedClock, dict[str, FittedClock]]:
    """Fit one clock to all checkpoints, and to each folder its own where its data suffice, by folder.

    A folder is written by one host more often than a whole root is, and hosts differ in zone and skew.
    """
    starts_s = sorted(run.start_utc_ms / 1000 for run in runs if run.start_utc_ms is not None)
    stamps: defaultdict[str, list[datetime]] = defaultdict(list)
    for checkpoint in checkpoints:
        if checkpoint.name is not None:
            stamps[os.path.dirname(checkpoint.path)].append(checkpoint.name.local_time)
    every = [stamp for found in stamps.values() for stamp in found]
    whole = fit_clock(every, starts_s, anchors, timezone_name=timezone)
    clocks = dict.fromkeys(stamps, whole)
    if len(stamps) > 1:
        for folder, found in stamps.items():
            own = {stamp: anchors[stamp] for stamp in found if stamp in anchors}
            clock = fit_clock(found, starts_s, own, timezone_name=timezone)
            if clock.summary.is_decisive and clock.summary.directories >= FEWEST_FOR_OWN_CLOCK:
                clocks[folder] = clock
    return whole, clocks


def _anchors(
    checkpoints: Iterable[Checkpoint], references: Mapping[str, Sequence[Reference]], runs: Mapping[str, Run]
) -> dict[datetime, float]:
    """Return stamps whose run is known: named by one reference, or in the directory's own name."""
    anchors: dict[datetime, float] = {}
    for checkpoint in checkpoints:
        if checkpoint.name is None:
            continue
        ids = {reference.run_id for reference in references.get(checkpoint.path, ())} & runs.keys()
        ids |= {checkpoint.name.uid} & runs.keys()
        start = runs[next(iter(ids))].start_utc_ms if len(ids) == 1 else None
        if start is not None:
            anchors[checkpoint.name.local_time] = start / 1000
    return anchors


def _see(
    checkpoints: Sequence[Checkpoint],
    evidence: Mapping[str, Evidence],
    references: Mapping[str, tuple[Reference, ...]],
    clocks: Mapping[str, FittedClock],
    recipe: Recipe,
) -> dict[str, Seen]:
    ignored = KeyPatterns((*recipe.ignored_params, *recipe.other_run_keys))
    newest = newest_own_files(checkpoints, recipe)
    seen = {}
    for checkpoint in checkpoints:
        if checkpoint.name is None:
            continue
        facts = evidence.get(checkpoint.path, Evidence()).facts
        clock = clocks[os.path.dirname(checkpoint.path)]
        instants = clock.instants(checkpoint.name.local_time)
        written = newest.get(checkpoint.path)
        seen[checkpoint.path] = Seen(
            local=checkpoint.name.local_time,
            clock=clock,
            instants=instants,
            newest_s=None if written is None or (instants and written < min(instants) - 60) else written,
            config=comparable([(f.key, f.value) for f in facts if f.kind is FactKind.PARAM], ignored),
            metrics=tuple(
                sorted(
                    {
                        (fact.key, fact.value)
                        for fact in facts
                        if fact.kind is FactKind.METRIC
                        and isinstance(fact.value, str)
                        and _NUMBER.fullmatch(fact.value)
                    }
                )
            ),
            references=references.get(checkpoint.path, ()),
        )
    return seen


def _world(
    seen: Mapping[str, Seen], runs: Mapping[str, Run], store: RunStore, recipe: Recipe, clock: FittedClock
) -> World:
    ignored = KeyPatterns((*recipe.ignored_params, *recipe.other_run_keys))
    params: dict[str, Params] = {run_id: {} for run_id in runs}
    params |= {run_id: comparable(details.params, ignored) for run_id, details in store.details(runs.keys()).items()}
    params = align_keys(params, {key for one in seen.values() for key in one.config})
    keys = sorted({key for one in seen.values() for key in one.config})
    window_s = max(SHORTEST_TWIN_WINDOW_S, TWIN_WINDOW_SCALES * clock.scale_s)
    return World(
        clock=clock,
        starts_s=sorted(run.start_utc_ms / 1000 for run in runs.values() if run.start_utc_ms is not None) or [0.0],
        run_total=len(runs),
        index=ParamIndex(params),
        params=params,
        twins=count_twins(runs.values(), params, keys, window_s),
        differences={},
        expected_experiments=frozenset(recipe.experiments) & {run.experiment for run in runs.values()},
    )


def _scores(seen: Seen, candidates: Iterable[str], runs: Mapping[str, Run], world: World) -> list[Score]:
    scores = [score(seen, runs[run_id], world) for run_id in candidates]
    return sorted(scores, key=lambda one: (-one.bits, one.run_id))


def _without(config: Params, keys: frozenset[str]) -> Params:
    return {key: value for key, value in config.items() if key not in keys} if keys else config


def _learn_differences(
    seen: Mapping[str, Seen], first: Mapping[str, Sequence[Score]], world: World
) -> tuple[World, frozenset[str]]:
    """Learn which keys drift between config and log, from pairs that are plain without the key in question."""
    agreed: Counter[str] = Counter()
    differed: Counter[str] = Counter()
    for path, scores in first.items():
        teacher = _plain_pair(seen[path], scores)
        if teacher is not None:
            agreed.update(teacher.comparison.agreeing)
            differed.update(teacher.comparison.differing)
    differences: dict[str, float] = {}
    drifting = set()
    for key in agreed.keys() | differed.keys():
        chance, is_drifting = key_difference(agreed[key], differed[key])
        differences[key] = chance
        if is_drifting:
            drifting.add(key)
    return replace(world, differences=differences), frozenset(drifting)


def _plain_pair(seen: Seen, scores: Sequence[Score]) -> Score | None:
    """Return the pair that teaches: the only one referred to, far ahead in time, or alone in agreeing throughout."""
    named = {reference.run_id for reference in seen.references}
    if len(named) == 1:
        return next((one for one in scores if one.run_id in named), None)
    by_time = sorted(scores, key=lambda one: (-(one.time + one.mtime), one.run_id))
    if by_time and by_time[0].time + by_time[0].mtime + by_time[0].prior >= LONE_BITS:
        lead = by_time[0].time + by_time[0].mtime
        if len(by_time) == 1 or lead - by_time[1].time - by_time[1].mtime >= LONE_BITS:
            return by_time[0]
    whole = [one for one in scores if one.comparison.compared and not one.comparison.differing]
    return whole[0] if len(whole) == 1 and whole[0].time > 0 else None


def _hold_back(verdict: Verdict, runs: Mapping[str, Run]) -> Verdict:
    """Turn a match to a run that is still RUNNING into `busy`."""
    if verdict.status is Status.MATCHED and verdict.run_id is not None and runs[verdict.run_id].status == "RUNNING":
        reason = "its run is RUNNING; when it is known to be dead, end it in MLflow and plan again"
        return replace(verdict, status=Status.BUSY, reason=reason)
    return verdict
