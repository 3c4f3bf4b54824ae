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

    from ckpt_migrate.matching.model.columns import Columns, Floats
    from ckpt_migrate.matching.model.pair import Score, Seen, World
    from ckpt_migrate.matching.model.twins import Twins
    from ckpt_migrate.tracking.records import Run

UNDERSTATED = 4.0
"""How much likelier ghosts are than what is counted of those that are still there makes them. Without it, of 6,287
generated directories renamed at 0.999 to 0.9999, eight were wrong where two were stated, nearly all of them ghosts."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Shares of runs that are gone from the store, by directory, and of references that were copied; below 1."""

    gone_share: Floats
    copied_share: float


def ghost_odds(pairs: Sequence[tuple[Score, Seen, Run]], columns: Columns, world: World, losses: Losses) -> Floats:
    """Return the odds of a ghost twin of each run against the run itself, where the run has a directory beside.

    A ghost needs a sibling of the run that is gone and looks as the directory does; where the run has no directory
    beside, it needs that too (`Strata.unmade_odds`). Whatever names the run speaks against all ghosts, unless it was
    copied from the ghost.

    Args:
        pairs: The scores, checkpoints and runs of pairs.
        columns: The same pairs.
        world: The shared facts.
        losses: What is gone, for each checkpoint, and what misleads.
    """
    if not pairs:
        return np.zeros(0)
    likeness = Likeness(pairs, columns, world)
    gone_share = losses.gone_share[columns.row]
    beside = np.zeros(len(pairs))
    for twins in world.twins:
        experiments = [run.experiment_id for _, _, run in pairs]
        gone = _gone_siblings(twins, twins.siblings[columns.run], experiments, gone_share)
        beside = np.maximum(beside, gone * likeness.of(twins))
    return _named(pairs, losses.copied_share) * UNDERSTATED * (beside + likeness.echo_odds(gone_share))


def _named(pairs: Sequence[tuple[Score, Seen, Run]], copied_share: float) -> Floats:
    """Return, per pair, how likely a ghost has all that names the run: a reference, or equal bytes."""
    reference = np.array([one.reference for one, _, _ in pairs])
    content = np.array([one.content for one, _, _ in pairs])
    is_held = [
        bool(seen.references) and any(each.is_held and each.run_id == one.run_id for each in seen.references)
        for one, seen, _ in pairs
    ]
    copied = np.where(is_held, 0.0, copied_share)
    named = np.where(reference > 0, np.maximum(exp2(-reference), copied), 1.0)
    return named * exp2(-np.maximum(content, 0.0))


def _gone_siblings(twins: Twins, beside: Floats, experiments: Sequence[str], gone_share: Floats) -> Floats:
    """Return the expected number of siblings of runs that are gone and may have left a directory here.

    Args:
        twins: What is known of siblings.
        beside: How many each run has that are still there.
        experiments: The experiment of each.
        gone_share: Share of directories whose run is gone.
    """
    alone = twins.prior / PRIOR_RUNS
    lone = np.array([twins.lone.get(experiment, alone) for experiment in experiments])
    return np.where(beside >= PRIOR_ALIKE, beside * gone_share / (1 - gone_share), lone)
