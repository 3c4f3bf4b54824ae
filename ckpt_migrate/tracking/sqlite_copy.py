"""A private copy of a SQLite database that cannot be read where it lies.

Reading a database in WAL mode makes SQLite write beside it: the `-shm` file, locks and read marks in it. Leaving the
WAL out (`immutable=1`) loses what was committed last. And the journal of a crash would be rolled back in place. So
the database and its log are copied, without any lock, into a folder that only this process knows; SQLite replays the
log in the copy, and the copy's files are unlinked as soon as they are open, so that nothing is left behind.

Why a copy without locks is one state of the database: with a WAL, the database file changes only when a checkpoint
writes pages into it, and each of those pages is still in the WAL until the WAL is started anew, with another header.
So a copy of the database, and after it of the WAL, is right if the WAL's header was the same before and after;
pages that were torn or mixed are replaced from the WAL. Without a WAL, or with a journal, the files must not have
changed at all in between. Otherwise the copy is made again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking.sqlite_files import (
    LOGS,
    UNREADABLE,
    bytes_on_disk,
    copy_file,
    copy_wal,
    read_wal_header,
    unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_ATTEMPTS = 30
_PAUSE_S = 0.1
_ENDING_SIGNALS = ("SIGTERM", "SIGHUP")
_SIGNAL_EXIT = 128


def connect_to_copy(path: str, shown: str) -> sqlite3.Connection:
    """Return a connection to a private copy of a database, its log replayed; the copy is on no disk when it closes.

    Args:
        path: The database file, links resolved.
        shown: The store's URI, credentials masked, for errors.

    Raises:
        StoreError: It cannot be read, is damaged, or there is no room for the copy.
    """
    try:
        with _private_folder() as folder:
            copy = os.path.join(folder, "copy.db")
            _copy_consistently(path, copy, shown)
            _fold_log(copy)
            connection = sqlite3.connect(f"file:{quote(copy)}?mode=ro&immutable=1", uri=True, isolation_level=None)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
    except OSError as error:
        needed = sum(bytes_on_disk(name) for name in (path, *(path + log for log in LOGS)))
        raise StoreError(
            f"the database cannot be copied to read it ({error.strerror})",
            where=shown,
            remedy=(
                f"It takes up to {needed} bytes in {tempfile.gettempdir()} (TMPDIR names another place), and "
                "permission to read the file and its -wal."
            ),
        ) from error
    except UNREADABLE as error:
        raise unreadable(error, shown) from error


@contextlib.contextmanager
def _private_folder() -> Iterator[str]:
    """Make a folder that is gone afterwards, also when this process is asked to end meanwhile."""
    with _ended_by_exceptions():
        folder = tempfile.mkdtemp(prefix="ckpt-migrate-")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _ended_by_exceptions() -> Iterator[None]:
    """Let the signals that would end this process on the spot end it by an exception."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(_SIGNAL_EXIT + number)

    taken = []
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in _ENDING_SIGNALS if hasattr(signal, name)]
        taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _copy_consistently(path: str, copy: str, shown: str) -> None:
    if bytes_on_disk(path) > shutil.disk_usage(os.path.dirname(copy)).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for attempt in range(_ATTEMPTS):
        before = _state(path)
        copy_file(path, copy)
        for log, copy_log in zip(LOGS, (copy_wal, copy_file), strict=True):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(copy + log)
            with contextlib.suppress(FileNotFoundError):
                copy_log(path + log, copy + log)
        if _state(path) == before:
            return
        time.sleep(_PAUSE_S * min(attempt + 1, 5))
    raise StoreError(
        "the database is being changed faster than it can be copied",
        where=shown,
        remedy="Run the command again when less is being written to it; nothing was changed.",
    )


def _state(path: str) -> tuple[object, ...]:
    """Return what must not change while the database is copied."""
    try:
        with open(f"{path}-wal", "rb") as file:
            header = read_wal_header(file)
    except FileNotFoundError:
        header = b""
    if header:
        return (header,)
    found: list[object] = []
    for name in (path, f"{path}-journal"):
        try:
            status = os.stat(name)
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _fold_log(copy: str) -> None:
    """Let SQLite replay the log into the copy, so that one file holds everything."""
    connection = sqlite3.connect(copy, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    finally:
        connection.close()
