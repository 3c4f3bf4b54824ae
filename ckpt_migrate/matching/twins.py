"""Twins: how often a run has another beside it that would explain a directory as well, and may be gone.

A ghost of run j is a run that is gone from the store, but was launched beside j, left the directory in question, and
looks like j in all that the directory shows; j itself left no directory. How often that happens is counted among the
runs that are still there: how many are launched together, and how often two that were look alike.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt_migrate.matching.model import exp2
from ckpt_migrate.matching.mtimes import DURATION_DECADES_NATS, SHORTEST_RUN_S, end_density
from ckpt_migrate.matching.stamps import best_reading, further_density, is_inside, stamp_density, start_density

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt_migrate.matching.clock import FittedClock
    from ckpt_migrate.matching.model import Score, Seen, World
    from ckpt_migrate.matching.strata import Strata
    from ckpt_migrate.tracking.records import Run

WINDOW_SCALES = 6.0
"""Siblings are counted within so many widths of the lag's distribution: further ones cannot be mistaken."""
SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 5.0, 120.0
NEAR_WINDOW_S = 300.0
"""Neighbours are counted, too, within this time: what crashed is started again, with the same config and seeds."""
PARTNER_STEPS = (1, 2, 4, 7, 11)
"""A run is compared with the siblings so many starts before and after it: near ones and far ones of a sweep."""
MOST_LOCAL, MOST_PAIRS = 64, 256
"""Pairs looked at in one launch, and in one experiment: enough for a rate, bounded in a burst of launches."""
PRIOR_SIBLINGS, PRIOR_NEIGHBOURS, PRIOR_RUNS = 0.1, 0.7, 2.5
"""Among public projects 4 % of the runs, on the mean, have another started within a second, and 27 % within a minute;
in most of them none has. So many siblings, and neighbours, of so many runs are taken for known."""
PRIOR_ALIKE, PRIOR_PAIRS = 0.5, 1.0
"""Two siblings have the same params as often as not, before any pair has been seen (Beta(1/2, 1/2))."""
GLOBAL_WORTH = 4.0
"""How many pairs of its own launch the rate of the whole experiment is worth."""
SAME_END, SAME_METRIC = 0.2, 0.2
"""Chance that siblings with the same params end together, and that they log the same value (fixed seeds)."""
REPLICA = 0.1
"""Chance that they do both: what a launcher starts twice, with the same seeds, takes the same time to the same end.
What is started again minutes later ends minutes later."""
ECHO_SHARE, ECHO_RUNS = 0.1, 5.0
"""Share of runs that have another just an hour before or after (cron, a rerun), and of how many runs that is taken for
known before any is seen."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Shares of runs that are gone from the store, and of references that were copied from another run; below 1."""

    gone_share: float
    copied_share: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs launched together, the second seen from the first.

    Attributes:
        apart_s: Start of the second minus start of the first, seconds.
        ends_apart_s: End of the second minus end of the first, seconds; None when an end is not recorded.
        differing: Keys of configs in which they differ.
        is_same_metric: Whether their last values of the metrics in question are equal; None when not known.
        weight: Chance that the second has a directory here.
    """

    apart_s: float
    ends_apart_s: float | None
    differing: frozenset[str]
    is_same_metric: bool | None
    weight: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs with the sum of their weights."""

    pairs: tuple[Pair, ...]
    weight: float

    @staticmethod
    def of(pairs: Sequence[Pair]) -> Pairs:
        """Return these pairs with the sum of their weights."""
        return Pairs(tuple(pairs), sum(pair.weight for pair in pairs))


NO_PAIRS = Pairs((), 0.0)


@dataclass(frozen=True, slots=True)
class Twins:
    """What is known of siblings.

    Attributes:
        window_s: Half-width of the window of a launch, seconds.
        prior: How many siblings PRIOR_RUNS runs are taken to have, before any is seen.
        pairs: Pairs by the experiment of the first, a sample.
        local: Pairs by launch, a sample.
        launches: The launch of each run, by run id.
        siblings: How many runs that may have a directory were launched with each run.
        lone: Siblings, all gone, that a run that stands alone is expected to have had; by experiment.
    """

    window_s: float
    prior: float
    pairs: Mapping[str, Pairs]
    local: Mapping[int, Pairs]
    launches: Mapping[str, int]
    siblings: Mapping[str, float]
    lone: Mapping[str, float]
    _alike: dict[tuple[str | int, frozenset[str], frozenset[str]], Pairs] = field(
        default_factory=dict, compare=False, repr=False
    )

    def alike(self, place: str | int, keys: frozenset[str], allowed: frozenset[str]) -> Pairs:
        """Return the pairs of an experiment (by id) or launch that differ in none of these keys but the allowed."""
        known = self._alike.get((place, keys, allowed))
        if known is None:
            found = self.pairs.get(place, NO_PAIRS) if isinstance(place, str) else self.local.get(place, NO_PAIRS)
            known = Pairs.of([pair for pair in found.pairs if not ((pair.differing & keys) - allowed)])
            self._alike[place, keys, allowed] = known
        return known

    def alike_share(self, experiment_id: str, keys: frozenset[str], allowed: frozenset[str]) -> float:
        """Return the share of pairs that differ in none of these keys but the allowed; 1 without keys."""
        everywhere = self.pairs.get(experiment_id, NO_PAIRS)
        alike = self.alike(experiment_id, keys, allowed)
        return (alike.weight + PRIOR_ALIKE) / (everywhere.weight + PRIOR_PAIRS) if keys else 1.0


def launch_window(clocks: Iterable[FittedClock]) -> float:
    """Return the half-width of the window within which runs may be mistaken for each other by start, seconds."""
    widest = max((phase.scale_s for clock in clocks for phase in clock.phases), default=0.0)
    return min(max(SHORTEST_WINDOW_S, WINDOW_SCALES * widest), LONGEST_WINDOW_S)


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
    here = twins.local.get(launch, NO_PAIRS)
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
    return agreeing * total / count / exp2(world.differences.log2(seen.config, one.comparison))


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
    named = max(exp2(-one.reference), losses.copied_share) if one.reference > 0 else 1.0
    named *= exp2(-max(one.content, 0.0))
    beside = max(
        gone_siblings(twins, run, gone_share) * likeness(one, seen, run, world, twins) for twins in world.twins
    )
    return named * (beside + _echo_odds(one, seen, run, world, gone_share))


def _echo_odds(one: Score, seen: Seen, run: Run, world: World, gone_share: float) -> float:
    """Return the odds of a run that is gone and began at the other instant that a stamp of a repeated hour may mean."""
    best = best_reading(seen, run)
    if best is None or len(seen.readings) <= 1:
        return 0.0
    kernel = _Kernel(one, seen, run, world, world.twins[0].window_s)
    odds = 0.0
    for other in seen.readings:
        shift_s = other.instant_s - best.instant_s
        if abs(shift_s) > NEAR_WINDOW_S and other.zone == best.zone:
            odds += _echo_share(world, abs(shift_s)) * kernel.echo(shift_s)
    keys, allowed = one.comparison.keys(seen.config), frozenset(one.comparison.differing)
    odds *= max(twins.alike_share(run.experiment_id, keys, allowed) for twins in world.twins)
    return odds * gone_share / (1 - gone_share) / exp2(world.differences.log2(seen.config, one.comparison))


def _echo_share(world: World, shift_s: float) -> float:
    """Return the share of runs that have another after just this time, within the window of a launch."""
    starts, window_s = world.starts_s, world.twins[0].window_s
    found = sum(
        bisect.bisect_right(starts, start + shift_s + window_s) > bisect.bisect_left(starts, start + shift_s - window_s)
        for start in starts
    )
    return (found + ECHO_SHARE * ECHO_RUNS) / (len(starts) + ECHO_RUNS)


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
        as_long = self.ratio(Pair(shift_s, shift_s, frozenset(), None, 1.0))
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


def count_twins(
    runs: Iterable[Run],
    signs: Mapping[str, frozenset[tuple[str, str]]],
    values: Mapping[str, tuple[float, ...]],
    strata: Strata,
    *,
    window_s: float,
    prior: float,
) -> Twins:
    """Look at runs launched together.

    Args:
        runs: All runs.
        signs: Keys of configs with the values that each run logged, by run id; empty where it logged none.
        values: Last values of the metrics in question, rounded as in file names, by run id.
        strata: How often each kind of run has a directory.
        window_s: Half-width of the window of a launch, seconds.
        prior: As in `Twins`.
    """
    timed = sorted((run.start_utc_ms / 1000, run.run_id, run) for run in runs if run.start_utc_ms is not None)
    starts = [start for start, _, _ in timed]
    highest = max((strata.rate(run_id) for _, run_id, _ in timed), default=1.0)
    weights = [strata.rate(run_id) / highest for _, run_id, _ in timed]
    sums = [0.0]
    for weight in weights:
        sums.append(sums[-1] + weight)
    launches: dict[str, int] = {}
    siblings: dict[str, float] = {}
    pairs: defaultdict[str, list[Pair]] = defaultdict(list)
    local: defaultdict[int, list[Pair]] = defaultdict(list)
    launch = 0
    for i, (start, run_id, run) in enumerate(timed):
        if i and start - starts[i - 1] > window_s:
            launch += 1
        launches[run_id] = launch
        low, high = bisect.bisect_left(starts, start - window_s), bisect.bisect_right(starts, start + window_s)
        siblings[run_id] = sums[high] - sums[low] - weights[i]
        for k in (i + sign * step for step in PARTNER_STEPS for sign in (-1, 1)):
            if low <= k < high and bool(signs[run_id]) == bool(signs[timed[k][1]]):
                pair = _pair(run, timed[k][2], signs, values, weights[k])
                pairs[run.experiment_id].append(pair)
                local[launch].append(pair)
    return Twins(
        window_s,
        prior,
        {experiment: _evenly(found, MOST_PAIRS) for experiment, found in pairs.items()},
        {number: _evenly(found, MOST_LOCAL) for number, found in local.items()},
        launches,
        siblings,
        {},
    )


def _pair(
    first: Run,
    second: Run,
    signs: Mapping[str, frozenset[tuple[str, str]]],
    values: Mapping[str, tuple[float, ...]],
    weight: float,
) -> Pair:
    ends = None
    if first.end_utc_ms is not None and second.end_utc_ms is not None:
        ends = (second.end_utc_ms - first.end_utc_ms) / 1000
    one, other = values.get(first.run_id, ()), values.get(second.run_id, ())
    return Pair(
        ((second.start_utc_ms or 0) - (first.start_utc_ms or 0)) / 1000,
        ends,
        frozenset(key for key, _ in signs[first.run_id] ^ signs[second.run_id]),
        one == other if one and other else None,
        weight,
    )


def _evenly(pairs: Sequence[Pair], most: int) -> Pairs:
    count = min(len(pairs), most)
    return Pairs.of([pairs[i * len(pairs) // count] for i in range(count)])


def expect_lone(twins: Twins, runs: Iterable[Run], gone_share: float) -> dict[str, float]:
    """Return, by experiment, how many siblings, all gone, a run that stands alone is expected to have had.

    A visible group of m is what is left of about n = m / (1 - g) when a share g is gone. For each such group there
    are P(1 left of n) / P(2 or more left of n) groups of which one run is left; it has lost n - 1 siblings.
    """
    lost: defaultdict[str, float] = defaultdict(float)
    alone: defaultdict[str, int] = defaultdict(int)
    for run in runs:
        visible = 1 + twins.siblings.get(run.run_id, 0.0)
        if visible < 1 + PRIOR_ALIKE:
            alone[run.experiment_id] += 1
            continue
        size = max(2, round(visible / (1 - gone_share)))
        one_left = size * (1 - gone_share) * gone_share ** (size - 1)
        more_left = max(1 - one_left - gone_share**size, 1e-9)
        lost[run.experiment_id] += one_left / more_left * (size - 1) / visible
    gone_odds = gone_share / (1 - gone_share)
    experiments = alone.keys() | lost.keys()
    return {each: (lost[each] + twins.prior * gone_odds) / (alone[each] + PRIOR_RUNS) for each in sorted(experiments)}
