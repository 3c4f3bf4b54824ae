"""Background: how common things are in the store, by counting.

Sets of runs are Python integers used as bit sets, so that "how many of 10,000 runs agree with this config" takes
microseconds, and is counted, never assumed.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.matching.compare import TRUNCATED_LENGTHS, compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt_migrate.matching.compare import Params
    from ckpt_migrate.tracking.records import Run

SHORTEST_TRUNCATION = min(TRUNCATED_LENGTHS)
MOST_DIFFERENCES = 3
"""True pairs differ in at most this many keys in real projects; more is counted as this many."""
MOST_NEIGHBOURS = 40
"""Neighbours compared per run when twins are counted: enough for a rate, bounded in a burst of launches."""


PRIOR_TWINS, PRIOR_RUNS = 0.1, 2.5
"""Among public projects 4 % of the runs, on the mean, have another started within a second; in most none has."""


class ParamIndex:
    """Which runs have which param values."""

    def __init__(self, params: Mapping[str, Params]) -> None:
        self.run_ids = tuple(sorted(params))
        self._all = (1 << len(self.run_ids)) - 1
        self._has: defaultdict[str, int] = defaultdict(int)
        self._agree: defaultdict[tuple[str, str], int] = defaultdict(int)
        has: defaultdict[str, list[int]] = defaultdict(list)
        agree: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for position, run_id in enumerate(self.run_ids):
            for key, value in params[run_id].items():
                has[key].append(position)
                agree[key, value.canonical].append(position)
        self._has.update((key, _bits(positions)) for key, positions in has.items())
        self._agree.update((pair, _bits(positions)) for pair, positions in agree.items())

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.run_ids)

    def agreeing(self, config: Params) -> int:
        """Return the bit set of runs that share at least one key with a config and differ in none."""
        same, shared = self._all, 0
        for key, value in config.items():
            has = self._has.get(key, 0)
            shared |= has
            if len(value.raw) < SHORTEST_TRUNCATION:
                same &= ~has | self._agree.get((key, value.canonical), 0)
        return same & shared

    def count_agreeing(self, config: Params) -> int:
        """Return how many runs differ from a config in no key that both have."""
        return self.agreeing(config).bit_count()

    def frequency(self, key: str, canonical: str) -> float:
        """Return the share of the runs with this key that have this value; never below 1/(N+1)."""
        total = self._has.get(key, 0).bit_count()
        return max(self._agree.get((key, canonical), 0).bit_count(), 1) / (total + 1)

    def rarest(self, config: Params, runs: int) -> tuple[str, int, int] | None:
        """Return the key of a config whose value is rarest among the agreeing runs' keys: key, count, of how many."""
        best: tuple[str, int, int] | None = None
        for key, value in config.items():
            count, total = self._agree.get((key, value.canonical), 0).bit_count(), self._has.get(key, 0).bit_count()
            if count and total * 2 >= runs and (best is None or count * best[2] < best[1] * total):
                best = (key, count, total)
        return best

    def ids(self, bits: int, most: int) -> list[str]:
        """Return the run ids in a bit set, sorted; at most `most`."""
        out: list[str] = []
        while bits and len(out) < most:
            low = bits & -bits
            out.append(self.run_ids[low.bit_length() - 1])
            bits ^= low
        return out


def _bits(positions: Sequence[int]) -> int:
    """Return the bit set of ascending positions, built as bytes (linear, where shifting would be quadratic)."""
    data = bytearray(positions[-1] // 8 + 1)
    for position in positions:
        data[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(data, "little")


@dataclass(frozen=True, slots=True)
class TwinRates:
    """How often a run has a neighbour, launched within the window, that differs in few params.

    Attributes:
        total: How many runs of the experiment were looked at.
        seen: How many runs there are by (number of neighbours, fewest differing params among them).
        neighbours: By run id, how many runs were launched within the window.
    """

    total: int
    seen: Mapping[tuple[int, int], int]
    neighbours: Mapping[str, int]

    def rate(self, run_id: str, differences: int, gone_share: float) -> float:
        """Return the expected number of near twins that a run had and that may be gone now.

        In a crowd it is the share of crowded runs with a near twin. A run that stands alone can have had twins only
        if all of them are gone: a group of k + 1 then has lost k - 1 besides the twin itself, with a chance of
        gone_share to the power of k - 1. None is ever taken for impossible: runs that stand alone start from the
        Beta(PRIOR_TWINS, PRIOR_RUNS - PRIOR_TWINS) prior of public projects, crowded ones from Beta(1/2, 1/2).
        """
        most = min(differences, MOST_DIFFERENCES)
        if self.is_crowded(run_id):
            crowd = sum(self.seen.values())
            return (sum(count for (_, fewest), count in self.seen.items() if fewest <= most) + 0.5) / (crowd + 1)
        lost = sum(count * gone_share ** (k - 1) for (k, fewest), count in self.seen.items() if fewest <= most)
        return (lost + PRIOR_TWINS) / (self.total + PRIOR_RUNS)

    def is_crowded(self, run_id: str) -> bool:
        """Say whether another run of the experiment was launched with this one."""
        return bool(self.neighbours.get(run_id, 0))


def count_twins(
    runs: Iterable[Run], params: Mapping[str, Params], keys: Sequence[str], window_s: float
) -> dict[str, TwinRates]:
    """Count near twins over `keys` within each experiment, by its id; without keys every neighbour is one."""
    by_experiment: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_experiment[run.experiment_id].append(run)
    return {name: _count_twins(found, params, keys, window_s) for name, found in by_experiment.items()}


def _count_twins(runs: Sequence[Run], params: Mapping[str, Params], keys: Sequence[str], window_s: float) -> TwinRates:
    timed = sorted((run.start_utc_ms / 1000, run.run_id) for run in runs if run.start_utc_ms is not None)
    times = [start for start, _ in timed]
    seen: Counter[tuple[int, int]] = Counter()
    neighbours: dict[str, int] = {}
    for i, (start, run_id) in enumerate(timed):
        low, high = bisect.bisect_left(times, start - window_s), bisect.bisect_right(times, start + window_s)
        count = high - low - 1
        if not count:
            continue
        neighbours[run_id] = count
        low, high = max(low, i - MOST_NEIGHBOURS // 2), min(high, i + 1 + MOST_NEIGHBOURS // 2)
        own = params.get(run_id, {})
        others = (params.get(other, {}) for _, other in timed[low:high] if other != run_id)
        seen[count, min(len(compare(own, other, keys).differing) for other in others)] += 1
    return TwinRates(len(timed), seen, neighbours)
