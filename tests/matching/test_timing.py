"""Times of all pairs at once: as those of one pair are, by the formulas of one stamp and one run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from worlds.trainings import seeded

from ckpt_migrate.matching.clock.fit import FittedClock, Reading
from ckpt_migrate.matching.clock.lags import LARGEST_SKEW_S, SCALES_S, lag_densities, lag_density, slow_scale
from ckpt_migrate.matching.families import stamps, timing
from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.matching.families.mtimes import NO_ENDS
from ckpt_migrate.matching.families.times import DirectoryTimes, EndHabits, RunTimes, Times
from ckpt_migrate.matching.families.values import comparable
from ckpt_migrate.matching.model.pair import Seen
from ckpt_migrate.plan.records import Clock
from ckpt_migrate.tracking.records import Run

if TYPE_CHECKING:
    from random import Random

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - stamps are naive
"""What local seconds are counted from."""
NOW_S = 1_700_000_000


def draw_seen(rng: Random) -> Seen:
    """Return a directory whose stamp says nothing, one instant, or one of two."""
    instants = [NOW_S + rng.randrange(-500, 500), NOW_S + 3600 + rng.randrange(-500, 500)][: rng.randrange(3)]
    readings = []
    for instant_s in instants:
        lag_s, scale_s = rng.choice([-2.5, 0.0, 1.5, 31.0]), rng.choice(SCALES_S)
        share = 1 / len(instants)
        readings.append(Reading(float(instant_s), share, "UTC", lag_s, scale_s, slow_scale(lag_s, scale_s)))
    local = EPOCH + timedelta(seconds=NOW_S + rng.randrange(-2, 3)) if rng.random() < 0.9 else None
    clock = FittedClock(Clock(None, (), "none", None, None, 0, None, is_decisive=False), ())
    return Seen(
        path="/d/a",
        local=local,
        clock=clock,
        readings=tuple(readings),
        newest_s=None,
        oldest_s=None,
        older_s=None,
        last_s=None,
        weights_s=None,
        config_apart_s=None,
        is_complete=False,
        config=comparable({}, KeyPatterns(())),
        metrics=(),
        last_step=None,
        references=(),
    )


def draw_run(rng: Random) -> Run:
    start_ms = 1000 * NOW_S + rng.choice([rng.randrange(-3000, 3000), rng.randrange(-5_000_000, 5_000_000)])
    name = rng.choice(["run", f"run_{EPOCH + timedelta(seconds=NOW_S):%Y%m%d_%H%M%S}"])
    end_ms = None if rng.random() < 0.1 else start_ms + rng.randrange(9_000_000)
    return Run("r", name, "1", "e", "FINISHED", False, None if rng.random() < 0.1 else start_ms, end_ms, None, "u")  # noqa: FBT003 - is_deleted


def test_stamps_are_set_against_starts_as_one_stamp_is_against_one_start() -> None:
    rng = seeded("stamps and starts")
    directories, runs = [draw_seen(rng) for _ in range(40)], [draw_run(rng) for _ in range(40)]
    starts_s = sorted(run.start_utc_ms / 1000 for run in runs if run.start_utc_ms is not None)
    times = Times(
        DirectoryTimes.of(directories),
        RunTimes.of(runs, starts_s),
        EndHabits.of(DirectoryTimes.of(directories), NO_ENDS),
    )
    row, run = np.repeat(np.arange(40), 40), np.tile(np.arange(40), 40)
    pairs = [(one, other) for one in directories for other in runs]
    at_start = [stamps.is_at_start(*pair) for pair in pairs]
    inside = [stamps.is_inside(*pair) for pair in pairs]
    assert timing.are_at_start(times, row, run).tolist() == at_start
    assert timing.is_inside(times, row, run).tolist() == inside
    assert 100 < sum(at_start) < 1500
    assert 100 < sum(inside) < 1500
    densities = timing.start_densities(times, row, times.runs.start_s[run])
    scales = timing.best_readings(times, row, times.runs.start_s[run]).scale_s
    for (one, other), density, scale_s in zip(pairs, densities.tolist(), scales.tolist(), strict=True):
        best = stamps.best_reading(one, other)
        assert np.isnan(scale_s) if best is None else scale_s == best.scale_s
        start_s = (other.start_utc_ms or 0) / 1000
        assert density == pytest.approx(sum(each.share * each.density(start_s) for each in one.readings), rel=1e-12)


def test_the_density_of_many_lags_is_that_of_each() -> None:
    for center_s in (-3.0, 0.0, 0.7, 45.0):
        for scale_s in SCALES_S:
            away_s = np.linspace(-LARGEST_SKEW_S, LARGEST_SKEW_S, 841) + 0.25 / LARGEST_SKEW_S
            away_s = away_s[np.abs(away_s) <= LARGEST_SKEW_S]
            wide_s = slow_scale(center_s, scale_s)
            found = lag_densities(away_s, *(np.full(len(away_s), each) for each in (center_s, scale_s, wide_s)))
            each = [lag_density(one, center_s, scale_s, wide_s) for one in away_s.tolist()]
            assert found == pytest.approx(each, rel=1e-12)
