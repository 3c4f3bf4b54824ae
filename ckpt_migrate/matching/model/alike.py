"""Alike: which pairs of siblings look alike as directories and runs do, and how large a share of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.model.columns import sums_of
from ckpt_migrate.matching.model.twins import GLOBAL_WORTH, PRIOR_ALIKE, PRIOR_PAIRS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ckpt_migrate.matching.model.columns import Bools, Floats, Ints
    from ckpt_migrate.matching.model.twins import Pairs, Twins

Look = tuple[str, frozenset[str], frozenset[str]]
"""How a directory and a run look beside each other: the run's experiment, the keys that both have, and in which of them
they differ."""


@dataclass(frozen=True, slots=True)
class Members:
    """Some of the pairs of siblings, for each of several looks: those of the look n lie between bounds n and n + 1."""

    pair: Ints
    bounds: Ints

    @property
    def sizes(self) -> Ints:
        """How many pairs each look has."""
        return np.diff(self.bounds)


@dataclass(frozen=True, slots=True)
class Alike:
    """Pairs of siblings that differ in no param but the allowed.

    Attributes:
        here: Those of launches, for each look of a run of that launch.
        everywhere: Those of experiments, for each look.
        share: Share of pairs that do, first by those of the launch, then by those of the experiment; as `here`.
        overall: The same by those of the experiment alone, for each look.
    """

    here: Members
    everywhere: Members
    share: Floats
    overall: Floats


def find_alike(twins: Twins, looks: Sequence[Look], look: Ints, launch: Ints) -> Alike:
    """Return the pairs of siblings that look alike as directories and runs do.

    Pairs that logged none of the keys differ in none, which says nothing of how often two that did are alike: they
    are not counted.

    Args:
        twins: All pairs.
        looks: How directories and runs look.
        look: Which look a run of a launch has.
        launch: Which launch it is.
    """
    has_keys = np.array([bool(keys) for _, keys, _ in looks], np.bool_)
    experiments = np.array([twins.experiments[experiment] for experiment, _, _ in looks], np.int64)
    bits = _Bits(twins, looks)
    everywhere, known, same = _members(twins.everywhere, experiments, np.arange(len(looks)), bits)
    overall = np.where(has_keys, (same + PRIOR_ALIKE) / (known + PRIOR_PAIRS), 1.0)
    here, known, same = _members(twins.local, launch, look, bits)
    share = (same + GLOBAL_WORTH * overall[look]) / (known + GLOBAL_WORTH)
    return Alike(here, everywhere, np.where(has_keys[look], share, 1.0), overall)


def _members(pairs: Pairs, group: Ints, look: Ints, bits: _Bits) -> tuple[Members, Floats, Floats]:
    """Return the pairs of groups that look alike, and the weights of those that could, and do.

    Args:
        pairs: All pairs.
        group: The groups, one or several times; -1 for one without pairs.
        look: The look that the pairs of each are compared with.
        bits: All looks.
    """
    begins = np.where(group >= 0, pairs.bounds[group], 0)
    sizes = np.where(group >= 0, pairs.bounds[group + 1] - begins, 0)
    place = np.repeat(np.arange(len(group)), sizes)
    pair = spans(begins, sizes)
    is_known, is_alike = bits.compare(look[place], pairs.look[pair])
    weight = pairs.weight[pair]
    known, same = (sums_of(place, np.where(chosen, weight, 0.0), len(group)) for chosen in (is_known, is_alike))
    bounds = np.concatenate([[0], np.cumsum(np.bincount(place[is_alike], minlength=len(group)))])
    return Members(pair[is_alike], bounds), known, same


def spans(begins: Ints, sizes: Ints) -> Ints:
    """Return the whole numbers from each begin on, so many of each, one span after another."""
    return np.repeat(begins - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())


class _Bits:
    """Looks of directories beside runs, and of pairs of siblings: sets of keys as bits."""

    def __init__(self, twins: Twins, looks: Sequence[Look]) -> None:
        names = sorted({key for keys, _ in twins.looks for key in keys} | {key for _, keys, _ in looks for key in keys})
        self._places = {key: place for place, key in enumerate(names)}
        self._wanted = self._pack(keys for _, keys, _ in looks)
        self._forbidden = self._pack(keys - allowed for _, keys, allowed in looks)
        self._logged = self._pack(keys for keys, _ in twins.looks)
        self._differing = self._pack(keys for _, keys in twins.looks)

    def _pack(self, sets: Iterable[frozenset[str]]) -> NDArray[np.uint8]:
        known: dict[frozenset[str], NDArray[np.uint8]] = {}
        rows = []
        for keys in sets:
            row = known.get(keys)
            if row is None:
                row = np.zeros(max(len(self._places), 1), np.bool_)
                row[[self._places[key] for key in keys]] = True
                row = known[keys] = np.packbits(row)
            rows.append(row)
        return np.array(rows, np.uint8).reshape(len(rows), (max(len(self._places), 1) + 7) // 8)

    def compare(self, look: Ints, other: Ints) -> tuple[Bools, Bools]:
        """Say of pairs of siblings whether they logged the keys of looks, and whether they look so as well.

        Args:
            look: Numbers of looks.
            other: Numbers of what pairs logged, and differ in.
        """
        is_known: Bools = ~np.any(self._wanted[look] & ~self._logged[other], axis=1)
        is_other: Bools = np.any(self._forbidden[look] & self._differing[other], axis=1)
        return is_known, is_known & ~is_other
