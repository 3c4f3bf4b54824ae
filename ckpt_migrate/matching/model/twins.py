"""Twins: how often a run has another beside it that would explain a directory as well, and may be gone.

Counted are runs that are still there: how many are launched together, and how often two that were look alike. What
follows for runs that are gone is in `ghosts`.
"""

from __future__ import annotations

import bisect
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.families.compare import apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt_migrate.matching.clock.fit import FittedClock
    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.matching.model.columns import Floats, Ints
    from ckpt_migrate.matching.model.strata import Strata
    from ckpt_migrate.tracking.records import Run

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
GLOBAL_WORTH = 4.0
"""How many pairs of its own launch the rate of the whole experiment is worth."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs launched together, the second seen from the first.

    Attributes:
        apart_s: Start of the second minus start of the first, seconds.
        ends_apart_s: End of the second minus end of the first, seconds; None when an end is not recorded.
        keys: Keys of configs that either logged.
        differing: Of them, those in which they differ.
        is_same_metric: Whether their last values of the metrics in question are equal; None when not known.
        weight: Chance that the second has a directory here.
    """

    apart_s: float
    ends_apart_s: float | None
    keys: frozenset[str]
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
class Alike:
    """Pairs of siblings that differ in no param but the allowed.

    Attributes:
        here: Those of a run's own launch.
        everywhere: Those of its experiment.
        share: Share of pairs that do, first by those of the launch, then by those of the experiment.
    """

    here: tuple[Pair, ...]
    everywhere: tuple[Pair, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Twins:
    """What is known of siblings.

    Attributes:
        nearest_s: Siblings nearer than this are counted elsewhere, seconds.
        window_s: Half-width of the window of a launch, seconds.
        prior: How many siblings PRIOR_RUNS runs are taken to have, before any is seen.
        pairs: Pairs by the experiment of the first, a sample.
        local: Pairs by launch, a sample.
        launches: The launch of each run, by its place; -1 for one of which there are no pairs.
        siblings: How many runs that may have a directory were launched with each run, by its place.
        echoes: Shares of runs that have another after just such a time (seconds), as far as asked for; see `ghosts`.
        lone: Siblings, all gone, that a run that stands alone is expected to have had; by experiment.
        told: Experiments of which the directories tell that, and not the runs that are left: those are no example.
    """

    nearest_s: float
    window_s: float
    prior: float
    pairs: Mapping[str, Pairs]
    local: Mapping[int, Pairs]
    launches: Ints
    siblings: Floats
    lone: Mapping[str, float]
    told: frozenset[str] = frozenset()
    echoes: dict[float, float] = field(default_factory=dict, compare=False, repr=False)
    _telling: dict[tuple[str | int, frozenset[str]], Pairs] = field(default_factory=dict, compare=False, repr=False)
    _alike: dict[tuple[str | int, frozenset[str], frozenset[str]], Pairs] = field(
        default_factory=dict, compare=False, repr=False
    )

    def alike_to(self, experiment_id: str, launch: int, keys: frozenset[str], allowed: frozenset[str]) -> Alike:
        """Return the pairs of siblings that look alike as a directory and a run of this launch do.

        Args:
            experiment_id: The run's experiment.
            launch: The run's launch.
            keys: Keys that both have.
            allowed: Those in which they differ.
        """
        here, alike_here = self.telling(launch, keys), self.alike(launch, keys, allowed)
        overall = self.alike_share(experiment_id, keys, allowed)
        return Alike(
            alike_here.pairs,
            self.alike(experiment_id, keys, allowed).pairs,
            (alike_here.weight + GLOBAL_WORTH * overall) / (here.weight + GLOBAL_WORTH) if keys else 1.0,
        )

    def telling(self, place: str | int, keys: frozenset[str]) -> Pairs:
        """Return the pairs of an experiment (by id) or launch that logged these keys; all where there are none.

        Two that logged none of them differ in none, which says nothing of how often two that did are alike.
        """
        if isinstance(place, int) and place not in self.local:  # of most launches: not remembered for each
            return NO_PAIRS
        known = self._telling.get((place, keys))
        if known is None:
            found = self.pairs.get(place, NO_PAIRS) if isinstance(place, str) else self.local[place]
            known = Pairs.of([pair for pair in found.pairs if keys <= pair.keys])
            self._telling[place, keys] = known
        return known

    def alike(self, place: str | int, keys: frozenset[str], allowed: frozenset[str]) -> Pairs:
        """Return the pairs of an experiment (by id) or launch that differ in none of these keys but the allowed."""
        if isinstance(place, int) and place not in self.local:
            return NO_PAIRS
        known = self._alike.get((place, keys, allowed))
        if known is None:
            pairs = self.telling(place, keys).pairs
            known = Pairs.of([pair for pair in pairs if not ((pair.differing & keys) - allowed)])
            self._alike[place, keys, allowed] = known
        return known

    def alike_share(self, experiment_id: str, keys: frozenset[str], allowed: frozenset[str]) -> float:
        """Return the share of pairs that differ in none of these keys but the allowed; 1 without keys."""
        everywhere = self.telling(experiment_id, keys)
        alike = self.alike(experiment_id, keys, allowed)
        return (alike.weight + PRIOR_ALIKE) / (everywhere.weight + PRIOR_PAIRS) if keys else 1.0


def launch_window(clocks: Iterable[FittedClock]) -> float:
    """Return the half-width of the window within which runs may be mistaken for each other by start, seconds."""
    widest = max((phase.scale_s for clock in clocks for phase in clock.phases), default=0.0)
    return min(max(SHORTEST_WINDOW_S, WINDOW_SCALES * widest), LONGEST_WINDOW_S)


def count_twins(
    runs: Iterable[Run],
    logged: Mapping[str, Params],
    values: Mapping[str, tuple[float, ...]],
    strata: Strata,
    *,
    nearest_s: float,
    window_s: float,
    prior: float,
) -> Twins:
    """Look at runs launched together.

    Args:
        runs: All runs.
        logged: What each run logged of keys that configs have, by run id; empty where it logged none.
        values: Last values of the metrics in question, rounded as in file names, by run id.
        strata: How often each kind of run has a directory.
        nearest_s: As in `Twins`; 0 to count all within the window.
        window_s: Half-width of the window of a launch, seconds.
        prior: As in `Twins`.
    """
    timed = sorted((run.start_utc_ms / 1000, run.run_id, run) for run in runs if run.start_utc_ms is not None)
    starts = [start for start, _, _ in timed]
    places = [strata.places[run_id] for _, run_id, _ in timed]
    rates = strata.rates(np.array(places, np.int64), np.zeros(len(timed))).tolist()
    highest = max(rates, default=1.0)
    weights = [rate / highest for rate in rates]
    are_told = [bool(logged[run_id]) for _, run_id, _ in timed]
    sums = [0.0]
    for weight in weights:
        sums.append(sums[-1] + weight)
    launches, siblings = np.full(len(strata.places), -1), np.zeros(len(strata.places))
    # As many pairs as ten a run: a pair is held as one machine word, the place of the first times the runs and so on.
    pairs: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
    local: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
    launch = 0
    for i, (start, _, run) in enumerate(timed):
        if i and start - starts[i - 1] > window_s:
            launch += 1
        low, high = bisect.bisect_left(starts, start - window_s), bisect.bisect_right(starts, start + window_s)
        inner_low, inner_high = i, i + 1
        if nearest_s:
            inner_low = bisect.bisect_left(starts, start - nearest_s)
            inner_high = bisect.bisect_right(starts, start + nearest_s)
        siblings[places[i]] = sums[high] - sums[low] - (sums[inner_high] - sums[inner_low])
        if high - low == 1:
            continue
        found = [
            i * len(timed) + k
            for k in [i + step for step in PARTNERS]
            if (low <= k < inner_low or inner_high <= k < high) and are_told[k] is are_told[i]
        ]
        pairs[run.experiment_id].extend(found)
        local[launch].extend(found)
        launches[places[i]] = launch

    def look_at(found: Sequence[int], most: int) -> Pairs:
        """Return these pairs, or of too many an even choice."""
        chosen = (found[n * len(found) // most] for n in range(most)) if len(found) > most else found
        both = (divmod(pair, len(timed)) for pair in chosen)
        return Pairs.of([_pair(timed[i][2], timed[k][2], logged, values, weights[k]) for i, k in both])

    return Twins(
        nearest_s,
        window_s,
        prior,
        {experiment: look_at(found, MOST_PAIRS) for experiment, found in pairs.items() if found},
        {number: look_at(found, MOST_LOCAL) for number, found in local.items() if found},
        launches,
        siblings,
        {},
    )


def _pair(
    first: Run,
    second: Run,
    logged: Mapping[str, Params],
    values: Mapping[str, tuple[float, ...]],
    weight: float,
) -> Pair:
    ends = None
    if first.end_utc_ms is not None and second.end_utc_ms is not None:
        ends = (second.end_utc_ms - first.end_utc_ms) / 1000
    one, other = values.get(first.run_id, ()), values.get(second.run_id, ())
    mine, theirs = logged[first.run_id], logged[second.run_id]
    return Pair(
        ((second.start_utc_ms or 0) - (first.start_utc_ms or 0)) / 1000,
        ends,
        mine.names if mine.layout is theirs.layout else mine.names | theirs.names,
        apart(mine, theirs),
        one == other if one and other else None,
        weight,
    )
