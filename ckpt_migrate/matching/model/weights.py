"""Weights: the scores of all candidates in arrays, gathered once for all that looks at every pair."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.model.columns import Columns
from ckpt_migrate.matching.model.pair import LARGEST_BITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.columns import Bools, Floats, Ints
    from ckpt_migrate.matching.model.pair import Score

_FIGURES = (
    *("prior", "reference", "content", "time", "mtime", "params", "metrics", "resume"),
    *("other_metric", "missed", "is_first"),
)
_read, _read_id = attrgetter(*_FIGURES), attrgetter("run_id")


@dataclass(frozen=True, slots=True)
class Weights:
    """The scores of all cases, a figure for each pair; those of a later change must be gathered anew.

    Attributes:
        scores: All scores, those of one case beside each other.
        columns: Their directories and runs.
        prior: As `Score.prior`, and so on with the others that bear an attribute's name.
    """

    scores: Sequence[Score]
    columns: Columns
    prior: Floats
    reference: Floats
    content: Floats
    time: Floats
    mtime: Floats
    params: Floats
    metrics: Floats
    resume: Floats
    other_metric: Floats
    missed: Floats
    is_first: Bools

    @property
    def evidence(self) -> Floats:
        """The sum of all families, added in the order in which a score adds them: the same to the last bit."""
        early: Floats = self.reference + self.content + self.time + self.mtime
        return early + self.params + self.metrics + self.resume

    @property
    def bits(self) -> Floats:
        """The total weight, as `Score.bits`."""
        return np.clip(self.prior + self.evidence, -LARGEST_BITS, LARGEST_BITS)

    @property
    def begins(self) -> Ints:
        """Where the candidates of each case with any begin."""
        return np.flatnonzero(np.diff(self.columns.row, prepend=-1))

    def only(self, chosen: Bools | Ints) -> Weights:
        """Return the weights of some of the pairs, or of all in another order of those of each case."""
        places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        scores = [self.scores[place] for place in places.tolist()]
        figures = {name: getattr(self, name)[places] for name in _FIGURES}
        return Weights(scores, self.columns.only(places), **figures)


def gather(cases: Sequence[Case], places: Mapping[str, int]) -> Weights:
    """Return the weights of all cases.

    Args:
        cases: The cases.
        places: The place of each run among all, by run id.
    """
    scores, columns = pairs_of(cases, places)
    total = len(scores) * len(_FIGURES)
    table = np.fromiter(chain.from_iterable(map(_read, scores)), np.float64, total).reshape(-1, len(_FIGURES))
    figures = dict(zip(_FIGURES, table.T.copy(), strict=True))
    return Weights(scores, columns, **{**figures, "is_first": figures["is_first"] > 0})


def pairs_of(cases: Sequence[Case], places: Mapping[str, int]) -> tuple[list[Score], Columns]:
    """Return the scores of all cases, and their directories and runs; arguments as for `gather`."""
    scores = [one for case in cases for one in case.scores]
    row = np.repeat(np.arange(len(cases)), np.array([len(case.scores) for case in cases], np.int64))
    run = np.fromiter(map(places.__getitem__, map(_read_id, scores)), np.int64, len(scores))
    return scores, Columns(row, run, len(cases), len(places))


def rank(cases: Sequence[Case], weights: Weights) -> tuple[list[Case], Weights]:
    """Return cases, and the weights of all their candidates, with the candidates in order; as `cases.ranked`."""
    row, out = weights.columns.row, list(cases)
    order = np.lexsort((weights.columns.run, -weights.bits, row))  # runs lie in the order of their ids
    moved = np.unique(row[order != np.arange(len(order))])
    if not len(moved):
        return out, weights
    weights = weights.only(order)
    begins = np.searchsorted(row, moved).tolist()
    for position, begin in zip(moved.tolist(), begins, strict=True):
        end = begin + len(out[position].scores)
        out[position] = out[position]._replace(scores=tuple(weights.scores[begin:end]))
    return out, weights
