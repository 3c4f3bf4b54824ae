"""Presence: how likely a directory's run is in the store at all, by the directories made before and after it.

A store that was begun in mid-project lacks all runs of the time before, and none after; one that somebody thinned out
lacks some everywhere. Which of the two it is, the directories say themselves: if those whose run is found lie together,
what the neighbours of one are tells of it; if not, only the share of all does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ckpt_migrate.matching.model.columns import Floats, Ints

NEIGHBOURS = 4
"""Directories looked at before and after one, by stamp: a sweep or an afternoon's work, not a month."""
WORTH = 1.0
"""How many neighbours the share of all directories is worth among a directory's neighbours."""
LOCAL_SHARES = tuple(i / 10 for i in range(10))
"""Trust in the neighbours, of which the data choose: 0 is none."""
LEAST_CHANCE, MOST_CHANCE = 0.01, 0.99
"""Bounds on what neighbours predict: no directory among them refutes them for good."""
DOUBT = 4.0
"""Strength of the doubt, before any data, whether neighbours tell anything: the prior is (1 - trust) to this power."""


def order_in_time(local_s: Floats) -> Ints:
    """Return the positions of directories in the order of their stamps; those without come first.

    Args:
        local_s: Per directory, in the order of their paths, its stamp in local seconds; "not a number" without.
    """
    return np.argsort(np.where(np.isnan(local_s), -np.inf, local_s), kind="stable")


def near_in_time(order: Ints, values: Floats, overall: float) -> Floats:
    """Return, per directory, what `told_by_neighbours` says of it, the directories put in the order of their stamps.

    Args:
        order: As `order_in_time` gives it.
        values: Per directory, a probability.
        overall: The mean of all, as far as is known.
    """
    out = np.empty(len(values))
    out[order] = told_by_neighbours(values[order], overall)
    return out


def told_by_neighbours(found: Floats, overall: float) -> Floats:
    """Return, per directory, the chance that its run is in the store, told by its neighbours alone.

    A mixture of the mean of the neighbours and of the mean of all. Its weight is the posterior mean over LOCAL_SHARES,
    by the likelihood with which each directory is predicted from its neighbours, without itself.

    Args:
        found: Per directory, in the order of their stamps, the probability that its run is in the store.
        overall: The chance for all of them.
    """
    around = _around(found, overall)
    trusts = np.array(LOCAL_SHARES)
    logs = np.array([_log_likelihood(found, around, overall, share) for share in LOCAL_SHARES])
    logs += DOUBT * np.log(1 - trusts)
    weights = np.exp(logs - logs.max())
    trust = float((trusts * weights).sum() / weights.sum())
    return trust * around + (1 - trust) * overall


def _around(found: Floats, overall: float) -> Floats:
    """Return the mean of the neighbours of each, drawn towards that of all."""
    sums = np.concatenate([[0.0], np.cumsum(found)])
    place = np.arange(len(found))
    low, high = np.maximum(place - NEIGHBOURS, 0), np.minimum(place + NEIGHBOURS + 1, len(found))
    around: Floats = (sums[high] - sums[low] - found + WORTH * overall) / (high - low - 1 + WORTH)
    return around


def _log_likelihood(found: Floats, around: Floats, overall: float, share: float) -> float:
    chance = np.clip(share * around + (1 - share) * overall, LEAST_CHANCE, MOST_CHANCE)
    return float((found * np.log(chance) + (1 - found) * np.log(1 - chance)).sum())
