"""Stores that MLflow itself wrote into a real PostgreSQL and MySQL: read whole, never written, no secret told."""

from __future__ import annotations

import contextlib
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking import open_stores
from tracking.conftest import free_port
from tracking.database_servers import SERVERS
from tracking.test_differential import check, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.filterwarnings("ignore")  # drivers, SQLAlchemy and MLflow warn of each other

TABLES = ("experiments", "runs", "params", "tags", "metrics", "latest_metrics")
NOW_MS = 1_700_000_000_000
NAN, INF = float("nan"), float("inf")


def run(name: str, **fields: object) -> dict[str, Any]:
    ordinary = {"params": {}, "tags": {}, "metrics": {}, "experiment": 0, "status": "FINISHED", "fate": "kept"}
    return {"name": name, "is_child": False, **ordinary, **fields}


RUNS = [
    run("ünïcode 😀", params={"model/lr": "2e-4", "empty": "", "quote": "'\"\\%_"}, tags={"checkpoint_dir": "a/b"}),
    run("child", metrics={"loss": [(2.5, NOW_MS, 1), (1.5, NOW_MS + 1, 2)]}, is_child=True, status=None),
    run("odd", metrics={"loss": [(NAN, NOW_MS, 0)], "up": [(INF, NOW_MS, 0)], "down": [(-INF, NOW_MS, 0)]}),
    run("deleted", fate="deleted", status="KILLED"),
    run("restored", fate="restored", params={"long": "x" * 500}),
    run("of a deleted experiment", experiment=2),
]


@pytest.fixture(scope="module", params=sorted(SERVERS))
def server(request: pytest.FixtureRequest, mlflow_client: Callable[[str], Any]) -> Iterator[str]:
    """Start a server and let MLflow make and fill a store in it; its URI."""
    with SERVERS[request.param]() as uri:
        client = mlflow_client(uri)
        fill(client, RUNS)
        client._tracking_client.store.engine.dispose()
        yield uri


def execute(uri: str, *statements: str) -> list[list[tuple[object, ...]]]:
    """Execute statements on a connection of its own; return the rows of each."""
    import sqlalchemy  # noqa: PLC0415 - after its warnings are ignored

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        found = [connection.execute(sqlalchemy.text(statement)) for statement in statements]
        return [[tuple(row) for row in result] if result.returns_rows else [] for result in found]


def state(uri: str) -> str:
    """Return every row of every table that matters, and every column of every table."""
    rows = execute(
        uri,
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema IN ('public', 'mlflow') ORDER BY 1, 2",
        *(f"SELECT * FROM {table}" for table in TABLES),  # noqa: S608 - fixed names
    )
    return repr([sorted(map(repr, some)) for some in rows])


def test_every_field_is_as_mlflow_says(server: str, mlflow_client: Callable[[str], Any]) -> None:
    client = mlflow_client(server)
    experiments = {e.experiment_id: e for e in client.search_experiments(view_type=3)}
    theirs = client.search_runs(list(experiments), run_view_type=3)
    store = open_stores([server])
    ours = {found.run_id: found for found in store.runs()}
    details = store.details(list(ours))
    assert len(ours) == len(RUNS)
    assert set(ours) == {want.info.run_id for want in theirs}
    for want in theirs:
        run_id = want.info.run_id
        check(ours[run_id], details[run_id], want, experiments)
        for key, history in store.metric_histories(run_id).items():
            wanted = sorted((point.step, point.timestamp) for point in client.get_metric_history(run_id, key))
            assert [(point.step, point.timestamp_utc_ms) for point in history] == wanted
    assert [hit.place for hit in store.mentions(re.compile("a/b"))] == ["tag checkpoint_dir"]
    assert not store.warnings
    assert not {"bob", "s3cret"} & set(re.split(r"\W", store.uri))
    store.close()
    client._tracking_client.store.engine.dispose()


def test_reading_changes_nothing_and_cannot(server: str) -> None:
    before = state(server)
    store = open_stores([server])
    store.details([found.run_id for found in store.runs()])
    for statement in ("DELETE FROM params", "CREATE TABLE ours (x INTEGER)"):
        with pytest.raises(StoreError, match=r"(?i)read.only"):
            store._rows.run(statement)  # type: ignore[attr-defined] # the seam that must refuse
    store.close()
    assert state(server) == before


def test_a_user_who_may_only_read_is_enough(server: str) -> None:
    if server.startswith("mysql"):
        grants = ("CREATE USER eve@'127.0.0.1' IDENTIFIED BY 'pw'", "GRANT SELECT ON mlflow.* TO eve@'127.0.0.1'")
    else:
        grants = ("CREATE USER eve PASSWORD 'pw'", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO eve")
    execute(server, *grants)
    store = open_stores([server.replace("bob:s3cret%20pass", "eve:pw")])
    assert len(store.details([found.run_id for found in store.runs()])) == len(RUNS)
    store.close()


def test_a_refused_password_is_an_error_without_it(server: str) -> None:
    with pytest.raises(StoreError, match="cannot be read") as caught:
        open_stores([server.replace("s3cret%20pass", "wr0ng%20pass")])
    assert not any(secret in str(caught.value) for secret in ("wr0ng", "bob"))


def test_a_server_that_is_down_is_an_error(server: str) -> None:
    with pytest.raises(StoreError, match="cannot be read") as caught:
        open_stores([re.sub(r":\d+/", f":{free_port()}/", server)])
    assert "s3cret" not in str(caught.value)


def test_a_connection_that_drops_is_an_error(server: str) -> None:
    store = open_stores([server])
    if server.startswith("mysql"):
        ((own,), *others) = execute(
            server, "SELECT connection_id()", "SELECT id FROM information_schema.processlist WHERE user = 'bob'"
        )
        assert own
        for (number,) in others[0]:
            with contextlib.suppress(Exception):  # the connection that asked is gone already
                execute(server, f"KILL {number}")
    else:
        mine = "pid <> pg_backend_pid() AND usename = 'bob'"
        execute(server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}")  # noqa: S608 - fixed
    with pytest.raises(StoreError, match="cannot be read"):
        store.runs()
    store.close()
    assert sys.exc_info() == (None, None, None)
