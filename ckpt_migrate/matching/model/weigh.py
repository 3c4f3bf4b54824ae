"""Weighing: the match weights of all pairs, by every family that needs no second look."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.families.compare import agreeing_throughout, compare
from ckpt_migrate.matching.families.params import most_param_bits, param_bits
from ckpt_migrate.matching.families.references import reference_bits
from ckpt_migrate.matching.families.timing import are_first, end_bits, time_bits
from ckpt_migrate.matching.model.columns import Columns
from ckpt_migrate.matching.model.pair import LARGEST_BITS, Score
from ckpt_migrate.matching.model.weights import pairs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.families.compare import Comparison
    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.columns import Floats, Ints
    from ckpt_migrate.matching.model.pair import Seen, World


SKIPPED_BITS = 30.0
"""A run this far behind the best, with references and without, is no candidate: no metric can help it."""


def weigh_all(
    directories: Sequence[Seen], candidates: Sequence[Sequence[str]], world: World
) -> tuple[list[tuple[Score, ...]], Floats]:
    """Weigh all candidates of checkpoints that can be their runs, best first, params included.

    In a burst dozens of runs start near a stamp, and nearly all differ from the config in several params. How many
    those are at the least is counted for all; what that leaves of a weight at the most decides who is looked at. Of
    each checkpoint the candidate with the most is looked at first, and then only those that could come near it, even
    if all that has not been looked at spoke for them as strongly as it may.

    Args:
        directories: All checkpoints, in order.
        candidates: Ids of the runs that each is compared with.
        world: The shared facts.

    Returns:
        Per checkpoint, its candidates, and the most that params can say for any run.
    """
    columns = Columns.of(candidates, world.strata.places)
    row, run = columns.row, columns.run
    in_store = math.log2(world.strata.in_store / (1 - world.strata.in_store))
    prior = world.priors[run] + in_store
    reference = _reference_bits(directories, candidates, world.run_total)
    time, mtime = time_bits(world.times, row, run, world), end_bits(world.times, row, run, world)
    looks = _Looks(directories, columns, world, (prior, reference, time, mtime))
    apart, is_throughout = world.index.count_apart([one.config for one in directories], row, run)
    looks.know(np.flatnonzero(is_throughout))
    highest = looks.early + np.maximum(-LARGEST_BITS, looks.most[row] + apart * world.differences.mildest)
    highest = np.maximum(-LARGEST_BITS, highest)
    is_first = highest >= columns.row_maxima(highest)[row]
    looks.look_at(np.flatnonzero(is_first))
    best, least = looks.leads()
    is_open = (highest >= least[row]) | (highest - reference >= best[row])
    looks.look_at(np.flatnonzero(is_open & ~is_first))
    return looks.near(), looks.most


class _Looks:
    """Params of pairs, as far as they have been looked at."""

    def __init__(
        self, directories: Sequence[Seen], columns: Columns, world: World, families: tuple[Floats, ...]
    ) -> None:
        self._directories, self._columns, self._world, self._families = directories, columns, world, families
        self.most = np.array([most_param_bits(one.config, world) for one in directories])
        self._reference = families[1]
        self.early = sum(families[1:], families[0])
        self._params = np.zeros(len(columns.row))
        self._is_known = np.zeros(len(columns.row), np.bool_)
        self._is_throughout = np.zeros(len(columns.row), np.bool_)
        self._comparisons: dict[int, Comparison] = {}

    def know(self, places: Ints) -> None:
        """Take the params of some pairs for agreeing throughout; they are looked at all the same."""
        self._is_throughout[places] = True

    def look_at(self, places: Ints) -> None:
        """Compare the params of some pairs."""
        directories, world, row = self._directories, self._world, self._columns.row
        agreeing = places[self._is_throughout[places]]
        whole = np.array([world.differences.whole_log2(directories[own].config) for own in row[agreeing].tolist()])
        self._params[agreeing] = np.maximum(whole + self.most[row[agreeing]], -LARGEST_BITS)
        for place in places[~self._is_throughout[places]].tolist():
            config = directories[row[place]].config
            logged = world.params[world.index.run_ids[self._columns.run[place]]]
            comparison = self._comparisons[place] = compare(config, logged, world.index.telling)
            self._params[place] = param_bits(config, comparison, world, self.most[row[place]])
        self._is_known[places] = True

    def leads(self) -> tuple[Floats, Floats]:
        """Return how good a candidate must be, per checkpoint: without references, and with them."""
        best = self._columns.row_maxima(np.where(self._is_known, self._plain + self._params, -np.inf))
        least = self._columns.row_maxima(np.where(self._is_known, self._bits, -np.inf))
        return best - SKIPPED_BITS, least - SKIPPED_BITS

    def near(self) -> list[tuple[Score, ...]]:
        """Return the candidates that are left, best first."""
        best, least = self.leads()
        row, bits = self._columns.row, self._bits
        # A candidate far behind for its params alone is near enough with a reference, and only so.
        could = (self._reference > 0) | (self._plain + self.most[row] >= best[row])
        is_near = (bits - self._reference >= best[row]) | ((bits >= least[row]) & could)
        chosen = np.flatnonzero(is_near & self._is_known)
        chosen = chosen[np.lexsort((self._columns.run[chosen], -bits[chosen], row[chosen]))]
        scores = self._scores(chosen)
        bounds = np.searchsorted(row[chosen], np.arange(len(self._directories) + 1)).tolist()
        return [tuple(scores[begin:end]) for begin, end in pairwise(bounds)]

    def _scores(self, places: Ints) -> list[Score]:
        """Return the scores of some pairs."""
        run_ids, comparisons, directories = self._world.index.run_ids, self._comparisons, self._directories
        columns = [self._columns.row, self._columns.run, *self._families, self._params]
        figures = [column[places].tolist() for column in columns]
        scores = []
        for place, row, run, prior, reference, time, mtime, params in zip(places.tolist(), *figures, strict=True):
            comparison = comparisons.get(place) or agreeing_throughout(len(directories[row].config.canonicals))
            one = Score(run_ids[run], prior, reference, 0.0, time, mtime, params, comparison=comparison)
            scores.append(one)
        return scores

    @property
    def _plain(self) -> Floats:
        """The weight without references and params."""
        return np.clip(self.early, -LARGEST_BITS, LARGEST_BITS) - self._reference

    @property
    def _bits(self) -> Floats:
        return np.clip(self.early + self._params, -LARGEST_BITS, LARGEST_BITS)


def _reference_bits(directories: Sequence[Seen], candidates: Sequence[Sequence[str]], run_total: int) -> Floats:
    """Return the weight of references, per pair."""
    bits: list[float] = []
    for one, run_ids in zip(directories, candidates, strict=True):
        if not one.references:
            bits += [0.0] * len(run_ids)
            continue
        named = {reference.run_id for reference in one.references}
        unnamed = reference_bits(one.references, "", run_total)
        bits += [
            reference_bits(one.references, run_id, run_total) if run_id in named else unnamed for run_id in run_ids
        ]
    return np.array(bits)


def weigh_again(cases: Sequence[Case], most: Floats, world: World) -> list[Case]:
    """Weigh the candidates of checkpoints again with what has been learned; their order stays.

    Of params, of ends of runs and of stamps in their names is learned; all else is as it was.

    Args:
        cases: All checkpoints with their weights so far, which are changed.
        most: What params could say for any run, per checkpoint, with all keys.
        world: The shared facts.
    """
    scores, columns = pairs_of(cases, world.strata.places)
    row, run, times = columns.row, columns.run, world.times
    mtimes, firsts = end_bits(times, row, run, world), are_first(times, row, run)
    for one, mtime, is_first in zip(scores, mtimes.tolist(), firsts.tolist(), strict=True):
        one.mtime, one.is_first = mtime, is_first
    named = np.flatnonzero(~np.isnan(times.runs.named_s[run]))
    for place, time in zip(named.tolist(), time_bits(times, row[named], run[named], world).tolist(), strict=True):
        scores[place].time = time
    out = []
    for case, most_bits in zip(cases, most.tolist(), strict=True):
        config = case.seen.config.without(world.drifting) if world.drifting else case.seen.config
        if world.drifting:
            most_bits = most_param_bits(config, world)  # noqa: PLW2901 - some keys, and kinds, are out of it
        if config is not case.seen.config:
            case = case._replace(seen=replace(case.seen, config=config))  # noqa: PLW2901 - the same case from here on
            for one in case.scores:
                one.comparison = compare(config, world.params[one.run_id], world.index.telling)
        for one in case.scores:
            one.params = param_bits(config, one.comparison, world, most_bits)
        out.append(case)
    return out
