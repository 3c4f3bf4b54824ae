"""Background: how common param values are in the store, by counting.

Sets of runs are Python integers used as bit sets, so that "how many of 10,000 runs agree with this config" takes
microseconds, and is counted, never assumed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.compare import TRUNCATED_LENGTHS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ckpt_migrate.matching.families.compare import Params, Sign

LARGEST_FREQUENCY = 0.5
"""A value that differs is not taken to be commoner than this."""
SHORTEST_TRUNCATION = min(TRUNCATED_LENGTHS)


class ParamIndex:
    """Which runs have which param values.

    Attributes:
        run_ids: All runs, sorted.
        signs: Per run, the values that it logged of keys that configs have.
        telling: Keys of configs that some runs logged, and others did not though they logged params; see `compare`.
    """

    def __init__(self, params: Mapping[str, Params], keys: Collection[str]) -> None:
        self.run_ids = tuple(sorted(params))
        self._all = (1 << len(self.run_ids)) - 1
        self._has: defaultdict[str, int] = defaultdict(int)
        self._agree: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._known: dict[Sign, int] = {}
        self._log2s: dict[tuple[str, str], float] = {}
        self._rarest: dict[Sign, tuple[str, int, int] | None] = {}
        has: defaultdict[str, list[int]] = defaultdict(list)
        agree: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for position, run_id in enumerate(self.run_ids):
            for key, value in params[run_id].items():
                has[key].append(position)
                agree[key, value.canonical].append(position)
        self._has.update((key, _bits(positions)) for key, positions in has.items())
        self._agree.update((pair, _bits(positions)) for pair, positions in agree.items())
        wanted = frozenset(keys)
        self.signs: dict[str, Sign] = {
            run_id: frozenset(pair for pair in some.sign if pair[0] in wanted) for run_id, some in params.items()
        }
        self._same = Counter(self.signs.values())
        self._totals = {key: bits.bit_count() for key, bits in self._has.items()}
        self._counts = {pair: bits.bit_count() for pair, bits in self._agree.items()}
        logging = sum(bool(some) for some in params.values())
        self.telling = frozenset(key for key in wanted if 0 < self._totals.get(key, 0) < logging)
        self._kinds: dict[frozenset[str], int] = {}

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.run_ids)

    def agreeing(self, config: Params) -> int:
        """Return the bit set of runs that share at least one key with a config and differ in none."""
        known = self._known.get(config.sign)
        if known is None:
            same, shared = self._all, 0
            for key, value in config.items():
                has = self._has.get(key, 0)
                shared |= has
                if len(value.raw) < SHORTEST_TRUNCATION:
                    same &= ~has | self._agree.get((key, value.canonical), 0)
            known = self._known[config.sign] = same & shared & ~self._unlike(config)
        return known

    def _unlike(self, config: Params) -> int:
        """Return the bit set of runs of another kind than a config: each has keys that the other lacks."""
        names = config.names & self.telling
        known = self._kinds.get(names)
        if known is None:
            lacking = more = 0
            for key in self.telling:
                if key in names:
                    lacking |= ~self._has.get(key, 0)
                else:
                    more |= self._has.get(key, 0)
            known = self._kinds[names] = lacking & more & self._all
        return known

    def share_alike(self, config: Params) -> float:
        """Return the share of runs that are not of another kind than a config; never below 1/(N+1)."""
        return max(len(self) - self._unlike(config).bit_count(), 1) / (len(self) + 1)

    def forget(self, keys: frozenset[str]) -> None:
        """Tell kinds of runs apart without these keys from now on."""
        if keys & self.telling:
            self.telling -= keys
            for cache in (self._known, self._rarest, self._kinds):
                cache.clear()

    def count_agreeing(self, config: Params) -> int:
        """Return how many runs differ from a config in no key that both have, and are of no other kind."""
        return self.agreeing(config).bit_count()

    def count_same(self, run_id: str) -> int:
        """Return how many runs, itself included, logged just what a run did of the keys that configs have."""
        return self._same[self.signs[run_id]]

    def log2_frequency(self, key: str, canonical: str) -> float:
        """Return log2 of the share of the runs with this key that have this value; see LARGEST_FREQUENCY.

        Never below that of 1/(N+1).
        """
        pair = key, canonical
        known = self._log2s.get(pair)
        if known is None:
            share = max(self._counts.get(pair, 0), 1) / (self._totals.get(key, 0) + 1)
            known = self._log2s[pair] = math.log2(min(share, LARGEST_FREQUENCY))
        return known

    def rarest(self, config: Params) -> tuple[str, int, int] | None:
        """Return the key of a config, of those that most runs have, whose value is rarest: key, count, of how many."""
        if config.sign not in self._rarest:
            best: tuple[str, int, int] | None = None
            for key, value in sorted(config.items()):
                count, total = self._counts.get((key, value.canonical), 0), self._totals.get(key, 0)
                if count and total * 2 >= len(self) and (best is None or count * best[2] < best[1] * total):
                    best = (key, count, total)
            self._rarest[config.sign] = best
        return self._rarest[config.sign]

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
