"""Ghosts: how well a run that is gone explains a directory, beside the run that is still there.

A ghost of run j is a run that is gone from the store, but was launched beside j, left the directory in question, and
looks like j in all that the directory shows; j itself left no directory. How often that happens is counted among the
runs that are still there (`twins`).
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.mtimes import DURATION_DECADES_NATS, SHORTEST_RUN_S, end_density
from ckpt_migrate.matching.families.stamps import best_reading, further_density, is_inside, stamp_density, start_density
from ckpt_migrate.matching.model.pair import exp2
from ckpt_migrate.matching.model.twins import GLOBAL_WORTH, NEAR_WINDOW_S, PRIOR_ALIKE, PRIOR_RUNS, Pair

if TYPE_CHECKING:
    from ckpt_migrate.matching.model.pair import Score, Seen, World
    from ckpt_migrate.matching.model.twins import Twins
    from ckpt_migrate.tracking.records import Run

SAME_END, SAME_METRIC = 0.2, 0.2
"""Chance that siblings with the same params end together, and that they log the same value (fixed seeds)."""
REPLICA = 0.05
"""Chance that they do both: what a launcher starts twice, with the same seeds, takes the same time to the same end.
What is started again minutes later ends minutes later."""
UNDERSTATED = 4.0
"""How much likelier ghosts are than what is counted of those that are still there makes them. Without it, of 6,287
generated directories renamed at 0.999 to 0.9999, eight were wrong where two were stated, nearly all of them ghosts."""
ECHO_SHARE, ECHO_RUNS = 0.1, 5.0
"""Share of runs that have another just an hour before or after (cron, a rerun), and of how many runs that is taken for
known before any is seen."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Shares of runs that are gone from the store, and of references that were copied from another run; below 1."""

    gone_share: float
    copied_share: float


def gone_siblings(twins: Twins, run: Run, gone_share: float) -> float:
    """Return the expected number of siblings of a run that are gone and may have left a directory here."""
    beside = twins.siblings.get(run.run_id, 0.0)
    if beside >= PRIOR_ALIKE:
        return beside * gone_share / (1 - gone_share)
    return twins.lone.get(run.experiment_id, twins.prior / PRIOR_RUNS)


def likeness(one: Score, seen: Seen, run: Run, world: World, twins: Twins) -> float:
    """Return how much better a sibling of a run explains a directory, on average, than the run itself does.

    The average over pairs of siblings of the product, over families, of the likelihood with the second in the place
    of the first: by its start, its end, and the metric. Pairs of the run's own launch count first, then those of the
    experiment; the uniform distribution over the launch window stands in where there are none.
    """
    allowed = frozenset(one.comparison.differing)
    keys = one.comparison.keys(seen.config)
    launch = twins.launches.get(run.run_id, -1)
    here = twins.telling(launch, keys)
    alike_everywhere = twins.alike(run.experiment_id, keys, allowed)
    alike_here = twins.alike(launch, keys, allowed)
    overall = twins.alike_share(run.experiment_id, keys, allowed)
    agreeing = (alike_here.weight + GLOBAL_WORTH * overall) / (here.weight + GLOBAL_WORTH) if keys else 1.0
    kernel = _Kernel(one, seen, run, world, twins.window_s)
    total, count = kernel.prior(), 1.0
    is_enough = len(alike_here.pairs) >= GLOBAL_WORTH
    for pair in alike_here.pairs if is_enough else alike_here.pairs + alike_everywhere.pairs:
        total += pair.weight * kernel.ratio(pair)
        count += pair.weight
    is_told = run.experiment_id in twins.told and twins.siblings.get(run.run_id, 0.0) < PRIOR_ALIKE
    mean = max(total / count, kernel.prior()) if is_told and not alike_here.pairs else total / count
    return agreeing * mean / exp2(world.differences.log2(seen.config, one.comparison))


def ghost_odds(one: Score, seen: Seen, run: Run, world: World, losses: Losses) -> float:
    """Return the odds of a ghost twin of a run against the run itself, where the run has a directory beside.

    A ghost needs a sibling of the run that is gone and looks as the directory does; where the run has no directory
    beside, it needs that too (`Strata.unmade_odds`). Whatever names the run speaks against all ghosts, unless it was
    copied from the ghost.

    Args:
        one: The pair's score.
        seen: The checkpoint.
        run: The run.
        world: The shared facts.
        losses: What is gone, and what misleads.
    """
    gone_share = losses.gone_share
    is_held = any(each.is_held and each.run_id == one.run_id for each in seen.references)
    copied_share = 0.0 if is_held else losses.copied_share
    named = max(exp2(-one.reference), copied_share) if one.reference > 0 else 1.0
    named *= exp2(-max(one.content, 0.0))
    beside = max(
        gone_siblings(twins, run, gone_share) * likeness(one, seen, run, world, twins) for twins in world.twins
    )
    return named * UNDERSTATED * (beside + _echo_odds(one, seen, run, world, gone_share))


def _echo_odds(one: Score, seen: Seen, run: Run, world: World, gone_share: float) -> float:
    """Return the odds of a run that is gone and began at another instant that the stamp may mean.

    In a repeated hour, or by the other of two clocks: a rerun just an hour later may be all that speaks for that one.
    """
    best = best_reading(seen, run)
    if best is None or len(seen.readings) <= 1:
        return 0.0
    kernel = _Kernel(one, seen, run, world, world.twins[0].window_s)
    odds = 0.0
    for other in seen.readings:
        shift_s = (other.instant_s - other.lag_s) - (best.instant_s - best.lag_s)
        if abs(shift_s) > NEAR_WINDOW_S:
            odds += _echo_share(world, abs(shift_s)) * kernel.echo(shift_s)
    keys, allowed = one.comparison.keys(seen.config), frozenset(one.comparison.differing)
    odds *= max(twins.alike_share(run.experiment_id, keys, allowed) for twins in world.twins)
    return odds * gone_share / (1 - gone_share) / exp2(world.differences.log2(seen.config, one.comparison))


def _echo_share(world: World, shift_s: float) -> float:
    """Return the share of runs that have another after just this time, within the window of a launch."""
    starts, window_s, known = world.starts_s, world.twins[0].window_s, world.twins[0].echoes
    if shift_s in known:
        return known[shift_s]
    found = sum(
        bisect.bisect_right(starts, start + shift_s + window_s) > bisect.bisect_left(starts, start + shift_s - window_s)
        for start in starts
    )
    known[shift_s] = (found + ECHO_SHARE * ECHO_RUNS) / (len(starts) + ECHO_RUNS)
    return known[shift_s]


class _Kernel:
    """The likelihood of a directory with a sibling in the place of its run, over that with the run."""

    def __init__(self, one: Score, seen: Seen, run: Run, world: World, window_s: float) -> None:
        self._seen, self._world, self._other_metric, self._window_s = seen, world, one.other_metric, window_s
        self._start_s = None if run.start_utc_ms is None else run.start_utc_ms / 1000
        self._end_s = None if run.end_utc_ms is None else run.end_utc_ms / 1000
        self._stamp = stamp_density(seen, run, world)
        self._further = further_density(run, world.further) if is_inside(seen, run) else 0.0
        self._end = 0.0
        if one.mtime and self._start_s is not None and self._end_s is not None:
            self._end = end_density(seen, self._start_s, self._end_s, world)

    def prior(self) -> float:
        """Return the ratio for a sibling of which nothing is known but that it was launched within the window."""
        ratio = 1.0
        if self._stamp and self._seen.readings and self._start_s is not None:
            window_s = self._window_s
            edges = (start_density(self._seen, self._start_s + sign * window_s) for sign in (-1, 1))
            within = any(abs(one.lag_to(self._start_s)) <= window_s for one in self._seen.readings)
            ratio *= (max(1 / (2 * window_s) if within else max(edges), self._further)) / self._stamp
        apart = (SAME_END if self._end else 1.0) * self._metric(None)
        replica = REPLICA if self._window_s < NEAR_WINDOW_S else 0.0
        return ratio * (replica + (1 - replica) * apart)

    def echo(self, shift_s: float) -> float:
        """Return the ratio for a run of the same length, so many seconds before or after, that the stamp fits as well.

        It may have taken as long as the run, or any time.
        """
        as_long = self.ratio(Pair(shift_s, shift_s, frozenset(), frozenset(), None, 1.0))
        if not self._end or self._seen.newest_s is None or self._start_s is None:
            return as_long
        took_s = max(self._seen.newest_s - self._start_s - shift_s, SHORTEST_RUN_S)
        any_time = 1 / (took_s * DURATION_DECADES_NATS) / self._end
        return 0.5 * (as_long + self._started(shift_s) * any_time * self._metric(None))

    def _started(self, apart_s: float) -> float:
        """Return the ratio of the stamp's densities, given starts so far apart."""
        if not self._stamp or not self._seen.readings or self._start_s is None:
            return 1.0
        return (start_density(self._seen, self._start_s + apart_s) + self._further) / self._stamp

    def ratio(self, pair: Pair) -> float:
        """Return the ratio for a sibling that lies to the run as the second of a pair to the first."""
        ratio = self._started(pair.apart_s)
        if self._end and self._start_s is not None and self._end_s is not None:
            if pair.ends_apart_s is None:
                ratio *= SAME_END
            else:
                end_s = self._end_s + pair.ends_apart_s
                ratio *= end_density(self._seen, self._start_s + pair.apart_s, end_s, self._world) / self._end
        return ratio * self._metric(pair.is_same_metric)

    def _metric(self, is_same: bool | None) -> float:  # noqa: FBT001 - three answers, the third is "not known"
        same = SAME_METRIC if is_same is None else float(is_same)
        return same + (1 - same) * self._other_metric
