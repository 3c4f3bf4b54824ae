"""Where a run's artifacts lie on this machine, and what is never followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.tracking import artifacts, open_stores
from ckpt_migrate.tracking.artifacts import ArtifactPlaces, list_artifacts
from ckpt_migrate.tracking.passed_over import PassedOver
from ckpt_migrate.tracking.records import Run
from tracking.file_store_maker import META, OTHER, RUN, add_experiment, add_run, write

if TYPE_CHECKING:
    from pathlib import Path


def run_at(artifact_uri: str | None) -> Run:
    return Run(RUN, "", "1", "", "FINISHED", False, None, None, artifact_uri, "s")  # noqa: FBT003 - a record


def listed(run: Run, places: ArtifactPlaces | None = None) -> list[tuple[str, str | None]]:
    files = list_artifacts(run, places or ArtifactPlaces(), PassedOver())
    return [(file.path, file.local_path) for file in files]


def test_files_are_listed_with_sizes_and_sorted(tmp_path: Path) -> None:
    add_experiment(tmp_path / "mlruns")
    add_run(tmp_path / "mlruns")
    inside = tmp_path / "mlruns" / "1" / RUN / "artifacts"
    write(inside / "model" / "model.pt", "weights")
    write(inside / "config.json", "{}")
    store = open_stores([str(tmp_path / "mlruns")])
    files = store.artifact_files(RUN)
    assert [(file.path, file.size_bytes) for file in files] == [("config.json", 2), ("model/model.pt", 7)]
    assert [file.local_path for file in files] == [str(inside / file.path) for file in files]
    assert store.artifact_files(OTHER) == ()


@pytest.mark.parametrize("form", ["{path}", "file://{path}", "file:{path}"])
def test_the_uri_leads_there(tmp_path: Path, form: str) -> None:
    path = tmp_path / "own place" / RUN / "artifacts"
    write(path / "x", "")
    uri = form.format(path=str(path).replace(" ", "%20") if form.startswith("file") else path)
    assert listed(run_at(uri)) == [("x", str(path / "x"))]


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (f"/other/machine/mlruns/1/{RUN}/artifacts", f"mlruns/1/{RUN}/artifacts"),
        (f"./mlruns/1/{RUN}/artifacts", f"mlruns/1/{RUN}/artifacts"),
        (f"file:///C:/Users/me/mlruns/1/{RUN}/artifacts", f"mlruns/1/{RUN}/artifacts"),
        (f"C:\\Users\\me\\mlruns\\1\\{RUN}\\artifacts", f"mlruns/1/{RUN}/artifacts"),
        (f"mlflow-artifacts:/1/{RUN}/artifacts", f"mlartifacts/1/{RUN}/artifacts"),
        (f"file:///gone/my%20place/{RUN}/artifacts", f"my place/{RUN}/artifacts"),
        (None, f"mlruns/1/{RUN}/artifacts"),
    ],
)
def test_a_moved_store_has_them_beside_it(tmp_path: Path, uri: str | None, place: str) -> None:
    path = tmp_path / place
    write(path / "x", "")
    assert listed(run_at(uri), ArtifactPlaces(beside=str(tmp_path))) == [("x", str(path / "x"))]


@pytest.mark.parametrize("uri", ["{top}", "file://{top}", "{top}/../" + RUN + "/artifacts", "s3://bucket/" + RUN])
def test_a_uri_that_names_no_runs_folder_is_not_followed(tmp_path: Path, uri: str) -> None:
    """A store of unknown origin could name any folder of this machine."""
    write(tmp_path / "secret", "")
    write(tmp_path / "sub" / "x", "")
    assert listed(run_at(uri.format(top=tmp_path / "sub")), ArtifactPlaces(beside=str(tmp_path / "sub"))) == []


def test_links_are_noted_and_never_followed(tmp_path: Path) -> None:
    path = tmp_path / RUN / "artifacts"
    write(path / "x", "")
    write(tmp_path / "outside" / "secret", "")
    (path / "folder").symlink_to(tmp_path / "outside")
    (path / "file").symlink_to(tmp_path / "outside" / "secret")
    (path / "loop").symlink_to(path)
    passed_over = PassedOver()
    files = list_artifacts(run_at(str(path)), ArtifactPlaces(), passed_over)
    assert [file.path for file in files] == ["x"]
    assert len(passed_over.all()) == 3


def test_the_count_is_bounded_and_the_rest_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / RUN / "artifacts"
    for number in range(6):
        write(path / f"f{number}" / "x", "")
    monkeypatch.setattr(artifacts, "MAX_FILES", 4)
    passed_over = PassedOver()
    assert len(list_artifacts(run_at(str(path)), ArtifactPlaces(), passed_over)) == 4
    assert "more than 4" in passed_over.all()[0].what


def test_an_empty_folder_in_the_store_does_not_hide_the_real_place(tmp_path: Path) -> None:
    """MLflow makes the folder in the run even where the experiment has another artifact location."""
    real = tmp_path / "place" / RUN / "artifacts"
    write(real / "x", "")
    add_experiment(tmp_path / "mlruns")
    meta = META.format(run_id=RUN, experiment="1").replace(f"file:///x/1/{RUN}/artifacts", f"file://{real}")
    add_run(tmp_path / "mlruns", meta=meta)
    (tmp_path / "mlruns" / "1" / RUN / "artifacts").mkdir()
    store = open_stores([str(tmp_path / "mlruns")])
    assert [file.local_path for file in store.artifact_files(RUN)] == [str(real / "x")]
