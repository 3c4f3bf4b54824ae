"""Resumes: directories that were made when a run was taken up again.

A config that says `resume_from: .../<old directory>/last.ckpt` names another run's directory, or an earlier one of the
same run. Which of the two follows from the stamp: where it lies well within the run that the earlier directory began,
and not at any run's start, the run was taken up again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ckpt_migrate.matching.families.stamps import is_at_start, is_inside, learn_further
from ckpt_migrate.matching.families.timing import time_bits
from ckpt_migrate.matching.model.cases import counts_at_all, ranked
from ckpt_migrate.matching.model.columns import exp2
from ckpt_migrate.matching.model.sharing import divide, share_out
from ckpt_migrate.matching.model.weights import gather, rank

_LATER = "it was resumed from"

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import Score, World
    from ckpt_migrate.matching.model.weights import Weights
    from ckpt_migrate.tracking.records import Run

SAME_RUN = 0.5
"""Chance that a config that names a directory to resume from is of the same run, as far as the name goes."""
ROUNDS = 2
"""How often what one directory has learned is handed on: three directories are two steps."""
SURE = 0.9
"""Probability from which a directory counts when resumes are counted."""
SUREST = 0.999
"""No directory's run is taken to be surer than this when it vouches for another."""


def learn_resumes(cases: Sequence[Case], runs: Mapping[str, Run], world: World) -> tuple[list[Case], Weights, World]:
    """Learn from plain resumes how often runs are taken up again, and weigh all with it; see `add_resumes`.

    Args:
        cases: All cases, their candidates in any order.
        runs: All runs by id.
        world: The shared facts.

    Returns:
        The cases with their candidates in order, the weights of all of these, and the facts with what was learned.
    """
    found, weights = rank(cases, gather(cases, world.strata.places))
    if _resumed(cases):
        found = add_resumes(found, runs, world)
        weights = gather(found, world.strata.places)
    columns, begins = weights.columns, weights.begins
    sure = begins[divide(columns, exp2(weights.bits))[begins] >= SURE]
    told = [weights.scores[place].words["resume"] for place in sure[weights.resume[sure] > 0].tolist()]
    resumed = sum(words.startswith(_LATER) for words in told)
    world = replace(world, further=learn_further(resumed, len(sure) - resumed))
    further = np.flatnonzero(~weights.is_first)
    weights.time[further] = time_bits(world.times, columns.row[further], columns.run[further], world)
    for place, time in zip(further.tolist(), weights.time[further].tolist(), strict=True):
        weights.scores[place].time = time
    found, weights = rank(found, weights)
    if _resumed(cases):
        found = add_resumes(found, runs, world)
        weights = gather(found, world.strata.places)
    return found, weights, world


def _resumed(cases: Iterable[Case]) -> bool:
    """Say whether any directory says that it was resumed from another."""
    return any(case.seen.resumed_from for case in cases)


def add_resumes(cases: Sequence[Case], runs: Mapping[str, Run], world: World) -> list[Case]:
    """Let directories that resume from each other speak for each other's runs; rank the candidates again.

    Args:
        cases: All cases.
        runs: All runs by id.
        world: The shared facts.
    """
    if not _resumed(cases):
        return list(cases)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for position, case in enumerate(cases):
        if case.checkpoint.uid:
            places[case.checkpoint.uid].append(position)
    links = [
        (position, earlier)
        for position, case in enumerate(cases)
        for uid in sorted(set(case.seen.resumed_from))
        for earlier in places.get(uid, ())
        if earlier != position and len(places[uid]) == 1
    ]
    concerned = sorted({position for link in links for position in link})
    out = list(cases)
    for _ in range(ROUNDS if links else 0):
        shares = _shares(out, world)
        for later, earlier in links:
            pair = (out[later], out[earlier])
            _link(pair, shares, runs, named_factor=SAME_RUN * len(cases), further=world.further)
        for position in concerned:
            out[position] = ranked(out[position])
    return out


def _shares(cases: Sequence[Case], world: World) -> dict[tuple[str, str], float]:
    """Return the probability of each pair, by path and run id, when each run is given away once."""
    weights = gather(cases, world.strata.places)
    weights = weights.only(counts_at_all(weights.columns, weights.bits))
    shares = share_out(weights.columns, exp2(weights.bits), ~weights.is_first)
    paths = [cases[row].seen.path for row in weights.columns.row.tolist()]
    return {(path, one.run_id): share for path, one, share in zip(paths, weights.scores, shares.tolist(), strict=True)}


def _link(
    pair: tuple[Case, Case],
    shares: Mapping[tuple[str, str], float],
    runs: Mapping[str, Run],
    *,
    named_factor: float,
    further: float,
) -> None:
    """Weigh the name of an earlier directory: an orphan names any of the directories, a further part just this one."""
    later, earlier = pair
    before = {one.run_id: one for one in earlier.scores}
    for one in later.scores:
        run = runs[one.run_id]
        if one.run_id not in before or not is_inside(later.seen, run) or is_at_start(later.seen, run):
            continue
        goes_before = is_at_start(earlier.seen, run) or is_inside(earlier.seen, run)
        after, before_it = later.seen.local, earlier.seen.local
        if after is None or before_it is None or after <= before_it or not goes_before:
            continue
        factor = named_factor * max(SAME_RUN / further, 1.0)
        if _say(one, shares.get((earlier.seen.path, one.run_id), 0.0), factor, f"{_LATER} {_name(earlier)}"):
            one.earlier = earlier.checkpoint.path
        _say(
            before[one.run_id],
            shares.get((later.seen.path, one.run_id), 0.0),
            named_factor,
            f"it was resumed in {_name(later)}",
        )


def _name(case: Case) -> str:
    return f"{case.checkpoint.basename}, which fits the same run"


def _say(one: Score, share: float, factor: float, words: str) -> bool:
    """Let a directory vouch for a pair; say whether none has done so more strongly."""
    bits = math.log2(1 + min(share, SUREST) * max(factor - 1, 0.0))
    if bits <= one.resume:
        return False
    one.resume, one.earlier = bits, ""
    one.words["resume"] = words
    return True
