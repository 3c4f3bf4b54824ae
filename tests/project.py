"""A small legacy project on disk: checkpoint directories and a file store, of fixed ids and times."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ZONE = ZoneInfo("Europe/Berlin")
FIRST = datetime(2026, 2, 1, 4, 12, 27, tzinfo=ZONE)
PHASE2 = "phase2_training_with_pretrained_aligner"
STATUSES = {"running": 1, "finished": 3}
STATE = ".ckpt-migrate"


def uid(text: str) -> str:
    """Return an id of 32 digits for a text."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Training:
    """A training: its number decides ids, times and settings, so that every world is the same.

    A twin has the times and settings of its number, and ids of its own.
    """

    number: int
    twin: str = ""

    @property
    def uid(self) -> str:
        """The made-up id."""
        return uid(f"old {self.number}{self.twin}")

    @property
    def run_id(self) -> str:
        """The id of its run."""
        return uid(f"run {self.number}{self.twin}")

    @property
    def start(self) -> datetime:
        """When the directory was named."""
        return FIRST + timedelta(days=self.number, minutes=7 * self.number)

    @property
    def stamp(self) -> str:
        """The same as directories have it."""
        return f"{self.start:%Y%m%d_%H%M%S}"

    @property
    def legacy(self) -> str:
        """The directory's name before."""
        return f"{self.uid}_{self.stamp}"

    @property
    def target(self) -> str:
        """The directory's name afterwards."""
        return f"{self.run_id}_{self.stamp}"

    @property
    def config(self) -> dict[str, object]:
        """Its settings, of which no two trainings have the same."""
        return {"learning_rate": 0.0001 * (self.number + 1), "batch_size": 16, "seed": self.number}


@dataclass
class Project:
    """A folder with `checkpoints/phase2` and `mlruns`."""

    folder: Path

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True)
        self._write("mlruns/0/meta.yaml", _meta(experiment_id="0", name="Default", lifecycle_stage="active"))
        self._write("mlruns/1/meta.yaml", _meta(experiment_id="1", name=PHASE2, lifecycle_stage="active"))

    @property
    def root(self) -> Path:
        """Where the checkpoint directories are."""
        return self.folder / "checkpoints" / "phase2"

    @property
    def store(self) -> str:
        """Where the runs are."""
        return str(self.folder / "mlruns")

    def training(self, number: int, twin: str = "") -> Training:
        """Return a training, which leaves nothing unless it is added."""
        return Training(number, twin)

    def add(self, number: int, *, status: str = "finished", is_deleted: bool = False) -> Training:
        """Add a training whose run's name tells its directory."""
        training = Training(number)
        self.add_directory(training)
        self.add_run(training, name=f"phase2_{training.legacy}", status=status, is_deleted=is_deleted)
        return training

    def link(self, path: str, text: str) -> Path:
        """Make a symbolic link of the age of everything else."""
        full = self.folder / path
        full.symlink_to(text)
        set_time(full, round(FIRST.timestamp()) * 1_000_000_000)
        return full

    def add_directory(self, training: Training, name: str | None = None, *, below: str = "checkpoints/phase2") -> Path:
        """Write a checkpoint directory, old throughout."""
        folder = f"{below}/{name or training.legacy}"
        self._write(f"{folder}/config.json", json.dumps(training.config))
        self._write(f"{folder}/lightning_checkpoints/last.ckpt", f"weights {training.number}")
        self.age(self.folder / folder, training.start + timedelta(hours=1))
        return self.folder / folder

    def add_run(
        self,
        training: Training,
        *,
        name: str = "bold-crane-412",
        status: str = "finished",
        is_deleted: bool = False,
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> str:
        """Write a run, which starts a second before the directory's stamp and lasts an hour."""
        start_ms = round(training.start.timestamp() * 1000) - 1000
        folder = f"mlruns/1/{training.run_id}"
        self._write(
            f"{folder}/meta.yaml",
            _meta(
                run_id=training.run_id,
                run_uuid=training.run_id,
                run_name=name,
                experiment_id="1",
                status=STATUSES[status],
                start_time=start_ms,
                end_time=start_ms + 3_600_000,
                lifecycle_stage="deleted" if is_deleted else "active",
                artifact_uri=f"mlflow-artifacts:/1/{training.run_id}/artifacts",
            ),
        )
        for key, value in (training.config if params is None else params).items():
            self._write(f"{folder}/params/{key}", str(value))
        for key, text in {"mlflow.runName": name, **(tags or {})}.items():
            self._write(f"{folder}/tags/{key}", text)
        for key, number in ({"train_loss": 2.9476} if metrics is None else metrics).items():
            self._write(f"{folder}/metrics/{key}", f"{start_ms} {number} 10\n")
        return training.run_id

    def age(self, top: Path, time: datetime) -> None:
        """Give a folder and all in it distinct times."""
        for place, path in enumerate([*sorted(top.rglob("*"), reverse=True), top]):
            set_time(path, round(time.timestamp()) * 1_000_000_000 + place)

    def snapshot(self) -> dict[str, tuple[object, ...]]:
        """Return names, kinds, bytes, modes and times of everything but the tool's own state and plans."""
        return dict(_describe(self.folder))

    def _write(self, path: str, text: str) -> None:
        full = self.folder / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text, encoding="utf-8")


def _meta(**values: object) -> str:
    return yaml.safe_dump(values)


def set_time(path: Path, time_ns: int) -> None:
    """Set both times of a path, of a link itself."""
    os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)


def _describe(folder: Path) -> Iterator[tuple[str, tuple[object, ...]]]:
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != STATE)
        for name in sorted(folders + files):
            path = Path(base, name)
            status = path.lstat()
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            yield os.path.relpath(path, folder), (oct(status.st_mode), content, status.st_mtime_ns)
