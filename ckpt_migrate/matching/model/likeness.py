"""Likeness: how well a sibling of a run explains a directory, beside the run itself.

The density of the stamp, of the newest file and of the metric, with the sibling in the place of the run, over that
with the run; for all pairs at once, and on average over pairs of runs that are still there.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.families.mtimes import DURATION_DECADES_NATS, SHORTEST_RUN_S
from ckpt_migrate.matching.families.timing import (
    best_readings,
    end_densities,
    further_densities,
    is_inside,
    nearest_lags,
    stamp_densities,
    start_densities,
)
from ckpt_migrate.matching.model.alike import find_alike, spans
from ckpt_migrate.matching.model.columns import exp2, sums_of
from ckpt_migrate.matching.model.twins import GLOBAL_WORTH, NEAR_WINDOW_S, OTHER, PRIOR_ALIKE, SAME, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ckpt_migrate.matching.model.alike import Look, Members
    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.columns import Floats, Ints
    from ckpt_migrate.matching.model.pair import World
    from ckpt_migrate.matching.model.twins import Pairs, Twins
    from ckpt_migrate.matching.model.weights import Weights
    from ckpt_migrate.tracking.records import Run

SAME_END, SAME_METRIC = 0.2, 0.2
"""Chance that siblings with the same params end together, and that they log the same value (fixed seeds)."""
_SAME_METRICS: Mapping[int, float] = MappingProxyType({UNKNOWN: SAME_METRIC, OTHER: 0.0, SAME: 1.0})
REPLICA = 0.05
"""Chance that they do both: what a launcher starts twice, with the same seeds, takes the same time to the same end.
What is started again minutes later ends minutes later."""
_NOTHING: frozenset[str] = frozenset()
MOST_AT_ONCE = 1 << 18
"""Pairs with siblings that are looked at at once: enough for speed, few enough for memory."""
ECHO_SHARE, ECHO_RUNS = 0.1, 5.0
"""Share of runs that have another just an hour before or after (cron, a rerun), and of how many runs that is taken for
known before any is seen."""


class Likeness:
    """The likelihood of directories with a sibling in the place of their run, over that with the run, for pairs."""

    def __init__(self, cases: Sequence[Case], weights: Weights, runs: Sequence[Run], world: World) -> None:
        self._world, self._times = world, world.times
        row, run, times = weights.columns.row, weights.columns.run, world.times
        self._row, self._run = row, run
        found: list[int] = []
        looks: dict[Look, int] = {}
        params: list[float] = []
        log2 = world.differences.log2
        for one, own, place in zip(weights.scores, row.tolist(), run.tolist(), strict=True):
            comparison, config = one.comparison, cases[own].seen.config
            allowed = frozenset(comparison.differing) if comparison.differing else _NOTHING
            keys = comparison.keys(config) if comparison.absent else config.layout.names
            look = (runs[place].experiment_id, keys, allowed)
            found.append(looks.setdefault(look, len(looks)))
            params.append(log2(config, comparison))
        self._look, self._looks = np.array(found, np.int64), list(looks)
        self._params = exp2(np.array(params))
        self._start_s, self._end_s = times.runs.start_s[run], times.runs.end_s[run]
        is_timed = ~np.isnan(self._start_s)
        self._further = np.where(is_inside(times, row, run), further_densities(times, run, world.further), 0.0)
        # 0 where the stamp, or the end, tells nothing of any run
        is_told = is_timed & times.directories.is_read[row]
        self._stamp = np.where(is_told, stamp_densities(times, row, run, world), 0.0)
        is_ended = is_timed & ~np.isnan(self._end_s) & (weights.mtime != 0)
        density = end_densities(times, row, self._start_s, self._end_s, world.span_s)
        self._end = np.where(is_ended & ~np.isnan(density), density, 0.0)
        other = weights.other_metric
        self._metric = np.stack(
            [_SAME_METRICS[each] + (1 - _SAME_METRICS[each]) * other for each in range(len(_SAME_METRICS))]
        )
        self._any_metric = self._metric[UNKNOWN]

    def of(self, twins: Twins) -> Floats:
        """Return how much better a sibling of the run explains the directory, on average, than the run itself does.

        The average over pairs of siblings of the product, over families, of the likelihood with the second in the
        place of the first: by its start, its end, and the metric. Pairs of the run's own launch count first, then
        those of the experiment; the uniform distribution over the launch window stands in where there are none.
        """
        launches = twins.launches[self._run]
        codes = self._look * (launches.max() + 2) + launches + 1
        _, first, which = np.unique(codes, return_index=True, return_inverse=True)
        alike = find_alike(twins, self._looks, self._look[first], launches[first])
        here, is_few = alike.here.sizes, alike.here.sizes < GLOBAL_WORTH
        prior = self._prior(twins)
        few = np.flatnonzero(is_few[which])
        total, count = prior.copy(), np.ones(len(prior))
        self._add(twins.local, alike.here, (np.arange(len(which)), which), (total, count))
        self._add(twins.everywhere, alike.everywhere, (few, self._look[few]), (total, count))
        mean = total / count
        is_told = np.array([experiment in twins.told for experiment, _, _ in self._looks], np.bool_)[self._look]
        is_told &= (here[which] == 0) & (twins.siblings[self._run] < PRIOR_ALIKE)
        mean = np.where(is_told, np.maximum(mean, prior), mean)
        likeness: Floats = alike.share[which] * mean / self._params
        return likeness

    def _add(self, pairs: Pairs, members: Members, runs: tuple[Ints, Ints], sums: tuple[Floats, Floats]) -> None:
        """Add pairs of siblings to two sums: of the ratios, by weight, and of the weights.

        The ratio is that for a sibling which lies to the run as the second of the pair to the first.

        Args:
            pairs: Pairs of siblings.
            members: Those that each look is compared with.
            runs: Places of pairs of directories and runs, and the look of each.
            sums: The sums, for all places.
        """
        places, which = runs
        sizes, begins = members.sizes[which], members.bounds[which]
        for some in _parts(sizes):
            owner = np.repeat(places[some], sizes[some])
            pair = members.pair[spans(begins[some], sizes[some])]
            ratio = self._started(owner, pairs.apart_s[pair]) * pairs.weight[pair]
            ratio *= self._ended(owner, pairs.apart_s[pair], pairs.ends_apart_s[pair])
            ratio *= self._metric[pairs.metric[pair], owner]
            total, count = sums
            total += sums_of(owner, ratio, len(total))
            count += sums_of(owner, pairs.weight[pair], len(count))

    def _prior(self, twins: Twins) -> Floats:
        """Return the ratio for a sibling of which nothing is known but that it was launched within the window."""
        window_s = twins.window_s
        density = np.full(len(self._row), 1 / (2 * (window_s - twins.nearest_s)))
        far = np.flatnonzero(nearest_lags(self._times, self._row, self._start_s) > window_s)
        row, start_s = self._row[far], self._start_s[far]
        sides = (start_densities(self._times, row, start_s + by_s) for by_s in (-window_s, window_s))
        density[far] = np.maximum(*sides)
        is_told = self._stamp > 0
        ratio = np.where(is_told, np.maximum(density, self._further) / np.where(is_told, self._stamp, 1.0), 1.0)
        apart = np.where(self._end > 0, SAME_END, 1.0) * self._any_metric
        replica = 0.0 if twins.nearest_s else REPLICA
        any_sibling: Floats = ratio * (replica + (1 - replica) * apart)
        return any_sibling

    def echo_odds(self, gone_share: Floats) -> Floats:
        """Return the odds of a run that is gone and began at another instant that the stamp may mean.

        In a repeated hour, or by the other of two clocks: a rerun just an hour later may be all that speaks for that.
        """
        odds = np.zeros(len(self._row))
        readings = self._times.directories.readings
        if len(readings) > 1:
            chosen = np.flatnonzero(~np.isnan(readings[1].instant_s[self._row] + self._start_s))
            best_s = best_readings(self._times, self._row[chosen], self._start_s[chosen]).began_s
            for reading in readings:
                at = self._row[chosen]
                shift_s = reading.instant_s[at] - reading.lag_s[at] - best_s
                is_other = np.abs(shift_s) > NEAR_WINDOW_S
                other, shift_s = chosen[is_other], shift_s[is_other]
                shares = [_echo_share(self._world, abs(each)) for each in shift_s.tolist()]
                odds[other] += np.array(shares) * self._echo(other, shift_s)
            none = np.zeros(0, np.int64)
            overall = [find_alike(twins, self._looks, none, none).overall for twins in self._world.twins]
            odds *= np.max(overall, axis=0)[self._look]
        return odds * gone_share / (1 - gone_share) / self._params

    def _echo(self, place: Ints, shift_s: Floats) -> Floats:
        """Return the ratio for a run of the same length, so many seconds before or after, that the stamp fits as well.

        It may have taken as long as the run, or any time.
        """
        started, any_metric = self._started(place, shift_s), self._any_metric[place]
        as_long = started * self._ended(place, shift_s, shift_s) * any_metric
        end = self._end[place]
        newest_s = self._times.directories.newest_s[self._row[place]]
        took_s = np.fmax(newest_s - self._start_s[place] - shift_s, SHORTEST_RUN_S)
        any_time = 1 / (took_s * DURATION_DECADES_NATS) / np.where(end > 0, end, 1.0)
        either: Floats = 0.5 * (as_long + started * any_time * any_metric)
        return np.where(end > 0, either, as_long)

    def _started(self, place: Ints, apart_s: Floats) -> Floats:
        """Return the ratio of the stamp's densities, given starts so far apart, for some of the pairs."""
        stamp = self._stamp[place]
        density = start_densities(self._times, self._row[place], self._start_s[place] + apart_s) + self._further[place]
        return np.where(stamp > 0, density / np.where(stamp > 0, stamp, 1.0), 1.0)

    def _ended(self, place: Ints, apart_s: Floats, ends_apart_s: Floats) -> Floats:
        """Return the ratio of the densities of the newest file, given starts and ends so far apart."""
        end = self._end[place]
        start_s, end_s = self._start_s[place] + apart_s, self._end_s[place] + ends_apart_s
        density = end_densities(self._times, self._row[place], start_s, end_s, self._world.span_s)
        ratio = np.where(np.isnan(ends_apart_s), SAME_END, density / np.where(end > 0, end, 1.0))
        return np.where(end > 0, ratio, 1.0)


def _parts(lengths: Ints) -> Iterator[Ints]:
    """Yield the places of all that have a length, so many at a time that not too much is looked at at once."""
    places = np.flatnonzero(lengths)
    part = np.cumsum(lengths[places]) // MOST_AT_ONCE
    yield from np.split(places, np.flatnonzero(np.diff(part)) + 1) if len(places) else ()


def _echo_share(world: World, shift_s: float) -> float:
    """Return the share of runs that have another after just this time, within the window of a launch."""
    window_s, known = world.twins[0].window_s, world.twins[0].echoes
    if shift_s not in known:
        starts_s = np.array(world.starts_s)
        after = np.searchsorted(starts_s, starts_s + (shift_s + window_s), "right")
        is_echoed = after > np.searchsorted(starts_s, starts_s + (shift_s - window_s))
        found = int(is_echoed.sum())
        known[shift_s] = (found + ECHO_SHARE * ECHO_RUNS) / (len(starts_s) + ECHO_RUNS)
    return known[shift_s]
