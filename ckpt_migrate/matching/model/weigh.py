"""Weighing: the match weights of all pairs, by every family that needs no second look."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.families.compare import compare
from ckpt_migrate.matching.families.params import most_param_bits, param_bits
from ckpt_migrate.matching.families.references import reference_bits
from ckpt_migrate.matching.families.timing import are_first, end_bits, time_bits
from ckpt_migrate.matching.model.cases import ranked
from ckpt_migrate.matching.model.columns import Columns
from ckpt_migrate.matching.model.pair import LARGEST_BITS, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.columns import Floats, Ints
    from ckpt_migrate.matching.model.pair import Seen, World


SKIPPED_BITS = 30.0
"""A run this far behind the best, with references and without, is no candidate: no metric can help it."""


def weigh_all(
    directories: Sequence[Seen], candidates: Sequence[Sequence[str]], world: World
) -> list[tuple[Score, ...]]:
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
        Per checkpoint, its candidates.
    """
    columns = Columns.of(candidates, world.strata.places)
    row, run = columns.row, columns.run
    in_store = math.log2(world.strata.in_store / (1 - world.strata.in_store))
    prior = world.priors[run] + in_store
    reference = _reference_bits(directories, candidates, world.run_total)
    time, mtime = time_bits(world.times, row, run, world), end_bits(world.times, row, run, world)
    looks = _Looks(directories, columns, world, (prior, reference, time, mtime))
    apart = world.index.count_apart([one.config for one in directories], row, run)
    highest = looks.early + np.maximum(-LARGEST_BITS, looks.most[row] + apart * world.differences.mildest)
    highest = np.maximum(-LARGEST_BITS, highest)
    is_first = highest >= columns.row_maxima(highest)[row]
    looks.look_at(np.flatnonzero(is_first))
    best, least = looks.leads()
    is_open = (highest >= least[row]) | (highest - reference >= best[row])
    looks.look_at(np.flatnonzero(is_open & ~is_first))
    return looks.near()


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
        self._scores: dict[int, Score] = {}

    def look_at(self, places: Ints) -> None:
        """Compare the params of some pairs."""
        directories, world = self._directories, self._world
        run_ids, params, telling = world.index.run_ids, world.params, world.index.telling
        rows, runs, most = self._columns.row[places], self._columns.run[places], self.most
        families = [family[places].tolist() for family in self._families]
        found = []
        for place, row, run, *early in zip(places.tolist(), rows.tolist(), runs.tolist(), *families, strict=True):
            one = self._scores[place] = Score(run_ids[run], early[0], early[1], 0.0, early[2], early[3])
            config = directories[row].config
            one.comparison = compare(config, params[one.run_id], telling)
            one.params = param_bits(config, one.comparison, world, most[row])
            found.append(one.params)
        self._params[places] = found
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
        order = np.lexsort((self._columns.run[chosen], -bits[chosen], row[chosen]))
        found: list[list[Score]] = [[] for _ in self._directories]
        for place, position in zip(chosen[order].tolist(), row[chosen[order]].tolist(), strict=True):
            found[position].append(self._scores[place])
        return [tuple(mine) for mine in found]

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


def weigh_again(cases: Sequence[Case], world: World) -> list[Case]:
    """Weigh the candidates of checkpoints again with what has been learned, best first.

    Of params, of ends of runs and of stamps in their names is learned; all else is as it was.

    Args:
        cases: All checkpoints with their weights so far, which are changed.
        world: The shared facts.
    """
    columns = Columns.of([[one.run_id for one in case.scores] for case in cases], world.strata.places)
    row, run, times = columns.row, columns.run, world.times
    scores = [one for case in cases for one in case.scores]
    mtimes, firsts = end_bits(times, row, run, world), are_first(times, row, run)
    for one, mtime, is_first in zip(scores, mtimes.tolist(), firsts.tolist(), strict=True):
        one.mtime, one.is_first = mtime, is_first
    named = np.flatnonzero(~np.isnan(times.runs.named_s[run]))
    for place, time in zip(named.tolist(), time_bits(times, row[named], run[named], world).tolist(), strict=True):
        scores[place].time = time
    out = []
    for case in cases:
        config = case.seen.config.without(world.drifting) if world.drifting else case.seen.config
        if config is not case.seen.config:
            case = replace(case, seen=replace(case.seen, config=config))  # noqa: PLW2901 - the same case from here on
            for one in case.scores:
                one.comparison = compare(config, world.params[one.run_id], world.index.telling)
        most = most_param_bits(config, world)
        for one in case.scores:
            one.params = param_bits(config, one.comparison, world, most)
        out.append(ranked(case))
    return out
