"""Overlapping reads: the same results in the same order, with threads and without."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from ckpt_migrate.scan import overlap
from ckpt_migrate.scan.overlap import PROBED, THREADS, map_in_order

COUNT = PROBED + 40


def set_clock(monkeypatch: pytest.MonkeyPatch, *, worked_share: float) -> None:
    """Let the processor seem to work for a share of all time; a loaded machine would decide otherwise."""
    taken, worked = itertools.count(), itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(taken), thread_time=lambda: next(worked) * worked_share)
    monkeypatch.setattr(overlap, "time", clock)


def test_work_stays_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads would only fight for the interpreter."""
    set_clock(monkeypatch, worked_share=0.9)
    used: set[int] = set()

    def work(item: int) -> int:
        used.add(threading.get_ident())
        return item

    assert list(map_in_order(work, range(COUNT))) == list(range(COUNT))
    assert used == {threading.get_ident()}


def test_waiting_is_shared_among_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the items, whichever is done first."""
    set_clock(monkeypatch, worked_share=0.1)
    used: set[int] = set()

    def wait(item: int) -> int:
        used.add(threading.get_ident())
        time.sleep(0.001 * (1 + item % 3))
        return item

    assert list(map_in_order(wait, range(COUNT))) == list(range(COUNT))
    assert 2 < len(used) <= THREADS + 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts how often a thread waits")
def test_a_busy_machine_is_no_reason_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that others took the processor for is not time that reads wait."""
    set_clock(monkeypatch, worked_share=0.1)
    used: set[int] = set()
    assert list(map_in_order(lambda _: used.add(threading.get_ident()), range(COUNT))) == [None] * COUNT
    assert used == {threading.get_ident()}


@pytest.mark.parametrize("count", [0, 1, PROBED])
def test_few_items_need_no_threads(count: int) -> None:
    assert list(map_in_order(str, range(count))) == [str(i) for i in range(count)]


def test_an_error_ends_it_and_leaves_no_thread_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a consumer that stops, as on an interrupt."""
    set_clock(monkeypatch, worked_share=0.1)

    def wait(item: int) -> int:
        time.sleep(0.001)
        if item == PROBED + 20:
            raise ValueError(item)
        return item

    before = threading.active_count()
    with pytest.raises(ValueError, match=str(PROBED + 20)):
        list(map_in_order(wait, range(COUNT)))
    results = map_in_order(wait, range(PROBED + 10_000))
    for _ in range(PROBED + 3):
        next(results)
    results.close()  # type: ignore[attr-defined] # it is a generator
    assert threading.active_count() == before


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_collector_is_left_as_it_was(is_enabled: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """After the last item, an error, or a consumer that stops."""
    was_enabled = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        assert len(list(map_in_order(str, range(COUNT)))) == COUNT
        assert gc.isenabled() is is_enabled
        results = map_in_order(str, range(COUNT))
        next(results)
        assert not gc.isenabled()
        results.close()  # type: ignore[attr-defined] # it is a generator
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
