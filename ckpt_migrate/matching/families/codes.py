"""Codes: values of params as numbers, by which many configs are set against many runs at once."""

from __future__ import annotations

from itertools import compress
from operator import ne
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.families.keys import Layout
    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.matching.model.columns import Ints


class Codes:
    """Runs of one layout, their values of the keys that vary among them as numbers."""

    __slots__ = ("_is_cut", "_keys", "_numbers", "_same", "_values")

    def __init__(self, params: Sequence[Params], same: Mapping[str, str], keys: Sequence[str]) -> None:
        """Number the values.

        Args:
            params: What each run logged.
            same: Keys that all agree in, with their values.
            keys: The others.
        """
        self._same, self._keys = same, keys
        self._numbers: list[dict[str, int]] = []
        self._values = np.zeros((len(params), len(keys)), np.int32)
        for number, key in enumerate(keys):
            place = params[0].layout.places[key]
            column = [one.canonicals[place] for one in params]
            numbers = {value: n for n, value in enumerate(dict.fromkeys(column))}
            self._numbers.append(numbers)
            self._values[:, number] = [numbers[value] for value in column]
        self._is_cut = np.array([one.may_be_cut for one in params], np.bool_)

    def count_apart(self, configs: Sequence[Params], row: Ints, run: Ints) -> Ints:
        """Return `ParamIndex.count_apart` of runs of this layout; 0 for those whose log may be cut."""
        rows, own = np.unique(row, return_inverse=True)
        known: dict[Layout, _Beside] = {}
        added, values = [], []
        for number in rows.tolist():
            config = configs[number]
            beside = known.get(config.layout)
            if beside is None:
                beside = known[config.layout] = _Beside(config.layout, self._same, self._keys)
            some = config.canonicals
            mine = [some[place] for place in beside.places]
            added.append(0 if mine == beside.values else sum(map(ne, mine, beside.values)))
            values.append([
                -1 if place is None else numbers.get(some[place], -1)
                for place, numbers in zip(beside.varying, self._numbers, strict=True)
            ])  # fmt: skip
            added[-1] -= beside.lacking
        apart = np.array(added, np.int64)[own]
        if self._keys:
            apart += (np.array(values, np.int32)[own] != self._values[run]).sum(axis=1)
        return np.where(self._is_cut[run], 0, apart)

    def find_differing(self, one: Ints, other: Ints) -> tuple[Ints, list[frozenset[str]]]:
        """Return the sets of keys in which runs of this layout differ: per pair its number, and all sets."""
        is_apart = self._values[one] != self._values[other]
        packed = np.packbits(is_apart, axis=1) if self._keys else np.zeros((len(one), 1), np.uint8)
        rows = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1])))[:, 0]
        _, first, which = np.unique(rows, return_index=True, return_inverse=True)
        return which, [frozenset(compress(self._keys, is_apart[place])) for place in first.tolist()]


class _Beside:
    """Where configs of one layout have the values that runs of another one are compared by.

    Attributes:
        places: Of keys in which all the runs agree.
        values: What they have there.
        varying: Of keys that vary; None for one that the configs lack. It looks as if it differed.
        lacking: How many of those there are.
    """

    __slots__ = ("lacking", "places", "values", "varying")

    def __init__(self, config: Layout, same: Mapping[str, str], keys: Sequence[str]) -> None:
        shared = [key for key in same if key in config.places]
        self.places = [config.places[key] for key in shared]
        self.values = [same[key] for key in shared]
        self.varying = [config.places.get(key) for key in keys]
        self.lacking = self.varying.count(None)
