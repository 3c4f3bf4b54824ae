"""Build the demo's world: a legacy tree, a real MLflow store, and the truth about both."""

from __future__ import annotations

import errno
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.demo.history import (
    ALIGNMENT,
    ALIGNMENT_EXPERIMENT,
    EXPERIMENT,
    TRAININGS,
    Kind,
    Training,
    Value,
)
from ckpt_migrate.demo.training import Replay, replay
from ckpt_migrate.demo.tree import Tree, torch_file, write_alignment, write_manifests, write_phase2
from ckpt_migrate.errors import UsageError
from ckpt_migrate.tracking.demo_store import DemoStore, Outcome, create_store, store_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = "checkpoints/phase2"
ALIGNMENT_ROOT = "checkpoints/alignment"
_LOOSE = ("last.ckpt", "phase2-epoch=00-train_loss=2.9476.ckpt")
_ARTIFACTS = {"config": "config.json", "model": "model.pt"}
_DAY_MS = 86_400_000
_ALIGNMENT_NUMBER = 1000
"""A place in history that no Phase 2 training has."""


@dataclass(frozen=True, slots=True)
class DemoCheckpoint:
    """A checkpoint directory of the demo; `path` is relative to the demo's folder, `run_id` None for an orphan."""

    path: str
    kind: Kind
    run_id: str | None

    @property
    def name(self) -> str:
        """The directory's own name."""
        return os.path.basename(self.path)


@dataclass(frozen=True, slots=True)
class DemoWorld:
    """Where the demo's world lies, and the truth about it, which the tool is never told.

    Attributes:
        folder: Absolute path.
        root: Absolute path of the Phase 2 checkpoints, which are to be migrated.
        tracking_uri: URI of the store.
        checkpoints: Every checkpoint directory, that of Phase 1 included, oldest first.
    """

    folder: str
    root: str
    tracking_uri: str
    checkpoints: tuple[DemoCheckpoint, ...]

    @property
    def truth(self) -> Mapping[str, str | None]:
        """Directory name to the id of the run that made it, None for an orphan."""
        return {checkpoint.name: checkpoint.run_id for checkpoint in self.checkpoints}

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Directory name to kind."""
        return {checkpoint.name: checkpoint.kind for checkpoint in self.checkpoints}

    def of_kind(self, kind: Kind) -> tuple[DemoCheckpoint, ...]:
        """Return the directories of a kind, oldest first."""
        return tuple(checkpoint for checkpoint in self.checkpoints if checkpoint.kind is kind)


def build_demo(folder: str) -> DemoWorld:
    """Build the world in a new or empty folder. Only the run ids differ from one time to the next.

    Raises:
        UsageError: The folder is not empty, or cannot be written to.
        StoreError: MLflow refused.
    """
    folder = os.path.abspath(folder)
    _make_empty(folder)
    tree = Tree(folder)
    with create_store(folder) as store:
        checkpoints = _Historian(store, tree).write()
    tree.settle()
    return DemoWorld(folder, os.path.join(folder, ROOT), store_uri(folder), checkpoints)


def _make_empty(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
        is_empty = not os.listdir(folder)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        remedy = "Name a folder that can be made and written to: ckpt-migrate demo DIR"
        raise UsageError(f"the demo cannot be built here ({error.strerror})", where=folder, remedy=remedy) from error
    if not is_empty:
        remedy = "Name another folder, or remove this one if it is an old demo: ckpt-migrate demo DIR"
        raise UsageError("the folder is not empty, and the demo overwrites nothing", where=folder, remedy=remedy)


@dataclass(frozen=True, slots=True)
class _Past:
    """A training that has happened: its directory, there or thrown away, and its run, if it had one."""

    replay: Replay
    path: str
    run_id: str | None


class _Historian:
    """Lets the trainings happen again, one after the other."""

    def __init__(self, store: DemoStore, tree: Tree) -> None:
        self._store = store
        self._tree = tree
        self._past: list[_Past] = []
        self._checkpoints: list[DemoCheckpoint] = []

    def write(self) -> tuple[DemoCheckpoint, ...]:
        """Write everything, and return what there is, oldest first."""
        aligner = self._align()
        for number, training in enumerate(TRAININGS):
            self._train(training, number, aligner)
        self._leave_traces()
        return tuple(self._checkpoints)

    def _align(self) -> str:
        replayed = replay(ALIGNMENT, number=_ALIGNMENT_NUMBER, overrides={})
        run_id = self._start(replayed, ALIGNMENT_EXPERIMENT, "")
        path = f"{ALIGNMENT_ROOT}/{run_id}_{ALIGNMENT.stamp}"
        write_alignment(self._tree, path, replayed)
        own = {"final_checkpoint_path": f"{path}/aligner.pt", "lightning_checkpoint_dir": path}
        self._finish(
            run_id, _Past(replayed, path, run_id), params={**replayed.params(), **own}, tags={"phase": "phase1"}
        )
        self._checkpoints.append(DemoCheckpoint(path, Kind.ALIGNMENT, run_id))
        return f"{path}/aligner.pt"

    def _train(self, training: Training, number: int, aligner: str) -> None:
        earlier = self._find(training.resumes)
        overrides: dict[str, Value] = {"phase1_checkpoint_path": aligner}
        if earlier is not None:
            overrides["resume_from"] = f"{earlier.path}/lightning_checkpoints/last.ckpt"
        replayed = replay(
            training, number=number, overrides=overrides, earlier=None if earlier is None else earlier.replay
        )
        run_id = None if earlier is None else earlier.run_id
        if training.run_name is not None:
            run_id = self._start(replayed, EXPERIMENT, _legacy_name(replayed))
        past = _Past(replayed, f"{ROOT}/{_directory_name(replayed, run_id)}", run_id)
        self._past.append(past)
        if training.has_directory:
            write_phase2(self._tree, past.path, replayed)
            self._write_manifests(past)
            self._checkpoints.append(DemoCheckpoint(past.path, training.kind, run_id))
        is_resumed_later = any(other.resumes == training.stamp for other in TRAININGS)
        if run_id is not None and not is_resumed_later:
            first = past if earlier is None else earlier  # MLflow keeps the params that were logged first
            self._finish(run_id, past, params=first.replay.params(), tags=_tags(past))

    def _find(self, stamp: str | None) -> _Past | None:
        return next((past for past in self._past if past.replay.training.stamp == stamp), None)

    def _write_manifests(self, past: _Past) -> None:
        replayed, run_id = past.replay, past.run_id
        if replayed.training.kind is Kind.CURRENT and run_id is not None:
            write_manifests(self._tree, past.path, run_id=run_id, named=past.path, replayed=replayed)
        elif replayed.training.kind is Kind.STALE:
            named = f"{ROOT}/{_legacy_name(replayed)}"
            write_manifests(self._tree, past.path, run_id=replayed.uid, named=named, replayed=replayed)

    def _start(self, replayed: Replay, experiment: str, directory: str) -> str:
        name = (replayed.training.run_name or "").format(directory=directory, stamp=replayed.training.stamp)
        return self._store.start(experiment=experiment, name=name, start_utc_ms=replayed.start_utc_ms)

    def _finish(self, run_id: str, past: _Past, *, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        training = past.replay.training
        folder = os.path.join(self._tree.folder, past.path)
        outcome = Outcome(
            status=training.status,
            end_utc_ms=past.replay.end_utc_ms,
            params=params,
            metrics=past.replay.metrics(),
            tags=tags,
            artifacts=tuple((kind, os.path.join(folder, _ARTIFACTS[kind])) for kind in training.artifacts),
            is_deleted=training.kind is Kind.DELETED,
        )
        self._store.finish(run_id, outcome)

    def _leave_traces(self) -> None:
        """Add what lies around in every old tree: loose files, a `latest` link, a config that names a directory."""
        oldest_utc_ms = self._past[0].replay.stamp_utc_ms - 20 * _DAY_MS
        for name in _LOOSE:
            data = torch_file({"epoch": 0, "global_step": 500, "hyper_parameters": {}}, weight=2.9476)
            self._tree.write(f"{ROOT}/{name}", data, oldest_utc_ms)
        newest = [past for past in self._past if past.replay.training.kind is Kind.PLAIN][-1]
        ended_utc_ms = newest.replay.end_utc_ms
        self._tree.link(f"{ROOT}/latest", os.path.basename(newest.path), ended_utc_ms)
        text = f"# Evaluates the newest adapter.\nadapter_path: {newest.path}/model.pt\nbatch_size: 8\n"
        self._tree.write("configs/eval.yaml", text.encode(), ended_utc_ms + _DAY_MS)


def _legacy_name(replayed: Replay) -> str:
    return f"{replayed.uid}_{replayed.training.stamp}"


def _directory_name(replayed: Replay, run_id: str | None) -> str:
    training = replayed.training
    if training.kind in {Kind.STALE, Kind.CURRENT}:
        return f"{run_id}_{training.stamp}"
    if training.kind is Kind.DASHED:
        return f"{uuid.UUID(replayed.uid)}_{training.stamp}"
    return _legacy_name(replayed)


def _tags(past: _Past) -> dict[str, str]:
    tags = {"mlflow.source.name": "train_phase2.py", "mlflow.user": "trainer"}
    training = past.replay.training
    if training.kind in {Kind.STALE, Kind.CURRENT}:
        return {**tags, "phase": "phase2", "checkpoint_dir": past.path, "timestamp": training.stamp}
    return tags if past.replay.earlier is None else {**tags, "checkpoint_dir": past.path}
