"""A second process that looks at directories while the first one checks others; only where there are very many.

It only reads, and what it finds is what the first process would have found. Of what it could not look at, and of all
after its death, it says nothing; the first process then looks for itself, and says what is wrong.

A process is forked only where this one has a single thread (Linux tells), since a fork takes no other thread along and
would leave their locks held. The child lets go of every open file at once, so it holds no lock of one that died, and
takes no signal but SIGKILL.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import struct
import sys
from typing import TYPE_CHECKING

from ckpt_migrate.executor.identity import Identity, Sight, sight
from ckpt_migrate.executor.status import Status, look

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from types import TracebackType
    from typing import BinaryIO, TypeAlias

    Row: TypeAlias = tuple[int | str | tuple[str, int, int] | None, ...]

MANY = 5_000
"""Directories from which on a second process is worth its start, some hundredths of a second."""
SHARE = 64
"""Directories that are looked at before it is the other one's turn."""
OWN_TURN = 3
"""Every third share is the first process' own: it has the rest of the checks to do as well."""
_HEAD = struct.Struct("=QQ")
_STATUS, _IDENTITY = len(Status._fields), len(Identity._fields)


class Lookout:
    """Looks at directories ahead of their checks; also a context manager that ends the second process."""

    def __init__(self, paths: Sequence[str], *, ignored: Collection[str]) -> None:
        """Start a second process if there are many paths, and a processor for it; `ignored` is as for `sight`."""
        self._pid = 0
        self._file: BinaryIO | None = None
        self._share = -1
        self._rows: list[Row | None] = []
        if len(paths) >= MANY and _may_fork():
            with contextlib.suppress(OSError):  # no process or pipe is to be had: all is done by this one
                self._start(paths, ignored)

    def seen(self, number: int) -> tuple[Status, Sight] | None:
        """Return what the second process saw at a path, by its place; places rise. None: look for yourself."""
        share, place = divmod(number, SHARE)
        if self._file is None or share % OWN_TURN == 0:
            return None
        while self._share < share:
            self._read()
        row = self._rows[place] if self._share == share and place < len(self._rows) else None
        if row is None:
            return None
        identity = Identity(*row[_STATUS : _STATUS + _IDENTITY])  # type: ignore[arg-type] # as `_look_at` laid it down
        return Status(*row[:_STATUS]), Sight(identity, *row[_STATUS + _IDENTITY :])  # type: ignore[arg-type] # likewise

    def close(self) -> None:
        """End the second process."""
        if self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(OSError):  # somebody else waited for it
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)

    def __enter__(self) -> Lookout:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, paths: Sequence[str], ignored: Collection[str]) -> None:
        reading, writing = os.pipe()
        # Ctrl-C in the child must not unwind what belongs to this process.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _work(paths, ignored, writing)
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(writing)
        self._file = os.fdopen(reading, "rb", buffering=1 << 16)

    def _read(self) -> None:
        """Read the next share; a torn one is that of a process that died."""
        if self._file is None:
            return
        head = self._file.read(_HEAD.size)
        share, size_bytes = _HEAD.unpack(head) if len(head) == _HEAD.size else (sys.maxsize, 0)
        data = self._file.read(size_bytes)
        is_whole = len(data) == size_bytes and size_bytes > 0
        self._share, self._rows = (share, marshal.loads(data)) if is_whole else (sys.maxsize, [])  # noqa: S302 - our own


def _may_fork() -> bool:
    if sys.platform != "linux":
        return False
    try:
        return len(os.sched_getaffinity(0)) > 1 and len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _work(paths: Sequence[str], ignored: Collection[str], writing: int) -> None:
    """Look at this process' shares, write them to a pipe, and end without a trace, whatever happens."""
    try:
        os.closerange(3, writing)
        os.closerange(max(writing + 1, 3), os.sysconf("SC_OPEN_MAX"))
        with os.fdopen(writing, "wb", buffering=0) as file:
            for start in range(0, len(paths), SHARE):
                share = start // SHARE
                if share % OWN_TURN:
                    rows = [_look_at(path, ignored) for path in paths[start : start + SHARE]]
                    data = marshal.dumps(rows)
                    _write(file.fileno(), _HEAD.pack(share, len(data)) + data)
    finally:
        os._exit(0)


def _look_at(path: str, ignored: Collection[str]) -> Row | None:
    try:
        status = look(path)
        found = sight(path, status, ignored=ignored) if status.is_directory else None
    except OSError:
        return None
    return None if found is None else (*status, *found.identity, found.fingerprint, found.mtime_ns, found.newest_ns)


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
