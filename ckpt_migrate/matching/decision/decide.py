"""The decision: rename only what is singled out, say why not of everything else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ckpt_migrate.matching.decision.bound import Answers, Claims, certified, find_claims, others_odds
from ckpt_migrate.matching.decision.contradiction import Doubt, find_doubts, share_copied
from ckpt_migrate.matching.decision.refusal import is_some_fit, why_no_candidate, why_not
from ckpt_migrate.matching.families.references import named_runs
from ckpt_migrate.matching.families.stamps import ANY_LAG_SHARE
from ckpt_migrate.matching.model.cases import columns_of
from ckpt_migrate.matching.model.columns import exp2
from ckpt_migrate.matching.model.ghosts import Losses, ghost_odds
from ckpt_migrate.matching.model.presence import near_in_time, order_in_time
from ckpt_migrate.matching.model.sharing import CERTAIN, divide, share_out
from ckpt_migrate.plan.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.columns import Floats
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
    """A candidate with its chances, and what speaks against it."""

    score: Score
    chances: Chances
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


@dataclass(frozen=True, slots=True)
class Decision:
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


def share_gone(cases: Sequence[Case]) -> float:
    """Return the share of directories whose run is not in the store, at least SMALLEST_SHARE."""
    return _share(sum(map(_is_gone, cases)), len(cases))


def _share(gone: float, total: int) -> float:
    return min(max((gone + 0.5) / (total + 1), SMALLEST_SHARE), LARGEST_GONE_SHARE)


def _is_gone(case: Case) -> bool:
    """Say whether no run fits a directory: its best is its first."""
    return not (case.scores and case.scores[0].odds > 1)


def _gone_near(cases: Sequence[Case]) -> Floats:
    """Return, per case, the share of directories made about the same time whose run is not in the store."""
    is_gone = np.array(list(map(_is_gone, cases)), np.float64)
    gone = near_in_time(order_in_time(cases), is_gone, _share(is_gone.sum(), len(cases)))
    return np.clip(gone, SMALLEST_SHARE, LARGEST_GONE_SHARE)


def decide(
    cases: Sequence[Case],
    world: World,
    runs: Mapping[str, Run],
    linked: Mapping[str, int],
) -> list[Decision]:
    """Return a decision per case, in their order.

    Args:
        cases: The checkpoints that are not yet named after their run.
        world: The shared facts.
        runs: Every run by id.
        linked: How many directories are named after each run already.
    """
    columns, bits = columns_of(cases, world.strata.places)
    odds = exp2(bits)
    doubts = find_doubts(cases, columns, world)
    is_close = [each for case in cases for each in case.is_worth]
    chosen = np.array(is_close, np.bool_)
    pairs = [(one, case.seen, runs[one.run_id]) for case in cases for one in case.scores]
    losses = Losses(_gone_near(cases), share_copied(cases, doubts))
    found = np.zeros(len(odds))
    found[chosen] = ghost_odds(list(compress(pairs, is_close)), columns.only(chosen), world, losses)
    unmade = np.where(chosen, world.strata.unmade_odds(columns.run, divide(columns, odds)), 0.0)
    is_linked = np.zeros(columns.runs, np.bool_)
    is_linked[[world.strata.places[run_id] for run_id in linked]] = True
    are_first = np.array([one.is_first for one, _, _ in pairs], np.bool_)
    answers = Answers(columns, odds, odds * found, unmade, are_first, is_linked)
    claims = find_claims(answers)
    ghosts = answers.ghost * (answers.unmade + np.maximum(1 - answers.unmade, 0.0) * claims.taken)
    _share_ghosts(cases, answers.odds, ghosts, is_close)
    unlisted = np.array([_unlisted(case, world) for case in cases])
    weighed = list(map(Weighed, (one for one, _, _ in pairs), _weigh(answers, claims, ghosts, unlisted), doubts))
    decisions = []
    begin = 0
    for case in cases:
        end = begin + len(case.scores)
        mine = [one for one, each in zip(weighed[begin:end], is_close[begin:end], strict=True) if each]
        mine.sort(key=lambda one: (-one.chances.bound, one.score.run_id))
        decisions.append(_decide_one(case, mine, world, runs))
        begin = end
    return _refuse_unexplained_sharing(decisions, linked)


def _share_ghosts(cases: Sequence[Case], odds: Floats, ghosts: Floats, is_close: Sequence[bool]) -> None:
    """Lower the odds of ghosts of directories that were resumed from another directory of the run.

    A ghost of the run that made the later one names a directory of its own: it made the earlier one as well, or it
    names that of another run, which is as rare as `Score.resume` says. The earlier one's ghosts are settled first.

    Args:
        cases: All checkpoints.
        odds: Of their candidates, in order.
        ghosts: The odds of ghosts, likewise; they are changed.
        is_close: Whether each candidate is worth a close look.
    """
    concerned = {one.earlier for case in cases for one in case.scores if one.earlier}
    if not concerned:
        return
    known: dict[tuple[str, str], float] = {}
    begins = np.cumsum([0, *(len(case.scores) for case in cases)])
    for i in order_in_time(cases):
        path = cases[i].checkpoint.path
        for k, one in enumerate(cases[i].scores, begins[i]):
            earlier = known.get((one.earlier, one.run_id))
            if earlier is not None:
                ghosts[k] = min(ghosts[k], ghosts[k] * 2**-one.resume + odds[k] * earlier)
            if path in concerned and is_close[k]:
                known[path, one.run_id] = ghosts[k] / odds[k]


def _unlisted(case: Case, world: World) -> float:
    """Return the odds of all runs that are no candidates, together."""
    return world.store_odds(case.checkpoint.path) * (ANY_LAG_SHARE if case.seen.readings else 1.0)


def _weigh(answers: Answers, claims: Claims, ghosts: Floats, unlisted: Floats) -> Iterator[Chances]:
    """Return what is certain of the candidates of all checkpoints.

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
    return map(Chances, bounds.tolist(), (ghosts / odds).tolist(), posteriors.tolist())


def _decide_one(case: Case, weighed: Sequence[Weighed], world: World, runs: Mapping[str, Run]) -> Decision:
    if not weighed:
        return Decision(case, Status.UNMATCHED, None, why_no_candidate(case.seen), ())
    best = weighed[0]
    reason = why_not(case, best, runs[best.score.run_id], world)
    by_posterior = sorted(weighed, key=lambda one: (-one.chances.posterior, one.score.run_id))[:MOST_CANDIDATES]
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
    chances = [one.chances.posterior * trust for one in ranked]
    return tuple([
        Shown(one.score, chance)
        for i, (one, chance) in enumerate(zip(ranked, chances, strict=True))
        if chance >= LEAST_SHOWN or i < fewest
    ])  # fmt: skip


def _refuse_unexplained_sharing(decisions: Sequence[Decision], linked: Mapping[str, int]) -> list[Decision]:
    """Refuse a run to directories that all lie at its start: it made one of them, and nothing says which.

    Directories made later, when the run was taken up again, lie within it; a reference settles the rest.
    """
    claims: defaultdict[str, list[int]] = defaultdict(list)
    for i, decision in enumerate(decisions):
        if decision.best is not None and decision.best.score.is_first:
            claims[decision.best.score.run_id].append(i)
    out = list(decisions)
    for run_id, positions in claims.items():
        if len(positions) + linked.get(run_id, 0) < len(("one", "other")):
            continue
        for i in positions:
            best = decisions[i].best
            if best is None or run_id in named_runs(decisions[i].case.seen.references):
                continue
            own = Shown(best.score, best.chances.bound, best.chances.ghost)
            out[i] = replace(
                decisions[i],
                status=Status.AMBIGUOUS,
                best=None,
                reason="another directory fits the start of the same run as well",
                shown=(own, *decisions[i].shown)[:MOST_CANDIDATES],
            )
    return out
