"""Fields of a run as stores write them, brought to the one form that `Run` has.

Every store kind reads its rows, files or answers with these, so that the same run is the same record everywhere.
"""

from __future__ import annotations

import math
import sys

RUN_NAME_TAG = "mlflow.runName"
UNKNOWN_STATUS = "UNKNOWN"

_STATUS_NUMBERS = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
_STATUSES = frozenset(_STATUS_NUMBERS.values())
_MAX_UTC_MS = 253_402_300_799_999  # the last millisecond of the year 9999; datetime goes no further


def status_name(status: object) -> str:
    """Return a status by its name; file stores hold numbers, others names.

    >>> status_name("3"), status_name(4), status_name("RUNNING"), status_name(None)
    ('FINISHED', 'FAILED', 'RUNNING', 'UNKNOWN')
    """
    text = str(status).upper()
    return _STATUS_NUMBERS.get(text, text if text in _STATUSES else UNKNOWN_STATUS)


def utc_ms(time: object) -> int | None:
    """Return milliseconds since 1970-01-01 UTC; None for what is no time that a calendar has.

    >>> utc_ms("1719087004003"), utc_ms(None), utc_ms("soon"), utc_ms(10**18)
    (1719087004003, None, None, None)
    """
    if time is None:
        return None
    try:
        number = int(str(time))
    except ValueError:
        return None
    return number if 0 <= number <= _MAX_UTC_MS else None


def metric_value(value: object, *, is_nan: bool = False) -> float:
    """Return a metric's value; databases keep NaN in a column of its own and infinity as the largest float.

    >>> metric_value(0.0, is_nan=True), metric_value(-sys.float_info.max), metric_value(None)
    (nan, -inf, nan)
    """
    if is_nan or value is None:
        return math.nan
    number = float(str(value)) if not isinstance(value, float) else value
    return math.copysign(math.inf, number) if abs(number) == sys.float_info.max else number
