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
    prices: defaultdict[str, float] = defaultdict(lambda: 1.0)
    shares: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        shares = []
        loads: defaultdict[str, float] = defaultdict(float)
        for row, without in zip(odds, free, strict=True):
            priced = {run_id: each / (1.0 if run_id in without else prices[run_id]) for run_id, each in row.items()}
            total = 1 + sum(priced.values())
            shares.append({run_id: each / total for run_id, each in priced.items()})
            for run_id, share in shares[-1].items():
                if run_id not in without:
                    loads[run_id] += share
        wanted = {run_id: load for run_id, load in loads.items() if load > 1.0}
        if not wanted:
            break
        for run_id, load in wanted.items():
            prices[run_id] *= load
    return shares
