"""Several stores read as one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking import open_stores
from ckpt_migrate.tracking.preference import preference
from ckpt_migrate.tracking.records import Run
from tracking.file_store_maker import META, OTHER, RUN, add_experiment, add_run, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THIRD = "5" * 32


def two_stores(folder: Path) -> list[str]:
    """Run RUN lies in both (deleted in the first), OTHER in the first, THIRD in the second."""
    for name in ("a", "b"):
        add_experiment(folder / name)
    deleted = META.format(run_id=RUN, experiment="1").replace("stage: active", "stage: deleted")
    add_run(folder / "a", meta=deleted, params={"from": "a"}, metrics={"m": "1700000000000 1 1\n"})
    add_run(folder / "a", OTHER, params={"from": "a"})
    add_run(folder / "b", params={"from": "b"})
    add_run(folder / "b", THIRD, params={"from": "b"})
    return [str(folder / "a"), str(folder / "b")]


def test_a_run_in_two_stores_counts_once_with_the_better_record(tmp_path: Path) -> None:
    uris = two_stores(tmp_path)
    for order in (uris, uris[::-1]):
        store = open_stores(order)
        assert [(run.run_id, run.is_deleted) for run in store.runs()] == [(OTHER, False), (THIRD, False), (RUN, False)]
        details = store.details([THIRD, RUN, OTHER, "f" * 32])
        assert {run_id: found.params["from"] for run_id, found in details.items()} == {
            OTHER: "a", THIRD: "b", RUN: "b",
        }  # fmt: skip
        hits = [(hit.run_id, hit.text) for hit in store.mentions(re.compile("^[ab]$"))]
        assert hits == [(OTHER, "a"), (THIRD, "b"), (RUN, "b")]
        assert store.metric_histories(RUN) == {}
        assert store.metric_histories("f" * 32) == {}
        assert store.uri == ", ".join(order)
        store.close()


@pytest.mark.filterwarnings("ignore")  # MLflow, SQLAlchemy and alembic warn of each other
def test_a_store_and_what_mlflow_migrated_it_to_count_once(tmp_path: Path, mlflow_client: Callable[[str], Any]) -> None:
    """By MLflow's own `migrate-filestore`: both stores hold the same runs, and together they are one."""
    fs2db = pytest.importorskip("mlflow.store.fs2db", reason="this MLflow cannot migrate file stores")
    client = mlflow_client(str(tmp_path / "mlruns"))
    experiment = client.create_experiment("phase2")
    for number in range(3):
        run_id = client.create_run(experiment, start_time=1_700_000_000_000, run_name=f"run-{number}").info.run_id
        client.log_param(run_id, "model/lr", f"0.{number}")
        client.log_metric(run_id, "loss", float(number), timestamp=1_700_000_000_001, step=7)
        client.set_terminated(run_id)
    uris = [str(tmp_path / "mlruns"), f"sqlite:///{tmp_path}/mlflow.db"]
    fs2db.migrate(tmp_path / "mlruns", uris[1], progress=False)
    alone = [open_stores([uri]) for uri in uris]
    both = open_stores(uris)
    ids = [run.run_id for run in both.runs()]
    assert len(ids) == 3
    assert ids == [run.run_id for run in alone[0].runs()] == [run.run_id for run in alone[1].runs()]
    assert both.details(ids) == alone[0].details(ids) == alone[1].details(ids)
    assert len(list(both.mentions(re.compile(r"^0\.")))) == 3
    for store in (*alone, both):
        store.close()


def test_equal_records_count_from_the_store_named_first(tmp_path: Path) -> None:
    for name in ("a", "b"):
        add_experiment(tmp_path / name)
        add_run(tmp_path / name)
    for order in (["a", "b"], ["b", "a"]):
        uris = [str(tmp_path / name) for name in order]
        assert open_stores(uris).runs()[0].store == uris[0]


def test_two_runs_under_one_id_are_refused(tmp_path: Path) -> None:
    """One of the stores was made or edited by other means; to take either would be a guess."""
    for name in ("a", "b"):
        add_experiment(tmp_path / name)
    meta = META.format(run_id=RUN, experiment="1")
    add_run(tmp_path / "a", meta=meta)
    add_run(tmp_path / "b", meta=meta.replace("start_time: 1700000000000", "start_time: 1700000060000"))
    with pytest.raises(StoreError, match="different runs under 1 equal ids") as caught:
        open_stores([str(tmp_path / "a"), str(tmp_path / "b")]).runs()
    assert RUN in str(caught.value)
    assert str(tmp_path / "b") in str(caught.value)


def test_artifacts_come_from_whichever_store_has_them(tmp_path: Path) -> None:
    uris = two_stores(tmp_path)
    write(tmp_path / "a" / "1" / RUN / "artifacts" / "model.pt", "x")
    store = open_stores(uris)
    assert [file.path for file in store.artifact_files(RUN)] == ["model.pt"]
    assert store.artifact_files("f" * 32) == ()


def test_warnings_of_every_store_are_kept(tmp_path: Path) -> None:
    uris = two_stores(tmp_path)
    for name in ("a", "b"):
        add_run(tmp_path / name, "c" * 32, meta="")
    store = open_stores(uris)
    store.runs()
    assert [warning.where.split("/")[-3] for warning in store.warnings] == ["a", "b"]


RUNS = st.builds(
    Run,
    run_id=st.just(RUN), name=st.just(""), experiment_id=st.just("1"), experiment=st.sampled_from(["", "x"]),
    status=st.just("FINISHED"), is_deleted=st.booleans(), start_utc_ms=st.sampled_from([None, 1]),
    end_utc_ms=st.sampled_from([None, 1]), artifact_uri=st.none(), store=st.just("s"),
)  # fmt: skip


@given(RUNS, RUNS)
def test_active_beats_deleted_then_an_end_beats_none(a: Run, b: Run) -> None:
    is_better = a.is_deleted == b.is_deleted and a.end_utc_ms is not None and b.end_utc_ms is None
    if a.is_deleted < b.is_deleted or is_better:
        assert preference(a) > preference(b)
