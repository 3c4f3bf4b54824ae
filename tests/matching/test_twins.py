"""Twins: who counts as launched beside a run, near and far, and what that says of runs that are gone."""

from __future__ import annotations

import numpy as np

from ckpt_migrate.matching.families.background import ParamIndex
from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.matching.families.times import RunTimes
from ckpt_migrate.matching.families.values import comparable
from ckpt_migrate.matching.model.lone import expect_lone
from ckpt_migrate.matching.model.strata import SINGLE, Strata, Stratum
from ckpt_migrate.matching.model.twins import Twins, count_twins
from ckpt_migrate.tracking.records import Run

HERE: Stratum = ("1", SINGLE, True, False, False)
SELDOM: Stratum = ("1", SINGLE, True, False, True)
RARELY: Stratum = ("2", SINGLE, True, False, False)
MADE = {HERE: 380.0, SELDOM: 160.0, RARELY: 20.0}
TOTAL = 400


def twins_of(starts: dict[str, tuple[float, Stratum]], *, nearest_s: float = 0.0, window_s: float = 5.0) -> Twins:
    """Return what is known of runs that began at these seconds; the second of each is its kind."""
    runs = [
        Run(run_id, "", kind[0], "", "FINISHED", False, int(1000 * start_s), None, None, "memory://")  # noqa: FBT003 - is_deleted
        for run_id, (start_s, kind) in starts.items()
    ]
    kinds = tuple(MADE)
    strata = Strata(
        {run_id: place for place, run_id in enumerate(starts)},
        kinds,
        np.array([kinds.index(kind) for _, kind in starts.values()], np.int64),
        dict.fromkeys(kinds, TOTAL),
        MADE,
        frozenset(),
        (("1", ""),),
        np.zeros(len(starts), np.int64),
    )
    index = ParamIndex({run_id: comparable({}, KeyPatterns(())) for run_id in starts}, ())
    times = RunTimes.of(runs, sorted(start_s for start_s, _ in starts.values()))
    experiments = [kind[0] for _, kind in starts.values()]
    twins = count_twins(times, experiments, index, {}, strata, nearest_s=nearest_s, window_s=window_s, prior=0.1)
    return expect_lone(twins, times.start_s, experiments, gone_share=0.1, stamped_s=np.zeros(0))


def test_who_is_near_is_not_counted_among_the_far() -> None:
    """A replica started at once says nothing of what is started again minutes later, nor the other way round."""
    starts = {"a": (0.0, HERE), "b": (1.0, HERE), "c": (200.0, HERE)}
    near, far = twins_of(starts), twins_of(starts, nearest_s=5.0, window_s=300.0)
    assert near.siblings.round(2).tolist() == [1.0, 1.0, 0.0]
    assert far.siblings.round(2).tolist() == [1.0, 1.0, 2.0]
    assert set(np.abs(near.everywhere.apart_s)) == {1.0}
    assert set(np.abs(far.everywhere.apart_s)) == {199.0, 200.0}


def test_a_sibling_of_a_kind_that_seldom_has_a_directory_is_a_sibling_all_the_same() -> None:
    """Two runs of one second, of a kind with a directory in two cases of five: one of such two left is no lone run."""
    alone = {f"run {turn}": (1000.0 * turn, HERE) for turn in range(20)}
    none = twins_of(alone).lone["1"]
    seldom = twins_of(alone | {"one": (500.0, SELDOM), "other": (501.0, SELDOM)}).lone["1"]
    often = twins_of(alone | {"one": (500.0, HERE), "other": (501.0, HERE)}).lone["1"]
    assert 3 * none < seldom <= often


def test_runs_of_another_project_are_no_siblings() -> None:
    """Their kind has next to no directories here, however often it starts beside."""
    alone = {f"run {turn}": (1000.0 * turn, HERE) for turn in range(20)}
    others = {f"other {turn}": (1000.0 * turn + 1, RARELY) for turn in range(20)}
    assert twins_of(alone | others).lone["1"] == twins_of(alone).lone["1"]
