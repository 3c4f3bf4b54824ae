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

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ckpt_migrate.matching.families.stamps import FURTHER_CHECKPOINT

if TYPE_CHECKING:
    from ckpt_migrate.matching.model.columns import Bools, Columns, Floats

SECOND_AT_START = 0.003
"""rho of directories that were made at a run's start (by a job of several processes, or one started twice), where it
counts against a pair that no reference names. Beside one that is named the other may be a copy of it; there, and for a
rival that another holds, it is FURTHER_CHECKPOINT. How often it happens is not known: each is the careful figure. A
directory made when the run was taken up again claims nothing."""
ROUNDS = 4
"""How often the bound is tightened; more change nothing that matters."""
LEAST_HELD = 0.5
"""A run of which no checkpoint is surer than this is not taken to be held by any."""
MISSING_SHARE = 0.1
"""Share of directories that were made and are not here: cleaned away, or on another machine."""


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers of all checkpoints, a figure for each pair.

    Attributes:
        columns: The pairs of checkpoints and runs.
        odds: w, the odds against the run's not being in the store.
        ghost: g, the odds of a ghost of the run while the run has another directory, likewise; 0 for those that are
            not worth a close look.
        unmade: u, the odds that the run has none.
        is_first: Whether it would be the run's first directory; further ones, made when the run was taken up again,
            stand in nobody's way.
        is_named: Whether a reference names the run.
        linked: Per run, whether it has a directory of its name already.
    """

    columns: Columns
    odds: Floats
    ghost: Floats
    unmade: Floats
    is_first: Bools
    is_named: Bools
    linked: Bools

    @property
    def least_free(self) -> Floats:
        """What is left of each run whatever the others are; its odds may rest on its having no directory yet."""
        rho = np.where(self.is_named, FURTHER_CHECKPOINT, SECOND_AT_START)
        return np.where(self.is_first, rho * np.minimum(self.unmade, 1.0), 1.0)

    def totals(self, free: Floats) -> Floats:
        """Return, per pair, the sum of all answers: its own odds, those elsewhere at the least, ghosts of its run."""
        least = self.odds * free
        elsewhere = np.maximum(self.columns.row_sums(least)[self.columns.row] - least, 0.0)
        return self.odds + 1 + elsewhere + self.unmade * self.ghost


def certified(odds: Floats, others: Floats, free: Floats) -> Floats:
    """Return the lower bound on the probability of each pair.

    Args:
        odds: w, the pair's odds.
        others: A, the sum of the checkpoint's other odds, ghosts included.
        free: e, what the other checkpoints leave of it, from `Claims.free`.
    """
    return odds * free / (odds * free + 1 + others)


class Claims(NamedTuple):
    """What the other checkpoints' claims mean for each pair.

    Attributes:
        free: e, the share that they leave of the run, at least.
        taken: The chance, at most, that the run needs no missing directory for a ghost of it to have made this one.
    """

    free: Floats
    taken: Floats


def find_claims(answers: Answers) -> Claims:
    """Return what the claims of all checkpoints, tightened, leave each of them."""
    before = free = answers.least_free
    for _ in range(ROUNDS):
        totals = answers.totals(free)
        beside = _free(answers, totals, FURTHER_CHECKPOINT), _free(answers, totals, SECOND_AT_START)
        before, free = free, np.maximum(np.where(answers.is_named, *beside), answers.least_free)
    return Claims(free, _taken(answers, before))


def _free(answers: Answers, totals: Floats, rho: float) -> Floats:
    """Return `Claims.free` from the sums of a looser one: without c of all others, what they lose to one more."""
    run = answers.columns.run
    # A further directory claims nothing: it stands in nobody's way.
    lost = (1 - rho) * answers.odds - np.maximum(1 - answers.unmade, 0.0) * answers.ghost
    own = np.where(answers.is_first, np.maximum(lost, 0.0), 0.0) / totals
    losses = answers.columns.run_sums(own) + (1 - rho) * answers.linked
    found: Floats = 1 - np.maximum(losses[run] - own, 0.0)
    return found


def _taken(answers: Answers, free: Floats) -> Floats:
    """Return `Claims.taken`: how likely the run has another directory, which a ghost of it then needs not lack.

    Where this one is a further one, the ghost has a first one as well, which must be among the others, or missing.
    """
    own = np.where(answers.is_first, answers.odds / answers.totals(free), 0.0)
    holds = answers.columns.run_sums(own) + answers.linked
    others = np.maximum(holds[answers.columns.run] - own, 0.0)
    further = np.maximum(others - 1, 0.0) + MISSING_SHARE * np.minimum(others, 1.0)
    return np.minimum(np.where(answers.is_first, others, further), 1.0)


def others_odds(answers: Answers, claims: Claims) -> Floats:
    """Return, per pair, the most that it counts for among its checkpoint's answers, as odds."""
    columns, odds = answers.columns, answers.odds
    elsewhere = np.maximum(columns.row_sums(odds)[columns.row] - odds, 0.0)
    held = certified(odds, elsewhere + answers.ghost * answers.unmade, claims.free)
    held = np.where(answers.is_first & (held > LEAST_HELD), held, 0.0)
    by_others = np.where(answers.is_first, _most_of_others(columns, held), 0.0)
    by_others = np.where(answers.is_first & answers.linked[columns.run], 1.0, by_others)
    return odds * (1 - (1 - FURTHER_CHECKPOINT) * by_others)


def _most_of_others(columns: Columns, held: Floats) -> Floats:
    """Return, per pair, the most by which another checkpoint holds its run; 0 for none."""
    order = np.lexsort((-held, columns.run))
    run = columns.run[order]
    is_best = np.ones(len(run), np.bool_)
    is_best[1:] = run[1:] != run[:-1]
    best, second = np.zeros(columns.runs), np.zeros(columns.runs)
    best[run[is_best]] = held[order][is_best]
    is_second = np.zeros(len(run), np.bool_)
    is_second[1:] = is_best[:-1] & ~is_best[1:]
    second[run[is_second]] = held[order][is_second]
    others = best[columns.run]
    others[order[is_best]] = second[columns.run][order[is_best]]
    return others
