"""The decision: rename only what is singled out, say why not of everything else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.matching.explain import explain
from ckpt_migrate.matching.model import LARGEST_BITS, Score, certified, claim, ghost_odds
from ckpt_migrate.matching.records import RankedRun, Verdict
from ckpt_migrate.plan.records import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.model import Seen, World
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run

THRESHOLD = 0.999
"""Certified probability from which a directory is renamed."""
FAMILY_BITS = 2.0
"""Bits from which a family counts as speaking for a run: four times likelier than not."""
FEWEST_FAMILIES = 2
"""Families that must speak for a run that no reference names."""
MOST_CANDIDATES = 5
"""Candidates shown for a directory that is not decided."""
LEAST_SHOWN = 1e-4
"""Candidates below this probability are not worth a person's time."""
SMALLEST_SHARE = 0.02
"""Floor on the shares of gone runs and of runs without a directory: a small project proves no smaller one."""
LARGEST_GONE_SHARE = 0.9
CONTRADICTION_BITS = 6.0
"""When another run leads by so much in all but references, the reference is not believed."""
_ODDS_OF_SOME_FIT = 0.5


@dataclass(frozen=True, slots=True)
class Case:
    """A checkpoint with its scored candidates.

    Attributes:
        seen: What is known of it.
        scores: One per candidate, best first.
        resumed_from: Ids of directories or runs that its config says it was resumed from.
    """

    checkpoint: Checkpoint
    seen: Seen
    scores: tuple[Score, ...]
    resumed_from: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Shared:
    world: World
    runs: Mapping[str, Run]
    claims: Mapping[str, Mapping[str, float]]
    gone_share: float
    unmade_share: float


def decide(cases: Sequence[Case], world: World, runs: Mapping[str, Run], linked: Mapping[str, int]) -> list[Verdict]:
    """Return a verdict per case, in their order.

    Args:
        cases: The checkpoints that are not yet named after their run.
        world: The shared facts.
        runs: Every run by id.
        linked: How many directories are named after each run already.
    """
    claims = _claims(cases, linked)
    shared = _Shared(world, runs, claims, *_shares(cases, runs, linked))
    verdicts = [_decide_one(case, shared) for case in cases]
    return _refuse_unexplained_sharing(cases, verdicts, linked)


def _claims(cases: Sequence[Case], linked: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Return, per run, how strongly each directory can occupy it; directories named after it do so for certain."""
    claims: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for case in cases:
        total = sum(one.odds for one in case.scores)
        for one in case.scores:
            claims[one.run_id][case.checkpoint.path] = claim(one.odds, max(total - one.odds, 0.0))
    for run_id in linked:
        claims[run_id]["linked"] = 1.0
    return claims


def _shares(cases: Sequence[Case], runs: Mapping[str, Run], linked: Mapping[str, int]) -> tuple[float, float]:
    """Return the share of runs that are gone from the store, and of those that left no directory.

    Only experiments that left any directory count: another project's runs never were to leave one here.
    """
    gone = sum(1 for case in cases if not any(one.odds > 1 for one in case.scores))
    gone_share = (gone + 0.5) / (len(cases) + 1)
    made = set(linked) | {case.scores[0].run_id for case in cases if case.scores and case.scores[0].odds > 1}
    experiments = {runs[run_id].experiment_id for run_id in made}
    expected = sum(1 for run in runs.values() if run.experiment_id in experiments)
    unmade_share = (expected - len(made) + 0.5) / (expected + 1)
    return min(max(gone_share, SMALLEST_SHARE), LARGEST_GONE_SHARE), max(unmade_share, SMALLEST_SHARE)


def _decide_one(case: Case, shared: _Shared) -> Verdict:
    world = shared.world
    ranked: list[RankedRun] = []
    total = sum(one.odds for one in case.scores)
    for one in case.scores:
        ghost = one.odds * ghost_odds(one, shared.runs[one.run_id], world, shared.gone_share, shared.unmade_share)
        others = max(total - one.odds, 0.0) + ghost
        claims = sum(c for path, c in shared.claims[one.run_id].items() if path != case.checkpoint.path)
        bound = certified(one.odds, others, claims)
        ranked.append(RankedRun(one.run_id, bound, explain(one, case.seen, shared.runs[one.run_id], world, bound)))
    ranked.sort(key=lambda candidate: (-candidate.confidence, candidate.run_id))
    shown = tuple(candidate for candidate in ranked if candidate.confidence >= LEAST_SHOWN)[:MOST_CANDIDATES]
    if not ranked:
        return Verdict(case.checkpoint, Status.UNMATCHED, reason=_why_no_candidate(case))
    best = next(one for one in case.scores if one.run_id == ranked[0].run_id)
    why_not = _why_not(case, best, ranked, world)
    if why_not is None:
        return Verdict(
            case.checkpoint, Status.MATCHED, best.run_id, ranked[0].confidence, ranked[0].weights, None, shown[1:]
        )
    some_fit = total / (1 + total) >= _ODDS_OF_SOME_FIT
    status = Status.AMBIGUOUS if some_fit else Status.UNMATCHED
    return Verdict(case.checkpoint, status, reason=why_not, candidates=shown)


def _why_not(case: Case, best: Score, ranked: Sequence[RankedRun], world: World) -> str | None:
    """Return why the best candidate is not taken; None when it is singled out."""
    named = sorted({reference.run_id for reference in case.seen.references})
    if len(named) > 1:
        return f"references name {len(named)} different runs: {', '.join(named[:3])}"
    if best.odds < 1:
        return (
            "no run fits; the nearest candidates are listed" if case.seen.clock.functions else _why_no_candidate(case)
        )
    if ranked[0].confidence < THRESHOLD:
        return _why_unsure(case, best, world)
    is_named = best.run_id in named
    rival = max((one.bits - one.reference for one in case.scores if one is not best), default=-LARGEST_BITS)
    if is_named and rival - (best.bits - best.reference) > CONTRADICTION_BITS:
        return "a reference names one run, but all other evidence speaks for another"
    if not is_named and len(best.favouring(FAMILY_BITS)) < FEWEST_FAMILIES:
        only = {"time": "its time stamp", "mtime": "its files' times", "params": "its params", "metrics": "a metric"}
        families = best.favouring(FAMILY_BITS)
        return f"only {only[families[0]] if families else 'weak evidence'} speaks for the run; a second kind is needed"
    return None


def _why_unsure(case: Case, best: Score, world: World) -> str:
    close = [one for one in case.scores if one is not best and one.odds * 1000 >= best.odds]
    if close:
        mine, other = world.params.get(best.run_id, {}), world.params.get(close[0].run_id, {})
        apart = sorted(key for key in mine.keys() & other.keys() if mine[key].canonical != other[key].canonical)
        missing = [key for key in apart if key not in case.seen.config]
        count = len(close) + 1
        if not apart:
            return f"{count} runs fit, and no param tells them apart"
        if missing:
            return f"{count} runs fit; they differ in {', '.join(missing[:3])}, which the directory does not say"
        return f"{count} runs fit; they differ in {', '.join(apart[:3])}"
    if best.comparison.differing:
        return f"one run is near, but differs in {', '.join(best.comparison.differing[:3])}"
    return "one run fits, but a run like it that is no longer in the store, or another directory, would fit as well"


def _why_no_candidate(case: Case) -> str:
    if not case.seen.clock.functions:
        return (
            "no run names it or has its params, and its time stamp could not be used because the time zone "
            "is not known (--timezone gives it)"
        )
    return "no run starts near its time stamp, names it, or has its params"


def _refuse_unexplained_sharing(
    cases: Sequence[Case], verdicts: list[Verdict], linked: Mapping[str, int]
) -> list[Verdict]:
    """Refuse runs that several directories claim, unless a reference or a resume explains each further one."""
    claims: defaultdict[str, list[int]] = defaultdict(list)
    for i, verdict in enumerate(verdicts):
        if verdict.status is Status.MATCHED and verdict.run_id is not None:
            claims[verdict.run_id].append(i)
    out = list(verdicts)
    for run_id, positions in claims.items():
        if len(positions) + linked.get(run_id, 0) < len(("one", "other")):
            continue
        family = {cases[i].checkpoint.uid for i in positions} | {run_id}
        for i in positions:
            case = cases[i]
            is_named = any(reference.run_id == run_id for reference in case.seen.references)
            if is_named or family & set(case.resumed_from):
                continue
            verdict = verdicts[i]
            own = RankedRun(run_id, verdict.confidence or 0.0, verdict.weights)
            out[i] = replace(
                verdict,
                status=Status.AMBIGUOUS,
                run_id=None,
                confidence=None,
                weights=(),
                reason="another directory fits the same run as well, and nothing says that it was resumed",
                candidates=(own, *verdict.candidates)[:MOST_CANDIDATES],
            )
    return out
