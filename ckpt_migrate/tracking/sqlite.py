"""SQLite stores, read without changing a byte and without keeping a writer waiting.

A database with a rollback journal is read where it lies, in short statements: a writer waits milliseconds. One in
WAL mode, or with the journal of a crash, cannot be read in place without files being written beside it; then a
private copy is read instead (`sqlite_copy`).
"""

from __future__ import annotations

import os
import sqlite3
from array import array
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking.database import MAX_VALUE_CHARACTERS, TABLES, TEXT_TABLES, DatabaseStore
from ckpt_migrate.tracking.sqlite_copy import connect_to_copy
from ckpt_migrate.tracking.sqlite_files import UNREADABLE, check_files, is_logged_ahead, unreadable
from ckpt_migrate.tracking.uri import mask_credentials

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

_MAGIC = b"SQLite format 3\x00"
_BUSY_TIMEOUT_S = 30.0
_ROWS_AT_ONCE = 5_000  # about 10 ms of reading, during which a writer cannot commit
_IDS_AT_ONCE = 500  # below the 999 variables that old SQLite allows
_MANY_IDS = 2_000  # from here on one pass over the table costs less than looking ids up


def open_sqlite(path: str, uri: str) -> DatabaseStore:
    """Open a database file that is known to exist.

    Raises:
        StoreError: It cannot be read, is no SQLite database, or holds no runs.
    """
    shown = mask_credentials(uri)
    real = os.path.realpath(path)  # SQLite's side files lie beside the real one
    try:
        check_files(real, shown)
        with open(real, "rb") as file:
            header = file.read(100)
    except OSError as error:
        remedy = "Give this user permission to read the file; nothing was changed."
        raise StoreError(f"the database cannot be read ({error.strerror})", where=shown, remedy=remedy) from error
    if not header.startswith(_MAGIC):
        what = "the file is empty" if not header else "the file is no SQLite database"
        raise StoreError(what, where=shown, remedy="Name a folder (mlruns) or a SQLite file (mlflow.db).")
    rows = SqliteRows(_connect(real, shown), shown)
    try:
        return DatabaseStore(rows, uri, beside=os.path.dirname(real))
    except StoreError:
        rows.close()
        raise


def _connect(path: str, shown: str) -> sqlite3.Connection:
    if is_logged_ahead(path):
        return connect_to_copy(path, shown)
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None
    )
    try:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        # Either a journal that a crash left must be rolled back first, which only a copy may suffer, or the file
        # system has no locks.
        connection.close()
        if "locked" in str(error):
            raise unreadable(error, shown) from error
        return connect_to_copy(path, shown)
    except UNREADABLE as error:
        connection.close()
        raise unreadable(error, shown) from error
    return connection


class SqliteRows:
    """The tables of a SQLite database; implements `Rows`.

    Args:
        connection: Open for reading, in autocommit mode.
        shown: The store's URI, credentials masked.
    """

    def __init__(self, connection: sqlite3.Connection, shown: str) -> None:
        self._connection = connection
        self._shown = shown
        self._columns: dict[str, frozenset[str]] | None = None
        self._rows_of: dict[str, dict[object, array[int]]] = {}
        self._indexed: dict[str, bool] = {}

    def columns(self) -> Mapping[str, frozenset[str]]:
        """Return the columns of the tables that exist."""
        if self._columns is None:
            self._refuse_views()
            found = {}
            for table in TABLES:
                names = [str(row[1]) for row in self._fetch(f"PRAGMA table_info({table})")]
                if names:
                    found[table] = frozenset(names)
            self._columns = found
        return self._columns

    def _refuse_views(self) -> None:
        """Make sure that reading a table reads rows that lie there: a view can compute more than there ever is."""
        for name, has_rows in self._fetch("SELECT lower(name), rootpage FROM sqlite_master WHERE type <> 'trigger'"):
            if name in TABLES and not has_rows:
                what = f"its {name} are no table but are computed by the database itself"
                remedy = "MLflow makes no such database: name the one that MLflow wrote."
                raise StoreError(what, where=self._shown, remedy=remedy)

    def select(
        self,
        table: str,
        columns: Sequence[str],
        *,
        run_ids: Collection[str] | None = None,
        key: str | None = None,
    ) -> Iterator[Sequence[object]]:
        """Yield rows in short statements, so that a writer gets in between; see `Rows.select`."""
        there = self.columns().get(table)
        if there is None:
            return
        wanted = ", ".join(self._expression(table, name, there) for name in columns)
        if run_ids is not None and len(run_ids) < _MANY_IDS:
            yield from self._look_up(f"SELECT {wanted} FROM {table}", table, run_ids)  # noqa: S608 - our own names
            return
        condition, values = ("", ()) if key is None else ("AND key = ?", (key,))
        statement = (
            f"SELECT {wanted}, rowid FROM {table} "  # noqa: S608 - names of our own tables and columns
            f"WHERE rowid > ? {condition} ORDER BY rowid LIMIT {_ROWS_AT_ONCE}"
        )
        last: object = -(1 << 63)
        members = None if run_ids is None else frozenset(run_ids)
        while True:
            rows = self._fetch(statement, last, *values)
            for row in rows:
                if members is None or row[0] in members:
                    yield row[:-1]
            if len(rows) < _ROWS_AT_ONCE:
                return
            if rows[-1][-1] == last or rows[0][-1] == rows[-1][-1]:  # damage that would never end
                raise unreadable(sqlite3.DatabaseError(f"rows of {table} are in no order"), self._shown)
            last = rows[-1][-1]

    @staticmethod
    def _expression(table: str, name: str, there: frozenset[str]) -> str:
        if name not in there and name != "rowid":
            return "NULL"
        # A value may be a gigabyte long: one character more than is read shows that it is too long.
        return f"substr(value, 1, {MAX_VALUE_CHARACTERS + 1})" if name == "value" and table in TEXT_TABLES else name

    def _look_up(self, statement: str, table: str, run_ids: Collection[str]) -> Iterator[Sequence[object]]:
        """Yield the rows of a few runs, by the table's index, or by our own where an old schema has none."""
        column, values = "run_uuid", list[object](sorted(run_ids))
        if not self._is_indexed(table):
            rowids = self._rowids(table)
            column, values = "rowid", [rowid for run_id in values for rowid in rowids.get(run_id, ())]
        for start in range(0, len(values), _IDS_AT_ONCE):
            some = values[start : start + _IDS_AT_ONCE]
            yield from self._fetch(f"{statement} WHERE {column} IN ({', '.join('?' * len(some))})", *some)

    def _is_indexed(self, table: str) -> bool:
        if table not in self._indexed:
            self._indexed[table] = self._has_index(table)
        return self._indexed[table]

    def _has_index(self, table: str) -> bool:
        indexes = [row[1] for row in self._fetch(f"PRAGMA index_list({table})")]
        columns = [self._fetch("SELECT name FROM pragma_index_info(?) WHERE seqno = 0", name) for name in indexes]
        return [("run_uuid",)] in columns

    def _rowids(self, table: str) -> Mapping[object, array[int]]:
        """Return the rows of each run: one pass over the table, instead of one for every run that is asked for."""
        if table not in self._rows_of:
            found: dict[object, array[int]] = {}
            for run_id, rowid in self.select(table, ("run_uuid", "rowid")):
                found.setdefault(run_id, array("q")).append(int(str(rowid)))
            self._rows_of[table] = found
        return self._rows_of[table]

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """Hold one read transaction."""
        self._fetch("BEGIN")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.rollback()

    def close(self) -> None:
        """Close the connection; a private copy is gone with it."""
        self._connection.close()

    def _fetch(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        try:
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.OperationalError as error:
                if "decode to UTF-8" not in str(error):
                    raise
                # One bad text must not lose the rest; from here on such bytes are replaced.
                self._connection.text_factory = partial(str, encoding="utf-8", errors="replace")
                return self._connection.execute(statement, values).fetchall()
        except UNREADABLE as error:
            raise unreadable(error, self._shown) from error
