"""Stores in a PostgreSQL, MySQL or SQL Server database, read through SQLAlchemy and the user's driver.

Only SELECT is sent, inside read-only transactions where the server knows them.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking.database import TABLES, DatabaseStore
from ckpt_migrate.tracking.uri import mask_credentials, scrub

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

_CONNECT_TIMEOUT_S = 15
_ROWS_AT_ONCE = 5_000
_IDS_AT_ONCE = 500
_MANY_IDS = 2_000  # from here on one pass over the table costs less than looking ids up

_DRIVERS = {"postgresql": "psycopg2-binary", "mysql": "pymysql", "mssql": "pyodbc"}
_TIMEOUT_DRIVERS = frozenset({"psycopg2", "psycopg", "pymysql", "mysqldb"})  # these take `connect_timeout`
_CONNECTION_OPTIONS: dict[str, dict[str, Any]] = {
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
    "mysql": {"isolation_level": "REPEATABLE READ"},
}


def open_database(uri: str) -> DatabaseStore:
    """Connect to a database.

    Raises:
        StoreError: The driver is missing, the database cannot be reached, or it holds no runs.
    """
    shown = mask_credentials(uri)
    scheme = uri.partition(":")[0].partition("+")[0]
    try:
        sqlalchemy: Any = importlib.import_module("sqlalchemy")
        url = sqlalchemy.engine.make_url(uri)
        arguments = {}
        if url.get_driver_name() in _TIMEOUT_DRIVERS and "connect_timeout" not in url.query:
            arguments["connect_timeout"] = _CONNECT_TIMEOUT_S
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool, connect_args=arguments)
        connection = engine.connect().execution_options(**_CONNECTION_OPTIONS.get(scheme, {}))
    except ImportError as error:
        driver = _DRIVERS.get(scheme, "the driver that the URI names")
        raise StoreError(
            f"the database driver is not installed ({error.name or error})",
            where=shown,
            remedy=f"Install it beside this tool: pip install {driver}",
        ) from None
    except Exception as error:  # noqa: BLE001 - drivers raise what they like while connecting, unwrapped
        raise _store_error(error, uri) from None
    rows = SqlalchemyRows(connection, uri)
    try:
        if scheme == "mysql":
            rows.run("SET SESSION TRANSACTION READ ONLY")
        return DatabaseStore(rows, uri, beside=None)
    except StoreError:
        rows.close()
        raise


def _store_error(error: Exception, uri: str) -> StoreError:
    # The driver's words may hold the password, so neither they nor the chained error leave unscrubbed.
    words = " ".join(str(getattr(error, "orig", None) or error).split())
    return StoreError(
        f"the database cannot be read ({scrub(words, uri):.400})",
        where=mask_credentials(uri),
        remedy="Check host, port, user and password, and that the server runs; then run the command again.",
    )


class SqlalchemyRows:
    """The tables of a database behind SQLAlchemy; implements `Rows`.

    Args:
        connection: An open SQLAlchemy connection.
        uri: The store's URI with credentials; they are only used to keep them out of messages.
    """

    def __init__(self, connection: Any, uri: str) -> None:  # noqa: ANN401 - SQLAlchemy is loaded lazily
        self._connection = connection
        self._uri = uri
        self._sqlalchemy: Any = importlib.import_module("sqlalchemy")
        self._columns: dict[str, frozenset[str]] | None = None

    def run(self, statement: str) -> None:
        """Execute a statement that sets up the session."""
        with self._errors(), self._transaction():
            self._connection.execute(self._sqlalchemy.text(statement))

    def columns(self) -> Mapping[str, frozenset[str]]:
        """Return the columns of the tables that exist."""
        if self._columns is None:
            with self._errors(), self._transaction():
                inspector = self._sqlalchemy.inspect(self._connection)
                there = [table for table in TABLES if inspector.has_table(table)]
                self._columns = {
                    table: frozenset(str(column["name"]) for column in inspector.get_columns(table)) for table in there
                }
        return self._columns

    def select(
        self,
        table: str,
        columns: Sequence[str],
        *,
        run_ids: Collection[str] | None = None,
        key: str | None = None,
    ) -> Iterator[Sequence[object]]:
        """Yield rows as they come from the server; see `Rows.select`."""
        there = self.columns().get(table)
        if there is None:
            return
        column, null = self._sqlalchemy.column, self._sqlalchemy.null
        statement = self._sqlalchemy.select(*(column(name) if name in there else null() for name in columns))
        statement = statement.select_from(self._sqlalchemy.table(table))
        if key is not None:
            statement = statement.where(column("key") == key)
        if run_ids is not None and len(run_ids) < _MANY_IDS:
            ids = sorted(run_ids)
            for start in range(0, len(ids), _IDS_AT_ONCE):
                some = ids[start : start + _IDS_AT_ONCE]
                yield from self._stream(statement.where(column("run_uuid").in_(some)))
            return
        members = None if run_ids is None else frozenset(run_ids)
        for row in self._stream(statement):
            if members is None or row[0] in members:
                yield row

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """Hold one transaction, repeatable read where the server knows it."""
        with self._errors(), self._transaction():
            yield

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _stream(self, statement: Any) -> Iterator[Sequence[object]]:  # noqa: ANN401 - SQLAlchemy is loaded lazily
        options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
        with self._errors(), self._transaction():
            for row in self._connection.execute(statement, execution_options=options):
                yield tuple(row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._connection.in_transaction():
            yield
            return
        transaction = self._connection.begin()
        try:
            yield
        finally:
            transaction.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - of a dropped connection, drivers raise what they like
            raise _store_error(error, self._uri) from None
