"""Twins: how often a run has another beside it that would explain a directory as well, and may be gone.

Counted are runs that are still there: how many are launched together, and how often two that were look alike. What
follows for runs that are gone is in `ghosts`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt_migrate.matching.clock.fit import FittedClock
    from ckpt_migrate.matching.families.background import ParamIndex
    from ckpt_migrate.matching.families.times import RunTimes
    from ckpt_migrate.matching.model.columns import Bools, Floats, Ints
    from ckpt_migrate.matching.model.strata import Strata

WINDOW_SCALES = 6.0
"""Siblings are counted within so many widths of the lag's distribution: further ones cannot be mistaken."""
SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 5.0, 120.0
NEAR_WINDOW_S = 300.0
"""Neighbours are counted, too, within this time: what crashed is started again, with the same config and seeds."""
PARTNERS = (-1, 1, -2, 2, -4, 4, -7, 7, -11, 11)
"""A run is compared with the siblings so many starts before and after it: near ones and far ones of a sweep."""
MOST_LOCAL, MOST_PAIRS = 64, 256
"""Pairs looked at in one launch, and in one experiment: enough for a rate, bounded in a burst of launches."""
PRIOR_SIBLINGS, PRIOR_NEIGHBOURS, PRIOR_RUNS = 0.1, 0.7, 2.5
"""Among public projects 4 % of the runs, on the mean, have another started within a second, and 27 % within a minute;
in most of them none has. So many siblings, and neighbours, of so many runs are taken for known."""
PRIOR_ALIKE, PRIOR_PAIRS = 0.5, 1.0
"""Two siblings have the same params as often as not, before any pair has been seen (Beta(1/2, 1/2))."""
UNKNOWN, OTHER, SAME = 0, 1, 2
"""Of two runs' metrics: whether their last values are equal."""
GLOBAL_WORTH = 4.0
"""How many pairs of its own launch the rate of the whole experiment is worth."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of runs launched together, the second seen from the first; a figure for each.

    Attributes:
        apart_s: Start of the second minus start of the first, seconds.
        ends_apart_s: End of the second minus end of the first, seconds; "not a number" when an end is not recorded.
        look: Number of the keys that either logged, and of those in which they differ; see `Twins.looks`.
        metric: Whether their last values of the metrics in question are equal: SAME, OTHER, or UNKNOWN.
        weight: Chance that the second has a directory here.
        bounds: Where the pairs of each group begin, and the end of the last; by experiment, or by launch.
    """

    apart_s: Floats
    ends_apart_s: Floats
    look: Ints
    metric: Ints
    weight: Floats
    bounds: Ints


@dataclass(frozen=True, slots=True)
class Twins:
    """What is known of siblings.

    Attributes:
        nearest_s: Siblings nearer than this are counted elsewhere, seconds.
        window_s: Half-width of the window of a launch, seconds.
        prior: How many siblings PRIOR_RUNS runs are taken to have, before any is seen.
        everywhere: Pairs by the experiment of the first, a sample.
        local: Pairs by launch, a sample.
        looks: Keys of configs that either of two runs logged, and those in which they differ.
        experiments: The number of each experiment, by id.
        launches: The launch of each run, by its place; -1 for one of which there are no pairs.
        siblings: How many runs that may have a directory were launched with each run, by its place.
        echoes: Shares of runs that have another after just such a time (seconds), as far as asked for; see `likeness`.
        lone: Siblings, all gone, that a run that stands alone is expected to have had; by experiment.
        told: Experiments of which the directories tell that, and not the runs that are left: those are no example.
    """

    nearest_s: float
    window_s: float
    prior: float
    everywhere: Pairs
    local: Pairs
    looks: tuple[tuple[frozenset[str], frozenset[str]], ...]
    experiments: Mapping[str, int]
    launches: Ints
    siblings: Floats
    lone: Mapping[str, float]
    told: frozenset[str] = frozenset()
    echoes: dict[float, float] = field(default_factory=dict, compare=False, repr=False)


def launch_window(clocks: Iterable[FittedClock]) -> float:
    """Return the half-width of the window within which runs may be mistaken for each other by start, seconds."""
    widest = max((phase.scale_s for clock in clocks for phase in clock.phases), default=0.0)
    return min(max(SHORTEST_WINDOW_S, WINDOW_SCALES * widest), LONGEST_WINDOW_S)


def count_twins(
    times: RunTimes,
    experiments: Iterable[str],
    index: ParamIndex,
    values: Mapping[str, tuple[float, ...]],
    strata: Strata,
    *,
    nearest_s: float,
    window_s: float,
    prior: float,
) -> Twins:
    """Look at runs launched together.

    Args:
        times: When runs began and ended.
        experiments: The id of the experiment of each run.
        index: What each run logged of keys that configs have.
        values: Last values of the metrics in question, rounded as in file names, by run id.
        strata: How often each kind of run has a directory.
        nearest_s: As in `Twins`; 0 to count all within the window.
        window_s: Half-width of the window of a launch, seconds.
        prior: As in `Twins`.
    """
    numbers: dict[str, int] = {}
    experiment = np.array([numbers.setdefault(each, len(numbers)) for each in experiments], np.int64)
    order = np.argsort(times.start_s, kind="stable")  # those without a start come last
    order = order[: np.count_nonzero(~np.isnan(times.start_s))]
    starts = times.start_s[order]
    rates = strata.rates(order, np.zeros(len(order)))
    weights = rates / rates.max(initial=0.0)
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    near = _Near.of(starts, nearest_s, window_s)
    launches, siblings = np.full(len(times.start_s), -1), np.zeros(len(times.start_s))
    launches[order] = np.cumsum(np.diff(starts, prepend=starts[:1]) > window_s)
    siblings[order] = sums[near.high] - sums[near.low] - (sums[near.inner_high] - sums[near.inner_low])

    is_told = np.array([bool(index.logged[run_id]) for run_id in index.run_ids], np.bool_)[order]
    first, second = near.partners(is_told)
    groups = (experiment[order[first]], len(numbers), MOST_PAIRS), (launches[order[first]], len(starts), MOST_LOCAL)
    samples = [_sample(*group) for group in groups]
    chosen = np.concatenate([places for places, _ in samples])
    one, other = order[first[chosen]], order[second[chosen]]
    look, looks = index.find_differing(one, other)
    # Times are whole milliseconds.
    apart_s, ends_apart_s = (np.round(all_s[other] - all_s[one], 3) for all_s in (times.start_s, times.end_s))
    metric = _same_metrics([values.get(run_id, ()) for run_id in index.run_ids], one, other)
    weight = weights[second[chosen]]
    sizes = np.diff(samples[1][1])
    launches = np.where((launches >= 0) & (sizes[launches] > 0), launches, -1)
    half = len(samples[0][0])
    everywhere, local = (
        Pairs(apart_s[part], ends_apart_s[part], look[part], metric[part], weight[part], bounds)
        for part, (_, bounds) in zip((slice(half), slice(half, None)), samples, strict=True)
    )
    return Twins(nearest_s, window_s, prior, everywhere, local, tuple(looks), numbers, launches, siblings, {})


class _Near(NamedTuple):
    """Which runs, in the order of their starts, began within a window about each, and nearer than it counts."""

    low: Ints
    high: Ints
    inner_low: Ints
    inner_high: Ints

    @staticmethod
    def of(starts_s: Floats, nearest_s: float, window_s: float) -> _Near:
        """Return what lies about each of these starts, which ascend."""
        place = np.arange(len(starts_s))
        low, high = (
            np.searchsorted(starts_s, starts_s - window_s),
            np.searchsorted(starts_s, starts_s + window_s, "right"),
        )
        if not nearest_s:
            return _Near(low, high, place, place + 1)
        inner_low = np.searchsorted(starts_s, starts_s - nearest_s)
        return _Near(low, high, inner_low, np.searchsorted(starts_s, starts_s + nearest_s, "right"))

    def partners(self, is_told: Bools) -> tuple[Ints, Ints]:
        """Return pairs of runs that are looked at, both of which logged params or none; see PARTNERS."""
        first = np.repeat(np.arange(len(self.low)), len(PARTNERS))
        second = first + np.tile(PARTNERS, len(self.low))
        is_before = (self.low[first] <= second) & (second < self.inner_low[first])
        is_after = (self.inner_high[first] <= second) & (second < self.high[first])
        first, second = (each[is_before | is_after] for each in (first, second))
        is_alike = is_told[first] == is_told[second]
        return first[is_alike], second[is_alike]


def _sample(group: Ints, count: int, most: int) -> tuple[Ints, Ints]:
    """Return members of groups by group, of too many an even choice, and the bounds of each group among them.

    Args:
        group: The group of each.
        count: How many groups there are.
        most: How many of one are chosen at most.
    """
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=count)
    begins = np.cumsum(sizes) - sizes
    taken = np.minimum(sizes, most)
    bounds = np.concatenate([[0], np.cumsum(taken)])
    which = np.repeat(np.arange(count), taken)
    number = np.arange(bounds[-1]) - bounds[which]
    return order[begins[which] + number * sizes[which] // taken[which]], bounds


def _same_metrics(values: Sequence[tuple[float, ...]], one: Ints, other: Ints) -> Ints:
    """Return `Pairs.metric` of pairs of runs."""
    numbers: dict[tuple[float, ...], int] = {(): 0}
    number = np.array([numbers.setdefault(each, len(numbers)) for each in values], np.int64)
    mine, theirs = number[one], number[other]
    return np.where((mine == 0) | (theirs == 0), UNKNOWN, np.where(mine == theirs, SAME, OTHER))
