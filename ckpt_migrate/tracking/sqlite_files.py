"""The files of a SQLite database: itself, and the log or journal that SQLite keeps beside it.

They are looked at before SQLite opens any: it would wait for ever for a named pipe, and make a `-shm` where a `-wal`
lies.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from typing import TYPE_CHECKING

from ckpt_migrate.errors import StoreError

if TYPE_CHECKING:
    from typing import BinaryIO

LOGS = ("-wal", "-journal")
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What Python raises when SQLite cannot read a database; the second when the words of SQLite are no text."""

_SIDE_FILES = (*LOGS, "-shm")
_FORMAT_OFFSET = 18  # of the two bytes that say the format: 1 is rollback journal, 2 is WAL
_FORMAT_WAL = 2
_WAL_HEADER_BYTES = 32
_WAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_FRAME_HEADER_BYTES = 24
_PAGE_BYTES = (512, 65_536)
_AT_ONCE = 1 << 20


def check_files(path: str, shown: str) -> None:
    """Make sure that nothing but regular files is opened.

    Args:
        path: The database file, links resolved.
        shown: The store's URI, credentials masked, for errors.

    Raises:
        StoreError: The database, or what lies beside it in the place of a log, is something else.
        OSError: It cannot be looked at.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        remedy = "Name a folder (mlruns) or a SQLite file (mlflow.db)."
        raise StoreError("this is no regular file, so no database", where=shown, remedy=remedy)
    for ending in _SIDE_FILES:
        try:
            mode = os.lstat(path + ending).st_mode  # SQLite follows no link here either
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(mode):
            what = f"beside the database lies {os.path.basename(path)}{ending}, which is no regular file"
            remedy = "It is no log that SQLite wrote: find out what it is and move it away; nothing was changed."
            raise StoreError(what, where=shown, remedy=remedy)


def is_logged_ahead(path: str) -> bool:
    """Say whether a database is in WAL mode, or has a WAL, even an empty one, although its header does not say so.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        file.seek(_FORMAT_OFFSET)
        return _FORMAT_WAL in file.read(2) or os.path.lexists(f"{path}-wal")


def bytes_on_disk(path: str) -> int:
    """Return how much room a copy takes, holes left out; 0 when there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    blocks = getattr(status, "st_blocks", None)  # of 512 bytes, whatever the file system's own are
    return status.st_size if blocks is None else min(status.st_size, blocks * 512)


def copy_file(path: str, target: str) -> None:
    """Copy a file's bytes; blocks of zeros become holes again, so that the copy takes no more room.

    Raises:
        OSError: It cannot be read, or there is no room.
    """
    zeros = bytes(_AT_ONCE)
    with open(path, "rb") as source, open(target, "wb") as copy:
        while block := source.read(_AT_ONCE):
            if block == zeros:
                copy.seek(len(block), os.SEEK_CUR)
            else:
                copy.write(block)
        copy.truncate()


def copy_wal(path: str, target: str) -> None:
    """Copy the part of a WAL that counts: up to the first frame that is of an earlier round, torn or never written.

    A WAL that was started anew keeps the frames of the round before behind those of this one, and a damaged one may
    be of any length. Frames of this round carry the salts of the file's header.

    Raises:
        OSError: It cannot be read, or there is no room.
    """
    with open(path, "rb") as source, open(target, "wb") as copy:
        header = read_wal_header(source)
        if header:
            copy.write(header)
            frame_bytes = _FRAME_HEADER_BYTES + _page_bytes(header)
            while len(frame := source.read(frame_bytes)) == frame_bytes and frame[8:16] == header[16:24]:
                copy.write(frame)


def read_wal_header(wal: BinaryIO) -> bytes:
    """Return the header of a WAL; empty when there is none that SQLite would take for one."""
    header = wal.read(_WAL_HEADER_BYTES)
    if len(header) < _WAL_HEADER_BYTES or header[:4] not in _WAL_MAGIC:
        return b""
    return header if _PAGE_BYTES[0] <= _page_bytes(header) <= _PAGE_BYTES[1] else b""


def _page_bytes(header: bytes) -> int:
    return int.from_bytes(header[8:12], "big")


def unreadable(error: Exception, shown: str) -> StoreError:
    """Return what is told of an error of SQLite's (`UNREADABLE`)."""
    if isinstance(error, UnicodeDecodeError):  # SQLite quotes the damaged bytes, and Python cannot make a text of it
        error = sqlite3.DatabaseError("it is damaged")
    remedy = "Check the file: sqlite3 FILE 'PRAGMA integrity_check'; read a backup if it is damaged."
    if "locked" in str(error):
        remedy = "Another program keeps it locked; wait until that is done, then run the command again."
    return StoreError(f"the database cannot be read ({error})", where=shown, remedy=remedy)
