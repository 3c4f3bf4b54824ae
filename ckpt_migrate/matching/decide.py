"""The decision: rename only what is singled out, say why not of everything else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.matching.bound import Edge, certified, find_claims, others_odds
from ckpt_migrate.matching.explain import explain
from ckpt_migrate.matching.records import RankedRun, Verdict
from ckpt_migrate.matching.references import named_runs
from ckpt_migrate.matching.refusal import why_no_candidate, why_not
from ckpt_migrate.matching.stamps import ANY_LAG_SHARE, is_first
from ckpt_migrate.matching.twins import ghost_odds
from ckpt_migrate.plan.records import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.cases import Case
    from ckpt_migrate.matching.model import Score, World
    from ckpt_migrate.tracking.records import Run

MOST_CANDIDATES = 5
"""Candidates shown for a directory that is not decided."""
LEAST_SHOWN = 1e-4
"""Candidates below this probability are not worth a person's time."""
SMALLEST_SHARE = 0.02
"""Floor on the share of gone runs: a small project proves no smaller one."""
LARGEST_GONE_SHARE = 0.9
_ODDS_OF_SOME_FIT = 0.5


@dataclass(frozen=True, slots=True)
class Weighed:
    """A candidate with its certified probability and the odds of a ghost of it, against it."""

    score: Score
    bound: float
    ghost: float


def share_gone(cases: Sequence[Case]) -> float:
    """Return the share of directories whose run is not in the store, at least SMALLEST_SHARE."""
    gone = sum(1 for case in cases if not any(one.odds > 1 for one in case.scores))
    return min(max((gone + 0.5) / (len(cases) + 1), SMALLEST_SHARE), LARGEST_GONE_SHARE)


def decide(
    cases: Sequence[Case],
    world: World,
    runs: Mapping[str, Run],
    linked: Mapping[str, int],
) -> list[Verdict]:
    """Return a verdict per case, in their order.

    Args:
        cases: The checkpoints that are not yet named after their run.
        world: The shared facts.
        runs: Every run by id.
        linked: How many directories are named after each run already.
    """
    gone_share = share_gone(cases)
    answers = [_edges(case, world, runs, gone_share) for case in cases]
    claims = find_claims(answers, linked)
    counts = others_odds(answers, claims, linked)
    verdicts = []
    for i, case in enumerate(cases):
        edges = [replace(edge, ghost=_ghost(edge, claims.taken(i, edge))) for edge in answers[i]]
        free = {edge.run_id: claims.free(i, edge) for edge in edges}
        verdicts.append(_decide_one(case, _weigh(case, edges, counts[i], free, world), world, runs))
    return _refuse_unexplained_sharing(cases, verdicts, runs, linked)


def _edges(case: Case, world: World, runs: Mapping[str, Run], gone_share: float) -> list[Edge]:
    """Return the answers of a checkpoint, with the odds of a ghost for those that are worth a close look."""
    shares = case.shares()
    close = {one.run_id for one in case.worth}
    edges = []
    for one in case.scores:
        ghost = unmade = 0.0
        if one.run_id in close:
            run = runs[one.run_id]
            ghost = one.odds * ghost_odds(one, case.seen, run, world, gone_share)
            unmade = world.strata.unmade_odds(one.run_id, shares[one.run_id])
        edges.append(Edge(one.run_id, one.odds, ghost, unmade, is_first(case.seen, runs[one.run_id])))
    return edges


def _ghost(edge: Edge, taken: float) -> float:
    """Return the odds of a ghost: the run has no directory, or another one."""
    return edge.ghost * (edge.unmade + max(1 - edge.unmade, 0.0) * taken)


def _weigh(
    case: Case, edges: Sequence[Edge], counts: Mapping[str, float], free: Mapping[str, float], world: World
) -> list[Weighed]:
    """Return the candidates worth a close look with what is certain of them, surest first.

    A ghost of a rival, where it explains the directory, is a ghost of this candidate as well: only its own count. All
    runs that are no candidates count for no more, together, than before any evidence; where the stamp can be
    read, they lie elsewhere in time.

    Args:
        case: The checkpoint.
        edges: Its answers, with the whole odds of ghosts.
        counts: The most that each answer counts for, as odds against the others.
        free: What other checkpoints leave of each run, at least.
        world: The shared facts.
    """
    scores = {one.run_id: one for one in case.worth}
    total = sum(counts.values())
    unlisted = world.strata.store_odds * (ANY_LAG_SHARE if case.seen.readings else 1.0)
    out = []
    for edge in edges:
        if edge.run_id in scores:
            others = max(total - counts[edge.run_id], 0.0) + edge.ghost + unlisted
            bound = certified(edge.odds, others, free[edge.run_id])
            out.append(Weighed(scores[edge.run_id], bound, edge.ghost / edge.odds))
    return sorted(out, key=lambda one: (-one.bound, one.score.run_id))


def _decide_one(case: Case, weighed: Sequence[Weighed], world: World, runs: Mapping[str, Run]) -> Verdict:
    if not weighed:
        return Verdict(case.checkpoint, Status.UNMATCHED, reason=why_no_candidate(case.seen))
    best = weighed[0]
    shown = tuple(_rank(one, case, world, runs) for one in weighed[:MOST_CANDIDATES] if one.bound >= LEAST_SHOWN)
    reason = why_not(case, best.score, best.bound, best.ghost, world)
    if reason is None:
        first = shown[0]
        return Verdict(case.checkpoint, Status.MATCHED, first.run_id, best.bound, first.weights, None, shown[1:])
    total = sum(one.odds for one in case.scores)
    status = Status.AMBIGUOUS if total / (1 + total) >= _ODDS_OF_SOME_FIT else Status.UNMATCHED
    return Verdict(case.checkpoint, status, reason=reason, candidates=shown)


def _rank(one: Weighed, case: Case, world: World, runs: Mapping[str, Run]) -> RankedRun:
    run = runs[one.score.run_id]
    return RankedRun(run.run_id, one.bound, explain(one.score, case.seen, run, world, one.bound))


def _refuse_unexplained_sharing(
    cases: Sequence[Case], verdicts: list[Verdict], runs: Mapping[str, Run], linked: Mapping[str, int]
) -> list[Verdict]:
    """Refuse a run to directories that all lie at its start: it made one of them, and nothing says which.

    Directories made later, when the run was taken up again, lie within it; a reference settles the rest.
    """
    claims: defaultdict[str, list[int]] = defaultdict(list)
    for i, verdict in enumerate(verdicts):
        run_id = verdict.run_id if verdict.status is Status.MATCHED else None
        if run_id is not None and is_first(cases[i].seen, runs[run_id]):
            claims[run_id].append(i)
    out = list(verdicts)
    for run_id, positions in claims.items():
        if len(positions) + linked.get(run_id, 0) < len(("one", "other")):
            continue
        for i in positions:
            if run_id in named_runs(cases[i].seen.references):
                continue
            verdict = verdicts[i]
            own = RankedRun(run_id, verdict.confidence or 0.0, verdict.weights)
            out[i] = replace(
                verdict,
                status=Status.AMBIGUOUS,
                run_id=None,
                confidence=None,
                weights=(),
                reason="another directory fits the start of the same run as well",
                candidates=(own, *verdict.candidates)[:MOST_CANDIDATES],
            )
    return out
