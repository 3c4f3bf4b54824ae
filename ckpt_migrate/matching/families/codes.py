"""Codes: values of params as numbers, by which many configs are set against many runs at once."""

from __future__ import annotations

from itertools import compress
from operator import itemgetter, ne
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ckpt_migrate.matching.families.keys import Layout
    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.matching.model.columns import Bools, Ints


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
        self._numbers: list[dict[str | None, int]] = []
        self._values = np.zeros((len(params), len(keys)), np.int32)
        for number, key in enumerate(keys):
            place = params[0].layout.places[key]
            column = [one.canonicals[place] for one in params]
            numbers: dict[str | None, int] = {value: n for n, value in enumerate(dict.fromkeys(column))}
            self._numbers.append(numbers)
            self._values[:, number] = [numbers[value] for value in column]
        self._is_cut = np.array([one.may_be_cut for one in params], np.bool_)

    def count_apart(self, configs: Sequence[Params], row: Ints, run: Ints) -> tuple[Ints, Bools]:
        """Return `ParamIndex.count_apart` for runs of this layout; 0, and unknown, for those whose log may be cut."""
        is_new = np.diff(row, prepend=-1) > 0
        rows, own = row[is_new], np.cumsum(is_new) - 1
        known: dict[Layout, _Beside] = {}
        added, values, is_whole = [], [], []
        for number in rows.tolist():
            config = configs[number]
            beside = known.get(config.layout)
            if beside is None:
                beside = known[config.layout] = _Beside(config.layout, self._same, self._keys)
            some = config.canonicals
            mine = beside.constants(some)
            added.append(0 if mine == beside.values else sum(map(ne, mine, beside.values)))
            values.append([
                numbers.get(value, -1) for value, numbers in zip(beside.varying(some), self._numbers, strict=True)
            ])  # fmt: skip
            added[-1] -= beside.lacking
            is_whole.append(beside.is_whole)
        apart = np.array(added, np.int64)[own]
        if self._keys:
            apart += (np.array(values, np.int32)[own] != self._values[run]).sum(axis=1)
        is_throughout = np.array(is_whole, np.bool_)[own] & (apart == 0) & ~self._is_cut[run]
        return np.where(self._is_cut[run], 0, apart), is_throughout

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
        constants: Gives a config's values of keys in which all the runs agree.
        values: What they have there.
        varying: Gives those of keys that vary; an impossible one for one that the configs lack. It looks as if it
            differed.
        lacking: How many of those there are.
        is_whole: Whether the runs have all keys of the configs, of which there are some.
    """

    __slots__ = ("constants", "is_whole", "lacking", "values", "varying")

    def __init__(self, config: Layout, same: Mapping[str, str], keys: Sequence[str]) -> None:
        shared = [key for key in same if key in config.places]
        self.constants = _picker([config.places[key] for key in shared])
        self.values = tuple([same[key] for key in shared])
        self.varying = _picker([config.places.get(key) for key in keys])
        self.lacking = sum(key not in config.places for key in keys)
        self.is_whole = bool(config.keys) and len(shared) + len(keys) - self.lacking == len(config.keys)


def _picker(places: Sequence[int | None]) -> Callable[[Sequence[str]], tuple[str | None, ...]]:
    """Return a function that gives the values at some places; None for a place that is None."""
    if None in places or len(places) < len(("one", "other")):
        return lambda row: tuple([None if place is None else row[place] for place in places])
    return itemgetter(*places)
