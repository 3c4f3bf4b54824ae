"""One process at a time for each root.

The lock is the system's own lock on the folder `ROOT/.ckpt-migrate` and on the file `lock` in it, which the system lets
go of when its holder dies, however it dies. The folder's lock holds even when somebody removes the file; the file's
works across hosts on NFS, where folders have none. What stands in the file only names the holder. Where the file
system has no such locks, or is shared by hosts and mounted so that they hold on one host alone, a second file that must
not exist yet says so to all, and one left behind by a process of this host that is gone is put aside.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ckpt_migrate import storage
from ckpt_migrate.errors import LockedError
from ckpt_migrate.executor.mounts import has_local_locks
from ckpt_migrate.records import STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

LOCK_NAME = "lock"
HELD_NAME = "lock.held"
NOTICE_AFTER_S = 0.4
"""Seconds of waiting after which the user is told."""
_POLL_S = 0.05
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}
_NO_FOLDER_LOCKS = {*_NO_LOCKS, errno.EBADF, errno.EISDIR, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock; `since` is ISO 8601 UTC, all three as the holder wrote them."""

    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Held:
    """Locks that are held."""

    def __init__(self) -> None:
        self._files: list[tuple[str, os.stat_result]] = []

    def add(self, path: str, handle: int) -> None:
        """Take note of a lock's file, open at `handle`."""
        self._files.append((path, os.fstat(handle)))

    def check(self) -> None:
        """Look whether the files of the locks are still there: a newcomer would not see the others.

        Raises:
            OSError: One was removed or replaced.
        """
        for path, held in self._files:
            try:
                if os.path.samestat(os.lstat(path), held):
                    continue
            except FileNotFoundError:
                pass
            raise OSError(errno.ESTALE, "the lock was removed or replaced while it was held", path)


@contextmanager
def hold(
    roots: Sequence[str], *, timeout_s: float = 0.0, on_wait: Callable[[str], None] | None = None
) -> Iterator[Held]:
    """Hold the locks of several roots, taken in sorted order so that two processes cannot wait for each other.

    The state directory of each root must exist.

    Args:
        roots: Absolute real paths.
        timeout_s: How long to wait for all of them together, seconds; 0 does not wait.
        on_wait: Called once, with a text for people, when the wait has lasted `NOTICE_AFTER_S`.

    Raises:
        LockedError: Another process holds one of them; it is named.
        OSError: A lock file cannot be opened.
    """
    waiting = _Waiting(time.monotonic(), timeout_s, on_wait)
    held = Held()
    with ExitStack() as stack:
        seen: set[tuple[int, int]] = set()
        for root in sorted(set(roots)):
            found = os.stat(os.path.join(root, STATE_DIRECTORY))
            if (found.st_dev, found.st_ino) in seen:
                continue  # the same by another path: its own lock would be in the way
            seen.add((found.st_dev, found.st_ino))
            stack.enter_context(_hold_one(root, waiting, held))
        yield held


@dataclass(slots=True)
class _Waiting:
    start_s: float
    timeout_s: float
    on_wait: Callable[[str], None] | None

    def pause(self, root: str, holder: Holder | None, *, marker: str = "") -> None:
        """Sleep a little, or raise when the time is over; `marker` is the file that would outlive a dead holder."""
        who = "another process" if holder is None else str(holder)
        waited_s = time.monotonic() - self.start_s
        if waited_s >= self.timeout_s:
            remedy = "Wait until it has ended, or give --lock-timeout SECONDS to wait for it."
            if marker:
                remedy += f" If you know that it has ended without letting go (a host that crashed), remove {marker}."
            raise LockedError(f"another apply or rollback is at work here: {who}", where=root, remedy=remedy)
        if self.on_wait is not None and waited_s >= NOTICE_AFTER_S:
            self.on_wait(f"waiting for {root}: {who} is at work there")
            self.on_wait = None
        time.sleep(min(_POLL_S, self.timeout_s))


@contextmanager
def _hold_one(root: str, waiting: _Waiting, held: Held) -> Iterator[None]:
    path = os.path.join(root, STATE_DIRECTORY, LOCK_NAME)
    with ExitStack() as stack:
        folder = _open_folder(os.path.dirname(path))
        if folder is not None:
            stack.callback(os.close, folder)
            _lock(folder, root, waiting, unsupported=_NO_FOLDER_LOCKS)
        handle = storage.open_small(path)
        stack.callback(os.close, handle)
        if not _lock(handle, root, waiting, unsupported=_NO_LOCKS) or has_local_locks(path):
            stack.enter_context(_hold_by_name(root, waiting, held))
        storage.write_record(handle, _own_record())
        held.add(path, handle)
        yield
        with contextlib.suppress(OSError):  # who held it is for people; the lock itself ends with the handle
            storage.write_record(handle, b"")


def _open_folder(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return None


def _lock(handle: int, root: str, waiting: _Waiting, *, unsupported: Collection[int]) -> bool:
    """Wait for the system's lock; False where the file system has none."""
    while True:
        try:
            if _try_lock(handle):
                return True
        except OSError as error:
            if error.errno not in unsupported:
                raise
            return False
        waiting.pause(root, _read_holder(os.path.join(root, STATE_DIRECTORY, LOCK_NAME)))


@contextmanager
def _hold_by_name(root: str, waiting: _Waiting, held: Held) -> Iterator[None]:
    path = os.path.join(root, STATE_DIRECTORY, HELD_NAME)
    while True:
        try:
            handle = storage.create_exclusively(path)
            break
        except FileExistsError:
            holder = _read_holder(path)
            if holder is not None and _is_gone(holder):
                _put_stale_aside(path, holder)
            else:
                waiting.pause(root, holder, marker=path)
    own = os.fstat(handle)
    held.add(path, handle)
    try:
        storage.write_record(handle, _own_record())
        yield
    finally:
        os.close(handle)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.lstat(path), own):  # else somebody removed it, and this one is a newcomer's
                storage.remove_file(path)


def _put_stale_aside(path: str, holder: Holder) -> None:
    """Move the file of a dead holder away; what was moved is looked at, for another may have done so first."""
    aside = f"{path}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        storage.rename_noreplace(path, aside)
        if _read_holder(aside) == holder:
            storage.remove_file(aside)
        else:
            storage.rename_noreplace(aside, path)


def _try_lock(handle: int) -> bool:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - exists on Windows alone

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl  # noqa: PLC0415 - exists everywhere but on Windows

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _own_record() -> bytes:
    since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since}).encode()


def _read_holder(path: str) -> Holder | None:
    try:
        handle = os.open(path, storage.READ_QUIETLY)
        with os.fdopen(handle, "rb") as file:
            record = json.loads(file.read(4096) or b"")
        return Holder(str(record["host"]), int(record["pid"]), str(record["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_gone(holder: Holder) -> bool:
    if holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
