"""Stores written by MLflow itself, read by this package and by MlflowClient, field for field."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt_migrate.tracking import open_stores

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt_migrate.tracking.records import Run, RunDetails

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow, SQLAlchemy and alembic warn of each other

KEYS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]{0,8}(/[a-z][a-z0-9_]{0,5}){0,2}", fullmatch=True).map(str.strip)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\t#:'\"\\{}[]"), max_size=40)
# The largest float is left out: databases keep infinity as that, and so it reads as infinity.
NUMBERS = st.floats(width=64, allow_subnormal=False).filter(lambda x: not math.isfinite(x) or abs(x) < 1.7e308)
POINTS = st.tuples(NUMBERS, st.integers(0, 2**40), st.integers(0, 1000))
RUNS = st.fixed_dictionaries(
    {
        "name": st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60),
        "params": st.dictionaries(KEYS, TEXTS, max_size=4),
        "tags": st.dictionaries(KEYS, TEXTS, max_size=3),
        "metrics": st.dictionaries(KEYS, st.lists(POINTS, min_size=1, max_size=4), max_size=3),
        "experiment": st.integers(0, 2),
        "status": st.sampled_from([None, "FINISHED", "FAILED", "KILLED"]),
        "fate": st.sampled_from(["kept", "deleted", "restored"]),
        "is_child": st.booleans(),
    }
)


def nest_free(keys: list[str]) -> bool:
    """Say whether no key is a folder of another: a file store cannot hold both."""
    return not any(a != b and b.startswith(f"{a}/") for a in keys for b in keys)


def fill(client: Any, runs: list[dict[str, Any]]) -> None:
    experiments = [client.create_experiment(name) for name in ("phase2 ä", "b: #2", "- gone")]
    parent = None
    for run in runs:
        tags: dict[str, str] = {"mlflow.parentRunId": parent} if run["is_child"] and parent else {}
        made = client.create_run(
            experiments[run["experiment"]], start_time=1_700_000_000_123, tags=tags, run_name=run["name"]
        )
        run_id = parent = made.info.run_id
        for kind in ("params", "tags", "metrics"):
            if not nest_free(list(run[kind])):
                run[kind] = {}
        for key, text in run["params"].items():
            client.log_param(run_id, key, text)
        for key, text in run["tags"].items():
            client.set_tag(run_id, key, text)
        for key, points in run["metrics"].items():
            for value, time, step in points:
                client.log_metric(run_id, key, value, timestamp=time, step=step)
        if run["status"]:
            client.set_terminated(run_id, run["status"], end_time=1_700_000_060_456)
        if run["fate"] != "kept":
            client.delete_run(run_id)
        if run["fate"] == "restored":
            client.restore_run(run_id)
    client.delete_experiment(experiments[2])


def same(a: float, b: float) -> bool:
    """Say whether two values are equal, NaN among them, and infinity however MLflow says it."""
    return a == b or (math.isnan(a) and math.isnan(b)) or (math.isinf(a) and abs(b) > 1.79e308 and a * b > 0)


def check(run: Run, details: RunDetails, want: Any, experiments: dict[str, Any]) -> None:
    info, data = want.info, want.data
    experiment = experiments[info.experiment_id]
    is_deleted = "deleted" in (info.lifecycle_stage, experiment.lifecycle_stage)
    assert (run.run_id, run.name, run.experiment_id) == (info.run_id, info.run_name, info.experiment_id)
    assert (run.experiment, run.status, run.is_deleted) == (experiment.name, info.status, is_deleted)
    assert (run.start_utc_ms, run.end_utc_ms) == (info.start_time, info.end_time)
    assert run.artifact_uri == info.artifact_uri
    assert details.params == data.params
    assert details.tags == data.tags
    points = {metric.key: metric for metric in data._metric_objs}
    assert set(details.metrics) == set(points)
    for key, point in details.metrics.items():
        assert (point.step, point.timestamp_utc_ms) == (points[key].step, points[key].timestamp)
        assert same(point.value, points[key].value)


@pytest.mark.parametrize("kind", ["files", "sqlite"])
def test_every_field_is_as_mlflow_says(kind: str, mlflow_client: Callable[[str], Any], tmp_path: Path) -> None:
    empty = tmp_path / "mlflow.db"
    if kind == "sqlite":
        mlflow_client(f"sqlite:///{empty}")  # makes all tables, which takes a second; copied for each example

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(RUNS, min_size=1, max_size=4))
    def compare(runs: list[dict[str, Any]]) -> None:
        with tempfile.TemporaryDirectory() as name:
            uri = f"sqlite:///{name}/mlflow.db" if kind == "sqlite" else (Path(name) / "ml runs").as_uri()
            if kind == "sqlite":
                shutil.copy(empty, name)
            client = mlflow_client(uri)
            fill(client, runs)
            store = open_stores([uri])
            ours = {run.run_id: run for run in store.runs()}
            details = store.details(list(ours))
            experiments = {e.experiment_id: e for e in client.search_experiments(view_type=3)}
            theirs = client.search_runs(list(experiments), run_view_type=3)
            assert set(ours) == {run.info.run_id for run in theirs}
            assert len(ours) == len(runs)
            for want in theirs:
                run_id = want.info.run_id
                check(ours[run_id], details[run_id], want, experiments)
                for key, history in store.metric_histories(run_id).items():
                    wanted = client.get_metric_history(run_id, key)
                    assert len(history) == len(wanted)
                    steps = sorted((metric.step, metric.timestamp) for metric in wanted)
                    assert [(point.step, point.timestamp_utc_ms) for point in history] == steps
            assert not store.warnings
            store.close()

    compare()


def test_artifacts_of_both_kinds_of_store_are_found(tmp_path: Path, mlflow_client: Callable[[str], Any]) -> None:
    """Where MLflow puts them, and after the whole folder was moved to where no URI points any more."""
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    for kind in ("files", "sqlite"):
        made, moved = tmp_path / f"made-{kind}", tmp_path / f"moved-{kind}"
        made.mkdir()
        uri = f"sqlite:///{made}/mlflow.db" if kind == "sqlite" else f"{made}/mlruns"
        client = mlflow_client(uri)
        location = f"{made}/mlruns/7" if kind == "sqlite" else None
        run_id = client.create_run(client.create_experiment("phase2", location)).info.run_id
        client.log_artifact(run_id, str(weights), "model")
        for folder in (made, moved):
            if folder is moved:
                made.rename(moved)
            here = f"sqlite:///{folder}/mlflow.db" if kind == "sqlite" else f"{folder}/mlruns"
            store = open_stores([here])
            (file,) = store.artifact_files(run_id)
            assert (file.path, file.size_bytes) == ("model/model.pt", 7)
            assert file.local_path is not None
            assert file.local_path.startswith(str(folder))
            store.close()
