"""Linking: from checkpoints, their evidence and a store to one verdict for each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.collector import collector_paused
from ckpt_migrate.matching.clock.anchors import find_stamps, fit_clocks
from ckpt_migrate.matching.decision.decide import decide
from ckpt_migrate.matching.decision.explain import explain_all
from ckpt_migrate.matching.families.artifacts import add_artifacts
from ckpt_migrate.matching.families.content import Contents
from ckpt_migrate.matching.families.drift import drift_note
from ckpt_migrate.matching.families.file_times import FileTimes, copied_note, newest_own_files
from ckpt_migrate.matching.families.histories import Histories, worth_reading
from ckpt_migrate.matching.families.metrics import add_metrics, last_values, learn_habits
from ckpt_migrate.matching.families.references import Reference, choosing_runs, find_references
from ckpt_migrate.matching.families.resumes import add_resumes, learn_resumes
from ckpt_migrate.matching.families.shifts import shift_of, shifted_note
from ckpt_migrate.matching.families.steps import add_steps
from ckpt_migrate.matching.model.candidates import find_candidates
from ckpt_migrate.matching.model.learning import count_kinds, find_twins, make_world, recount, weigh_pairs
from ckpt_migrate.matching.model.sight import see
from ckpt_migrate.matching.model.strata import find_parents
from ckpt_migrate.matching.model.twins import (
    launch_window,
)
from ckpt_migrate.matching.model.weights import gather
from ckpt_migrate.matching.records import Matching, Verdict
from ckpt_migrate.plan.records import Status
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckpt_migrate.evidence.records import Evidence
    from ckpt_migrate.matching.decision.decide import Decision
    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import World
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run, RunDetails, RunStore


@collector_paused()
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
    found = _sort(checkpoints, runs, answers or {})
    details = store.details(runs.keys())
    parents = find_parents(details)
    references = find_references(found.open, evidence, store, runs.keys(), recipe, parents=parents)
    references |= {path: (Reference(run_id, "a person", run_id),) for path, run_id in found.answered.items()}
    newest = newest_own_files(found.eligible, recipe)
    ends = sorted(run.end_utc_ms / 1000 for run in runs.values() if run.end_utc_ms is not None)
    times = _file_times(newest, ends)
    starts = sorted(run.start_utc_ms / 1000 for run in runs.values() if run.start_utc_ms is not None)
    stamps = find_stamps(found.eligible, references, times.newest_s, runs)
    whole, clocks, warnings = fit_clocks(stamps, starts, timezone)
    seen = see(found.open, evidence, references, clocks=clocks, times=times, run_ids=runs.keys(), recipe=recipe)
    window = launch_window(clocks.values())
    choosing = choosing_runs(references.values())
    seen, world = make_world(
        seen, runs, details, recipe, starts_s=starts, ends_s=ends, window_s=window, choosing=choosing
    )
    contents = Contents(store, runs.values(), checkpoints, recipe)
    watched = progress.track(found.open, label="matching", total=len(found.open))
    candidates = find_candidates(watched, seen, runs, world, contents)
    cases, world = weigh_pairs(found.open, seen, candidates, world)
    cases, world = count_kinds(cases, world, found.owned)
    values = _add_histories(cases, world, store, details)
    cases, weights, world = learn_resumes(cases, runs, world)
    strata = recount(weights, world, found.owned)
    world = replace(world, twins=find_twins(weights, runs, world, values=values, window_s=window), strata=strata)
    decisions = decide(cases, weights, world, runs, found.owned)
    decisions = _decide_again(decisions, cases, world, runs, owned=found.owned, contents=contents)
    verdicts = [*(_hold_back(verdict, runs) for verdict in explain_all(decisions, runs, world)), *found.verdicts()]
    verdicts.sort(key=lambda verdict: verdict.checkpoint.path)
    expected = sum(1 - (v.confidence or 0.0) for v in verdicts if v.status is Status.MATCHED)
    notes = (*drift_note(world.drifting), *copied_note(found.eligible, newest), *shifted_note(times.shift_s))
    return Matching(whole.summary, tuple(verdicts), expected, (*warnings, *notes))


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Directories by what is to be done with them.

    Attributes:
        eligible: All of a known name form.
        open: Those whose run is to be found.
        linked: Those named after their run already.
        answered: Run ids that a person gave, by path.
        unreadable: Those that could not be listed.
    """

    eligible: Sequence[Checkpoint]
    open: Sequence[Checkpoint]
    linked: Sequence[Checkpoint]
    answered: Mapping[str, str]
    unreadable: Sequence[Checkpoint]

    @property
    def owned(self) -> Counter[str]:
        """How many directories each run has for certain."""
        return Counter([*(c.uid for c in self.linked), *self.answered.values()])

    def verdicts(self) -> Iterator[Verdict]:
        """Yield the verdicts for which nothing needs to be weighed."""
        yield from (Verdict(c, Status.LINKED, c.uid, 1.0) for c in self.linked)
        yield from (Verdict(c, Status.UNREADABLE, reason=c.reason) for c in self.unreadable)


def _sort(checkpoints: Iterable[Checkpoint], runs: Mapping[str, Run], answers: Mapping[str, str]) -> _Sorted:
    checkpoints = sorted(checkpoints, key=lambda c: c.path)
    eligible = [c for c in checkpoints if c.state in {State.LEGACY, State.TARGET}]
    answered = {c.path: answers[c.path] for c in eligible if c.path in answers}
    return _Sorted(
        eligible,
        [c for c in eligible if c.uid not in runs and c.path not in answered and c.name is not None],
        [c for c in eligible if c.uid in runs and c.path not in answered],
        answered,
        [c for c in checkpoints if c.state is State.UNREADABLE],
    )


def _file_times(newest_s: Mapping[str, float], ends_s: Sequence[float]) -> FileTimes:
    """Return the times of newest files as they were written; see `shift_of`."""
    shift_s = shift_of(newest_s, ends_s)
    if shift_s is None:
        return FileTimes({}, None)
    return FileTimes({path: time_s - shift_s for path, time_s in newest_s.items()}, shift_s)


def _add_histories(
    cases: Sequence[Case], world: World, store: RunStore, details: Mapping[str, RunDetails]
) -> dict[str, tuple[float, ...]]:
    """Weigh the metrics and steps that directories tell; return the last values of these metrics by run id."""
    histories = Histories(store)
    asked = worth_reading(cases)
    habits = learn_habits(asked, histories, world, details)
    add_metrics(asked, world, histories, habits)
    add_steps(asked, world, histories)
    return last_values(habits.names, details)


def _decide_again(
    decisions: list[Decision],
    cases: Sequence[Case],
    world: World,
    runs: Mapping[str, Run],
    *,
    owned: Mapping[str, int],
    contents: Contents,
) -> list[Decision]:
    """Return a decision per case; what is undecided is decided again where the candidates' artifacts say more."""
    looked_up = add_artifacts(decisions, world, contents)
    if all(one is before for one, before in zip(looked_up, cases, strict=True)):
        return decisions
    cases = add_resumes(looked_up, runs, world)
    return decide(cases, gather(cases, world.strata.places), world, runs, owned)


def _hold_back(verdict: Verdict, runs: Mapping[str, Run]) -> Verdict:
    """Turn a match to a run that is still RUNNING into `busy`."""
    if verdict.status is Status.MATCHED and verdict.run_id is not None and runs[verdict.run_id].status == "RUNNING":
        reason = "its run is RUNNING; when it is known to be dead, end it in MLflow and plan again"
        return replace(verdict, status=Status.BUSY, reason=reason)
    return verdict
