"""Metric files of a file store: one logged value a line, `time value [step [dataset digest]]`.

MLflow 0.x wrote two columns, the time in seconds; later versions three, the time in milliseconds; values logged
against a dataset have five.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.tracking.records import MetricPoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SECONDS_BELOW = 100_000_000_000
"""A two-column time below this is in seconds: as milliseconds it would lie before March 1973."""


def point_order(point: MetricPoint) -> tuple[int, int]:
    """Return what points are sorted by: the step, then the time."""
    return point.step, point.timestamp_utc_ms


def last_point(data: bytes) -> MetricPoint | None:
    """Return the point of the highest step and, of several, the latest; None when no line is well formed.

    Of points equal in both, the highest value, as MLflow chooses.
    """
    tokens = data.split()
    if len(tokens) == 3 * data.count(b"\n"):
        try:
            steps = [int(token) for token in tokens[2::3]]
            top = max(steps, default=None)
            if top is None:
                return None
            if steps[-1] == top and steps.count(top) == 1:
                return MetricPoint(float(tokens[-2]), top, int(tokens[-3]))
        except ValueError:
            pass  # a malformed line; the loop below passes over just that
    return max(_points(data), key=lambda point: (*point_order(point), point.value), default=None)


def all_points(data: bytes) -> Sequence[MetricPoint]:
    """Return every well-formed point, sorted by step, then time."""
    return tuple(sorted(_points(data), key=point_order))


def count_malformed(data: bytes) -> int:
    """Return how many lines are no metric lines."""
    return sum(1 for line in data.splitlines() if line.strip() and _point(line.split()) is None)


def _points(data: bytes) -> Iterator[MetricPoint]:
    for line in data.split(b"\n"):
        point = _point(line.split())
        if point is not None:
            yield point


def _point(columns: list[bytes]) -> MetricPoint | None:
    try:
        time, value = int(columns[0]), float(columns[1])
        if columns[2:]:
            return MetricPoint(value, int(columns[2]), time)
    except (ValueError, IndexError):
        return None
    return MetricPoint(value, 0, time * 1000 if time < _SECONDS_BELOW else time)
