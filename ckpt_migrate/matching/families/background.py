"""Background: how common param values are in the store, by counting.

"How many of 100,000 runs agree with this config" is counted for every directory, never assumed: runs lie in tables, by
the keys that they have and then by their values, so that the answer is a look-up for each set of keys.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.families.codes import Codes
from ckpt_migrate.matching.families.compare import apart
from ckpt_migrate.matching.families.keys import Layout
from ckpt_migrate.matching.families.values import TRUNCATED_LENGTHS
from ckpt_migrate.matching.model.columns import grouped

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.matching.model.columns import Bools, Ints

LARGEST_FREQUENCY = 0.5
"""A value that differs is not taken to be commoner than this."""
SHORTEST_TRUNCATION = min(TRUNCATED_LENGTHS)
MOST_TABLES = 256
"""Tables of runs that are kept: one for each set of keys of runs with each of configs, of which projects have few."""


class ParamIndex:
    """Which runs have which param values.

    Attributes:
        run_ids: All runs, sorted.
        logged: Per run, what it logged of keys that configs have.
        telling: Keys of configs that some runs logged, and others did not though they logged params; see `compare`.
    """

    def __init__(self, params: Mapping[str, Params], keys: Collection[str]) -> None:
        self.run_ids = tuple(sorted(params))
        wanted = frozenset(keys)
        self.logged = {run_id: params[run_id].only(wanted) for run_id in self.run_ids}
        self._params = list(self.logged.values())
        self._same = Counter(self._params)
        self._layouts: defaultdict[frozenset[str], list[int]] = defaultdict(list)
        for position, some in enumerate(self._params):
            self._layouts[some.names].append(position)
        self._totals: Counter[str] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._codes: list[Codes] = []
        self._code_of, self._row_of = np.zeros((2, len(self.run_ids)), np.int64)
        for layout, positions in self._layouts.items():
            self._totals.update(dict.fromkeys(layout, len(positions)))
            columns = zip(*(self._params[position].canonicals for position in positions), strict=True)
            same: dict[str, str] = {}
            for key, column in zip(sorted(layout), columns, strict=True):
                counts = Counter(column)
                self._counts.update({(key, value): count for value, count in counts.items()})
                if len(counts) == 1:
                    same[key] = column[0]
            self._code_of[positions], self._row_of[positions] = len(self._codes), np.arange(len(positions))
            varying = [key for key in sorted(layout) if key not in same]
            self._codes.append(Codes([self._params[position] for position in positions], same, varying))
        common = {key for key, total in self._totals.items() if total * 2 >= len(self)}
        self._varying = common & {key for (key, _), count in self._counts.items() if count < self._totals[key]}
        self._constant = common - self._varying
        logging = sum(map(bool, params.values()))
        self.telling = frozenset(key for key in wanted if 0 < self._totals[key] < logging)
        self._tables: dict[tuple[frozenset[str], frozenset[str]], Sequence[_Table]] = {}
        self._table_total = 0
        self._scattered: _Scattered | None = None
        self._known: dict[Params, Sequence[Sequence[int]]] = {}
        self._kinds: dict[frozenset[str], Sequence[frozenset[str]]] = {}
        self._log2s: dict[tuple[str, str], float] = {}

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.run_ids)

    def agreeing(self, config: Params, most: int) -> list[str]:
        """Return the ids of the runs that `count_agreeing` counts, sorted; of many, the first `most`."""
        return [self.run_ids[position] for position in sorted(chain.from_iterable(self._find(config)))[:most]]

    def count_agreeing(self, config: Params) -> int:
        """Return how many runs share a key with a config, differ in none that both have, and are of no other kind."""
        return sum(map(len, self._find(config)))

    def count_apart(self, configs: Sequence[Params], row: Ints, run: Ints) -> tuple[Ints, Bools]:
        """Return, per pair, in how many keys of both config and log differ at the least, and whether none does.

        None differs where the run is known to have logged all keys of the config, with the same values.

        Args:
            configs: All configs.
            row: The config of each pair, its place among them; ascending.
            run: The run of each pair, its place among all.
        """
        counts, is_throughout = np.zeros(len(row), np.int64), np.zeros(len(row), np.bool_)
        for number, pairs in grouped(self._code_of[run]):
            found = self._codes[number].count_apart(configs, row[pairs], self._row_of[run[pairs]])
            counts[pairs], is_throughout[pairs] = found
        return counts, is_throughout

    def find_differing(self, one: Ints, other: Ints) -> tuple[Ints, list[tuple[frozenset[str], frozenset[str]]]]:
        """Return, for pairs of runs, which keys of configs either logged, and in which of them they differ.

        Args:
            one: The first of each pair, its place among all.
            other: The second.

        Returns:
            Per pair, a number; and of each number, both sets of keys.
        """
        found: dict[tuple[frozenset[str], frozenset[str]], int] = {}
        numbers = np.zeros(len(one), np.int64)
        layout = np.where(self._code_of[one] == self._code_of[other], self._code_of[one], -1)
        for number, pairs in grouped(layout):
            if number >= 0:
                which, sets = self._codes[number].find_differing(self._row_of[one[pairs]], self._row_of[other[pairs]])
                names = self._params[one[pairs[0]]].names
                numbers[pairs] = np.array([found.setdefault((names, keys), len(found)) for keys in sets])[which]
                continue
            for pair in pairs.tolist():
                mine, theirs = self._params[one[pair]], self._params[other[pair]]
                both = (mine.names | theirs.names, apart(mine, theirs))
                numbers[pair] = found.setdefault(both, len(found))
        return numbers, list(found)

    def _find(self, config: Params) -> Sequence[Sequence[int]]:
        """Return the positions of the runs that agree with a config, in parts."""
        known = self._known.get(config)
        if known is None:
            keys = _keys_in_full(config)
            tables = self._tables_for(config.names, keys)
            if tables is not None:
                known = tuple(found for table in tables if (found := table.find(config)))
            else:
                self._scattered = self._scattered or _Scattered(self._params)
                known = (self._scattered.find(config, keys, frozenset(self._near(config.names))),)
            self._known[config] = known
        return known

    def _tables_for(self, names: frozenset[str], keys: frozenset[str]) -> Sequence[_Table] | None:
        """Return a table for each layout whose runs may agree with configs; None when tables would be too many.

        Args:
            names: The keys of the configs.
            keys: Those that are compared.
        """
        tables = self._tables.get((names, keys))
        if tables is None:
            near = self._near(names)
            if self._table_total + len(near) > MOST_TABLES:
                return None
            self._table_total += len(near)
            config = Layout.of(names)
            tables = [_Table(self._params, self._layouts[layout], layout & keys, config) for layout in near]
            self._tables[names, keys] = tables
        return tables

    def _near(self, names: frozenset[str]) -> Sequence[frozenset[str]]:
        """Return the layouts of runs that share a key with a config, and are of no other kind."""
        return [layout for layout in self._alike(names) if layout & names]

    def _alike(self, names: frozenset[str]) -> Sequence[frozenset[str]]:
        """Return the layouts of runs that are not of another kind than a config: each has keys that the other lacks."""
        own = names & self.telling
        known = self._kinds.get(own)
        if known is None:
            known = self._kinds[own] = [
                layout for layout in self._layouts if own <= layout or (layout & self.telling) <= own
            ]
        return known

    def share_alike(self, config: Params) -> float:
        """Return the share of runs that are not of another kind than a config; never below 1/(N+1)."""
        return max(sum(len(self._layouts[layout]) for layout in self._alike(config.names)), 1) / (len(self) + 1)

    def forget(self, keys: frozenset[str]) -> None:
        """Tell kinds of runs apart without these keys from now on."""
        if keys & self.telling:
            self.telling -= keys
            for cache in (self._known, self._kinds, self._tables):
                cache.clear()
            self._table_total = 0

    def count_same(self, run_id: str) -> int:
        """Return how many runs, itself included, logged just what a run did of the keys that configs have."""
        return self._same[self.logged[run_id]]

    def log2_frequency(self, key: str, canonical: str) -> float:
        """Return log2 of the share of the runs with this key that have this value; see LARGEST_FREQUENCY.

        Never below that of 1/(N+1).
        """
        pair = key, canonical
        known = self._log2s.get(pair)
        if known is None:
            share = max(self._counts[pair], 1) / (self._totals[key] + 1)
            known = self._log2s[pair] = math.log2(min(share, LARGEST_FREQUENCY))
        return known

    def rarest(self, config: Params) -> tuple[str, int, int] | None:
        """Return the key of a config, of those that most runs have, whose value is rarest: key, count, of how many."""
        best: tuple[str, int, int] | None = None
        # One that is the same in all runs is rarer than none: those are looked at where nothing else is known.
        for keys in (self._varying, self._constant):
            for key, canonical in zip(config.layout.keys, config.canonicals, strict=True):
                if key in keys:
                    count, total = self._counts.get((key, canonical), 0), self._totals[key]
                    if count and (best is None or count * best[2] < best[1] * total):
                        best = (key, count, total)
            if best is not None:
                return best
        return None


class _Table:
    """Runs of one layout by their values of some keys, for configs of one layout that has these keys as well."""

    __slots__ = ("_positions", "_same", "_same_row", "_varying")

    def __init__(
        self, params: Sequence[Params], positions: Sequence[int], keys: frozenset[str], config: Layout
    ) -> None:
        layout = params[positions[0]].layout
        first = params[positions[0]].canonicals
        same: list[str] = []
        varying: list[str] = []
        for key in sorted(keys):
            column = layout.places[key]
            is_same = all(params[position].canonicals[column] == first[column] for position in positions)
            (same if is_same else varying).append(key)
        self._same = [config.places[key] for key in same]
        self._same_row = [first[layout.places[key]] for key in same]
        self._varying = [config.places[key] for key in varying]
        columns = [layout.places[key] for key in varying]
        self._positions: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for position in positions:
            row = params[position].canonicals
            self._positions[tuple([row[column] for column in columns])].append(position)

    def find(self, config: Params) -> Sequence[int]:
        """Return the positions of the runs that have a config's values."""
        row = config.canonicals
        if [row[place] for place in self._same] != self._same_row:
            return ()
        return self._positions.get(tuple([row[place] for place in self._varying]), ())


class _Scattered:
    """Runs of so many sets of keys that tables do not pay: those with the rarest value are looked at one by one."""

    def __init__(self, params: Sequence[Params]) -> None:
        self._params = params
        self._having: defaultdict[str, set[int]] = defaultdict(set)
        self._places: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for position, some in enumerate(params):
            for key, canonical in zip(some.layout.keys, some.canonicals, strict=True):
                self._having[key].add(position)
                self._places[key, canonical].append(position)
        self._lacking: dict[str, list[int]] = {}

    def find(self, config: Params, keys: frozenset[str], near: frozenset[frozenset[str]]) -> Sequence[int]:
        """Return the positions of the runs of these sets of keys that differ from a config in none of these keys."""
        values = {key: config[key].canonical for key in sorted(keys)}
        possible: Sequence[int] = range(len(self._params))
        if values:
            rarest = min(values, key=lambda key: len(self._places[key, values[key]]) - len(self._having[key]))
            possible = self._places[rarest, values[rarest]] + self._without(rarest)
        return [
            position
            for position in possible
            if self._params[position].names in near and _differs_nowhere(self._params[position], values)
        ]

    def _without(self, key: str) -> list[int]:
        """Return the positions of the runs that lack a key."""
        if key not in self._lacking:
            having = self._having[key]
            self._lacking[key] = [position for position in range(len(self._params)) if position not in having]
        return self._lacking[key]


def _differs_nowhere(params: Params, values: Mapping[str, str]) -> bool:
    return all(params.canonical(key) in (None, canonical) for key, canonical in values.items())


def _keys_in_full(config: Params) -> frozenset[str]:
    """Return the keys whose values are too short to have been cut in a log."""
    if max(map(len, config.raws), default=0) < SHORTEST_TRUNCATION:
        return config.names
    return frozenset(
        key for key, raw in zip(config.layout.keys, config.raws, strict=True) if len(raw) < SHORTEST_TRUNCATION
    )
