"""Drift: which keys differ between a config and its own run's log, learned from pairs that are plain without them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ckpt_migrate.matching.families.params import KIND, key_difference
from ckpt_migrate.matching.families.references import named_runs
from ckpt_migrate.matching.model.cases import leads_by_time
from ckpt_migrate.matching.model.twins import NEAR_WINDOW_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.columns import Floats, Ints
    from ckpt_migrate.matching.model.pair import Score, World

MOST_TEACHERS = 500
"""Pairs that teach, evenly spread over all: a key that drifts does so in every second pair."""
MOST_NEAR = 16
"""Of a launch of thousands, the nearest on each side say whether it varies a key."""
_SHOWN = 6


def learn_drift(cases: Sequence[Case], world: World) -> tuple[dict[str, float], frozenset[str]]:
    """Return, per key, the chance that it differs in a true pair, and the keys that drift.

    A pair that is plain by its times alone may be a near miss: the sibling of a run that is gone. It differs in just
    what its launch varies, on both sides; such a difference is not counted. One that is plain because it alone agrees
    does not teach of the keys by which it does.

    Args:
        cases: All checkpoints with their candidates.
        world: The shared facts.
    """
    agreed: Counter[str] = Counter()
    differed: Counter[str] = Counter()
    chosen: Counter[str] = Counter()
    launches = _Launches(cases, world)
    for row, teacher in _teachers(cases):
        case = cases[row]
        keys, differing = teacher.comparison.keys(case.seen.config), set(teacher.comparison.differing)
        agreeing = keys - differing
        if not named_runs(case.seen.references):
            differing = {key for key in differing if not launches.vary(key, row, teacher.run_id)}
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


def _teachers(cases: Iterable[Case]) -> list[tuple[int, Score]]:
    """Return plain pairs, directories by their place.

    Of several directories with one run it is those that a reference names, or that lie nearest.
    """
    found: dict[str, tuple[int, Score]] = {}
    named = []
    for row, case in enumerate(cases):
        if not case.plain:
            continue
        best = case.scores[0]
        teacher = best if best.run_id == case.plain else next(one for one in case.scores if one.run_id == case.plain)
        known = found.get(teacher.run_id)
        if case.seen.references and named_runs(case.seen.references):
            named.append((row, teacher))
        elif known is None or teacher.time > known[1].time:
            found[teacher.run_id] = (row, teacher)
    plain = [*named, *found.values()]
    count = min(len(plain), MOST_TEACHERS)
    return [plain[i * len(plain) // count] for i in range(count)]


def _telling_apart(case: Case) -> set[str]:
    """Return the keys that alone set a rival aside."""
    return {one.comparison.differing[0] for one in case.scores if len(one.comparison.differing) == 1}


class _Launches:
    """What lies near in time: runs by their starts, directories by their stamps."""

    def __init__(self, cases: Sequence[Case], world: World) -> None:
        self._cases, self._world = cases, world
        starts_s = world.times.runs.start_s
        self._begun = _Events.of(np.where(starts_s == 0, np.nan, starts_s))
        self._stamped = _Events.of(world.times.directories.local_s)

    def vary(self, key: str, row: int, run_id: str) -> bool:
        """Say whether runs near a run, and directories near a directory, have several values of a key."""
        world, times = self._world, self._world.times
        near = self._begun.near(times.runs.start_s[world.strata.places[run_id]])
        if len(_values(key, [world.params[world.index.run_ids[place]] for place in near])) < len(("one", "other")):
            return False
        beside = self._stamped.near(times.directories.local_s[row])
        return len(_values(key, [self._cases[place].seen.config for place in beside])) >= len(("one", "other"))


class _Events(NamedTuple):
    """Events in the order of their times; `order` are their places."""

    order: Ints
    at_s: Floats

    @staticmethod
    def of(at_s: Floats) -> _Events:
        """Return the events whose time is known."""
        order = np.argsort(at_s, kind="stable")[: len(at_s) - np.count_nonzero(np.isnan(at_s))]
        return _Events(order, at_s[order])

    def near(self, at_s: float) -> list[int]:
        """Return the places of events about a time, the nearest on each side."""
        if np.isnan(at_s):
            return []
        low, middle, high = np.searchsorted(self.at_s, (at_s - NEAR_WINDOW_S, at_s, at_s + NEAR_WINDOW_S)).tolist()
        found: list[int] = self.order[max(low, middle - MOST_NEAR) : min(high, middle + MOST_NEAR + 1)].tolist()
        return found


def _values(key: str, some: Iterable[Params]) -> set[str]:
    return {canonical for params in some if (canonical := params.canonical(key)) is not None}
