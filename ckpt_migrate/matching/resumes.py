"""Resumes: directories that were made when a run was taken up again.

A config that says `resume_from: .../<old directory>/last.ckpt` names another run's directory, or an earlier one of the
same run. Which of the two follows from the stamp: where it lies well within the run that the earlier directory began,
and not at any run's start, the run was taken up again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

from ckpt_migrate.matching.cases import ranked
from ckpt_migrate.matching.stamps import FURTHER_CHECKPOINT, is_at_start, is_inside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.cases import Case
    from ckpt_migrate.matching.model import Score
    from ckpt_migrate.tracking.records import Run

SAME_RUN = 0.5
"""Chance that a config that names a directory to resume from is of the same run, as far as the name goes."""
ROUNDS = 2
"""How often what one directory has learned is handed on: three directories are two steps."""
SUREST = 0.999
"""No directory's run is taken to be surer than this when it vouches for another."""


def add_resumes(cases: Sequence[Case], runs: Mapping[str, Run]) -> tuple[list[Case], dict[int, set[int]]]:
    """Let directories that resume from each other speak for each other's runs; rank the candidates again.

    Returns:
        The cases, and by position those that may share a run with each, for it was taken up again.
    """
    places: defaultdict[str, list[int]] = defaultdict(list)
    for position, case in enumerate(cases):
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
        shares = {position: out[position].shares() for position in concerned}
        for later, earlier in links:
            _link(out[later], out[earlier], shares[later], shares[earlier], runs=runs, directories=len(cases))
        for position in concerned:
            out[position] = ranked(out[position])
    kin: defaultdict[int, set[int]] = defaultdict(set)
    for later, earlier in links:
        speaking = {one.run_id for one in out[later].scores if one.resume > 0}
        if any(one.resume > 0 and one.run_id in speaking for one in out[earlier].scores):
            kin[later].add(earlier)
            kin[earlier].add(later)
    return out, dict(kin)


def _link(
    later: Case,
    earlier: Case,
    of_later: Mapping[str, float],
    of_earlier: Mapping[str, float],
    *,
    runs: Mapping[str, Run],
    directories: int,
) -> None:
    """Weigh the name of an earlier directory: an orphan names any of the directories, a further part just this one."""
    named_bits = SAME_RUN * directories
    before = {one.run_id: one for one in earlier.scores}
    for one in later.scores:
        run = runs[one.run_id]
        if one.run_id not in before or not is_inside(later.seen, run) or is_at_start(later.seen, run):
            continue
        if later.seen.local <= earlier.seen.local or not (
            is_at_start(earlier.seen, run) or is_inside(earlier.seen, run)
        ):
            continue
        _say(one, of_earlier[one.run_id], named_bits * SAME_RUN / FURTHER_CHECKPOINT, earlier, "it was resumed from")
        _say(before[one.run_id], of_later[one.run_id], named_bits, later, "it was resumed in")


def _say(one: Score, share: float, factor: float, other: Case, words: str) -> None:
    one.resume = max(one.resume, math.log2(1 + min(share, SUREST) * max(factor - 1, 0.0)))
    one.words["resume"] = f"{words} {other.checkpoint.basename}, which fits the same run"
