"""Work on many small files, spread over processes by forking.

Reading a file store of 10,000 runs is half a million system calls, and as much parsing; threads would take turns. A
forked process has everything in memory already and sends back plain containers only.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

Item = TypeVar("Item")

PROCESSES = 8
"""How many are forked, however few processors there are: on a cold disk most of the time is waiting for it, and it
answers several at once; on a warm one, more processes than processors cost nothing that was measurable."""
MIN_BATCHES = 8
"""Below so many batches, starting processes costs more than it saves."""

_SIZE_BYTES = 8


def map_batches(
    work: Callable[[Sequence[Item]], Any], batches: Sequence[Sequence[Item]], processes: int = PROCESSES
) -> Iterator[Any]:
    """Yield `work(batch)` for every batch, in order.

    A process that ends early, for whatever reason, loses nothing: its batches are then worked on in this one.

    Args:
        work: A function without side effects; what it returns consists of built-in containers and scalars.
        batches: The items.
        processes: How many to fork; with few batches, or where forking is unknown, all is done here.
    """
    if len(batches) < MIN_BATCHES or not hasattr(os, "fork"):
        yield from map(work, batches)
        return
    children = [_fork(work, batches[first::processes]) for first in range(processes)]
    try:
        for number, batch in enumerate(batches):
            pipe = children[number % processes][1]
            try:
                size = int.from_bytes(pipe.read(_SIZE_BYTES), "little")
                result = marshal.loads(pipe.read(size))  # noqa: S302 - by our own child, through our own pipe
            except (EOFError, ValueError, TypeError):
                result = work(batch)
            yield result
    finally:
        for pid, pipe in children:
            pipe.close()
            os.kill(pid, signal.SIGKILL)  # it has sent all it was asked for, or nobody waits for it any more
            os.waitpid(pid, 0)


def _fork(work: Callable[[Sequence[Item]], Any], batches: Sequence[Sequence[Item]]) -> tuple[int, BinaryIO]:
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Newer Pythons warn where other threads run. The child calls nothing that could wait for one of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        os.close(writing)
        return pid, os.fdopen(reading, "rb")
    try:
        # The parent is told of an interrupt too, and its end of the pipe then ends this process.
        gc.disable()  # it would touch, and so copy, every page of the parent's
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            for batch in batches:
                data = marshal.dumps(work(batch))
                pipe.write(len(data).to_bytes(_SIZE_BYTES, "little"))
                pipe.write(data)
                pipe.flush()
    finally:
        os._exit(0)  # nothing of the parent's (buffers, exit handlers, temporary files) may run twice
