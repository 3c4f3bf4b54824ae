"""What a training leaves on disk: its directories, their files and times."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.naming import DirectoryName, parse_stamp
from ckpt_migrate.records import Checkpoint, FileStat, State

from .formats import nest
from .trainings import ConfigPlace, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .configs import Config
    from .trainings import Habits, Training

FOLDER = "lightning_checkpoints"
LAST = f"{FOLDER}/last.ckpt"
POINTER = "MLFLOW_RUN_ID.txt"
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Directory:
    """One checkpoint directory of a training, with what the generator knows of it.

    Attributes:
        training: Whose it is.
        part: Which of the training's directories, from 0.
        epoch: The last epoch that came to its end while it was written, from 0.
        best_epoch: The epoch in its file name.
        best_name: Path of the file that holds the best epoch's weights.
        loss_text: The loss in its file name, as written; empty when no file name has one.
        written_s: When its last file was written, true UTC seconds.
        config: The flattened config that can be read from it; None for nowhere.
    """

    training: Training
    part: int
    epoch: int
    best_epoch: int
    best_name: str
    loss_text: str
    written_s: float
    config: Config | None

    @property
    def path(self) -> str:
        """Its absolute path."""
        return f"{self.training.host.root}/{self.training.present_name(self.part)}"

    @property
    def is_complete(self) -> bool:
        """Whether it has model.pt and config.json, which are written at the end only."""
        is_last = self.part == len(self.training.uids) - 1
        return is_last and self.training.outcome is Outcome.FINISHED

    def config_json(self) -> bytes:
        """Return the bytes of its config.json; an empty object when it has no config."""
        return json.dumps(nest(self.config or {}), indent=2).encode()

    def pointer_text(self) -> str:
        """Return the text of its pointer file; empty when it has none."""
        run_id = self.training.pointer
        return "" if run_id is None else f"MLflow Run ID: {run_id}\n"


def directories(training: Training, habits: Habits) -> Iterator[Directory]:
    """Yield the directories of a training, first to last."""
    parts = len(training.uids)
    epochs = len(training.losses)
    for part in range(parts if training.has_directory else 0):
        begun, done = epochs * part // parts, epochs * (part + 1) // parts
        best = min(range(begun, done), key=training.losses.__getitem__)
        loss_text = f"{training.losses[best]:.4f}" if habits.names_loss else ""
        loss_text = "" if math.isnan(training.losses[best]) else loss_text  # nothing was logged
        is_last = part == parts - 1
        is_complete = is_last and training.outcome is Outcome.FINISHED
        has_config = is_complete or training.config_place is ConfigPlace.CHECKPOINT
        until_s = training.end_s if is_last else training.made_s[part + 1] - 30
        yield Directory(
            training=training,
            part=part,
            epoch=done - 1,
            best_epoch=best,
            best_name=f"{FOLDER}/best-epoch={best:02d}"
            + (f"-{habits.loss}={loss_text}.ckpt" if loss_text else ".ckpt"),
            loss_text=loss_text,
            written_s=until_s - min(2.5, (until_s - training.start_s) / 10)
            if is_complete
            else _epoch_end_s(training, part, until_s, done - 1),
            config=_written_config(training, habits, part) if has_config else None,
        )


def _written_config(training: Training, habits: Habits, part: int) -> Config:
    whole = training.config | training.extra_config
    if part > 0:
        whole["resume_from"] = f"{training.directory_path(part - 1)}/{LAST}"
    whole |= {key: "${defaults." + key.rpartition("/")[2] + "}" for key in habits.unresolved if key in whole}
    return habits.format.written({key: value for key, value in whole.items() if key not in habits.unwritten})


def _epoch_end_s(training: Training, part: int, until_s: float, epoch: int) -> float:
    """Return when an epoch ended: epochs share the time of all parts, the last ends shortly before the end."""
    if part < len(training.uids) - 1:
        return until_s - 5.0
    span_s = (until_s - training.start_s) * 0.98
    return training.start_s + span_s * (epoch + 1) / len(training.losses)


def file_times_ms(directory: Directory, *, copied_s: float | None) -> dict[str, int]:
    """Return the path of every file in a directory with its modification time, UTC milliseconds.

    Args:
        directory: The directory.
        copied_s: When the whole tree was copied and lost its times (UTC seconds); None when it was not.
    """
    training = directory.training
    best_s = _epoch_end_s(training, directory.part, training.end_s, directory.best_epoch)
    true_s = {
        directory.best_name: min(directory.written_s, best_s),
        LAST: directory.written_s - 1.5 if directory.is_complete else directory.written_s,
    }
    if directory.is_complete:
        true_s |= {"model.pt": directory.written_s - 0.2, "config.json": directory.written_s}
    if training.pointer is not None:
        true_s[POINTER] = training.made_s[directory.part]
    copied_s = training.copied_s if copied_s is None else copied_s
    if copied_s is not None:  # a copy goes through the tree in some seconds
        return dict.fromkeys(true_s, int((copied_s + int(training.run_id[:4], 16) / 2000) * 1000))
    shift_s = training.shift_s
    return {path: int((training.host.clock_s(each_s) + shift_s) * 1000) for path, each_s in true_s.items()}


def checkpoint(directory: Directory, *, copied_s: float | None = None) -> Checkpoint:
    """Return a directory as scan reports it; `copied_s` as for `file_times_ms`."""
    training = directory.training
    times = file_times_ms(directory, copied_s=copied_s)
    weights = weights_bytes(training)
    sizes = {
        "model.pt": weights,
        "config.json": len(directory.config_json()),
        POINTER: len(directory.pointer_text()),
    }
    inner = [time_ms for path, time_ms in times.items() if path.startswith(FOLDER)]
    outer = [time_ms for path, time_ms in times.items() if not path.startswith(FOLDER)]
    files = [
        FileStat(path, "file", sizes.get(path, 3 * weights), time_ms * _NS_PER_MS) for path, time_ms in times.items()
    ]
    files.append(FileStat(FOLDER, "dir", 0, max(inner) * _NS_PER_MS))
    files.sort(key=lambda file: file.path)
    name = training.present_name(directory.part)
    uid, _, stamp = name.partition("_")
    local_time = parse_stamp(stamp)
    listing = "\n".join(f"{file.path} {file.size_bytes} {file.mtime_ns}" for file in files)
    has = {"weights": True, "config": directory.is_complete, "metric": bool(directory.loss_text)}
    has["pointer"] = training.pointer is not None
    names_itself = training.is_current and training.pointer == training.run_id
    return Checkpoint(
        path=directory.path,
        root=training.host.root,
        state=State.TARGET if names_itself else State.LEGACY,
        reason=None,
        name=None if local_time is None else DirectoryName(uid, stamp, local_time),
        files=tuple(files),
        mtime_ns=max(min(inner), *outer, 0) * _NS_PER_MS,
        fingerprint=hashlib.sha256(f"{name}\n{listing}".encode()).hexdigest(),
        evidence=tuple(sorted(kind for kind, is_there in has.items() if is_there)),
    )


def weights_bytes(training: Training) -> int:
    """Return the size of the weights: the same for the same architecture."""
    scale = 1
    for key, value in training.config.items():
        if key.endswith(("hidden_size", "num_layers", "rank")) and isinstance(value, int):
            scale *= value
    return 4 * (100_000 + 17 * scale)
