"""Drift: which keys differ between a config and its own run's log, learned from pairs that are plain without them."""

from __future__ import annotations

import bisect
from collections import Counter
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock.zones import local_seconds
from ckpt_migrate.matching.families.params import KIND, key_difference
from ckpt_migrate.matching.families.references import named_runs
from ckpt_migrate.matching.model.cases import leads_by_time
from ckpt_migrate.matching.model.twins import NEAR_WINDOW_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import Score
    from ckpt_migrate.tracking.records import Run

MOST_TEACHERS = 500
"""Pairs that teach, evenly spread over all: a key that drifts does so in every second pair."""
MOST_NEAR = 16
"""Of a launch of thousands, the nearest on each side say whether it varies a key."""
_SHOWN = 6


def learn_drift(
    cases: Sequence[Case], runs: Mapping[str, Run], params: Mapping[str, Params]
) -> tuple[dict[str, float], frozenset[str]]:
    """Return, per key, the chance that it differs in a true pair, and the keys that drift.

    A pair that is plain by its times alone may be a near miss: the sibling of a run that is gone. It differs in just
    what its launch varies, on both sides; such a difference is not counted. One that is plain because it alone agrees
    does not teach of the keys by which it does.

    Args:
        cases: All checkpoints with their candidates.
        runs: All runs by id.
        params: What they logged, by id.
    """
    agreed: Counter[str] = Counter()
    differed: Counter[str] = Counter()
    chosen: Counter[str] = Counter()
    launches = _Launches(cases, runs, params)
    for case, teacher in _teachers(cases):
        keys, differing = teacher.comparison.keys(case.seen.config), set(teacher.comparison.differing)
        agreeing = keys - differing
        if not named_runs(case.seen.references):
            differing = {key for key in differing if not launches.vary(key, case, runs[teacher.run_id])}
            chosen.update(found := set() if leads_by_time(case.scores) else agreeing & _telling_apart(case))
            agreeing -= found
        agreed.update(agreeing)
        differed.update(differing)
        (differed if teacher.comparison.unlike else agreed)[KIND] += 1
    learned = {
        key: key_difference(agreed[key], differed[key], chosen[key])
        for key in agreed.keys() | differed.keys() | chosen.keys()
    }
    drifting = frozenset(key for key, (_, is_drifting) in learned.items() if is_drifting and key != KIND)
    return {key: chance for key, (chance, _) in learned.items()}, drifting


def drift_note(drifting: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence for people about the keys that are not compared because they drift; none for none."""
    keys = sorted(drifting)
    if not keys:
        return ()
    more = f" and {len(keys) - _SHOWN:,} more" if len(keys) > _SHOWN else ""
    shown = ", ".join(keys[:_SHOWN])
    return (f"not compared, because configs differ in them from the log of their own runs: {shown}{more}",)


def _teachers(cases: Iterable[Case]) -> list[tuple[Case, Score]]:
    """Return plain pairs: of several directories with one run those that a reference names, or that lie nearest."""
    found: dict[str, tuple[Case, Score]] = {}
    named = []
    for case in cases:
        teacher = next((one for one in case.scores if one.run_id == case.plain), None)
        if teacher is None:
            continue
        known = found.get(teacher.run_id)
        if named_runs(case.seen.references):
            named.append((case, teacher))
        elif known is None or teacher.time > known[1].time:
            found[teacher.run_id] = (case, teacher)
    plain = [*named, *found.values()]
    count = min(len(plain), MOST_TEACHERS)
    return [plain[i * len(plain) // count] for i in range(count)]


def _telling_apart(case: Case) -> set[str]:
    """Return the keys that alone set a rival aside."""
    return {one.comparison.differing[0] for one in case.scores if len(one.comparison.differing) == 1}


class _Launches:
    """What lies near in time: runs by their starts, directories by their stamps."""

    def __init__(self, cases: Iterable[Case], runs: Mapping[str, Run], params: Mapping[str, Params]) -> None:
        self._params = params
        self._configs = {case.seen.path: case.seen.config for case in cases}
        self._starts = sorted((run.start_utc_ms / 1000, run.run_id) for run in runs.values() if run.start_utc_ms)
        self._stamps = sorted((_stamped_s(case), case.seen.path) for case in cases if case.seen.local is not None)

    def vary(self, key: str, case: Case, run: Run) -> bool:
        """Say whether runs near a run, and directories near a directory, have several values of a key."""
        near = _near(self._starts, (run.start_utc_ms or 0) / 1000)
        if len(_values(key, [self._params[run_id] for run_id in near])) < len(("one", "other")):
            return False
        beside = _near(self._stamps, _stamped_s(case))
        return len(_values(key, [self._configs[path] for path in beside])) >= len(("one", "other"))


def _stamped_s(case: Case) -> float:
    return 0.0 if case.seen.local is None else local_seconds(case.seen.local)


def _near(events: Sequence[tuple[float, str]], at_s: float) -> list[str]:
    low = bisect.bisect_left(events, (at_s - NEAR_WINDOW_S, ""))
    high = bisect.bisect_left(events, (at_s + NEAR_WINDOW_S, ""))
    middle = bisect.bisect_left(events, (at_s, ""))
    return [name for _, name in events[max(low, middle - MOST_NEAR) : min(high, middle + MOST_NEAR + 1)]]


def _values(key: str, some: Iterable[Params]) -> set[str]:
    return {canonical for params in some if (canonical := params.canonical(key)) is not None}
