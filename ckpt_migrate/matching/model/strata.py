"""Strata: kinds of runs, and how often a run of each kind has a checkpoint directory here.

Another project's runs have none; neither have the parents of a sweep, nor the first phase of a pipeline, whose
config, start and losses may be those of a second phase that is gone. What a kind of run does is counted, by the
probability with which directories fall to its runs.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from ckpt_migrate.matching.model.sharing import share_out

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.tracking.records import Run, RunDetails

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
BROAD = 3
"""How much of a kind is looked at where it has few runs itself."""
STRATUM_WORTH = 1.0
"""How many runs the rate of all runs is worth in the rate of a kind."""
SMALLEST_SHARE = 0.005
"""Floor on the share of runs without a directory: a small project proves no smaller one."""

AWAY_SHARE, AWAY_SIGMAS = 0.5, 3.0
"""Somebody who has fewer directories than this share of what others have, by so many deviations, has them elsewhere."""
LEAST_WANTING = 0.02
"""Floor on the share of runs without a directory where it speaks for a pair: directories are cleaned away."""

Stratum = tuple[str, str, bool, bool, bool]
"""Experiment id; `parent`, `child` or `single`; whether it logged params that configs have; whether others of the
experiment were launched with it; and whether somebody ran it who has directories elsewhere: a colleague, with the same
configs at the same hours."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """What the rate of a kind of runs rests on.

    Attributes:
        made: How many of them have a directory.
        total: How many there are; 0 for a kind of which there is none.
        outer_made: How many of all runs of that experiment and role have a directory.
        outer_total: How many there are.
        base: The rate of all runs.
        is_counted: Whether directories have been counted yet.
    """

    made: float
    total: int
    outer_made: float
    outer_total: int
    base: float
    is_counted: bool

    def rate(self, own: float) -> float:
        """Return the share of runs of the kind that have a directory; `own` as for `Strata.rate`."""
        without = 1 if own and self.is_counted else 0
        outer = (max(self.outer_made - own, 0.0) + STRATUM_WORTH * self.base) / (
            self.outer_total - without + STRATUM_WORTH
        )
        if not self.total:
            return outer
        return (max(self.made - own, 0.0) + STRATUM_WORTH * outer) / (self.total - without + STRATUM_WORTH)


@dataclass(frozen=True, slots=True)
class Strata:
    """How often runs of each kind have a directory.

    Attributes:
        kinds: The stratum of each run, by run id.
        totals: How many runs there are of each kind.
        made: How many of them have a directory, by probability.
        expected: Experiment ids that the recipe names; empty when the store has none of them.
        users: Who ran each run, by run id.
        choosing: Runs that name the best checkpoint of several; they count as parents, with children that are gone.
        in_store: Chance that a directory's run is in the store at all.
        away: Who has directories elsewhere, by experiment id and name.
    """

    kinds: Mapping[str, Stratum]
    totals: Mapping[Stratum, int]
    made: Mapping[Stratum, float]
    expected: frozenset[str]
    users: Mapping[str, str] = field(default_factory=dict)
    choosing: frozenset[str] = frozenset()
    in_store: float = PRIOR_IN_STORE
    away: frozenset[tuple[str, str]] = frozenset()
    _sums: dict[Stratum, _Sums] = field(default_factory=dict, compare=False, repr=False)

    def holds_others(self, run_id: str) -> bool:
        """Say whether a run holds others which made the directories: it has their params, and starts with the first."""
        experiment, role, *_ = self.kinds[run_id]
        children = [self._kind_rate(kind) for kind in self.totals if kind[:2] == (experiment, CHILD)]
        return run_id in self.choosing or (role == PARENT and max(children, default=0.0) > CHILD_RATE)

    def away_user(self, run_id: str) -> str:
        """Return who started a run, if that is somebody who has directories elsewhere; empty otherwise."""
        user = self.users.get(run_id, "")
        return user if (self.kinds[run_id][0], user) in self.away else ""

    def rate(self, run_id: str, own: float = 0.0) -> float:
        """Return the chance that a run has a directory, learned from the others of its kind.

        Args:
            run_id: The run.
            own: What this run itself has contributed to the count, 0 to 1; it is left out.
        """
        return self._kind_rate(self.kinds[run_id], own)

    def unmade_odds(self, run_id: str, own: float) -> float:
        """Return the odds that a run that was launched with others has no directory of its own here.

        Arguments as for `rate`.
        """
        experiment, role, is_told, is_crowded, is_away = self.kinds[run_id]
        crowded = (experiment, role, is_told, True, is_away)
        rate = self.rate(run_id, own) if is_crowded else self._kind_rate(crowded)
        rate = min(rate, 1 - SMALLEST_SHARE)
        return (1 - rate) / rate

    def priors(self) -> dict[Stratum, float]:
        """Return, by kind, log2 of the chance, before any evidence, that a directory is of just this run, if of any."""
        rates = {kind: self._kind_rate(kind) for kind in self.totals}
        total = sum(rates[kind] * count for kind, count in self.totals.items())
        return {kind: math.log2(rate / total) for kind, rate in rates.items()}

    def wanting(self, run_id: str, own: float) -> float:
        """Return log2 of how much likelier a directory without another run is this run's, for runs want directories.

        Of the assignments of n directories to N runs, one to one, that have k pairs, those with k + 1 are fewer by
        (n - k) (N - k) / (k + 1). So with a run that has no other directory the odds are not k / (n - k) N but
        k / (n - k) (N - k): the inverse of the share of runs of its kind that have none. Arguments as for `rate`.
        """
        return -math.log2(max(1 - self.rate(run_id, own), LEAST_WANTING))

    def _kind_rate(self, kind: Stratum, own: float = 0.0) -> float:
        """Return the share of runs of a kind that have a directory, drawn towards that of the whole experiment."""
        sums = self._sums.get(kind)
        if sums is None:
            broader = [each for each in self.totals if each[:BROAD] == kind[:BROAD]]
            sums = self._sums[kind] = _Sums(
                self.made.get(kind, 0.0),
                self.totals.get(kind, 0),
                sum(self.made.get(each, 0.0) for each in broader),
                sum(self.totals[each] for each in broader),
                self._base(kind),
                bool(self.made),
            )
        return sums.rate(own)

    def _base(self, kind: Stratum) -> float:
        """Return the rate of all runs of expected experiments, or less for another experiment."""
        made, total = PRIOR_MADE, PRIOR_TOTAL
        for each, count in self.totals.items():
            if not self.expected or each[0] in self.expected:
                made += self.made.get(each, 0.0)
                total += count
        base = min(made / total, 1.0) * (PARENT_FACTOR if kind[1] == PARENT else 1.0)
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
    kinds: dict[str, Stratum] = {}
    for run in runs:
        role = PARENT if run.run_id in parents else CHILD if above.get(run.run_id) else SINGLE
        kinds[run.run_id] = (run.experiment_id, role, bool(logged[run.run_id]), run.run_id in crowded, False)
    expected = frozenset(run.experiment_id for run in runs if run.experiment in experiments)
    users = {run_id: found.tags.get(USER_TAG, "") for run_id, found in details.items()}
    return Strata(kinds, Counter(kinds.values()), {}, expected, users, choosing)


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


def count_made(strata: Strata, odds: Sequence[Mapping[str, float]]) -> Strata:
    """Return the strata with the directories counted.

    Args:
        strata: The kinds of runs.
        odds: Per directory, the odds of each run that may have made it, against none.
    """
    loads: defaultdict[str, float] = defaultdict(float)
    for shares in share_out(odds):
        for run_id, share in shares.items():
            loads[run_id] += share
    away = _away(strata, loads)
    kinds, totals, users = strata.kinds, strata.totals, strata.users
    if away != strata.away:
        kinds = {run_id: (*kind[:4], (kind[0], users.get(run_id, "")) in away) for run_id, kind in kinds.items()}
        totals = Counter(kinds.values())
    made: defaultdict[Stratum, float] = defaultdict(float)
    for run_id in sorted(loads):
        made[kinds[run_id]] += min(loads[run_id], 1.0)
    found = sum(min(load, 1.0) for load in loads.values())
    share = (found + PRIOR_IN_STORE * PRIOR_DIRECTORIES) / (len(odds) + PRIOR_DIRECTORIES)
    in_store = min(max(share, LEAST_IN_STORE), MOST_IN_STORE)
    return replace(strata, kinds=kinds, totals=totals, made=dict(made), in_store=in_store, away=away, _sums={})


def _away(strata: Strata, loads: Mapping[str, float]) -> frozenset[tuple[str, str]]:
    """Return who has directories elsewhere, by experiment id and name; by the test of two proportions."""
    made: defaultdict[tuple[str, str], float] = defaultdict(float)
    total = Counter((kind[0], strata.users.get(run_id, "")) for run_id, kind in strata.kinds.items())
    if len(total) == len({experiment for experiment, _ in total}):  # nobody has others beside in an experiment
        return frozenset()
    for run_id, kind in strata.kinds.items():
        made[kind[0], strata.users.get(run_id, "")] += min(loads.get(run_id, 0.0), 1.0)
    every_made: defaultdict[str, float] = defaultdict(float)
    every: Counter[str] = Counter()
    for who, count in total.items():
        every_made[who[0]] += made[who]
        every[who[0]] += count
    away = set()
    for who, count in total.items():
        others = every[who[0]] - count
        if others:
            mine, theirs = made[who] / count, (every_made[who[0]] - made[who]) / others
            overall = every_made[who[0]] / every[who[0]]
            deviation = math.sqrt(max(overall * (1 - overall), SMALLEST_SHARE) * (1 / count + 1 / others))
            if mine < AWAY_SHARE * theirs and theirs - mine > AWAY_SIGMAS * deviation:
                away.add(who)
    return frozenset(away)
