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

from ckpt_migrate.matching.families.stamps import is_at_start, is_first, is_inside, learn_further, time_bits
from ckpt_migrate.matching.model.cases import ranked
from ckpt_migrate.matching.model.sharing import share_out

_LATER = "it was resumed from"

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import Score, World
    from ckpt_migrate.tracking.records import Run

SAME_RUN = 0.5
"""Chance that a config that names a directory to resume from is of the same run, as far as the name goes."""
ROUNDS = 2
"""How often what one directory has learned is handed on: three directories are two steps."""
SURE = 0.9
"""Probability from which a directory counts when resumes are counted."""
SUREST = 0.999
"""No directory's run is taken to be surer than this when it vouches for another."""


def learn_resumes(cases: Sequence[Case], runs: Mapping[str, Run], world: World) -> tuple[list[Case], World]:
    """Learn from plain resumes how often runs are taken up again, and weigh all with it; see `add_resumes`."""
    found = add_resumes(cases, runs, world.further)
    sure = [case.scores[0] for case in found if case.scores and case.shares()[case.scores[0].run_id] >= SURE]
    further = sum(1 for one in sure if one.resume > 0 and one.words["resume"].startswith(_LATER))
    world = replace(world, further=learn_further(further, len(sure) - further))
    for case in found:
        for one in case.scores:
            if not is_first(case.seen, runs[one.run_id]):
                one.time = time_bits(case.seen, runs[one.run_id], world)
    return add_resumes([ranked(case) for case in found], runs, world.further), world


def add_resumes(cases: Sequence[Case], runs: Mapping[str, Run], further: float) -> list[Case]:
    """Let directories that resume from each other speak for each other's runs; rank the candidates again.

    Args:
        cases: All cases.
        runs: All runs by id.
        further: Directories made when a run was taken up again, per run.
    """
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
        later_ones = [
            {run_id for run_id in odds if not is_first(case.seen, runs[run_id])}
            for case, odds in ((case, case.odds()) for case in out)
        ]
        shares = share_out([case.odds() for case in out], later_ones)
        for later, earlier in links:
            pair = (out[later], out[earlier])
            _link(pair, (shares[later], shares[earlier]), runs, named_factor=SAME_RUN * len(cases), further=further)
        for position in concerned:
            out[position] = ranked(out[position])
    return out


def _link(
    pair: tuple[Case, Case],
    shares: tuple[Mapping[str, float], Mapping[str, float]],
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
        if _say(one, shares[1].get(one.run_id, 0.0), factor, f"{_LATER} {_name(earlier)}"):
            one.earlier = earlier.checkpoint.path
        _say(before[one.run_id], shares[0].get(one.run_id, 0.0), named_factor, f"it was resumed in {_name(later)}")


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
