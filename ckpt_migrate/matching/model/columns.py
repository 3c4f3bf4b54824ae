"""Columns: the candidates of all directories as arrays, those of one directory beside each other.

What is computed for every pair is computed for all of them at once. A directory and a run are numbers here: a
directory its position among the cases, a run its place among all runs in the order of their ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LN_2 = float(np.log(2))


@dataclass(frozen=True, slots=True)
class Columns:
    """Pairs of directories and runs.

    Attributes:
        row: The directory of each pair; ascending.
        run: The run of each pair.
        rows: How many directories there are, with candidates or without.
        runs: How many runs there are.
    """

    row: Ints
    run: Ints
    rows: int
    runs: int

    @staticmethod
    def of(run_ids: Sequence[Sequence[str]], places: Mapping[str, int]) -> Columns:
        """Return the pairs of directories with candidates.

        Args:
            run_ids: Per directory, its candidates.
            places: The place of each run, by id.
        """
        row = np.repeat(np.arange(len(run_ids)), np.fromiter(map(len, run_ids), np.int64, len(run_ids)))
        run = np.fromiter(map(places.__getitem__, chain.from_iterable(run_ids)), np.int64, len(row))
        return Columns(row, run, len(run_ids), len(places))

    def row_sums(self, values: Floats) -> Floats:
        """Return the sum of a figure of pairs, per directory."""
        return sums_of(self.row, values, self.rows)

    def run_sums(self, values: Floats) -> Floats:
        """Return the sum of a figure of pairs, per run."""
        return sums_of(self.run, values, self.runs)

    def row_maxima(self, values: Floats) -> Floats:
        """Return the largest of a figure of pairs, per directory; minus infinity for one without candidates."""
        most = np.full(self.rows, -np.inf)
        if len(values):
            begins = np.flatnonzero(np.concatenate([[True], self.row[1:] != self.row[:-1]]))
            most[self.row[begins]] = np.maximum.reduceat(values, begins)
        return most

    def only(self, chosen: Bools | Ints) -> Columns:
        """Return some of the pairs."""
        return Columns(self.row[chosen], self.run[chosen], self.rows, self.runs)

    def with_owners(self, run: Ints) -> Columns:
        """Return the pairs with further directories behind the others, each of one run."""
        row = np.arange(self.rows, self.rows + len(run))
        return Columns(
            np.concatenate([self.row, row]), np.concatenate([self.run, run]), self.rows + len(run), self.runs
        )


def sums_of(place: Ints, values: Floats, count: int) -> Floats:
    """Return the sums of figures, per place, of so many places."""
    sums: Floats = np.bincount(place, weights=values, minlength=count).astype(np.float64, copy=False)
    return sums


def exp2(bits: Floats) -> Floats:
    """Return two to the power of so many bits."""
    return np.exp(bits * LN_2)


def grouped(numbers: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield each number that occurs, with the places where it does, ascending."""
    order = np.argsort(numbers, kind="stable")
    begins = np.flatnonzero(np.diff(numbers[order], prepend=numbers[order[:1]] - 1))
    for places in np.split(order, begins[1:]) if len(order) else ():
        yield int(numbers[places[0]]), places
