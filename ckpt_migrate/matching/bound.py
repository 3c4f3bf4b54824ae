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
none, so that l gains (1 - u) g_lj when i is put on j.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.matching.stamps import FURTHER_CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

ROUNDS = 4
"""How often the bound is tightened; more change nothing that matters."""
LEAST_HELD = 0.5
"""A run of which no checkpoint is surer than this is not taken to be held by any."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One answer of a checkpoint.

    Attributes:
        run_id: The run.
        odds: Its odds against the run's not being in the store.
        ghost: Odds of a ghost of it while the run has another directory, likewise.
        unmade: Odds that the run has none.
    """

    run_id: str
    odds: float
    ghost: float = 0.0
    unmade: float = 0.0


def certified(odds: float, others: float, free: float) -> float:
    """Return the lower bound on the probability of a pair.

    Args:
        odds: w, this pair's odds.
        others: A, the sum of the checkpoint's other odds, ghosts included.
        free: e, what the other checkpoints leave of it, from `free_shares`.
    """
    return odds * free / (odds * free + 1 + others)


def others_odds(
    answers: Sequence[Sequence[Edge]],
    free: Sequence[Mapping[str, float]],
    linked: Collection[str],
    kin: Mapping[int, Collection[int]],
) -> list[dict[str, float]]:
    """Return, per checkpoint, the most that each of its answers counts for, as odds; arguments as for `free_shares`."""
    holders: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for run_id in linked:
        holders[run_id].append((1.0, -1))
    for i, (edges, shares) in enumerate(zip(answers, free, strict=True)):
        total = sum(edge.odds for edge in edges) + max((edge.ghost * edge.unmade for edge in edges), default=0.0)
        for edge in edges:
            held = certified(edge.odds, max(total - edge.odds, 0.0), shares[edge.run_id])
            if held > LEAST_HELD:
                holders[edge.run_id].append((held, i))
    out = []
    for i, edges in enumerate(answers):
        excluded = {i, *kin.get(i, ())}
        counts = {}
        for edge in edges:
            held = max((held for held, other in holders.get(edge.run_id, ()) if other not in excluded), default=0.0)
            counts[edge.run_id] = edge.odds * (1 - (1 - FURTHER_CHECKPOINT) * held)
        out.append(counts)
    return out


def free_shares(
    answers: Sequence[Sequence[Edge]], linked: Collection[str], kin: Mapping[int, Collection[int]]
) -> list[dict[str, float]]:
    """Return, per checkpoint, e for each of its runs: the share that the other checkpoints leave of it, at least.

    Args:
        answers: The edges of each checkpoint.
        linked: Runs that have a directory of their name already.
        kin: By position, other checkpoints that may share a run with it at no cost, for one was resumed from another.
    """
    least = FURTHER_CHECKPOINT
    free = [{edge.run_id: least for edge in edges} for edges in answers]
    for _ in range(ROUNDS):
        claims = [_claims(edges, shares) for edges, shares in zip(answers, free, strict=True)]
        sums: defaultdict[str, float] = defaultdict(float)
        for run_id in linked:
            sums[run_id] = 1 - least
        for mine in claims:
            for run_id, claim in mine.items():
                sums[run_id] += claim
        free = [
            {
                run_id: max(least, 1 - max(0.0, sums[run_id] - claim - _of_kin(run_id, kin.get(i, ()), claims)))
                for run_id, claim in mine.items()
            }
            for i, mine in enumerate(claims)
        ]
    return free


def _claims(edges: Sequence[Edge], shares: Mapping[str, float]) -> dict[str, float]:
    total = sum(edge.odds * shares[edge.run_id] for edge in edges)
    claims = {}
    for edge in edges:
        elsewhere = max(total - edge.odds * shares[edge.run_id], 0.0)
        lost = (1 - FURTHER_CHECKPOINT) * edge.odds - max(1 - edge.unmade, 0.0) * edge.ghost
        claims[edge.run_id] = max(lost, 0.0) / (edge.odds + 1 + elsewhere + edge.unmade * edge.ghost)
    return claims


def _of_kin(run_id: str, kin: Collection[int], claims: Sequence[Mapping[str, float]]) -> float:
    return sum(claims[other].get(run_id, 0.0) for other in kin)
