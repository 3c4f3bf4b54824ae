"""Work spread over forked processes is complete and in order, whatever becomes of the processes."""

from __future__ import annotations

import os
import signal
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.tracking.processes import MIN_BATCHES, map_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCHES = [[number, number + 1] for number in range(MIN_BATCHES * 3)]
PARENT = os.getpid()


def own_children() -> set[int]:
    """Return the children of this process that run or wait to be reaped."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return {int(pid) for pid in file.read().split()}


@pytest.mark.parametrize("processes", [1, 2, 5, 50])
def test_results_come_in_order(processes: int) -> None:
    assert list(map_batches(sum, BATCHES, processes)) == [sum(batch) for batch in BATCHES]


def test_few_batches_are_worked_on_here() -> None:
    pids = list(map_batches(lambda _: os.getpid(), BATCHES[: MIN_BATCHES - 1], 4))
    assert set(pids) == {PARENT}


def test_many_batches_are_worked_on_elsewhere() -> None:
    pids = list(map_batches(lambda _: os.getpid(), BATCHES, 2))
    assert len(set(pids)) == 2
    assert PARENT not in pids


@pytest.mark.parametrize("end", ["killed", "raises", "unsendable"])
def test_a_process_that_ends_early_loses_nothing(end: str) -> None:
    def work(batch: Sequence[int]) -> object:
        if os.getpid() != PARENT and batch[0] > 10:
            if end == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if end == "raises":
                raise RuntimeError
            return object()
        return sum(batch)

    assert list(map_batches(work, BATCHES, 3)) == [sum(batch) for batch in BATCHES]


def test_an_error_in_the_work_itself_is_raised_here() -> None:
    def work(batch: Sequence[int]) -> int:
        if batch[0] == 5:
            raise RuntimeError("five")
        return 0

    with pytest.raises(RuntimeError, match="five"):
        list(map_batches(work, BATCHES, 2))


def test_large_results_do_not_block() -> None:
    results = map_batches(lambda batch: "x" * (1 << 20) + str(batch[0]), BATCHES, 3)
    assert [text[1 << 20 :] for text in results] == [str(batch[0]) for batch in BATCHES]


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="children are looked up in /proc")
def test_no_process_is_left_behind_when_only_a_part_is_taken() -> None:
    before = own_children()
    results = map_batches(lambda batch: "x" * (1 << 20) + str(batch[0]), BATCHES, 3)
    assert len(list(islice(results, 2))) == 2
    assert len(own_children() - before) == 3
    del results
    assert own_children() == before
