"""Metric files of a file store: one logged value a line, `time value [step [dataset digest]]`.

MLflow 0.x wrote two columns, the time in seconds; later versions three, the time in milliseconds; values logged
against a dataset have five.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.tracking.records import MetricPoint

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS_BELOW = 100_000_000_000
"""A two-column time below this is in seconds: as milliseconds it would lie before March 1973."""

MAX_NUMBER = (1 << 63) - 1
"""Greatest step or time that MLflow can keep; a longer number could not even be divided as a float."""


def point_order(point: MetricPoint) -> tuple[int, int]:
    """Return what points are sorted by: the step, then the time."""
    return point.step, point.timestamp_utc_ms


def last_point(data: bytes) -> tuple[MetricPoint | None, int]:
    """Return the point of the highest step and, of several, the latest; and how many lines are malformed.

    Of points equal in both, the highest value, as MLflow chooses. None when no line is well formed.
    """
    tokens = data.split()
    if tokens and len(tokens) == 3 * data.count(b"\n"):
        try:
            steps = list(map(int, tokens[2::3]))
            top = steps.pop()
            if (not steps or max(steps) < top) and (point := _point(tokens[-3:])) is not None:
                return point, 0
        except ValueError:
            pass  # a malformed line; below just that is passed over
    points, malformed = _points(data)
    return max(points, key=lambda point: (*point_order(point), point.value), default=None), malformed


def all_points(data: bytes) -> tuple[Sequence[MetricPoint], int]:
    """Return every well-formed point, sorted by step, then time; and how many lines are malformed."""
    points, malformed = _points(data)
    return tuple(sorted(points, key=point_order)), malformed


def _points(data: bytes) -> tuple[list[MetricPoint], int]:
    lines = [columns for line in data.split(b"\n") if (columns := line.split())]
    # A writer that is at work, or died, leaves a line that ends early: not an old line of fewer columns.
    is_torn = not data.endswith(b"\n") and len(lines) > 1 and len(lines[-1]) < len(lines[0])
    points = [point for columns in lines[: -1 if is_torn else None] if (point := _point(columns)) is not None]
    return points, len(lines) - len(points)


def _point(columns: list[bytes]) -> MetricPoint | None:
    try:
        time, value, step = int(columns[0]), float(columns[1]), int(columns[2]) if columns[2:] else 0
    except (ValueError, IndexError):
        return None
    if not (-MAX_NUMBER <= time <= MAX_NUMBER and -MAX_NUMBER <= step <= MAX_NUMBER):
        return None
    return MetricPoint(value, step, time * 1000 if not columns[2:] and time < _SECONDS_BELOW else time)
