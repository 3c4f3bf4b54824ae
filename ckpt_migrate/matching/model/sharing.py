"""Sharing: runs given to directories by their odds, each run once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

ROUNDS = 10
"""How often prices are raised: after so many, hardly any run is given away twice."""
CERTAIN = 1e9
"""Odds of a run whose directory is named after it already."""


def share_out(
    odds: Sequence[Mapping[str, float]], shareable: Sequence[Collection[str]] | None = None
) -> list[dict[str, float]]:
    """Return, per directory, the probability of each run, when each run is given away once.

    A run that several directories fit is shared between them: its price rises until it is given away once. So a
    directory that fits two runs goes to the one that no other directory needs. This is the scaling of a matrix of
    Sinkhorn (1964), with "no run" as an answer that has no price.

    Args:
        odds: Per directory, the odds of each run that may have made it, against none.
        shareable: Per directory, runs that cost it nothing: it would be a further directory of theirs.
    """
    free = shareable if shareable is not None else [()] * len(odds)
    shares = [_divide(row) for row in odds]
    loads: defaultdict[str, float] = defaultdict(float)
    for row, without in zip(shares, free, strict=True):
        for run_id, share in row.items():
            if run_id not in without:
                loads[run_id] += share
    wanted = [run_id for run_id, load in loads.items() if load > 1.0]
    places = _places(odds, free) if wanted else {}
    prices: dict[str, float] = {}
    # Most runs fit few directories, and are never wanted twice: only rows with a price that rose are divided again.
    for _ in range(ROUNDS - 1 if wanted else 0):
        for run_id in wanted:
            prices[run_id] = prices.get(run_id, 1.0) * loads[run_id]
        changed = {position for run_id in wanted for position in places[run_id]}
        for position in changed:
            without = free[position]
            shares[position] = _divide(
                {
                    run_id: each / prices[run_id] if run_id in prices and run_id not in without else each
                    for run_id, each in odds[position].items()
                }
            )
        touched = {run_id for position in changed for run_id in odds[position] if run_id not in free[position]}
        for run_id in touched:
            loads[run_id] = sum([shares[position][run_id] for position in places[run_id]])
        wanted = [run_id for run_id in touched if loads[run_id] > 1.0]
        if not wanted:
            break
    return shares


def _divide(row: Mapping[str, float]) -> dict[str, float]:
    """Return the probabilities that odds against none mean."""
    total = 1 + sum(row.values())
    return {run_id: each / total for run_id, each in row.items()}


def _places(odds: Sequence[Mapping[str, float]], free: Sequence[Collection[str]]) -> dict[str, list[int]]:
    """Return the directories, ascending, to which each run is not free."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for position, (row, without) in enumerate(zip(odds, free, strict=True)):
        for run_id in row:
            if run_id not in without:
                places[run_id].append(position)
    return places
