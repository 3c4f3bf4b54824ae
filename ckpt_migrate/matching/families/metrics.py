"""Metrics: a value rounded in a file name, and the last training step, against what the candidates logged."""

from __future__ import annotations

import bisect
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.histories import half_bin, is_logged, is_logged_at
from ckpt_migrate.matching.model.cases import PLAIN_BITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.families.histories import Found, Histories
    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import NamedMetric, Score, World
    from ckpt_migrate.tracking.records import RunDetails

FEWEST_FOUND = 0.5
"""When fewer of the best candidates than this logged the value, the file names mean another metric."""
USUALLY_FOUND = 1 / 3
"""Where this share of plain pairs has logged what its file names say, a run that has not is none that fits: names and
rounding are the same throughout a project, and the rest are not plain after all."""
FEWEST_AT_EPOCH, SHARE_AT_EPOCH = 4, 0.15
"""So many directories, and so large a share, whose value some candidate logged at the very epoch, tell under which name
it is logged, though most directories have no run: by accident one in a thousand has."""
CLEAR_BITS = 12.0
"""A run that leads by this much without metrics may teach what metrics do."""
PLAIN_END_BITS = 3.0
"""...and that ended, as far as is known, when the directory was finished: else it may be a neighbour of its run."""
HABIT_WORTH = 2.0
"""How many observed pairs a habit's prior is worth."""
PRIOR_MISS = 0.05
"""Chance that a value in a file name was not logged by its own run, before anything is known."""
SMALLEST_MISS = 0.002
PRIOR_EPOCH = 0.5
"""Chance that a logged value stands at the epoch that the file name says, before anything is known."""
PRIOR_SAME, PRIOR_SAME_PAIRS = 0.5, 1.0
"""Two runs of one config have the same losses (fixed seeds) as often as not, before any pair has been seen."""
FEWEST_NEIGHBOURS = 3
"""The density of a metric about a value is taken from this many values next to it, or the root of their number."""
ROUNDED_DIGITS = 4
"""Digits to which file names round metrics."""
SUFFIXES = ("", "_epoch")
"""What loggers put behind a metric's name when they log it by step and by epoch."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How a project's metrics relate to its file names.

    Attributes:
        names: Names under which each metric of a file name is logged, where it is at all.
        miss: Chance that a value of a file name was not logged by its own run.
        is_usual: Whether values of file names were usually logged by their own runs, so that one that was not tells.
        at_epoch: Chance that it was logged at the epoch that the file name says.
        same: Chance that two runs of one config have the same values.
        values: Values of each metric over all runs and file names, ascending.
    """

    names: Mapping[str, tuple[str, ...]]
    miss: float
    is_usual: bool
    at_epoch: float
    same: float
    values: Mapping[str, Sequence[float]]


def add_metrics(cases: Sequence[Case], world: World, histories: Histories, habits: Habits) -> None:
    """Weigh the metrics in file names for the best candidates of each case."""
    for case in cases:
        for named in case.seen.metrics:
            if habits.names.get(named.key):
                density = bin_density(habits.values[named.key], named.text)
                for one in case.worth:
                    found = histories.find(one.run_id, named, habits.names)
                    _weigh(one, named, found, density=density, habits=habits, world=world)


def _weigh(one: Score, named: NamedMetric, found: Found, *, density: float, habits: Habits, world: World) -> None:
    """Add log2 of P(text | this run) / P(text | not in the store).

    An orphan has a text by accident, or because its config and seeds were the same as this run's.
    """
    if not found.points:
        return
    likely = text_share(found, habits)
    one.hits += found.is_hit
    one.missed += habits.is_usual and not found.is_hit
    same = _same_share(one, world, habits) if found.is_hit else 0.0
    one.metrics += math.log2(likely / (same * likely + density)) if found.is_hit else math.log2(likely)
    one.other_metric *= density / likely if found.is_hit else 1 / likely
    place = " at that epoch" if found.is_hit and found.is_at_epoch and named.epoch is not None else ""
    words = f"{named.key}={named.text} of a file name {'was' if found.is_hit else 'was never'} logged by the run{place}"
    one.words["metrics"] = f"{one.words['metrics']}; {words}" if "metrics" in one.words else words


def _same_share(one: Score, world: World, habits: Habits) -> float:
    """Return the chance that a checkpoint's value is this run's though another, with fixed seeds, made it.

    Where the params agree, that is the chance that runs of one config have the same values; where none can be
    compared, the other must first have the run's config, too.
    """
    if one.comparison.compared:
        return habits.same
    return habits.same * world.index.count_same(one.run_id) / (len(world.index) + 1)


def text_share(found: Found, habits: Habits) -> float:
    """Return the chance of a file name's text, given the run; of a text that it never logged, as share of accident's.

    A value that the run logged is one of `points`, or the one at the epoch of the file name. A text that it never
    logged has the background's chance besides, which weights leave out on both sides.
    """
    if not found.is_hit:
        return habits.miss
    return (1 - habits.miss) * (habits.at_epoch if found.is_at_epoch else (1 - habits.at_epoch) / found.points)


def bin_density(values: Sequence[float], text: str) -> float:
    """Return how often a value falls into a text's bin: by the k values nearest to it (Loftsgaarden 1965).

    Args:
        values: Values of the metric, ascending.
        text: The value as written.
    """
    wanted, width = float(text), 2 * half_bin(text)
    k = max(FEWEST_NEIGHBOURS, math.isqrt(len(values)))
    if len(values) < k:
        return 1.0
    low = high = bisect.bisect_left(values, wanted)
    for _ in range(k):
        if high >= len(values) or (low > 0 and wanted - values[low - 1] <= values[high] - wanted):
            low -= 1
        else:
            high += 1
    reach = max(wanted - values[low], values[high - 1] - wanted)
    return min(1.0, k / (len(values) + 1) / max(1.0, 2 * reach / width))


def learn_habits(
    cases: Sequence[Case], histories: Histories, world: World, details: Mapping[str, RunDetails]
) -> Habits:
    """Learn under which names metrics are logged, and how surely, from the runs that the directories plainly have.

    Args:
        cases: The cases with metrics; where a case has no plain run, its best candidates stand in.
        histories: Histories of runs.
        world: The shared facts.
        details: Last metrics of all runs, by run id.
    """
    names = _names(cases, histories)
    missed = hits = at_epoch = 0
    for case in cases:
        if not _is_plain(case):
            continue
        for named in case.seen.metrics:
            found = histories.find(case.scores[0].run_id, named, names)
            missed += bool(found.points) and not found.is_hit
            hits += found.is_hit
            at_epoch += found.is_at_epoch
    same, pairs = _same_pairs(world, details, names)
    return Habits(
        names,
        max((missed + PRIOR_MISS * HABIT_WORTH) / (missed + hits + HABIT_WORTH), SMALLEST_MISS),
        hits >= FEWEST_AT_EPOCH and hits >= USUALLY_FOUND * (hits + missed),
        (at_epoch + PRIOR_EPOCH * HABIT_WORTH) / (hits + HABIT_WORTH),
        (same + PRIOR_SAME) / (pairs + PRIOR_SAME_PAIRS),
        _values(cases, names, details),
    )


def _is_plain(case: Case) -> bool:
    """Say whether a case has a run, and no other, without its metrics: it may teach what metrics do."""
    best = case.scores[0]
    rival = max((one.bits for one in case.scores[1:]), default=0.0)
    ends_with_it = case.seen.newest_s is None or best.mtime >= PLAIN_END_BITS
    return best.bits >= PLAIN_BITS and best.bits - rival >= CLEAR_BITS and ends_with_it


def _names(cases: Sequence[Case], histories: Histories) -> dict[str, tuple[str, ...]]:
    """Return, per metric of a file name, the logged names under which its values are mostly found."""
    found: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    at_epoch: Counter[tuple[str, str]] = Counter()
    for case in cases:
        run_ids = (case.plain,) if case.plain else tuple(one.run_id for one in case.worth)
        for named in case.seen.metrics:
            hits: defaultdict[str, bool] = defaultdict(bool)
            exact: defaultdict[str, bool] = defaultdict(bool)
            for run_id in run_ids:
                for name, values in histories.of(run_id).values.items():
                    if _may_be(name, named.key):
                        hits[name] |= is_logged(values, named.text)
                        exact[name] |= is_logged_at(values, named)
            for name, is_hit in hits.items():
                found[named.key, name].append(is_hit)
                at_epoch[named.key, name] += exact[name]
    names: defaultdict[str, list[str]] = defaultdict(list)
    for (key, name), hit in sorted(found.items()):
        told = at_epoch[key, name]
        if sum(hit) > FEWEST_FOUND * len(hit) or told >= max(FEWEST_AT_EPOCH, SHARE_AT_EPOCH * len(hit)):
            names[key].append(name)
    return {key: tuple(some) for key, some in names.items()}


def _may_be(logged: str, key: str) -> bool:
    """Say whether a logged name may be a metric of a file name, with or without a prefix and `_epoch`.

    >>> _may_be("train/val_loss_epoch", "val_loss"), _may_be("val_loss_step", "val_loss")
    (True, False)
    """
    last = logged.replace(".", "/").rsplit("/", maxsplit=1)[-1].lower()
    return any(name.lower() == f"{key}{suffix}".lower() for name in (logged, last) for suffix in SUFFIXES)


def last_values(names: Mapping[str, Sequence[str]], details: Mapping[str, RunDetails]) -> dict[str, tuple[float, ...]]:
    """Return the last values of the metrics in question, rounded as file names round them, by run id."""
    wanted = sorted({name for some in names.values() for name in some})
    return {
        run_id: tuple(round(one.metrics[name].value, ROUNDED_DIGITS) for name in wanted if name in one.metrics)
        for run_id, one in details.items()
    }


def _same_pairs(
    world: World, details: Mapping[str, RunDetails], names: Mapping[str, Sequence[str]]
) -> tuple[float, float]:
    """Return how many pairs of runs with one config have the same last values, and how many such pairs there are."""
    groups: defaultdict[Params, Counter[tuple[float, ...]]] = defaultdict(Counter)
    for run_id, values in sorted(last_values(names, details).items()):
        if values and run_id in world.index.logged:
            groups[world.index.logged[run_id]][values] += 1
    same = sum(math.comb(count, 2) for values in groups.values() for count in values.values())
    pairs = sum(math.comb(sum(values.values()), 2) for values in groups.values())
    return same, pairs


def _values(
    cases: Sequence[Case], names: Mapping[str, Sequence[str]], details: Mapping[str, RunDetails]
) -> dict[str, list[float]]:
    """Return the values that each metric has in file names and at the end of runs, ascending."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    for case in cases:
        for named in case.seen.metrics:
            values[named.key].append(float(named.text))
    for key, some in names.items():
        for _, one in sorted(details.items()):
            values[key] += (one.metrics[name].value for name in some if name in one.metrics)
    return {key: sorted(value for value in found if math.isfinite(value)) for key, found in values.items()}
