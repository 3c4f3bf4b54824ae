"""Weighing: the match weight of one pair, by every family that needs no second look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.matching.compare import compare
from ckpt_migrate.matching.model import Score
from ckpt_migrate.matching.mtimes import end_bits
from ckpt_migrate.matching.params import param_bits
from ckpt_migrate.matching.references import reference_bits
from ckpt_migrate.matching.stamps import time_bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckpt_migrate.matching.model import Seen, World
    from ckpt_migrate.tracking.records import Run


def weigh(seen: Seen, run: Run, world: World, prior: float) -> Score:
    """Weigh one pair by everything but metrics, content and resumes."""
    comparison = compare(seen.config, world.params.get(run.run_id, {}))
    return Score(
        run_id=run.run_id,
        prior=prior,
        reference=reference_bits(seen.references, run.run_id, world.run_total),
        time=time_bits(seen, run, world),
        mtime=end_bits(seen, run, world),
        params=param_bits(seen.config, comparison, world),
        comparison=comparison,
    )


def weigh_all(seen: Seen, candidates: Iterable[str], runs: Mapping[str, Run], world: World) -> tuple[Score, ...]:
    """Weigh all candidates of a checkpoint, best first."""
    priors, kinds = world.priors, world.strata.kinds
    scores = [weigh(seen, runs[run_id], world, priors[kinds[run_id]]) for run_id in candidates]
    return tuple(sorted(scores, key=lambda one: (-one.bits, one.run_id)))
