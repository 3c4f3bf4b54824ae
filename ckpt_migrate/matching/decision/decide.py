"""The decision: rename only what is singled out, say why not of everything else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ckpt_migrate.matching.decision.bound import Edge, certified, find_claims, others_odds
from ckpt_migrate.matching.decision.contradiction import share_copied, speaking_against
from ckpt_migrate.matching.decision.explain import explain, nearest_words
from ckpt_migrate.matching.decision.refusal import is_some_fit, why_no_candidate, why_not
from ckpt_migrate.matching.families.references import named_runs
from ckpt_migrate.matching.families.stamps import ANY_LAG_SHARE, is_first
from ckpt_migrate.matching.model.ghosts import Losses, ghost_odds
from ckpt_migrate.matching.model.pair import exp2
from ckpt_migrate.matching.model.presence import near_in_time, order_in_time
from ckpt_migrate.matching.model.sharing import CERTAIN, share_out
from ckpt_migrate.matching.records import RankedRun, Verdict
from ckpt_migrate.plan.records import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import Score, World
    from ckpt_migrate.tracking.records import Run

MOST_CANDIDATES = 5
"""Candidates shown for a directory that is not decided."""
FEWEST_CANDIDATES = 2
"""So many are shown all the same: where two runs fit, or one does that a ghost outdoes, a person must see which."""
LEAST_SHOWN = 1e-4
"""Candidates below this probability are not worth a person's time."""
SMALLEST_SHARE = 0.02
"""Floor on the share of gone runs: a small project proves no smaller one."""
LARGEST_GONE_SHARE = 0.9
NAME_TRUST = 0.5
"""Chance that a directory is what its name says, where what lies in it contradicts: as often as not."""
_GONE = ""
"""Stands for ghosts and unlisted runs where answers are told apart by run id."""
_NEVER_TAKEN = frozenset({_GONE})


class Chances(NamedTuple):
    """How likely a candidate is.

    Attributes:
        bound: Its probability at the very least, by which it is decided.
        ghost: The odds of a ghost of it, against it.
        posterior: Its probability, beside all other answers, by which undecided candidates are shown.
    """

    bound: float
    ghost: float
    posterior: float


class Weighed(NamedTuple):
    """A candidate with its chances."""

    score: Score
    chances: Chances


def share_gone(cases: Sequence[Case]) -> float:
    """Return the share of directories whose run is not in the store, at least SMALLEST_SHARE."""
    return _share(sum(map(_is_gone, cases)), len(cases))


def _share(gone: float, total: int) -> float:
    return min(max((gone + 0.5) / (total + 1), SMALLEST_SHARE), LARGEST_GONE_SHARE)


def _is_gone(case: Case) -> bool:
    """Say whether no run fits a directory: its best is its first."""
    return not (case.scores and case.scores[0].odds > 1)


def _gone_near(cases: Sequence[Case]) -> list[float]:
    """Return, per case, the share of directories made about the same time whose run is not in the store."""
    is_gone = [float(_is_gone(case)) for case in cases]
    gone = near_in_time(order_in_time(cases), is_gone, _share(sum(is_gone), len(cases)))
    return [min(max(share, SMALLEST_SHARE), LARGEST_GONE_SHARE) for share in gone]


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
    copied_share = share_copied(cases, runs, world)
    losses = [Losses(gone_share, copied_share) for gone_share in _gone_near(cases)]
    answers = [_edges(case, world, runs, loss) for case, loss in zip(cases, losses, strict=True)]
    claims = find_claims(answers, linked)
    counts = others_odds(answers, claims, linked)
    ghosts = [list(map(_ghost, edges, taken)) for edges, taken in zip(answers, claims.taken, strict=True)]
    _share_ghosts(cases, answers, ghosts)
    unlisted = [_unlisted(case, world) for case in cases]
    gone = [sum(mine) + others for mine, others in zip(ghosts, unlisted, strict=True)]
    posteriors = _posteriors(answers, gone, linked)
    verdicts = []
    for i, case in enumerate(cases):
        mine = _Shares(counts[i], claims.free[i], ghosts[i], posteriors[i], unlisted[i])
        verdicts.append(_decide_one(case, _weigh(case, answers[i], mine), world, runs))
    return _refuse_unexplained_sharing(cases, verdicts, runs, linked)


def _edges(case: Case, world: World, runs: Mapping[str, Run], losses: Losses) -> list[Edge]:
    """Return the answers of a checkpoint, with the odds of a ghost for those that are worth a close look."""
    every = [one.odds for one in case.scores]
    total = 1 + sum(every)
    close = {one.run_id for one in case.worth}
    edges = []
    for one, odds in zip(case.scores, every, strict=True):
        ghost = unmade = 0.0
        is_close = one.run_id in close
        if is_close:
            ghost = odds * ghost_odds(one, case.seen, runs[one.run_id], world, losses)
            unmade = world.strata.unmade_odds(one.run_id, odds / total)
        edges.append(Edge(one.run_id, odds, ghost, unmade, one.is_first, is_close))
    return edges


def _ghost(edge: Edge, taken: float) -> float:
    """Return the odds of a ghost: the run has no directory, or another one."""
    return edge.ghost * (edge.unmade + max(1 - edge.unmade, 0.0) * taken)


def _share_ghosts(cases: Sequence[Case], answers: Sequence[Sequence[Edge]], ghosts: Sequence[list[float]]) -> None:
    """Lower the odds of ghosts of directories that were resumed from another directory of the run.

    A ghost of the run that made the later one names a directory of its own: it made the earlier one as well, or it
    names that of another run, which is as rare as `Score.resume` says. The earlier one's ghosts are settled first.

    Args:
        cases: All checkpoints.
        answers: The edges of each, in the order of its candidates.
        ghosts: The odds of ghosts, likewise; they are changed.
    """
    known: dict[tuple[str, str], float] = {}
    concerned = {one.earlier for case in cases for one in case.scores if one.earlier}
    for i in order_in_time(cases) if concerned else ():
        path = cases[i].checkpoint.path
        for k, (one, edge) in enumerate(zip(cases[i].scores, answers[i], strict=True)):
            earlier = known.get((one.earlier, one.run_id))
            if earlier is not None:
                ghosts[i][k] = min(ghosts[i][k], ghosts[i][k] * exp2(-one.resume) + edge.odds * earlier)
            if path in concerned and edge.is_close:
                known[path, one.run_id] = ghosts[i][k] / edge.odds


def _unlisted(case: Case, world: World) -> float:
    """Return the odds of all runs that are no candidates, together."""
    return world.store_odds(case.checkpoint.path) * (ANY_LAG_SHARE if case.seen.readings else 1.0)


def _posteriors(
    answers: Sequence[Sequence[Edge]], gone: Sequence[float], linked: Collection[str]
) -> list[dict[str, float]]:
    """Return, per checkpoint, the probability of each candidate, each run being given away once.

    Args:
        answers: The edges of each checkpoint.
        gone: The odds of ghosts and of runs that are no candidates, which any number of checkpoints may have.
        linked: Runs that have a directory of their name already.
    """
    rows, free = [{run_id: CERTAIN} for run_id in sorted(linked)], [frozenset[str]() for _ in linked]
    for edges, others in zip(answers, gone, strict=True):
        row = {edge.run_id: edge.odds for edge in edges}
        row[_GONE] = others
        rows.append(row)
        further = {edge.run_id for edge in edges if not edge.is_first}
        free.append(_NEVER_TAKEN | further)
    return share_out(rows, free)[len(linked) :]


@dataclass(frozen=True, slots=True)
class _Shares:
    """What other checkpoints mean for one: a figure for each of its answers.

    Attributes:
        counts: The most that the answer counts for, as odds against the others.
        free: What other checkpoints leave of the run, at least.
        ghosts: The whole odds of ghosts.
        posterior: The probability, by run id.
        unlisted: The odds of all runs that are no candidates, together.
    """

    counts: Sequence[float]
    free: Sequence[float]
    ghosts: Sequence[float]
    posterior: Mapping[str, float]
    unlisted: float


def _weigh(case: Case, edges: Sequence[Edge], shares: _Shares) -> list[Weighed]:
    """Return the candidates worth a close look with what is certain of them, surest first.

    A ghost of a rival, where it explains the directory, is a ghost of this candidate as well: only its own count. All
    runs that are no candidates count for no more, together, than before any evidence; where the stamp can be
    read, they lie elsewhere in time.

    Args:
        case: The checkpoint.
        edges: Its answers, in the order of its candidates.
        shares: What the other checkpoints mean for it.
    """
    total = sum(shares.counts)
    out = []
    for i, (one, edge) in enumerate(zip(case.scores, edges, strict=True)):
        if edge.is_close:
            ghost = shares.ghosts[i]
            bound = certified(edge.odds, max(total - shares.counts[i], 0.0) + ghost + shares.unlisted, shares.free[i])
            out.append(Weighed(one, Chances(bound, ghost / edge.odds, shares.posterior[edge.run_id])))
    return sorted(out, key=lambda one: (-one.chances.bound, one.score.run_id))


def _decide_one(case: Case, weighed: Sequence[Weighed], world: World, runs: Mapping[str, Run]) -> Verdict:
    if not weighed:
        return Verdict(case.checkpoint, Status.UNMATCHED, reason=why_no_candidate(case.seen))
    best = weighed[0]
    run = runs[best.score.run_id]
    reason = why_not(case, best.score, best.chances, run, world)
    by_posterior = sorted(weighed, key=lambda one: (-one.chances.posterior, one.score.run_id))
    if reason is None:
        shown = _shown([one for one in by_posterior[:MOST_CANDIDATES] if one is not best], case, world, runs)
        rival = next((one for one in case.scores if one is not best.score), None)
        nearest = nearest_words(best.score, rival, best.chances.ghost)
        weights = explain(best.score, case.seen, run, world, best.chances.bound, nearest=nearest)
        return Verdict(case.checkpoint, Status.MATCHED, run.run_id, best.chances.bound, weights, None, shown)
    if case.seen.other_name or case.seen.mixed_s is not None or speaking_against(best.score, case.seen, run, world):
        by_posterior = [_doubted(one) for one in by_posterior]
    shown = _shown(by_posterior[:MOST_CANDIDATES], case, world, runs, fewest=FEWEST_CANDIDATES)
    status = Status.AMBIGUOUS if is_some_fit(case) else Status.UNMATCHED
    return Verdict(case.checkpoint, status, reason=reason, candidates=shown)


def _doubted(one: Weighed) -> Weighed:
    """Return a candidate of a directory whose name, and with it all that the model knows, may be another's."""
    return one._replace(chances=one.chances._replace(posterior=one.chances.posterior * NAME_TRUST))


def _shown(
    ranked: Sequence[Weighed], case: Case, world: World, runs: Mapping[str, Run], *, fewest: int = 0
) -> tuple[RankedRun, ...]:
    """Return candidates with their weights: those that are worth a person's time, and so many of the first anyhow."""
    out = []
    for i, one in enumerate(ranked):
        run, chance = runs[one.score.run_id], one.chances.posterior
        if chance >= LEAST_SHOWN or i < fewest:
            out.append(RankedRun(run.run_id, chance, explain(one.score, case.seen, run, world, chance)))
    return tuple(out)


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
