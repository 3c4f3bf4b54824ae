"""One database, read at every schema from MLflow 0.9 to the newest that is installed."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.tracking import open_stores

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt_migrate.tracking.records import Run, RunDetails

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow, SQLAlchemy and alembic warn of each other

RUN = "94525c6650a3407985928d7c2f83f9eb"
GONE = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
ROWS = (
    (
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) VALUES (?, ?, ?, ?)",
        ((1, "phase2", "/x/1", "active"), (2, "gone", "/x/2", "deleted")),
    ),
    (
        (
            "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage,"
            " artifact_uri, experiment_id) VALUES (?, '', 'LOCAL', 'me', ?, 1550000000000, ?, 'active', ?, ?)"
        ),
        ((RUN, "FINISHED", 1_550_000_060_000, f"/x/1/{RUN}/artifacts", 1), (GONE, "RUNNING", None, None, 2)),
    ),
    ("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", (("mlflow.runName", "phase2_x", RUN),)),
    ("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", (("model/lr", "2e-4", RUN), ("empty", "", RUN))),
    (
        "INSERT INTO metrics (key, value, timestamp, run_uuid) VALUES ('loss', ?, ?, ?)",
        ((2.5, 1_550_000_001, RUN), (1.5, 1_550_000_002, RUN)),
    ),
)


def read(path: Path) -> tuple[list[Run], RunDetails, list[float], int]:
    store = open_stores([f"sqlite:///{path}"])
    runs = list(store.runs())
    details = store.details([RUN])[RUN]
    history = [point.value for point in store.metric_histories(RUN)["loss"]]
    assert not store.warnings
    store.close()
    return runs, details, history, details.metrics["loss"].timestamp_utc_ms


def test_every_schema_gives_the_same_answer(tmp_path: Path) -> None:
    """The database is migrated step by step by MLflow's own migrations; reading never changes its schema."""
    import alembic.command  # noqa: PLC0415 - MLflow's, imported where its warnings are ignored
    import alembic.script  # noqa: PLC0415 - same
    import sqlalchemy  # noqa: PLC0415 - same
    from mlflow.store.db.utils import _get_alembic_config  # noqa: PLC0415 - same
    from mlflow.store.tracking.dbmodels.initial_models import Base  # noqa: PLC0415 - same

    path = tmp_path / "mlflow.db"
    url = f"sqlite:///{path}"
    engine = sqlalchemy.create_engine(url)
    Base.metadata.create_all(engine)
    with closing(sqlite3.connect(path)) as database, database:
        for statement, rows in ROWS:
            database.executemany(statement, rows)
    runs, details, history, timestamp = read(path)
    assert [(run.run_id, run.is_deleted, run.experiment) for run in runs] == [
        (GONE, True, "gone"),
        (RUN, False, "phase2"),
    ]
    assert (runs[1].name, runs[1].status) == ("phase2_x", "FINISHED")
    assert (details.params, history) == ({"model/lr": "2e-4", "empty": ""}, [2.5, 1.5])
    assert timestamp == 1_550_000_002_000  # seconds, as long as metrics have no step

    config = _get_alembic_config(url)
    script = alembic.script.ScriptDirectory.from_config(config)
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    logging.getLogger("alembic").setLevel(logging.ERROR)
    for revision in revisions:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, revision)
        before = path.read_bytes()
        runs_now, details_now, history_now, _ = read(path)
        assert path.read_bytes() == before
        assert [(r.run_id, r.name, r.status, r.is_deleted) for r in runs_now] == [
            (r.run_id, r.name, r.status, r.is_deleted) for r in runs
        ], revision
        assert details_now.params == details.params, revision
        # A migration of MLflow 1.0 copies the column user_id into a tag.
        assert {"mlflow.user": "me", **details_now.tags} == {"mlflow.user": "me", **details.tags}, revision
        assert history_now == history, revision
        assert details_now.metrics["loss"].value == 1.5, revision
    engine.dispose()
    assert len(revisions) > 15
