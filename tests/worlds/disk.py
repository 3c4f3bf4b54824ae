"""Worlds on disk: real directories with their times, and a real MLflow database."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt_migrate.demo.tree import Tree, torch_file
from ckpt_migrate.records import State
from ckpt_migrate.tracking.demo_store import DATABASE, create_store, store_uri
from worlds.readings import torch_content
from worlds.traces import POINTER, directories, file_times_ms
from worlds.world import tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.evidence.records import Scalar
    from ckpt_migrate.records import Checkpoint
    from worlds.store import RecordedRun
    from worlds.traces import Directory
    from worlds.trainings import Habits, Training
    from worlds.world import Story, World

_DATA = "/data/"


@dataclass(frozen=True, slots=True)
class WrittenWorld:
    """A world on disk.

    Attributes:
        world: The same world with the paths and run ids that it has on disk; sizes and fingerprints differ.
        roots: Absolute roots, sorted.
        tracking_uri: The store.
    """

    world: World
    roots: tuple[str, ...]
    tracking_uri: str


def write_world(world: World, folder: str, *, through_client: bool) -> WrittenWorld:
    """Write a world below an empty folder.

    Args:
        world: The world; unreadable junk in it is left out.
        folder: Absolute, without links in it.
        through_client: Whether every run is made by MLflow's client, which gives it a new id and takes some 50 ms a
            run; else rows are put into the database that MLflow made, and run ids stay as they are.
    """
    with create_store(folder) as store:
        experiments = {
            project.experiment: str(store.client.create_experiment(project.experiment))
            for project in world.story.projects
        }
        started = {}
        for each in world.store.recorded() if through_client else ():
            run = each.run
            experiment_id = experiments[run.experiment]
            made = store.client.create_run(experiment_id, start_time=run.start_utc_ms, run_name=run.name)
            started[run.run_id] = str(made.info.run_id)
        moved = tell(_moved(world.story, folder, experiments, started))
        for each in moved.store.recorded() if through_client else ():
            _log(store.client, each)
    if not through_client:
        _insert(os.path.join(folder, DATABASE), moved.store.recorded())
    copies = _write_tree(moved, folder)
    for each in moved.store.recorded():
        run = each.run
        artifacts = os.path.join(folder, "mlruns", run.experiment_id, run.run_id, "artifacts")
        _write_artifacts(artifacts, each, copies.get(run.run_id, {}))
    roots = tuple(sorted({each.root for each in moved.checkpoints}))
    return WrittenWorld(moved, roots, store_uri(folder))


def _moved(story: Story, folder: str, experiments: Mapping[str, str], new_ids: Mapping[str, str]) -> Story:
    """Return the story with every path below the folder and every run by its new id."""
    texts = {_DATA: f"{folder}{_DATA}"} | dict(new_ids)
    pattern = re.compile("|".join(map(re.escape, texts)))

    def text(old: str) -> str:
        return pattern.sub(lambda match: texts[match[0]], old)

    def value(old: Scalar) -> Scalar:
        return text(old) if isinstance(old, str) else old

    def training(old: Training) -> Training:
        return replace(
            old,
            run_id=new_ids.get(old.run_id, old.run_id),
            host=replace(old.host, root=text(old.host.root)),
            run_name=text(old.run_name),
            tags={key: text(each) for key, each in old.tags.items()},
            extra_params={key: text(each) for key, each in old.extra_params.items()},
            extra_config={key: value(each) for key, each in old.extra_config.items()},
            artifacts={text(path): size for path, size in old.artifacts.items()},
            pointer=None if old.pointer is None else text(old.pointer),
        )

    return replace(
        story,
        projects=tuple(
            replace(
                project,
                trainings=tuple(map(training, project.trainings)),
                experiment_id=experiments[project.experiment],
            )
            for project in story.projects
        ),
        junk=tuple(
            replace(each, path=text(each.path), root=text(each.root))
            for each in story.junk
            if each.state is not State.UNREADABLE
        ),
    )


def _log(client: Any, recorded: RecordedRun) -> None:
    """Log what a started run has to say, and end it as it ended."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - MLflow takes seconds to import

    run = recorded.run
    points = [
        Metric(key, point.value, point.timestamp_utc_ms, point.step)
        for key, history in recorded.histories.items()
        for point in history
    ]
    client.log_batch(
        run.run_id,
        metrics=points,
        params=[Param(key, text) for key, text in recorded.details.params.items()],
        tags=[RunTag(key, text) for key, text in recorded.details.tags.items()],
    )
    if run.end_utc_ms is not None:
        client.set_terminated(run.run_id, status=run.status, end_time=run.end_utc_ms)
    if run.is_deleted:
        client.delete_run(run.run_id)


def _insert(database: str, runs: Sequence[RecordedRun]) -> None:
    """Put runs into a database that MLflow has made, as its client would have."""
    heads: list[tuple[object, ...]] = []
    params: list[tuple[object, ...]] = []
    tags: list[tuple[object, ...]] = []
    points: list[tuple[object, ...]] = []
    latest: list[tuple[object, ...]] = []
    folder = os.path.dirname(database)
    for each in runs:
        run = each.run
        artifacts = f"{folder}/mlruns/{run.experiment_id}/{run.run_id}/artifacts"
        stage = "deleted" if run.is_deleted else "active"
        times = (run.start_utc_ms, run.end_utc_ms)
        heads.append((run.run_id, run.name, int(run.experiment_id), run.status, *times, stage, artifacts))
        params += ((run.run_id, key, text) for key, text in each.details.params.items())
        tags += ((run.run_id, key, text) for key, text in each.details.tags.items())
        for key, history in each.histories.items():
            points += ((run.run_id, key, at.value, at.timestamp_utc_ms, at.step, 0) for at in history)
        latest += (
            (run.run_id, key, at.value, at.timestamp_utc_ms, at.step, 0) for key, at in each.details.metrics.items()
        )
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO runs (run_uuid, name, experiment_id, status, start_time, end_time, lifecycle_stage, "
            "artifact_uri) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            heads,
        )
        connection.executemany("INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)", params)
        connection.executemany("INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)", tags)
        for table, values in (("metrics", points), ("latest_metrics", latest)):
            connection.executemany(
                f"INSERT INTO {table} (run_uuid, key, value, timestamp, step, is_nan) "  # noqa: S608 - names above
                "VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )


def _write_artifacts(folder: str, recorded: RecordedRun, copies: Mapping[str, bytes]) -> None:
    """Write a run's artifacts: the copies of checkpoint files, and for the rest files that hold nothing of interest."""
    for artifact in recorded.artifacts:
        path = os.path.join(folder, artifact.path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(copies.get(artifact.path, artifact.path.encode()))


def _write_tree(world: World, folder: str) -> dict[str, dict[str, bytes]]:
    """Write all directories; return, by run id, what finished trainings uploaded of theirs."""
    tree = Tree(folder)
    copies: dict[str, dict[str, bytes]] = {}
    for project in world.story.projects:
        for training in project.trainings if project.is_migrated else ():
            for directory in directories(training, project.habits):
                times = file_times_ms(directory, copied_s=world.story.copied_s)
                contents = {path: _content(directory, project.habits, path) for path in times}
                for path, time_ms in times.items():
                    tree.write(f"{_below(directory.path, folder)}/{path}", contents[path], time_ms)
                if directory.is_complete:
                    files = {"model/model.pt": "model.pt", "config/config.json": "config.json"}
                    copies[training.run_id] = {artifact: contents[path] for artifact, path in files.items()}
    linked = next(each.basename for each in world.checkpoints if each.name is not None)
    for each in world.story.junk:
        _write_junk(tree, each, folder, linked=linked)
    tree.settle()
    return copies


def _below(path: str, folder: str) -> str:
    return path.removeprefix(f"{folder}/")


def _content(directory: Directory, habits: Habits, path: str) -> bytes:
    if path == "config.json":
        return directory.config_json()
    if path == POINTER:
        return directory.pointer_text().encode()
    # Equal weights for equal losses: that is what fixed seeds lead to.
    epoch = directory.best_epoch if path == directory.best_name else directory.epoch
    return torch_file(torch_content(directory, habits, path), weight=directory.training.losses[epoch])


def _write_junk(tree: Tree, junk: Checkpoint, folder: str, *, linked: str) -> None:
    path, time_ms = _below(junk.path, folder), junk.mtime_ns // 1_000_000
    if junk.state is State.LINK:
        tree.link(path, linked, time_ms)
    elif junk.state is State.LOOSE:
        tree.write(path, b"weights", time_ms)
    else:
        for file in junk.files:
            tree.write(f"{path}/{file.path}", b"weights", file.mtime_ns // 1_000_000)
