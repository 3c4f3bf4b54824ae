"""The decision: rename only what is singled out, say why not of everything else."""

from __future__ import annotations

from collections import Counter
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ckpt_migrate.matching.decision.bound import Answers, Claims, certified, find_claims, others_odds
from ckpt_migrate.matching.decision.contradiction import Doubt, find_doubts, share_copied
from ckpt_migrate.matching.decision.refusal import is_some_fit, why_no_candidate, why_not
from ckpt_migrate.matching.families.references import named_runs
from ckpt_migrate.matching.families.stamps import ANY_LAG_SHARE
from ckpt_migrate.matching.model.columns import exp2
from ckpt_migrate.matching.model.ghosts import Losses, ghost_odds
from ckpt_migrate.matching.model.presence import near_in_time, order_in_time
from ckpt_migrate.matching.model.sharing import CERTAIN, divide, share_out
from ckpt_migrate.plan.records import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.columns import Bools, Floats
    from ckpt_migrate.matching.model.pair import Score, World
    from ckpt_migrate.matching.model.weights import Weights
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


class Weighed(NamedTuple):
    """A candidate, and how likely it is.

    Attributes:
        score: Its weight.
        bound: Its probability at the very least, by which it is decided.
        ghost: The odds of a ghost of it, against it.
        posterior: Its probability, beside all other answers, by which undecided candidates are shown.
        doubt: What speaks against it.
    """

    score: Score
    bound: float
    ghost: float
    posterior: float
    doubt: Doubt


class Shown(NamedTuple):
    """A candidate that is shown to a person.

    Attributes:
        score: Its weight.
        chance: How likely it is.
        ghost: The odds of a ghost of it, where it would be the directory's run but for other directories; else None.
    """

    score: Score
    chance: float
    ghost: float | None = None


class Decision(NamedTuple):
    """What is decided of a checkpoint.

    Attributes:
        case: The checkpoint.
        status: matched, ambiguous or unmatched.
        best: Its run when matched.
        reason: Why it is not renamed; None for matched.
        shown: Other candidates, the likeliest first.
    """

    case: Case
    status: Status
    best: Weighed | None
    reason: str | None
    shown: tuple[Shown, ...]


def share_gone(weights: Weights) -> float:
    """Return the share of directories whose run is not in the store, at least SMALLEST_SHARE."""
    is_gone = _are_gone(weights)
    return _share(float(is_gone.sum()), len(is_gone))


def _share(gone: float, total: int) -> float:
    return min(max((gone + 0.5) / (total + 1), SMALLEST_SHARE), LARGEST_GONE_SHARE)


def _are_gone(weights: Weights) -> Bools:
    """Say of each directory whether no run fits it: its best is its first."""
    is_gone = np.ones(weights.columns.rows, np.bool_)
    is_gone[weights.columns.row[weights.begins]] = exp2(weights.bits[weights.begins]) <= 1
    return is_gone


def _gone_near(weights: Weights, world: World) -> Floats:
    """Return, per case, the share of directories made about the same time whose run is not in the store."""
    is_gone = _are_gone(weights).astype(np.float64)
    order = order_in_time(world.times.directories.local_s)
    gone = near_in_time(order, is_gone, _share(float(is_gone.sum()), len(is_gone)))
    return np.clip(gone, SMALLEST_SHARE, LARGEST_GONE_SHARE)


def decide(
    cases: Sequence[Case],
    weights: Weights,
    world: World,
    runs: Mapping[str, Run],
    linked: Mapping[str, int],
) -> list[Decision]:
    """Return a decision per case, in their order.

    Args:
        cases: The checkpoints that are not yet named after their run.
        weights: Of all their candidates.
        world: The shared facts.
        runs: Every run by id.
        linked: How many directories are named after each run already.
    """
    columns, odds = weights.columns, exp2(weights.bits)
    doubts = find_doubts(cases, weights, world)
    chosen = _are_close(cases, weights)
    is_close = chosen.tolist()
    losses = Losses(_gone_near(weights, world), share_copied(cases, doubts))
    found = np.zeros(len(odds))
    found[chosen] = ghost_odds(cases, weights.only(chosen), list(runs.values()), world, losses)
    unmade = np.where(chosen, world.strata.unmade_odds(columns.run, divide(columns, odds)), 0.0)
    is_linked = np.zeros(columns.runs, np.bool_)
    is_linked[[world.strata.places[run_id] for run_id in linked]] = True
    answers = Answers(columns, odds, odds * found, unmade, weights.is_first, weights.reference > 0, is_linked)
    claims = find_claims(answers)
    ghosts = answers.ghost * (answers.unmade + np.maximum(1 - answers.unmade, 0.0) * claims.taken)
    _share_ghosts(cases, ghosts, weights, world, is_close)
    weighed = list(map(Weighed, weights.scores, *_weigh(answers, claims, ghosts, _unlisted(cases, world)), doubts))
    decisions = []
    begin = 0
    for case in cases:
        end = begin + len(case.scores)
        mine = weighed[begin:end]
        if len(mine) > 1:
            mine = list(compress(mine, is_close[begin:end]))
            mine.sort(key=lambda one: (-one.bound, one.score.run_id))
        decisions.append(_decide_one(case, mine, world, runs))
        begin = end
    return _refuse_unexplained_sharing(decisions, linked)


def _are_close(cases: Sequence[Case], weights: Weights) -> Bools:
    """Say which candidates are worth a close look."""
    is_close = np.ones(len(weights.scores), np.bool_)
    begins = weights.begins
    several = begins[np.diff(begins, append=len(is_close)) > 1]
    for begin, row in zip(several.tolist(), weights.columns.row[several].tolist(), strict=True):
        is_close[begin : begin + len(cases[row].scores)] = cases[row].is_worth
    return is_close


def _share_ghosts(
    cases: Sequence[Case], ghosts: Floats, weights: Weights, world: World, is_close: Sequence[bool]
) -> None:
    """Lower the odds of ghosts of directories that were resumed from another directory of the run.

    A ghost of the run that made the later one names a directory of its own: it made the earlier one as well, or it
    names that of another run, which is as rare as `Score.resume` says. The earlier one's ghosts are settled first.

    Args:
        cases: All checkpoints.
        ghosts: The odds of ghosts, for each pair; they are changed.
        weights: Of all candidates.
        world: The shared facts.
        is_close: Whether each candidate is worth a close look.
    """
    concerned = {one.earlier for one in weights.scores if one.earlier}
    if not concerned:
        return
    odds = exp2(weights.bits)
    known: dict[tuple[str, str], float] = {}
    begins = np.cumsum([0, *(len(case.scores) for case in cases)])
    for i in order_in_time(world.times.directories.local_s):
        path = cases[i].checkpoint.path
        for k, one in enumerate(cases[i].scores, begins[i]):
            earlier = known.get((one.earlier, one.run_id))
            if earlier is not None:
                ghosts[k] = min(ghosts[k], ghosts[k] * 2**-one.resume + odds[k] * earlier)
            if path in concerned and is_close[k]:
                known[path, one.run_id] = ghosts[k] / odds[k]


def _unlisted(cases: Sequence[Case], world: World) -> Floats:
    """Return, per case, the odds of all runs that are no candidates, together."""
    known, every = world.presence, world.strata.in_store
    chance = np.array([known.get(case.checkpoint.path, every) for case in cases])
    odds: Floats = chance / (1 - chance) * np.where(world.times.directories.is_read, ANY_LAG_SHARE, 1.0)
    return odds


def _weigh(answers: Answers, claims: Claims, ghosts: Floats, unlisted: Floats) -> tuple[list[float], ...]:
    """Return what is certain of the candidates of all checkpoints: bounds, odds of ghosts, and posteriors.

    A ghost of a rival, where it explains the directory, is a ghost of this candidate as well: only its own count. All
    runs that are no candidates count for no more, together, than before any evidence; where the stamp can be
    read, they lie elsewhere in time. For posteriors each run is given away once; ghosts and runs that are no
    candidates may have any number of checkpoints.

    Args:
        answers: The answers of all checkpoints.
        claims: What the other checkpoints leave of each.
        ghosts: The whole odds of a ghost of each.
        unlisted: Per checkpoint, the odds of all runs that are no candidates, together.
    """
    columns, odds = answers.columns, answers.odds
    counts = others_odds(answers, claims)
    others = np.maximum(columns.row_sums(counts)[columns.row] - counts, 0.0)
    bounds = certified(odds, others + ghosts + unlisted[columns.row], claims.free)
    linked = np.flatnonzero(answers.linked)
    posteriors = share_out(
        columns.with_owners(linked),
        np.concatenate([odds, np.full(len(linked), CERTAIN)]),
        np.concatenate([~answers.is_first, np.zeros(len(linked), np.bool_)]),
        np.concatenate([columns.row_sums(ghosts) + unlisted, np.zeros(len(linked))]),
    )[: len(odds)]
    return bounds.tolist(), (ghosts / odds).tolist(), posteriors.tolist()


def _decide_one(case: Case, weighed: Sequence[Weighed], world: World, runs: Mapping[str, Run]) -> Decision:
    if not weighed:
        return Decision(case, Status.UNMATCHED, None, why_no_candidate(case.seen), ())
    best = weighed[0]
    reason = why_not(case, best, runs[best.score.run_id], world)
    if reason is None and len(weighed) == 1:  # most are
        return Decision(case, Status.MATCHED, best, None, ())
    by_posterior = sorted(weighed, key=lambda one: (-one.posterior, one.score.run_id))[:MOST_CANDIDATES]
    if reason is None:
        return Decision(case, Status.MATCHED, best, None, _shown([one for one in by_posterior if one is not best]))
    is_doubted = case.seen.other_name or case.seen.mixed_s is not None or best.doubt.against
    trust = NAME_TRUST if is_doubted else 1.0
    shown = _shown(by_posterior, fewest=FEWEST_CANDIDATES, trust=trust)
    return Decision(case, Status.AMBIGUOUS if is_some_fit(case) else Status.UNMATCHED, None, reason, shown)


def _shown(ranked: Sequence[Weighed], *, fewest: int = 0, trust: float = 1.0) -> tuple[Shown, ...]:
    """Return candidates that are worth a person's time, and so many of the first anyhow.

    Args:
        ranked: All, the likeliest first.
        fewest: How many are shown however unlikely they are.
        trust: Chance that the directory is what its name says, and with it all that the model knows.
    """
    chances = [one.posterior * trust for one in ranked]
    return tuple([
        Shown(one.score, chance)
        for i, (one, chance) in enumerate(zip(ranked, chances, strict=True))
        if chance >= LEAST_SHOWN or i < fewest
    ])  # fmt: skip


def _refuse_unexplained_sharing(decisions: Sequence[Decision], linked: Mapping[str, int]) -> list[Decision]:
    """Refuse a run to directories that all lie at its start: it made one of them, and nothing says which.

    Directories made later, when the run was taken up again, lie within it; a reference settles the rest.
    """
    taken = [each.best.score.run_id for each in decisions if each.best is not None and each.best.score.is_first]
    claims = Counter(taken)
    if len(claims) == len(taken) and linked.keys().isdisjoint(claims):
        return list(decisions)
    return [_refuse_unexplained(each, claims, linked) for each in decisions]


def _refuse_unexplained(decision: Decision, claims: Mapping[str, int], linked: Mapping[str, int]) -> Decision:
    """Return a decision, refused if its run has several directories at its start; `claims` are how many it has."""
    best = decision.best
    if best is None or not best.score.is_first:
        return decision
    run_id = best.score.run_id
    if claims[run_id] + linked.get(run_id, 0) == 1 or run_id in named_runs(decision.case.seen.references):
        return decision
    own = Shown(best.score, best.bound, best.ghost)
    return decision._replace(
        status=Status.AMBIGUOUS,
        best=None,
        reason="another directory fits the start of the same run as well",
        shown=(own, *decision.shown)[:MOST_CANDIDATES],
    )
