"""Stores of real projects, MLflow 0.x to 3.x, against counts made without this package."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ckpt_migrate.tracking import open_stores

if TYPE_CHECKING:
    from collections.abc import Iterator

ARCHIVE = Path(__file__).resolve().parents[2].parent / "shared" / "realdata" / "stores.tar.gz"
STATUSES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}

pytestmark = pytest.mark.skipif(not ARCHIVE.is_file(), reason="the real stores are not on this machine")


def listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what a reader could change of a tree: names, types, sizes, modification times."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files, "."]:
            status = os.lstat(os.path.join(parent, name))
            found[os.path.join(parent, name)] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Path, dict[str, Any]]]]:
    """Unpack the stores; afterwards not one byte, time or name may have changed."""
    folder = tmp_path_factory.mktemp("realdata")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    before = listing(folder)
    contents = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    expected = sorted(folder.rglob("expected.json"))
    assert expected
    yield [(path.parent / "data", json.loads(path.read_text("utf-8"))) for path in expected]
    assert listing(folder) == before
    assert {path: path.read_bytes() for path in contents} == contents


def test_file_stores_have_exactly_the_runs_that_lie_there(stores: list[tuple[Path, dict[str, Any]]]) -> None:
    """Every run with its times, status, deletion and counts; no folder that only looks like a run."""
    count = 0
    for data, expected in stores:
        for path, store_expected in expected["file_stores"].items():
            store = open_stores([str(data / path)])
            runs = store.runs()
            details = store.details([run.run_id for run in runs])
            got = {
                run.run_id: (
                    run.experiment_id,
                    run.start_utc_ms,
                    run.end_utc_ms,
                    run.status,
                    run.is_deleted,
                    len(details[run.run_id].params),
                    len(details[run.run_id].metrics),
                    len(details[run.run_id].tags),
                )
                for run in runs
            }
            want = {
                run["run_id"]: (
                    run["experiment_folder"],
                    int(run["start_time"]),
                    None if run["end_time"] in ("", "null") else int(run["end_time"]),
                    STATUSES[run["status"]],
                    run["in_trash"] or run["lifecycle"] == "deleted",
                    run["params"],
                    run["metrics"],
                    run["tags"],
                )
                for run in store_expected["runs"]
            }
            assert got == want, path
            assert [run.run_id for run in runs] == sorted(want)
            names = {e["folder"]: e["name"] for e in store_expected["experiments"]}
            assert all(run.experiment == names[run.experiment_id] for run in runs)
            assert not store.warnings
            count += len(runs)
    assert count > 400


def test_databases_have_exactly_the_rows_that_they_hold(stores: list[tuple[Path, dict[str, Any]]]) -> None:
    """Schemas of MLflow 1.17 to 3.x, read as they are."""
    count = 0
    for data, expected in stores:
        for path, want in expected["databases"].items():
            store = open_stores([f"sqlite:///{data / path}"])
            runs = store.runs()
            details = store.details([run.run_id for run in runs]).values()
            assert len(runs) == want["runs"]
            assert sum(len(d.params) for d in details) == want["params"]
            assert sum(len(d.tags) for d in details) == want["tags"]
            assert sum(len(d.metrics) for d in details) == want["latest_metrics"]
            histories = [store.metric_histories(run.run_id).values() for run in runs]
            assert sum(len(points) for history in histories for points in history) == want["metrics"]
            for experiment in want["experiments"]:
                of_it = [run for run in runs if run.experiment_id == str(experiment["id"])]
                assert len(of_it) == experiment["runs"]
                assert {run.experiment for run in of_it} <= {experiment["name"]}
            gone = {str(e["id"]) for e in want["experiments"] if e["lifecycle"] == "deleted"}
            deleted = want["lifecycle"].get("deleted", 0)
            assert sum(run.is_deleted and run.experiment_id not in gone for run in runs) <= deleted
            assert not store.warnings
            store.close()
            count += len(runs)
    assert count > 200
