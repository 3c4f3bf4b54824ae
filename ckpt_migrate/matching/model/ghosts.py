"""Ghosts: how well a run that is gone explains a directory, beside the run that is still there.

A ghost of run j is a run that is gone from the store, but was launched beside j, left the directory in question, and
looks like j in all that the directory shows; j itself left no directory. How often that happens is counted among the
runs that are still there (`twins`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.model.columns import exp2
from ckpt_migrate.matching.model.likeness import Likeness
from ckpt_migrate.matching.model.twins import PRIOR_ALIKE, PRIOR_RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.columns import Floats, Ints
    from ckpt_migrate.matching.model.pair import World
    from ckpt_migrate.matching.model.twins import Twins
    from ckpt_migrate.matching.model.weights import Weights
    from ckpt_migrate.tracking.records import Run

UNDERSTATED = 4.0
"""How much likelier ghosts are than what is counted of those that are still there makes them. Without it, of 6,287
generated directories renamed at 0.999 to 0.9999, eight were wrong where two were stated, nearly all of them ghosts."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Shares of runs that are gone from the store, by directory, and of references that were copied; below 1."""

    gone_share: Floats
    copied_share: float


def ghost_odds(cases: Sequence[Case], weights: Weights, runs: Sequence[Run], world: World, losses: Losses) -> Floats:
    """Return the odds of a ghost twin of each run against the run itself, where the run has a directory beside.

    A ghost needs a sibling of the run that is gone and looks as the directory does; where the run has no directory
    beside, it needs that too (`Strata.unmade_odds`). Whatever names the run speaks against all ghosts, unless it was
    copied from the ghost.

    Args:
        cases: All cases.
        weights: Of some of their candidates.
        runs: All runs, in the order of their places.
        world: The shared facts.
        losses: What is gone, for each checkpoint, and what misleads.
    """
    if not weights.scores:
        return np.zeros(0)
    likeness = Likeness(cases, weights, runs, world)
    columns = weights.columns
    gone_share = losses.gone_share[columns.row]
    beside = np.zeros(len(columns.row))
    for twins in world.twins:
        gone = _gone_siblings(twins, runs, gone_share, columns.run)
        beside = np.maximum(beside, gone * likeness.of(twins))
    return _named(cases, weights, losses.copied_share) * UNDERSTATED * (beside + likeness.echo_odds(gone_share))


def _named(cases: Sequence[Case], weights: Weights, copied_share: float) -> Floats:
    """Return, per pair, how likely a ghost has all that names the run: a reference, or equal bytes."""
    reference, row = weights.reference, weights.columns.row
    is_held = np.zeros(len(reference), np.bool_)
    for place in np.flatnonzero(reference > 0).tolist():
        run_id, references = weights.scores[place].run_id, cases[row[place]].seen.references
        is_held[place] = any(each.is_held and each.run_id == run_id for each in references)
    copied = np.where(is_held, 0.0, copied_share)
    named = np.where(reference > 0, np.maximum(exp2(-reference), copied), 1.0)
    return named * exp2(-np.maximum(weights.content, 0.0))


def _gone_siblings(twins: Twins, runs: Sequence[Run], gone_share: Floats, run: Ints) -> Floats:
    """Return the expected number of siblings of runs that are gone and may have left a directory here.

    Args:
        twins: What is known of siblings.
        runs: All runs, in the order of their places.
        gone_share: Share of directories whose run is gone, for each pair.
        run: The run of each pair.
    """
    alone, beside = twins.prior / PRIOR_RUNS, twins.siblings[run]
    lone = np.array([twins.lone.get(one.experiment_id, alone) for one in runs])[run]
    return np.where(beside >= PRIOR_ALIKE, beside * gone_share / (1 - gone_share), lone)
