"""Simple ways of matching, to measure against; each is given the true time zone, which is generous to it."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ckpt_migrate.evidence.records import Evidence, FactKind
from ckpt_migrate.records import State
from evaluation.outcomes import Answer

if TYPE_CHECKING:
    from worlds import World

    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run

LONGEST_LAG_S = 60.0
"""Farthest start that is still taken for the run's, seconds; real lags reach 31."""


def nearest_start(world: World) -> list[Answer]:
    """Rename every legacy directory to the run that started nearest to its stamp, within a minute."""
    answers = []
    for checkpoint, ranked in _near_runs(world):
        run_id = ranked[0].run_id if ranked else None
        answers.append(Answer(checkpoint.path, run_id, None))
    return answers


def nearest_with_params(world: World) -> list[Answer]:
    """Rename to the run, of those that started within a minute, that differs in the fewest params, then the nearest."""
    answers = []
    for checkpoint, ranked in _near_runs(world):
        written = _params(world.evidence.get(checkpoint.path, Evidence()))
        details = world.store.details([run.run_id for run in ranked])
        differing = [
            sum(written.get(_last(key), text) != text for key, text in details[run.run_id].params.items())
            for run in ranked
        ]
        best = ranked[differing.index(min(differing))].run_id if ranked else None
        answers.append(Answer(checkpoint.path, best, None))
    return answers


def _near_runs(world: World) -> list[tuple[Checkpoint, list[Run]]]:
    """Return each legacy directory with the runs that started within a minute of its stamp, nearest first."""
    started = sorted(
        (run.start_utc_ms / 1000, run.run_id, run) for run in world.store.runs() if run.start_utc_ms is not None
    )
    starts_s = [start_s for start_s, _, _ in started]
    found = []
    for checkpoint in world.checkpoints:
        if checkpoint.state is not State.LEGACY or checkpoint.name is None or checkpoint.name.local_time is None:
            continue
        zone = ZoneInfo(world.zones[checkpoint.path])
        stamp_s = checkpoint.name.local_time.replace(tzinfo=zone).timestamp()
        low = bisect.bisect_left(starts_s, stamp_s - LONGEST_LAG_S)
        high = bisect.bisect_right(starts_s, stamp_s + LONGEST_LAG_S)
        near = sorted(started[low:high], key=lambda each: (abs(each[0] - stamp_s), each[1]))
        found.append((checkpoint, [run for _, _, run in near]))
    return found


def _params(evidence: Evidence) -> dict[str, str]:
    return {_last(fact.key): str(fact.value) for fact in evidence.facts if fact.kind is FactKind.PARAM}


def _last(key: str) -> str:
    return key.replace(".", "/").rpartition("/")[2]
