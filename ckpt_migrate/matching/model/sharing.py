"""Sharing: runs given to directories by their odds, each run once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ckpt_migrate.matching.model.columns import Bools, Columns, Floats

ROUNDS = 10
"""How often prices are raised: after so many, hardly any run is given away twice."""
CERTAIN = 1e9
"""Odds of a run whose directory is named after it already."""


def share_out(columns: Columns, odds: Floats, is_free: Bools | None = None, others: Floats | float = 0.0) -> Floats:
    """Return the probability of each pair, when each run is given away once.

    A run that several directories fit is shared between them: its price rises until it is given away once. So a
    directory that fits two runs goes to the one that no other directory needs. This is the scaling of a matrix of
    Sinkhorn (1964), with "no run" as an answer that has no price.

    Args:
        columns: Pairs of directories and the runs that may have made them.
        odds: Of each pair, against none.
        is_free: Whether the run costs the directory nothing: it would be a further directory of its.
        others: Per directory, the odds of further answers that have no price.
    """
    paying = np.ones(len(odds)) if is_free is None else 1.0 - is_free
    prices = np.ones(columns.runs)
    shares = divide(columns, odds, others)
    for _ in range(ROUNDS - 1):
        loads = columns.run_sums(shares * paying)
        wanted = loads > 1.0
        if not wanted.any():
            break
        prices[wanted] *= loads[wanted]
        shares = divide(columns, odds / np.where(paying > 0, prices[columns.run], 1.0), others)
    return shares


def divide(columns: Columns, odds: Floats, others: Floats | float = 0.0) -> Floats:
    """Return the probability of each pair, each directory taken for itself; arguments as for `share_out`."""
    return odds / (1 + columns.row_sums(odds) + others)[columns.row]
