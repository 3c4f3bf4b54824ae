"""The bound: how likely a pair is at the very least, whatever the other checkpoints' true runs are.

The joint model gives an assignment of checkpoints to runs the product of its odds, times rho for each further
checkpoint on a run. Putting checkpoint i on run j makes the other checkpoints' answer "j" worse by rho at most, and
leaves all their others as they are. With w_lj the odds of l on j, and R_l a lower bound on the sum of l's odds
elsewhere, l loses a share of at most

    c_lj = (1 - rho) * w_lj / (w_lj + 1 + R_l)

of its answers, and i on j keeps a factor of e_ij >= 1 - sum over l of c_lj. In turn R_l >= sum over k of w_lk * e_lk.
Beginning with e = rho, which always holds, each round gives a tighter bound that holds again, for all checkpoints and
for any part of them. Finally

    P(i -> j) >= w_ij e_ij / (w_ij e_ij + 1 + A_i),

A_i being the sum of i's other odds, ghosts included. Where another checkpoint l is known to be on run k with a
probability of at least b_lk, in whatever company, i's answer "k" counts for 1 - (1 - rho) * b_lk of its odds only.

A ghost of j, too, is an answer of l: with odds g_lj while j itself has a directory, and u times that while it has
none, so that l gains (1 - u) g_lj when i is put on j. Likewise a ghost of j counts for i with odds g_ij as far as
others hold j, and u times that for the rest.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ckpt_migrate.matching.families.stamps import FURTHER_CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

ROUNDS = 4
"""How often the bound is tightened; more change nothing that matters."""
LEAST_HELD = 0.5
"""A run of which no checkpoint is surer than this is not taken to be held by any."""
MISSING_SHARE = 0.1
"""Share of directories that were made and are not here: cleaned away, or on another machine."""


class Edge(NamedTuple):
    """One answer of a checkpoint.

    Attributes:
        run_id: The run.
        odds: Its odds against the run's not being in the store.
        ghost: Odds of a ghost of it while the run has another directory, likewise.
        unmade: Odds that the run has none.
        is_first: Whether it would be the run's first directory; further ones, made when the run was taken up again,
            stand in nobody's way.
        is_close: Whether it is worth a close look; of others no ghosts are counted.
    """

    run_id: str
    odds: float
    ghost: float = 0.0
    unmade: float = 0.0
    is_first: bool = True
    is_close: bool = True

    @property
    def least_free(self) -> float:
        """What is left of the run whatever the others are; its odds may rest on its having no directory yet."""
        return FURTHER_CHECKPOINT * min(self.unmade, 1.0) if self.is_first else 1.0


def certified(odds: float, others: float, free: float) -> float:
    """Return the lower bound on the probability of a pair.

    Args:
        odds: w, this pair's odds.
        others: A, the sum of the checkpoint's other odds, ghosts included.
        free: e, what the other checkpoints leave of it, from `Claims.free`.
    """
    return odds * free / (odds * free + 1 + others)


class Claims(NamedTuple):
    """What the other checkpoints' claims mean for each, by position, one figure for each of its edges.

    Attributes:
        free: e, the share that they leave of the run, at least.
        taken: The chance, at most, that the run needs no missing directory for a ghost of it to have made this one.
    """

    free: Sequence[Sequence[float]]
    taken: Sequence[Sequence[float]]


def find_claims(answers: Sequence[Sequence[Edge]], linked: Collection[str]) -> Claims:
    """Return what the claims of all checkpoints, tightened, leave each of them.

    Args:
        answers: The edges of each checkpoint.
        linked: Runs that have a directory of their name already.
    """
    rows = [[_Row.of(edge) for edge in edges] for edges in answers]
    before = free = [[row.least_free for row in mine] for mine in rows]
    for _ in range(ROUNDS):
        before, free = free, _free(rows, free, linked)
    return Claims(free, _taken(rows, before, linked))


class _Row(NamedTuple):
    """What does not change from round to round of an edge: `answers` and `lost` without the other answers' part."""

    run_id: str
    odds: float
    answers: float
    ghosts: float
    lost: float
    least_free: float
    is_first: bool

    @staticmethod
    def of(edge: Edge) -> _Row:
        run_id, odds, ghost, unmade, is_first, _ = edge
        # A further directory claims nothing: it stands in nobody's way.
        lost = max((1 - FURTHER_CHECKPOINT) * odds - max(1 - unmade, 0.0) * ghost, 0.0) if is_first else 0.0
        return _Row(run_id, odds, odds + 1, unmade * ghost, lost, edge.least_free, is_first)


def _free(
    rows: Sequence[Sequence[_Row]], free: Sequence[Sequence[float]], linked: Collection[str]
) -> list[list[float]]:
    """Return `Claims.free` from a looser one: without c of all others, what they lose when one is put on the run."""
    lost = [
        [row.lost / each for row, each in zip(mine, _answers(mine, shares), strict=True)]
        for mine, shares in zip(rows, free, strict=True)
    ]
    losses = dict.fromkeys(linked, 1 - FURTHER_CHECKPOINT)
    for mine, own in zip(rows, lost, strict=True):
        for row, loss in zip(mine, own, strict=True):
            losses[row.run_id] = losses.get(row.run_id, 0.0) + loss
    return [
        [max(1 - max(losses[row.run_id] - loss, 0.0), row.least_free) for row, loss in zip(mine, own, strict=True)]
        for mine, own in zip(rows, lost, strict=True)
    ]


def _answers(rows: Sequence[_Row], free: Sequence[float]) -> list[float]:
    """Return, per edge, the sum of all answers: its own odds, those elsewhere at the least, and ghosts of its run."""
    if len(rows) == 1:
        return [rows[0].answers + rows[0].ghosts]
    least = [row.odds * share for row, share in zip(rows, free, strict=True)]
    total = sum(least)
    return [row.answers + max(total - own, 0.0) + row.ghosts for row, own in zip(rows, least, strict=True)]


def _taken(
    rows: Sequence[Sequence[_Row]], free: Sequence[Sequence[float]], linked: Collection[str]
) -> list[list[float]]:
    """Return `Claims.taken`: how likely the run has another directory, which a ghost of it then needs not lack.

    Where this one is a further one, the ghost has a first one as well, which must be among the others, or missing.
    """
    held = [
        [row.odds / each if row.is_first else 0.0 for row, each in zip(mine, _answers(mine, shares), strict=True)]
        for mine, shares in zip(rows, free, strict=True)
    ]
    holds = dict.fromkeys(linked, 1.0)
    for mine, own in zip(rows, held, strict=True):
        for row, hold in zip(mine, own, strict=True):
            holds[row.run_id] = holds.get(row.run_id, 0.0) + hold
    out = []
    for mine, own in zip(rows, held, strict=True):
        taken = []
        for row, hold in zip(mine, own, strict=True):
            others = max(holds[row.run_id] - hold, 0.0)
            if not row.is_first:
                others = max(others - 1, 0.0) + MISSING_SHARE * min(others, 1.0)
            taken.append(min(others, 1.0))
        out.append(taken)
    return out


def others_odds(answers: Sequence[Sequence[Edge]], claims: Claims, linked: Collection[str]) -> list[list[float]]:
    """Return, per checkpoint, the most that each of its answers counts for, as odds; arguments as for `find_claims`."""
    holders: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for run_id in linked:
        holders[run_id].append((1.0, -1))
    for i, edges in enumerate(answers):
        total = sum([edge.odds for edge in edges])
        for edge, free in zip(edges, claims.free[i], strict=True):
            if edge.is_first:
                others = max(total - edge.odds, 0.0) + edge.ghost * edge.unmade
                held = certified(edge.odds, others, free)
                if held > LEAST_HELD:
                    holders[edge.run_id].append((held, i))
    out = []
    for i, edges in enumerate(answers):
        counts = []
        for edge in edges:
            held = 0.0
            if edge.is_first and edge.run_id in holders:
                held = max((each for each, other in holders[edge.run_id] if other != i), default=0.0)
            counts.append(edge.odds * (1 - (1 - FURTHER_CHECKPOINT) * held))
        out.append(counts)
    return out
