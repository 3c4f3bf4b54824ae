"""Old names where no file can be edited: each is listed with what follows from it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from evidence.torch_format import zip_file

from ckpt_migrate import api

if TYPE_CHECKING:
    from collections.abc import Mapping

    from project import Project


def left() -> dict[str, tuple[str, ...]]:
    """Return where mentions were left alone, by reason and the beginning of the words."""
    planned = api.plan("checkpoints", tracking_uri="mlruns", references=".", output="plan.yaml")
    assert planned.plan.references is not None
    return {f"{each.kind.value}: {each.what.partition(':')[0]}": each.where for each in planned.plan.references.left}


def put_weights(project: Project, number: int, content: Mapping[object, object]) -> str:
    """Write what Lightning saves into a checkpoint directory; return its path."""
    training = project.training(number)
    path = project.root / training.legacy / "lightning_checkpoints/last.ckpt"
    path.write_bytes(zip_file(content))
    project.age(path.parents[1], training.start + timedelta(hours=1))
    return path.relative_to(project.folder).as_posix()


def test_pickled_paths_are_listed_with_what_lightning_will_do(empty_project: Project) -> None:
    """They are read by a reader that calls nothing, and never written: a checkpoint's bytes are what training saved."""
    project = empty_project
    old = project.add(0).legacy
    folder = f"/data/checkpoints/phase2/{old}/lightning_checkpoints"
    path = put_weights(
        project,
        0,
        {
            "epoch": 1,
            "callbacks": {"ModelCheckpoint": {"dirpath": folder, "best_model_path": f"{folder}/best.ckpt"}},
            "hyper_parameters": {"adapter": f"checkpoints/phase2/{old}/aligner.pt"},
            "run_id": old,
        },
    )
    found = left()
    for key in ("best_model_path", "dirpath", "a config value", "run_id"):
        assert found[f"pickled: {key}"] == (path,)
    planned = api.read("plan.yaml").references
    assert planned is not None
    words = " ".join(each.what for each in planned.left)
    assert "looks at the old path and fails" in words
    assert "warns that dirpath has changed" in words


def test_what_mlflow_keeps_is_listed_and_cannot_be_changed(empty_project: Project) -> None:
    """A run's name, a param and a tag each; MLflow's own folders are not searched as files a second time."""
    project = empty_project
    old = project.add(0).legacy
    other = project.training(1)
    project.add_directory(other)
    run_id = project.add_run(
        other,
        name=f"phase2_{other.legacy}",
        params={**other.config, "resume_from": f"checkpoints/phase2/{old}/last.ckpt"},
        tags={"parent": old},
    )
    found = left()
    assert f"run {run_id}, param resume_from" in found["mlflow: param cannot be changed"]
    assert f"run {run_id}, tag parent" in found["mlflow: tag is left as it is; --tag-runs adds tags of where the"
                                                " checkpoint is and was"]  # fmt: skip
    assert len(found["mlflow: run name is the run's history; `find` answers for it"]) == 2
    assert not any("mlruns/1/" in path for paths in found.values() for path in paths)
