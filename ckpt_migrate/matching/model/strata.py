"""Strata: kinds of runs, and how often a run of each kind has a checkpoint directory here.

Another project's runs have none; neither have the parents of a sweep, nor the first phase of a pipeline, whose
config, start and losses may be those of a second phase that is gone. What a kind of run does is counted, by the
probability with which directories fall to its runs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.matching.model.columns import Floats, Ints
    from ckpt_migrate.tracking.records import Run, RunDetails

_T = TypeVar("_T")
PARENT_TAG = "mlflow.parentRunId"
USER_TAG = "mlflow.user"
PARENT, CHILD, SINGLE = "parent", "child", "single"
PRIOR_IN_STORE, PRIOR_DIRECTORIES = 0.3, 5.0
"""Chance that a directory's run is in the store at all, and how many directories that figure is worth; 86 of 292
clear-cut real folders had one."""
LEAST_IN_STORE, MOST_IN_STORE = 0.1, 0.9
"""Bounds on that chance, whatever has been counted."""
OTHER_EXPERIMENT_FACTOR = 1 / 16
"""How much rarer directories are among runs of experiments that the recipe does not name, if the store has one that
it names."""
PARENT_FACTOR = 1 / 32
"""How much rarer directories are among runs that hold others: they launch trainings, and train nothing themselves."""
PRIOR_MADE, PRIOR_TOTAL = 1.0, 2.0
"""What is taken for known of all runs together: one of two has a directory."""
CHILD_RATE = 0.05
"""Where more runs below others have a directory than this, it is they that train."""
BROAD: Final = 3
"""How much of a kind is looked at where it has few runs itself."""
STRATUM_WORTH = 1.0
"""How many runs the rate of all runs is worth in the rate of a kind."""
SMALLEST_SHARE = 0.005
"""Floor on the share of runs without a directory: a small project proves no smaller one."""

LEAST_WANTING = 0.02
"""Floor on the share of runs without a directory where it speaks for a pair: directories are cleaned away."""

Stratum = tuple[str, str, bool, bool, bool]
"""Experiment id; `parent`, `child` or `single`; whether it logged params that configs have; whether others of the
experiment were launched with it; and whether somebody ran it who has directories elsewhere: a colleague, with the same
configs at the same hours."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """What the rates of kinds of runs rest on, a figure for each kind.

    Attributes:
        made: How many of its runs have a directory.
        total: How many it has; 0 for a kind of which there is none.
        outer_made: How many of all runs of that experiment and role have a directory.
        outer_total: How many there are.
        base: The rate of all runs.
        is_counted: Whether directories have been counted yet.
    """

    made: Floats
    total: Floats
    outer_made: Floats
    outer_total: Floats
    base: Floats
    is_counted: bool

    @staticmethod
    def of(kinds: Sequence[Stratum], strata: Strata) -> _Sums:
        """Return the sums of kinds, drawn towards those of the whole experiment."""
        outer_made, outer_total = defaultdict[tuple[str, str, bool], float](float), Counter[tuple[str, str, bool]]()
        for each, count in strata.totals.items():
            outer_made[each[:BROAD]] += strata.made.get(each, 0.0)
            outer_total[each[:BROAD]] += count
        overall = strata.overall()
        return _Sums(
            np.array([strata.made.get(kind, 0.0) for kind in kinds]),
            np.array([strata.totals.get(kind, 0) for kind in kinds], np.float64),
            np.array([outer_made[kind[:BROAD]] for kind in kinds]),
            np.array([outer_total[kind[:BROAD]] for kind in kinds], np.float64),
            np.array([strata.base(kind, overall) for kind in kinds]),
            bool(strata.made),
        )

    def rates(self, kind: Ints, own: Floats) -> Floats:
        """Return the share of runs of these kinds that have a directory; `own` as for `Strata.rates`."""
        without = (own > 0) * float(self.is_counted)
        outer = np.maximum(self.outer_made[kind] - own, 0.0) + STRATUM_WORTH * self.base[kind]
        outer /= self.outer_total[kind] - without + STRATUM_WORTH
        inner = np.maximum(self.made[kind] - own, 0.0) + STRATUM_WORTH * outer
        inner /= self.total[kind] - without + STRATUM_WORTH
        return np.where(self.total[kind] > 0, inner, outer)


@dataclass(frozen=True, slots=True)
class Strata:
    """How often runs of each kind have a directory.

    Attributes:
        places: The place of each run among all, by run id.
        kinds: The kinds that there are.
        kind: Per run, the number of its kind.
        totals: How many runs there are of each kind.
        made: How many of them have a directory, by probability; empty until directories are counted.
        expected: Experiment ids that the recipe names; empty when the store has none of them.
        people: Who ran runs, by experiment id and name.
        person: Per run, the number of who ran it.
        choosing: Runs that name the best checkpoint of several; they count as parents, with children that are gone.
        in_store: Chance that a directory's run is in the store at all.
        away: Who has directories elsewhere, by experiment id and name.
    """

    places: Mapping[str, int]
    kinds: tuple[Stratum, ...]
    kind: Ints
    totals: Mapping[Stratum, int]
    made: Mapping[Stratum, float]
    expected: frozenset[str]
    people: tuple[tuple[str, str], ...]
    person: Ints
    choosing: frozenset[str] = frozenset()
    in_store: float = PRIOR_IN_STORE
    away: frozenset[tuple[str, str]] = frozenset()
    _known: list[_Sums] = field(default_factory=list, compare=False, repr=False)

    @property
    def _sums(self) -> _Sums:
        """The sums of all kinds, and behind them of the same kinds as they are where runs are launched together."""
        if not self._known:
            crowded = [
                (experiment, role, is_told, True, is_away) for experiment, role, is_told, _, is_away in self.kinds
            ]
            self._known.append(_Sums.of([*self.kinds, *crowded], self))
        return self._known[0]

    def holds_others(self, run_id: str) -> bool:
        """Say whether a run holds others which made the directories: it has their params, and starts with the first."""
        experiment, role, *_ = self.kinds[self.kind[self.places[run_id]]]
        if run_id in self.choosing or role != PARENT:
            return run_id in self.choosing
        rates = self._kind_rates()
        children = [rates[n] for n, kind in enumerate(self.kinds) if kind[:2] == (experiment, CHILD)]
        return max(children, default=0.0) > CHILD_RATE

    def away_user(self, run_id: str) -> str:
        """Return who started a run, if that is somebody who has directories elsewhere; empty otherwise."""
        who = self.people[self.person[self.places[run_id]]]
        return who[1] if who in self.away else ""

    def rates(self, run: Ints, own: Floats) -> Floats:
        """Return the chances that runs have a directory, each learned from the others of its kind.

        Args:
            run: The runs.
            own: What each has contributed to the count itself, 0 to 1; it is left out.
        """
        return self._sums.rates(self.kind[run], own)

    def unmade_odds(self, run: Ints, own: Floats) -> Floats:
        """Return the odds that runs that were launched with others have no directory of their own here.

        Arguments as for `rates`.
        """
        is_crowded = np.array([is_crowded for _, _, _, is_crowded, _ in self.kinds], np.bool_)[self.kind[run]]
        own_or_none = np.where(is_crowded, own, 0.0)
        rate = self._sums.rates(self.kind[run] + len(self.kinds) * ~is_crowded, own_or_none)
        rate = np.minimum(rate, 1 - SMALLEST_SHARE)
        return (1 - rate) / rate

    def priors(self) -> Floats:
        """Return, per run, log2 of the chance, before any evidence, that a directory is of just this run, if of any."""
        rates = self._kind_rates()
        total = sum(rates * [self.totals[kind] for kind in self.kinds])
        return np.log2(rates / total)[self.kind]

    def wanting(self, run: Ints, own: Floats) -> Floats:
        """Return log2 of how much likelier a directory without another run is a run's, for runs want directories.

        Of the assignments of n directories to N runs, one to one, that have k pairs, those with k + 1 are fewer by
        (n - k) (N - k) / (k + 1). So with a run that has no other directory the odds are not k / (n - k) N but
        k / (n - k) (N - k): the inverse of the share of runs of its kind that have none. Arguments as for `rates`.
        """
        return -np.log2(np.maximum(1 - self.rates(run, own), LEAST_WANTING))

    def _kind_rates(self) -> Floats:
        return self._sums.rates(np.arange(len(self.kinds)), np.zeros(len(self.kinds)))

    def overall(self) -> float:
        """Return the rate of all runs of expected experiments."""
        made, total = PRIOR_MADE, PRIOR_TOTAL
        for each, count in self.totals.items():
            if not self.expected or each[0] in self.expected:
                made += self.made.get(each, 0.0)
                total += count
        return min(made / total, 1.0)

    def base(self, kind: Stratum, overall: float) -> float:
        """Return the rate of all runs of expected experiments, or less for a parent or another experiment."""
        base = overall * (PARENT_FACTOR if kind[1] == PARENT else 1.0)
        return base if not self.expected or kind[0] in self.expected else base * OTHER_EXPERIMENT_FACTOR


def find_parents(details: Mapping[str, RunDetails]) -> frozenset[str]:
    """Return the ids that runs name as their parents'.

    Args:
        details: The runs' tags, by run id.
    """
    return frozenset(one.tags[PARENT_TAG] for one in details.values() if one.tags.get(PARENT_TAG))


def draw_strata(
    runs: Iterable[Run],
    details: Mapping[str, RunDetails],
    *,
    logged: Mapping[str, Params],
    experiments: Collection[str],
    window_s: float,
    choosing: frozenset[str] = frozenset(),
) -> Strata:
    """Return the strata of a store of which nothing has been counted yet.

    Args:
        runs: All runs.
        details: Their tags, by run id.
        logged: What each run logged of the keys that configs have, by run id.
        experiments: Names of the experiments that the recipe expects.
        window_s: Half-width of the window in which runs are launched together, seconds.
        choosing: As in `Strata`.
    """
    runs = list(runs)
    above = {run_id: found.tags.get(PARENT_TAG, "") for run_id, found in details.items()}
    parents = find_parents(details) | choosing
    crowded = _crowded(runs, window_s)
    every: list[Stratum] = []
    whose: list[tuple[str, str]] = []
    for run in runs:
        role = PARENT if run.run_id in parents else CHILD if above.get(run.run_id) else SINGLE
        every.append((run.experiment_id, role, bool(logged[run.run_id]), run.run_id in crowded, False))
        tags = details[run.run_id].tags if run.run_id in details else {}
        whose.append((run.experiment_id, tags.get(USER_TAG, "")))
    kinds, kind = numbered(every)
    people, person = numbered(whose)
    return Strata(
        {run.run_id: place for place, run in enumerate(runs)},
        kinds,
        kind,
        Counter(every),
        {},
        frozenset(run.experiment_id for run in runs if run.experiment in experiments),
        people,
        person,
        choosing,
    )


def numbered(each: Sequence[_T]) -> tuple[tuple[_T, ...], Ints]:
    """Return the different ones of a sequence, and the number of each among them."""
    numbers = {one: number for number, one in enumerate(dict.fromkeys(each))}
    return tuple(numbers), np.array([numbers[one] for one in each], np.int64)


def _crowded(runs: Iterable[Run], window_s: float) -> set[str]:
    """Return the runs that have another of their experiment within the window."""
    timed: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for run in runs:
        if run.start_utc_ms is not None:
            timed[run.experiment_id].append((run.start_utc_ms / 1000, run.run_id))
    crowded: set[str] = set()
    for found in timed.values():
        found.sort()
        for (start_s, run_id), (next_s, next_id) in pairwise(found):
            if next_s - start_s <= window_s:
                crowded |= {run_id, next_id}
    return crowded
