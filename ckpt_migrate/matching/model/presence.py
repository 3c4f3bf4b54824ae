"""Presence: how likely a directory's run is in the store at all, by the directories made before and after it.

A store that was begun in mid-project lacks all runs of the time before, and none after; one that somebody thinned out
lacks some everywhere. Which of the two it is, the directories say themselves: if those whose run is found lie together,
what the neighbours of one are tells of it; if not, only the share of all does.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.model.cases import Case

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


def order_in_time(cases: Sequence[Case]) -> list[int]:
    """Return the positions of cases in the order of their stamps; those without come first."""
    keys = [(case.seen.local is not None, case.seen.local, case.seen.path) for case in cases]
    return sorted(range(len(cases)), key=keys.__getitem__)


def near_in_time(order: Sequence[int], values: Sequence[float], overall: float) -> list[float]:
    """Return, per case, what `told_by_neighbours` says of it, the cases put in the order of their stamps.

    Args:
        order: As `order_in_time` gives it.
        values: Per case, a probability.
        overall: The mean of all, as far as is known.
    """
    told = told_by_neighbours([values[i] for i in order], overall)
    out = [0.0] * len(values)
    for i, each in zip(order, told, strict=True):
        out[i] = each
    return out


def told_by_neighbours(found: Sequence[float], overall: float) -> list[float]:
    """Return, per directory, the chance that its run is in the store, told by its neighbours alone.

    A mixture of the mean of the neighbours and of the mean of all. Its weight is the posterior mean over LOCAL_SHARES,
    by the likelihood with which each directory is predicted from its neighbours, without itself.

    Args:
        found: Per directory, in the order of their stamps, the probability that its run is in the store.
        overall: The chance for all of them.
    """
    around = _around(found, overall)
    logs = [_log_likelihood(found, around, overall, share) + DOUBT * math.log(1 - share) for share in LOCAL_SHARES]
    weights = [math.exp(each - max(logs)) for each in logs]
    trust = sum(share * weight for share, weight in zip(LOCAL_SHARES, weights, strict=True)) / sum(weights)
    return [trust * here + (1 - trust) * overall for here in around]


def _around(found: Sequence[float], overall: float) -> list[float]:
    """Return the mean of the neighbours of each, drawn towards that of all."""
    sums = [0.0, *accumulate(found)]
    out = []
    for i, own in enumerate(found):
        low, high = max(i - NEIGHBOURS, 0), min(i + NEIGHBOURS + 1, len(found))
        out.append((sums[high] - sums[low] - own + WORTH * overall) / (high - low - 1 + WORTH))
    return out


def _log_likelihood(found: Sequence[float], around: Sequence[float], overall: float, share: float) -> float:
    log, total, outer = math.log, 0.0, (1 - share) * overall
    for is_found, here in zip(found, around, strict=True):
        chance = min(max(share * here + outer, LEAST_CHANCE), MOST_CHANCE)
        total += is_found * log(chance) + (1 - is_found) * log(1 - chance)
    return total
