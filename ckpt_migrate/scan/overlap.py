"""Overlap: many small reads on threads where the file system makes them wait, one after the other where not.

On a network file system each open takes a round trip, and eight at a time take an eighth of the time. On a local disk
with a warm cache threads only fight for the interpreter, and cost a tenth more. Which of both it is shows in the
first reads: the time they took against the time the processor worked on them, and how often this thread gave the
processor up by itself; on a busy machine it is taken away, which no thread of ours would help. The results and their
order are the same either way.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

from ckpt_migrate.collector import collector_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")

THREADS = 8
"""Reads under way at once; servers of network file systems answer some tens."""

PROBED = 64
"""Items done first, one after the other, to see whether they wait."""

WAITING_FACTOR = 3.0
"""Threads pay from here on: time taken over time worked. Below it another process's load looks the same."""


FEWEST_WAITS = 0.5
"""Waits an item from which on reads count as waiting; a file of a network file system waits at least once."""


def map_in_order(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Yield `function` of each item, in their order; on threads once the first ones show that it waits.

    Args:
        function: Must be safe to call from several threads.
        items: What it is called with.
    """
    with collector_paused():
        taken_s = worked_s = 0.0
        waits = _waits()
        for item in items[:PROBED]:
            started_s, started_work_s = time.perf_counter(), time.thread_time()
            result = function(item)
            worked_s += time.thread_time() - started_work_s
            taken_s += time.perf_counter() - started_s
            yield result
        rest = items[PROBED:]
        is_waiting = taken_s >= WAITING_FACTOR * worked_s
        if waits is not None:
            is_waiting = is_waiting and (_waits() or 0) - waits >= FEWEST_WAITS * PROBED
        yield from _map_on_threads(function, rest) if rest and is_waiting else map(function, rest)


def _waits() -> int | None:
    """Return how often this thread has waited so far; None where the system does not count it."""
    if sys.platform != "linux":
        return None
    import resource  # noqa: PLC0415 - other systems have none, or do not count threads

    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def _map_on_threads(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - slow to import and rarely needed

    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="read")
    try:
        yield from executor.map(function, items)
    finally:
        # Ends at once when the consumer was interrupted: what was not begun is not begun.
        executor.shutdown(wait=True, cancel_futures=True)
