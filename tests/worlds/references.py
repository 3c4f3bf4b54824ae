"""What names the other side: run names, tags, params, artifacts, pointers; true or misleading."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from .trainings import Training

KINDS = ("run name", "tag", "param", "artifact", "pointer", "config")


def refer(training: Training, kind: str) -> Training:
    """Return the training with a true reference between its run and its directory.

    Args:
        training: The training.
        kind: One of `KINDS`; the first four are found in the store, the last two in the directory.
    """
    name = training.directory_name()
    shown = f"checkpoints/phase2/{name}"
    every_part = tuple(range(len(training.uids)))
    if kind == "run name":
        return replace(training, run_name=f"phase2_{name}", referred=(0,))
    if kind == "tag":
        return replace(training, tags=dict(training.tags) | {"checkpoint_dir": shown}, referred=(0,))
    if kind == "param":
        params = {"final_checkpoint_path": f"{shown}/model.pt", "lightning_checkpoint_dir": f"{shown}/x"}
        return replace(training, extra_params=dict(training.extra_params) | params, referred=(0,))
    if kind == "artifact":
        artifacts = dict(training.artifacts) | {f"checkpoints/{name}/last.ckpt": 3_000_000}
        return replace(training, artifacts=artifacts, referred=(0,))
    if kind == "pointer":
        return replace(training, pointer=training.run_id, referred=every_part)
    config = training.extra_config | {"mlflow_run_id": training.run_id}
    return replace(training, extra_config=config, referred=every_part[-1:])


def start_from(training: Training, other: Training, key: str) -> Training:
    """Return the training as one that began with another's weights: config and params name the other's directory."""
    path = f"{other.directory_path()}/lightning_checkpoints/last.ckpt"
    return replace(
        training,
        extra_config=training.extra_config | {key: path},
        extra_params=dict(training.extra_params) | {key: path},
    )


def claim(training: Training, other: Training) -> Training:
    """Return the training with a tag that claims another's directory for its own."""
    tags = dict(training.tags) | {"checkpoint_dir": f"checkpoints/phase2/{other.directory_name()}"}
    return replace(training, tags=tags, is_contested=True)


def refer_some(rng: Random, trainings: list[Training], share: float) -> list[Training]:
    """Return the trainings, a share of them named by their runs."""
    kinds = rng.sample(KINDS[:4], 2)
    return [refer(each, rng.choice(kinds)) if rng.random() < share else each for each in trainings]
