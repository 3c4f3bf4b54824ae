"""Steps: the last training step that a directory's files tell, against the last that a run logged."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.families.histories import Histories
    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import Score, World

PRIOR_OUTCOMES: Mapping[str, float] = {"last": 1.0, "inside": 0.6, "beyond": 0.1}
"""What is taken for known of true pairs before any is seen: the step is mostly the last that was logged."""
PRIOR_ACCIDENTS: Mapping[str, float] = {"last": 1.0, "inside": 0.5, "beyond": 0.5}
"""The same for a directory and a run that have nothing to do with each other but their params."""
MOST_AGREEING = 64
"""Runs with the directory's params whose last steps are looked at."""
STEP_OFFSETS = (0, 1)
"""A framework counts the step that it has done, or the one that comes next."""


def add_steps(cases: Sequence[Case], world: World, histories: Histories) -> None:
    """Add what the last step says to the metrics of the best candidates of each case."""
    lasts: dict[str, int] = {}
    seen: Counter[str] = Counter()
    asking = [case for case in cases if case.seen.last_step is not None]
    for case in asking:
        for run_id in {one.run_id for one in case.worth} | ({case.plain} if case.plain else set()):
            last = histories.of(run_id).last_step
            if last is not None:
                lasts[run_id] = last
        if case.plain in lasts:
            seen[outcome(case.seen.last_step, lasts[case.plain])] += 1
    for case in asking:
        for one in case.worth:
            if one.run_id in lasts:
                _weigh(one, case, lasts, seen, world)


def outcome(step: int | None, last: int) -> str:
    """Return how a directory's last step lies to a run's: `last`, `inside` or `beyond`.

    >>> outcome(590, 589), outcome(590, 1179), outcome(590, 100)
    ('last', 'inside', 'beyond')
    """
    ahead = (step or 0) - last
    if ahead in STEP_OFFSETS:
        return "last"
    return "inside" if ahead < 0 else "beyond"


def _weigh(one: Score, case: Case, lasts: Mapping[str, int], seen: Counter[str], world: World) -> None:
    found = outcome(case.seen.last_step, lasts[one.run_id])
    likely = (seen[found] + PRIOR_OUTCOMES[found]) / (seen.total() + sum(PRIOR_OUTCOMES.values()))
    accidents = _accidents(one, case, lasts, world)
    total = accidents.total() + sum(PRIOR_ACCIDENTS.values())
    bits = math.log2(likely * total / (accidents[found] + PRIOR_ACCIDENTS[found]))
    one.metrics += bits
    told = {"last": "is the last", "inside": "lies before the last", "beyond": "lies after the last"}
    words = f"step {case.seen.last_step:,} {told[found]} that the run logged"
    one.words["metrics"] = f"{one.words['metrics']}; {words}" if "metrics" in one.words else words


def _accidents(one: Score, case: Case, lasts: Mapping[str, int], world: World) -> Counter[str]:
    """Return the outcomes with other runs: those of the same params, or all where the directory tells none."""
    if case.seen.config:
        agreeing = world.index.agreeing(case.seen.config, MOST_AGREEING)
        others = [lasts[run_id] for run_id in agreeing if run_id in lasts and run_id != one.run_id]
    else:
        others = [last for run_id, last in sorted(lasts.items())[:MOST_AGREEING] if run_id != one.run_id]
    return Counter(outcome(case.seen.last_step, last) for last in others)
