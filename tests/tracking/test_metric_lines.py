"""Metric files against the rule that MLflow applies line by line."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ckpt_migrate.tracking.metric_lines import all_points, last_point
from ckpt_migrate.tracking.records import MetricPoint

POINTS = st.lists(
    st.tuples(st.integers(0, 2**41), st.floats(allow_nan=False), st.integers(-3, 20)), min_size=1, max_size=30
)


@given(POINTS)
def test_the_last_point_is_the_highest_step_then_time_then_value(points: list[tuple[int, float, int]]) -> None:
    data = "".join(f"{time} {value} {step}\n" for time, value, step in points).encode()
    time, value, step = max(points, key=lambda p: (p[2], p[0], p[1]))
    assert last_point(data) == (MetricPoint(value, step, time), 0)
    everything, malformed = all_points(data)
    assert malformed == 0
    assert [(p.step, p.timestamp_utc_ms) for p in everything] == sorted((s, t) for t, _, s in points)


def test_two_columns_are_seconds_and_more_than_three_are_of_a_dataset() -> None:
    assert last_point(b"1528384239 0.5\n")[0] == MetricPoint(0.5, 0, 1_528_384_239_000)
    assert last_point(b"1528384239000 0.5\n")[0] == MetricPoint(0.5, 0, 1_528_384_239_000)
    assert last_point(b"1700000000000 0.5 3 my data abc\n")[0] == MetricPoint(0.5, 3, 1_700_000_000_000)


def test_a_line_that_ends_early_is_not_taken_for_an_old_one() -> None:
    assert last_point(b"1700000000000 0.5 0\n1700000009000 0.1") == (MetricPoint(0.5, 0, 1_700_000_000_000), 1)


def test_a_file_of_one_line_without_a_newline_is_whole() -> None:
    assert last_point(b"1700000000000 0.5 3") == (MetricPoint(0.5, 3, 1_700_000_000_000), 0)


def test_malformed_lines_are_counted_and_empty_ones_ignored() -> None:
    assert last_point(b"") == (None, 0)
    assert last_point(b"\n\n") == (None, 0)
    assert last_point(b"a b c\n") == (None, 1)
    assert last_point(b"1 2 x\n\n5 6 7\n8\n") == (MetricPoint(6.0, 7, 5), 2)


def test_not_a_number_is_a_value() -> None:
    point = last_point(b"1 nan 0\n2 nan 0\n")[0]
    assert point is not None
    assert math.isnan(point.value)
    assert point.timestamp_utc_ms == 2
