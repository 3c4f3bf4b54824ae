"""Databases behind SQLAlchemy: the same tables through another door."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking import open_stores, sqlalchemy_rows
from tracking.database_maker import make_database

if TYPE_CHECKING:
    from pathlib import Path

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
    drivers = {"mysql": ("MySQLdb", "pymysql"), "postgresql": ("psycopg2", "psycopg2-binary"), "mssql": ("pyodbc",) * 2}
    missing = {scheme: named for scheme, (module, named) in drivers.items() if importlib.util.find_spec(module) is None}
    if not missing:
        pytest.skip("all drivers are installed here")
    for scheme, driver in missing.items():
        with pytest.raises(StoreError, match="not installed") as caught:
            open_stores([f"{scheme}://bob:s3cret@127.0.0.1/mlflow"])
        assert f"pip install {driver}" in str(caught.value)
        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None
