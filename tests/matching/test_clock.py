"""The clock: no zone is invented where what fits it is accident, and a clock that is off is still found."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random

from ckpt_migrate.matching.clock.fit import fit_clock
from ckpt_migrate.matching.clock.lags import Stamp
from ckpt_migrate.matching.clock.zones import local_seconds

MORNING = datetime(2020, 7, 26, 4, tzinfo=timezone.utc)
TOKYO_S = 9 * 3600


def stamps_at(instants_s: list[float]) -> list[Stamp]:
    """Return the stamps of a Japanese machine at these instants."""
    at = [datetime.fromtimestamp(int(s) + TOKYO_S, timezone.utc).replace(tzinfo=None) for s in instants_s]
    return [Stamp(local_seconds(local)) for local in at]


def test_a_burst_of_runs_minutes_from_a_burst_of_directories_is_no_clock() -> None:
    """Seventy trainings of one day, a dozen of them logged: some zone, with minutes of lag, fits by accident."""
    rng = Random(4)  # noqa: S311 - the same every time
    made = sorted(MORNING.timestamp() + rng.uniform(0, 4 * 3600) for _ in range(60))
    burst = MORNING.timestamp() + 4 * 3600 + 250
    made += [burst + 25 * turn for turn in range(20)]
    runs = sorted([burst + 4 * 3600 - 250 + 25 * turn + rng.uniform(-9, 9) for turn in range(20)] + made[:3])
    clock = fit_clock(stamps_at(made), runs)
    assert not clock.phases
    assert clock.summary.timezone is None
    assert any("fewer than 3 separate launches" in warning for warning in clock.warnings)
    given = fit_clock(stamps_at(made), runs, timezone_name="Asia/Tokyo")
    assert given.summary.timezone == "Asia/Tokyo"
    assert given.phases


def test_a_clock_that_is_minutes_off_is_found_where_launches_on_several_days_agree() -> None:
    """The same lag at unrelated times can only be the clock's."""
    rng = Random(5)  # noqa: S311 - the same every time
    runs = sorted((MORNING + timedelta(hours=rng.uniform(0, 400))).timestamp() for _ in range(30))
    clock = fit_clock(stamps_at([start + 200 + rng.uniform(-1, 1) for start in runs]), runs)
    assert clock.summary.timezone == "Asia/Tokyo"
    assert clock.summary.offset_s is not None
    assert abs(clock.summary.offset_s - 200) < 5
    assert not clock.warnings


def hourly(gone: int) -> tuple[list[Stamp], list[float]]:
    """Return stamps and run starts of fifty trainings, twelve run again an hour later; some first runs are gone."""
    rng = Random(6)  # noqa: S311 - the same every time
    first = [MORNING.timestamp() + 40_000 * turn + rng.uniform(0, 30_000) for turn in range(50)]
    again = [start + 3600 + rng.gauss(0, 0.3) for start in first[:12]]
    return stamps_at([start + 1.5 for start in first]), sorted([*first[gone:], *again])


def test_what_was_run_again_an_hour_later_is_no_second_clock() -> None:
    """Nine first runs were deleted, and of three both are left: those three tell what the hour means."""
    stamps, starts = hourly(gone=9)
    clock = fit_clock(stamps, starts)
    assert len(clock.phases) == 1
    assert clock.summary.timezone == "Asia/Tokyo"


def test_a_second_clock_an_hour_away_is_found_where_nothing_is_run_again() -> None:
    """The same stamps and starts without those few are what a second machine, one zone to the west, leaves."""
    stamps, starts = hourly(gone=12)
    assert len(fit_clock(stamps, starts).phases) == 2
