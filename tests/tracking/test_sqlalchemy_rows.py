"""Databases behind SQLAlchemy: the same tables through another door, and a real PostgreSQL where there is one."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking import open_stores, sqlalchemy_rows
from tracking.conftest import free_port
from tracking.database_maker import PARAMS, SCHEMA, make_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt_migrate.tracking.records import RunStore

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # drivers and SQLAlchemy warn of each other


def everything(store: RunStore) -> list[object]:
    """Return all that a store says, but for its own name."""
    runs = store.runs()
    ids = [run.run_id for run in runs]
    return [
        [(run.run_id, run.name, run.experiment, run.status, run.is_deleted, run.start_utc_ms) for run in runs],
        store.details(ids),
        list(store.mentions(re.compile("x|run-1"))),
        [store.metric_histories(run_id) for run_id in ids],
    ]


def test_both_readers_of_a_database_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_database(tmp_path / "mlflow.db", runs=12)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO metrics VALUES ('loss', 0, 5, ?, 3, 1)", ("0" * 32,))
        database.execute("INSERT INTO latest_metrics SELECT * FROM metrics WHERE step IS NOT 3")
        database.execute("INSERT INTO tags VALUES ('mlflow.runName', 'x', ?)", ("0" * 32,))
        database.execute("UPDATE runs SET name = '' WHERE run_uuid = ?", ("0" * 32,))
    uri = f"sqlite:///{path}"
    want = everything(open_stores([uri]))
    for many in (2000, 3):
        monkeypatch.setattr(sqlalchemy_rows, "_MANY_IDS", many)
        store = sqlalchemy_rows.open_database(uri)
        assert repr(everything(store)) == repr(want)  # as text, where NaN equals itself
        store.close()


def test_a_database_of_something_else_is_an_error(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        database.execute("CREATE TABLE users (id INTEGER)")
    with pytest.raises(StoreError, match="no MLflow runs"):
        sqlalchemy_rows.open_database(f"sqlite:///{tmp_path}/x.db")


def test_a_missing_driver_is_named_with_how_to_install_it() -> None:
    if any(importlib.util.find_spec(name) for name in ("MySQLdb", "psycopg2")):
        pytest.skip("the drivers are installed here")
    for scheme, driver in (("mysql", "pymysql"), ("postgresql", "psycopg2-binary")):
        with pytest.raises(StoreError, match="not installed") as caught:
            open_stores([f"{scheme}://bob:s3cret@127.0.0.1/mlflow"])
        assert f"pip install {driver}" in str(caught.value)
        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None


DRIVER = next((name for name in ("psycopg2", "psycopg", "pg8000") if importlib.util.find_spec(name)), None)
INITDB = shutil.which("initdb")
POSTGRES = shutil.which("postgres")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Start a PostgreSQL on 127.0.0.1 with a user that has a password; its URI."""
    if DRIVER is None or INITDB is None or POSTGRES is None:
        pytest.skip("no PostgreSQL server, or no driver for it, on this machine")
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name  # it refuses to run as root
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            shutil.chown(name, user)
        Path(name, "password").write_text("s3cret pass", "utf-8")
        options = ["-D", f"{name}/data", "-U", "bob", "--auth", "scram-sha-256", "--pwfile", f"{name}/password"]
        subprocess.run([INITDB, *options], check=True, capture_output=True, user=user, cwd="/")
        port = str(free_port())
        server = subprocess.Popen(
            [POSTGRES, "-D", f"{name}/data", "-p", port, "-h", "127.0.0.1", "-k", name, "-F"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, user=user, cwd="/",
        )  # fmt: skip
        try:
            for line in server.stderr or ():
                if "ready to accept connections" in line:
                    break
            yield f"postgresql+{DRIVER}://bob:s3cret%20pass@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.communicate(timeout=30)


def test_a_postgresql_store_is_read_and_cannot_be_written(postgres: str, tmp_path: Path) -> None:
    import sqlalchemy  # noqa: PLC0415 - this test alone

    path = make_database(tmp_path / "mlflow.db", runs=12)
    engine = sqlalchemy.create_engine(postgres, poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection, closing(sqlite3.connect(path)) as database:
        for statement in SCHEMA.split(";"):
            if statement.strip():
                connection.execute(sqlalchemy.text(statement))
        for table in ("runs", "params"):
            rows = database.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - two fixed names
            marks = ", ".join(f":c{number}" for number in range(len(rows[0])))
            insert = sqlalchemy.text(f"INSERT INTO {table} VALUES ({marks})")  # noqa: S608 - same
            connection.execute(insert, [{f"c{n}": value for n, value in enumerate(row)} for row in rows])
        nan = "INSERT INTO metrics VALUES ('loss', 0, 5, :run, 3, true)"
        connection.execute(sqlalchemy.text(nan), {"run": "0" * 32})
    store = open_stores([postgres])
    assert "s3cret" not in store.uri
    assert "bob" not in store.uri
    want = everything(open_stores([str(path)]))
    got = everything(store)
    assert got[:3] == want[:3]
    assert store.metric_histories("0" * 32)["loss"][0].step == 3
    assert len(store.details(["0" * 32])["0" * 32].params) == PARAMS
    with pytest.raises(StoreError, match="read-only"):
        store._rows.run("DELETE FROM runs")  # type: ignore[attr-defined] # the seam that must refuse
    store.close()


def test_a_refused_password_is_an_error_without_it(postgres: str) -> None:
    uri = postgres.replace("s3cret%20pass", "wr0ng%20pass")
    with pytest.raises(StoreError) as caught:
        open_stores([uri])
    text = str(caught.value)
    assert "cannot be read" in text
    for secret in ("wr0ng", "bob"):
        assert secret not in text


def test_a_server_that_is_down_is_an_error(postgres: str) -> None:
    uri = re.sub(r":\d+/", f":{free_port()}/", postgres)
    with pytest.raises(StoreError, match="cannot be read") as caught:
        open_stores([uri])
    assert "s3cret" not in str(caught.value)


def test_a_connection_that_drops_is_an_error(postgres: str) -> None:
    import sqlalchemy  # noqa: PLC0415 - this test alone

    store = open_stores([postgres])
    engine = sqlalchemy.create_engine(postgres, poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection, contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
        others = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'bob'"
        )
        connection.execute(sqlalchemy.text(others))
    with pytest.raises(StoreError, match="cannot be read"):
        store.runs()
    assert sys.exc_info() == (None, None, None)
