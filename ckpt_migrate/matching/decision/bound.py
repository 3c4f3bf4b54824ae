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
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ckpt_migrate.matching.families.stamps import FURTHER_CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

ROUNDS = 4
"""How often the bound is tightened; more change nothing that matters."""
LEAST_HELD = 0.5
"""A run of which no checkpoint is surer than this is not taken to be held by any."""
MISSING_SHARE = 0.1
"""Share of directories that were made and are not here: cleaned away, or on another machine."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One answer of a checkpoint.

    Attributes:
        run_id: The run.
        odds: Its odds against the run's not being in the store.
        ghost: Odds of a ghost of it while the run has another directory, likewise.
        unmade: Odds that the run has none.
        is_first: Whether it would be the run's first directory; further ones, made when the run was taken up again,
            stand in nobody's way.
    """

    run_id: str
    odds: float
    ghost: float = 0.0
    unmade: float = 0.0
    is_first: bool = True

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


class Claim(NamedTuple):
    """How strongly a checkpoint claims a run, at most.

    Attributes:
        loss: c, the share of its answers that it loses when another checkpoint is put on the run.
        hold: The chance that it is on the run while no other is.
    """

    loss: float
    hold: float


_NO_CLAIM = Claim(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of all checkpoints.

    Attributes:
        of: By position, the claims of each checkpoint, by run.
        losses: The losses of all on each run, those of directories named after it included.
        holds: The holds, likewise.
    """

    of: Sequence[Mapping[str, Claim]]
    losses: Mapping[str, float]
    holds: Mapping[str, float]

    def free(self, position: int, edge: Edge) -> float:
        """Return e, the share that the other checkpoints leave of a run, at least."""
        others = self.losses[edge.run_id] - self.of[position][edge.run_id].loss
        return max(1 - max(others, 0.0), edge.least_free)

    def taken(self, position: int, edge: Edge) -> float:
        """Return the chance, at most, that the run needs no missing directory for a ghost of it to have made this one.

        It has another directory of its own. Where this one is a further one, the ghost has a first one as well, which
        must be among the others, or missing.
        """
        others = max(self.holds[edge.run_id] - self.of[position][edge.run_id].hold, 0.0)
        if not edge.is_first:
            others = max(others - 1, 0.0) + MISSING_SHARE * min(others, 1.0)
        return min(others, 1.0)


def find_claims(answers: Sequence[Sequence[Edge]], linked: Collection[str]) -> Claims:
    """Return the tightened claims of all checkpoints.

    Args:
        answers: The edges of each checkpoint.
        linked: Runs that have a directory of their name already.
    """
    free = [{edge.run_id: edge.least_free for edge in edges} for edges in answers]
    claims = Claims((), {}, {})
    for _ in range(ROUNDS):
        found = [_claims(edges, shares) for edges, shares in zip(answers, free, strict=True)]
        losses: defaultdict[str, float] = defaultdict(float)
        holds: defaultdict[str, float] = defaultdict(float)
        for run_id in linked:
            losses[run_id], holds[run_id] = 1 - FURTHER_CHECKPOINT, 1.0
        for mine in found:
            for run_id, claim in mine.items():
                losses[run_id] += claim.loss
                holds[run_id] += claim.hold
        claims = Claims(found, losses, holds)
        free = [{edge.run_id: claims.free(i, edge) for edge in edges} for i, edges in enumerate(answers)]
    return claims


def others_odds(answers: Sequence[Sequence[Edge]], claims: Claims, linked: Collection[str]) -> list[dict[str, float]]:
    """Return, per checkpoint, the most that each of its answers counts for, as odds; arguments as for `find_claims`."""
    holders: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for run_id in linked:
        holders[run_id].append((1.0, -1))
    for i, edges in enumerate(answers):
        total = sum(edge.odds for edge in edges)
        for edge in edges:
            others = max(total - edge.odds, 0.0) + edge.ghost * edge.unmade
            held = certified(edge.odds, others, claims.free(i, edge))
            if edge.is_first and held > LEAST_HELD:
                holders[edge.run_id].append((held, i))
    out = []
    for i, edges in enumerate(answers):
        counts = {}
        for edge in edges:
            holding = (held for held, other in holders.get(edge.run_id, ()) if other != i)
            held = max(holding, default=0.0) if edge.is_first else 0.0
            counts[edge.run_id] = edge.odds * (1 - (1 - FURTHER_CHECKPOINT) * held)
        out.append(counts)
    return out


def _claims(edges: Sequence[Edge], shares: Mapping[str, float]) -> dict[str, Claim]:
    total = sum(edge.odds * shares[edge.run_id] for edge in edges)
    claims = {}
    for edge in edges:
        elsewhere = max(total - edge.odds * shares[edge.run_id], 0.0)
        answers = edge.odds + 1 + elsewhere + edge.unmade * edge.ghost
        lost = max((1 - FURTHER_CHECKPOINT) * edge.odds - max(1 - edge.unmade, 0.0) * edge.ghost, 0.0)
        claims[edge.run_id] = Claim(lost / answers, edge.odds / answers) if edge.is_first else _NO_CLAIM
    return claims
