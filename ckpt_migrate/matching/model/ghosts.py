"""Ghosts: how well a run that is gone explains a directory, beside the run that is still there.

A ghost of run j is a run that is gone from the store, but was launched beside j, left the directory in question, and
looks like j in all that the directory shows; j itself left no directory. How often that happens is counted among the
runs that are still there (`twins`).
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.mtimes import DURATION_DECADES_NATS, SHORTEST_RUN_S, end_densities
from ckpt_migrate.matching.families.stamps import best_reading, further_density, is_inside, stamp_density, start_density
from ckpt_migrate.matching.model.pair import exp2
from ckpt_migrate.matching.model.twins import GLOBAL_WORTH, NEAR_WINDOW_S, PRIOR_ALIKE, PRIOR_RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckpt_migrate.matching.model.pair import Score, Seen, World
    from ckpt_migrate.matching.model.twins import Pair, Twins
    from ckpt_migrate.tracking.records import Run

SAME_END, SAME_METRIC = 0.2, 0.2
"""Chance that siblings with the same params end together, and that they log the same value (fixed seeds)."""
_SAME_METRICS: Mapping[bool | None, float] = MappingProxyType({None: SAME_METRIC, False: 0.0, True: 1.0})
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
    kernel = _Kernel(one, seen, run, world)
    beside = max([gone_siblings(twins, run, gone_share) * kernel.likeness(twins) for twins in world.twins])
    return named * UNDERSTATED * (beside + kernel.echo_odds(gone_share))


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
    """The likelihood of a directory with a sibling in the place of its run, over that with the run.

    What depends on the pair alone is computed once: a sweep's runs are set against hundreds of pairs of siblings.
    """

    def __init__(self, one: Score, seen: Seen, run: Run, world: World) -> None:
        self._seen, self._run, self._world = seen, run, world
        self._keys, self._allowed = one.comparison.keys(seen.config), frozenset(one.comparison.differing)
        self._params = exp2(world.differences.log2(seen.config, one.comparison))
        self._start_s = (run.start_utc_ms or 0) / 1000
        self._end_s = (run.end_utc_ms or 0) / 1000
        is_timed = run.start_utc_ms is not None
        self._further = further_density(run, world.further) if is_inside(seen, run) else 0.0
        # 0 where the stamp, or the end, tells nothing of any run
        self._stamp = stamp_density(seen, run, world) if is_timed and seen.readings else 0.0
        self._away_s = min([abs(each.lag_to(self._start_s)) for each in seen.readings], default=0.0)
        self._end, self._end_density = 0.0, end_densities(seen, world)
        if one.mtime and is_timed and run.end_utc_ms is not None:
            self._end = self._end_density(self._start_s, self._end_s)
        other = one.other_metric
        self._metric = {same: share + (1 - share) * other for same, share in _SAME_METRICS.items()}

    def likeness(self, twins: Twins) -> float:
        """Return how much better a sibling of the run explains the directory, on average, than the run itself does.

        The average over pairs of siblings of the product, over families, of the likelihood with the second in the
        place of the first: by its start, its end, and the metric. Pairs of the run's own launch count first, then
        those of the experiment; the uniform distribution over the launch window stands in where there are none.
        """
        run = self._run
        alike = twins.alike_to(run, self._keys, self._allowed)
        prior = self._prior(twins)
        total, count = self._add(alike.here, prior, 1.0)
        if len(alike.here) < GLOBAL_WORTH:
            total, count = self._add(alike.everywhere, total, count)
        is_told = run.experiment_id in twins.told and twins.siblings.get(run.run_id, 0.0) < PRIOR_ALIKE
        mean = max(total / count, prior) if is_told and not alike.here else total / count
        return alike.share * mean / self._params

    def _add(self, pairs: Iterable[Pair], total: float, count: float) -> tuple[float, float]:
        """Return two sums with pairs added: of the ratios of siblings that lie to the run as the second to the first.

        By weight, and of the weights.
        """
        metric = self._metric
        for pair in pairs:
            ratio = self._started(pair.apart_s) * self._ended(pair.apart_s, pair.ends_apart_s)
            total += pair.weight * (ratio * metric[pair.is_same_metric])
            count += pair.weight
        return total, count

    def _prior(self, twins: Twins) -> float:
        """Return the ratio for a sibling of which nothing is known but that it was launched within the window."""
        ratio = 1.0
        if self._stamp:
            density = 1 / (2 * (twins.window_s - twins.nearest_s))
            if self._away_s > twins.window_s:
                density = max(start_density(self._seen, self._start_s + sign * twins.window_s) for sign in (-1, 1))
            ratio *= max(density, self._further) / self._stamp
        apart = (SAME_END if self._end else 1.0) * self._metric[None]
        replica = 0.0 if twins.nearest_s else REPLICA
        return ratio * (replica + (1 - replica) * apart)

    def echo_odds(self, gone_share: float) -> float:
        """Return the odds of a run that is gone and began at another instant that the stamp may mean.

        In a repeated hour, or by the other of two clocks: a rerun just an hour later may be all that speaks for that.
        """
        world, readings = self._world, self._seen.readings
        best = best_reading(self._seen, self._run) if len(readings) > 1 else None
        if best is None:
            return 0.0
        odds = 0.0
        for other in readings:
            shift_s = (other.instant_s - other.lag_s) - (best.instant_s - best.lag_s)
            if abs(shift_s) > NEAR_WINDOW_S:
                odds += _echo_share(world, abs(shift_s)) * self._echo(shift_s)
        if not odds:
            return 0.0
        experiment = self._run.experiment_id
        odds *= max([twins.alike_share(experiment, self._keys, self._allowed) for twins in world.twins])
        return odds * gone_share / (1 - gone_share) / self._params

    def _echo(self, shift_s: float) -> float:
        """Return the ratio for a run of the same length, so many seconds before or after, that the stamp fits as well.

        It may have taken as long as the run, or any time.
        """
        started = self._started(shift_s)
        as_long = started * self._ended(shift_s, shift_s) * self._metric[None]
        if not self._end or self._seen.newest_s is None:
            return as_long
        took_s = max(self._seen.newest_s - self._start_s - shift_s, SHORTEST_RUN_S)
        any_time = 1 / (took_s * DURATION_DECADES_NATS) / self._end
        return 0.5 * (as_long + started * any_time * self._metric[None])

    def _started(self, apart_s: float) -> float:
        """Return the ratio of the stamp's densities, given starts so far apart."""
        if not self._stamp:
            return 1.0
        return (start_density(self._seen, self._start_s + apart_s) + self._further) / self._stamp

    def _ended(self, apart_s: float, ends_apart_s: float | None) -> float:
        """Return the ratio of the densities of the newest file, given starts and ends so far apart."""
        if not self._end:
            return 1.0
        if ends_apart_s is None:
            return SAME_END
        return self._end_density(self._start_s + apart_s, self._end_s + ends_apart_s) / self._end
