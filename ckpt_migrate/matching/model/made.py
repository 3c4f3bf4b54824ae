"""Made: how many runs of each kind have a directory, and who has directories elsewhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.model.sharing import share_out
from ckpt_migrate.matching.model.strata import (
    LEAST_IN_STORE,
    MOST_IN_STORE,
    PRIOR_DIRECTORIES,
    PRIOR_IN_STORE,
    SMALLEST_SHARE,
    numbered,
)

if TYPE_CHECKING:
    from ckpt_migrate.matching.model.columns import Columns, Floats
    from ckpt_migrate.matching.model.strata import Strata

AWAY_SHARE, AWAY_SIGMAS = 0.5, 3.0
"""Somebody who has fewer directories than this share of what others have, by so many deviations, has them elsewhere."""


def count_made(strata: Strata, columns: Columns, odds: Floats) -> Strata:
    """Return the strata with the directories counted.

    Args:
        strata: The kinds of runs.
        columns: Pairs of directories and the runs that may have made them.
        odds: Of each pair, against none.
    """
    loads = np.minimum(columns.run_sums(share_out(columns, odds)), 1.0)
    kinds, kind, totals = strata.kinds, strata.kind, strata.totals
    away = _away(strata, loads)
    if away != strata.away:
        is_away = np.array([who in away for who in strata.people], np.bool_)[strata.person]
        every = [(*kinds[n][:4], is_gone) for n, is_gone in zip(kind.tolist(), is_away.tolist(), strict=True)]
        kinds, kind = numbered(every)
        totals = Counter(every)
    made = np.bincount(kind, weights=loads, minlength=len(kinds))
    share = (float(loads.sum()) + PRIOR_IN_STORE * PRIOR_DIRECTORIES) / (columns.rows + PRIOR_DIRECTORIES)
    return replace(
        strata,
        kinds=kinds,
        kind=kind,
        totals=totals,
        made=dict(zip(kinds, made.tolist(), strict=True)),
        in_store=min(max(share, LEAST_IN_STORE), MOST_IN_STORE),
        away=away,
        _known=[],
    )


def _away(strata: Strata, loads: Floats) -> frozenset[tuple[str, str]]:
    """Return who has directories elsewhere, by experiment id and name; by the test of two proportions."""
    people = strata.people
    if len(people) == len({experiment for experiment, _ in people}):  # nobody has others beside in an experiment
        return frozenset()
    _, experiment = numbered([experiment for experiment, _ in people])
    made, total = np.bincount(strata.person, weights=loads), np.bincount(strata.person).astype(np.float64)
    every_made, every = (
        np.bincount(experiment, weights=made)[experiment],
        np.bincount(experiment, weights=total)[experiment],
    )
    others = every - total
    is_beside = others > 0
    theirs = (every_made - made) / np.where(is_beside, others, 1.0)
    overall = every_made / every
    variance = np.maximum(overall * (1 - overall), SMALLEST_SHARE) * (1 / total + 1 / np.where(is_beside, others, 1.0))
    mine = made / total
    is_away = is_beside & (mine < AWAY_SHARE * theirs) & (theirs - mine > AWAY_SIGMAS * np.sqrt(variance))
    return frozenset(who for who, each in zip(people, is_away.tolist(), strict=True) if each)
