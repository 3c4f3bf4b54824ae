"""Metrics: a value rounded in a file name against what the candidates logged."""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.matching.model import METRIC_MISS, is_logged, metric_bits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.decide import Case
    from ckpt_migrate.matching.model import Score, World
    from ckpt_migrate.tracking.records import RunStore

MOST_HISTORIES = 8
"""Candidates of a checkpoint whose histories are read: the best so far; the rest cannot win."""
WORTH_BITS = 14.0
"""A candidate this far behind the best cannot catch up by a metric."""
WINDOW_BINS = 50
"""The density of a metric about a value is counted over this many bins of its rounding."""
FEWEST_FOUND = 0.5
"""When fewer of the best candidates than this logged the value, the file names mean another metric."""


def add_metrics(cases: Sequence[Case], world: World, store: RunStore) -> list[Case]:
    """Weigh the metrics in file names for the best candidates of each case, and rank them again."""
    asking = [case for case in cases if case.seen.metrics and case.scores]
    histories = _Histories(store)
    spread = _spread([case.seen.metrics for case in asking], world, store)
    trusted = _trusted_keys(asking, histories)
    for case in asking:
        for one in _worth(case.scores):
            logged = histories.of(one.run_id)
            for key, text in case.seen.metrics:
                values = logged.get(key)
                if key in trusted and values:
                    share = _share(spread.get(key, []), text, len(values), world.run_total)
                    one.metrics += metric_bits(values, text, share)
                    is_found = is_logged(values, text)
                    words = f"{key}={text} of a file name {'was' if is_found else 'was never'} logged by the run"
                    one.metric_words = f"{one.metric_words}; {words}" if one.metric_words else words
    return [_ranked(case) for case in cases]


def _ranked(case: Case) -> Case:
    return replace(case, scores=tuple(sorted(case.scores, key=lambda one: (-one.bits, one.run_id))))


def _worth(scores: Sequence[Score]) -> list[Score]:
    best = scores[0].bits
    return [one for one in scores[:MOST_HISTORIES] if one.bits >= best - WORTH_BITS]


class _Histories:
    """Values logged under each metric name, read once per run; names are compared without their prefixes."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._read: dict[str, Mapping[str, Sequence[float]]] = {}

    def of(self, run_id: str) -> Mapping[str, Sequence[float]]:
        if run_id not in self._read:
            histories = self._store.metric_histories(run_id)
            self._read[run_id] = {key: [point.value for point in points] for key, points in histories.items()}
        return self._read[run_id]


def _trusted_keys(cases: Sequence[Case], histories: _Histories) -> frozenset[str]:
    """Return the metric names whose values are mostly found in the best candidate that has the name at all."""
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for case in cases:
        for key, text in case.seen.metrics:
            logged = [histories.of(one.run_id).get(key) for one in _worth(case.scores)]
            values = [one for one in logged if one]
            if values:
                found[key].append(any(is_logged(one, text) for one in values))
    return frozenset(key for key, hits in found.items() if sum(hits) >= FEWEST_FOUND * len(hits))


def _spread(asked: Sequence[Sequence[tuple[str, str]]], world: World, store: RunStore) -> dict[str, list[float]]:
    """Return the last values of the metrics in question over all runs, ascending."""
    keys = {key for pairs in asked for key, _ in pairs}
    if not keys:
        return {}
    values: defaultdict[str, list[float]] = defaultdict(list)
    for details in store.details(world.params.keys()).values():
        for key in keys & details.metrics.keys():
            values[key].append(details.metrics[key].value)
    return {key: sorted(value for value in found if value == value) for key, found in values.items()}  # noqa: PLR0124 - leaves out nan


def _share(last_values: Sequence[float], text: str, points: int, run_total: int) -> float:
    """Return how often a run has a value in the text's bin by accident.

    The density about the value is counted over WINDOW_BINS bins; a run has `points` chances to fall into one. Never
    below 1/(N+1): N runs cannot witness a rarer coincidence.
    """
    digits = len(text.partition(".")[2])
    half_window = 0.5 * WINDOW_BINS * 10.0**-digits
    wanted = float(text)
    low = bisect.bisect_left(last_values, wanted - half_window)
    high = bisect.bisect_right(last_values, wanted + half_window)
    density = (high - low + 1) / (len(last_values) + 1) / WINDOW_BINS
    return min(max(density * points, 1 / (run_total + 1)), 1 - METRIC_MISS)
