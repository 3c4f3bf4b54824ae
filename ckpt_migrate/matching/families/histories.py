"""Histories: what runs logged of their metrics, read once per run and only where it is asked for."""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import NamedMetric
    from ckpt_migrate.tracking.records import RunStore

MOST_CLEAR = 2_000
"""Cases that are clear without metrics whose histories are read all the same: some stores take long to read."""
CLEAR_BITS = 20.0
"""A case is clear when its best run has, and leads by, so many bits."""
FEWEST_CLEAR_FAMILIES = 2
"""...and so many families speak for it."""
SPEAKING_BITS = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """Where a run's history has a value: how many values it has under such names, and whether the epoch is right."""

    points: int
    is_hit: bool
    is_at_epoch: bool


@dataclass(frozen=True, slots=True)
class History:
    """What a run logged.

    Attributes:
        values: The values of each metric, in the order of their steps; none is empty.
        last_step: The last step at which it logged anything; None when it logged nothing.
    """

    values: Mapping[str, Sequence[float]]
    last_step: int | None


class Histories:
    """What runs logged, each read when it is first asked for; as rows of numbers, for there may be many thousands."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._read: dict[str, History] = {}

    def of(self, run_id: str) -> History:
        """Return what a run logged."""
        known = self._read.get(run_id)
        if known is None:
            points = {name: some for name, some in self._store.metric_histories(run_id).items() if some}
            values = {sys.intern(name): array("d", [point.value for point in some]) for name, some in points.items()}
            last_step = max((some[-1].step for some in points.values()), default=None)
            known = self._read[run_id] = History(values, last_step)
        return known

    def find(self, run_id: str, named: NamedMetric, names: Mapping[str, Sequence[str]]) -> Found:
        """Return whether a run logged a file name's value, and at its epoch.

        Args:
            run_id: The run.
            named: The metric in the file's name.
            names: The names under which each metric is logged.
        """
        history = self.of(run_id).values
        count, is_hit, is_at_epoch = 0, False, False
        for name in names.get(named.key, ()):
            values = history.get(name, ())
            count += len(values)
            is_hit = is_hit or is_logged(values, named.text)
            is_at_epoch = is_at_epoch or is_logged_at(values, named)
        return Found(count, is_hit, is_at_epoch)


def is_logged(values: Iterable[float], text: str) -> bool:
    """Say whether any value rounds to a text, by the digits that the text has.

    >>> is_logged([2.94763], "2.9476"), is_logged([2.94763], "2.9477")
    (True, False)
    """
    half, wanted = half_bin(text), float(text)
    return any(abs(value - wanted) <= half for value in values)


def is_logged_at(values: Sequence[float], named: NamedMetric) -> bool:
    """Say whether the value of a file name's epoch rounds to its text, if values are those of epochs."""
    epoch = named.epoch
    return epoch is not None and epoch < len(values) and is_logged([values[epoch]], named.text)


def half_bin(text: str) -> float:
    """Return by how much a value may lie off the text that it is rounded to."""
    digits = len(text.partition(".")[2])
    return 0.5 * 10.0**-digits * (1 + 1e-6)


def worth_reading(cases: Sequence[Case]) -> list[Case]:
    """Return the cases for which histories are read: all that are not clear without, and a bounded number of the rest.

    Those of the rest are evenly spread, so that habits are learned from the whole project.
    """
    asking = [case for case in cases if case.scores and (case.seen.metrics or case.seen.last_step is not None)]
    clear = [case for case in asking if _is_clear(case)]
    count = min(len(clear), MOST_CLEAR)
    chosen = {clear[i * len(clear) // count].checkpoint.path for i in range(count)}
    passed = {case.checkpoint.path for case in clear} - chosen
    return [case for case in asking if case.checkpoint.path not in passed]


def _is_clear(case: Case) -> bool:
    best = case.scores[0]
    rival = max((one.bits for one in case.scores[1:]), default=0.0)
    speaking = best.favouring(SPEAKING_BITS)
    return best.bits >= CLEAR_BITS and best.bits - rival >= CLEAR_BITS and len(speaking) >= FEWEST_CLEAR_FAMILIES
