"""What a training leaves on disk, as scan and the evidence readers see it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.records import Evidence, Fact, FactKind
from ckpt_migrate.naming import DirectoryName, parse_stamp
from ckpt_migrate.records import Checkpoint, FileStat, State

from .formats import nest
from .trainings import ConfigPlace, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .configs import Config
    from .trainings import Habits, Training

_NS = 1_000_000_000
_FOLDER = "lightning_checkpoints"


@dataclass(frozen=True, slots=True)
class Directory:
    """One checkpoint directory of a training, with what the generator knows of it.

    Attributes:
        training: Whose it is.
        part: Which of the training's directories, from 0.
        epoch: The last epoch that came to its end while it was written, from 0.
        best_epoch: The epoch in its file name.
        loss_text: The loss in its file name, as written; empty when no file name has one.
        written_s: When its last file was written, true UTC seconds.
        config: The flattened config that can be read from it; None for nowhere.
    """

    training: Training
    part: int
    epoch: int
    best_epoch: int
    loss_text: str
    written_s: float
    config: Config | None

    @property
    def path(self) -> str:
        """Its absolute path."""
        return self.training.directory_path(self.part)

    @property
    def is_complete(self) -> bool:
        """Whether it has model.pt, which is written at the end only."""
        is_last = self.part == len(self.training.uids) - 1
        return is_last and self.training.outcome is Outcome.FINISHED


def directories(training: Training, habits: Habits) -> Iterator[Directory]:
    """Yield the directories of a training, first to last."""
    parts = len(training.uids)
    epochs = len(training.losses)
    for part in range(parts if training.has_directory else 0):
        begun, done = epochs * part // parts, epochs * (part + 1) // parts
        best = min(range(begun, done), key=training.losses.__getitem__)
        until_s = training.end_s if part == parts - 1 else training.made_s[part + 1] - 30
        is_complete = part == parts - 1 and training.outcome is Outcome.FINISHED
        place = training.config_place
        if place is ConfigPlace.JSON and not is_complete:
            place = ConfigPlace.NOWHERE
        written_s = until_s - 2.5 if is_complete else _epoch_end_s(training, part, until_s, done - 1)
        yield Directory(
            training=training,
            part=part,
            epoch=done - 1,
            best_epoch=best,
            loss_text=f"{training.losses[best]:.4f}" if habits.names_loss else "",
            written_s=written_s,
            config=None if place is ConfigPlace.NOWHERE else _written_config(training, habits, part),
        )


def _written_config(training: Training, habits: Habits, part: int) -> Config:
    whole = training.config | training.extra_config
    if part > 0:
        whole["resume_from"] = f"{training.directory_path(part - 1)}/{_FOLDER}/last.ckpt"
    whole |= {key: "${defaults." + key.rpartition("/")[2] + "}" for key in habits.unresolved if key in whole}
    return habits.format.written({key: value for key, value in whole.items() if key not in habits.unwritten})


def _epoch_end_s(training: Training, part: int, until_s: float, epoch: int) -> float:
    """Return when an epoch ended: epochs share the time of all parts, the last ends shortly before the end."""
    if len(training.uids) > 1 and part < len(training.uids) - 1:
        return until_s - 5.0
    span_s = (until_s - training.start_s) * 0.98
    return training.start_s + span_s * (epoch + 1) / len(training.losses)


def checkpoint(directory: Directory, habits: Habits, *, copied_s: float | None = None) -> Checkpoint:
    """Return a directory as scan reports it.

    Args:
        directory: The directory.
        habits: Of its project.
        copied_s: When the whole tree was copied and lost its times (UTC seconds); None when it was not.
    """
    training = directory.training
    host = training.host
    files: list[FileStat] = []

    def add(path: str, kind: str, size_bytes: int, written_s: float) -> None:
        mtime_s = host.clock_s(written_s) if copied_s is None else copied_s + _copy_delay_s(training)
        files.append(FileStat(path, kind, size_bytes, int(mtime_s * 1000) * (_NS // 1000)))

    weights = weights_bytes(training)
    best_s = min(directory.written_s, _epoch_end_s(training, directory.part, training.end_s, directory.best_epoch))
    add(f"{_FOLDER}/{best_name(directory, habits)}", "file", weights * 3, best_s)
    last_s = directory.written_s - 1.5 if directory.is_complete else directory.written_s
    add(f"{_FOLDER}/last.ckpt", "file", weights * 3, last_s)
    add(_FOLDER, "dir", 0, last_s)
    if directory.is_complete:
        add("model.pt", "file", weights, directory.written_s - 0.2)
        add("config.json", "file", len(config_json(directory)), directory.written_s)
    if training.pointer is not None:
        add("MLFLOW_RUN_ID.txt", "file", len(pointer_text(training.pointer)), training.made_s[directory.part])
    files.sort(key=lambda file: file.path)
    name = training.directory_name(directory.part)
    uid, _, stamp = name.partition("_")
    local_time = parse_stamp(stamp)
    listing = "\n".join(f"{file.path} {file.size_bytes} {file.mtime_ns}" for file in files)
    has = {"weights"} | ({"config"} if directory.is_complete else set())
    has |= {"metric"} if directory.loss_text else set()
    return Checkpoint(
        path=directory.path,
        root=host.root,
        state=State.TARGET if training.is_current and training.pointer == training.run_id else State.LEGACY,
        reason=None,
        name=None if local_time is None else DirectoryName(uid, stamp, local_time),
        files=tuple(files),
        mtime_ns=max(file.mtime_ns for file in files),
        fingerprint=hashlib.sha256(f"{name}\n{listing}".encode()).hexdigest(),
        evidence=tuple(sorted(has | ({"pointer"} if training.pointer is not None else set()))),
    )


def best_name(directory: Directory, habits: Habits) -> str:
    """Return the name of the file that holds the best epoch's weights."""
    loss = f"-{habits.loss}={directory.loss_text}" if directory.loss_text else ""
    return f"best-epoch={directory.best_epoch:02d}{loss}.ckpt"


def config_json(directory: Directory) -> bytes:
    """Return the bytes of the directory's config.json; an empty object when it has no config."""
    return json.dumps(nest(directory.config or {}), indent=2).encode()


def _copy_delay_s(training: Training) -> float:
    """Return how far a copy of the tree had come when it reached a directory, seconds."""
    return int(training.run_id[:4], 16) / 2000


def pointer_text(run_id: str) -> str:
    """Return the text of a pointer file that names a run."""
    return f"MLflow Run ID: {run_id}\n"


def weights_bytes(training: Training) -> int:
    """Return the size of the weights: the same for the same architecture."""
    config = training.config
    shape = [value for key, value in config.items() if key.endswith(("hidden_size", "num_layers", "rank"))]
    scale = 1
    for value in shape:
        scale *= value if isinstance(value, int) else 1
    return 4 * (100_000 + 17 * scale)


def evidence(directory: Directory, habits: Habits) -> Evidence:
    """Return the facts that can be read from a directory."""
    training = directory.training
    facts: list[Fact] = []
    if directory.config is not None:
        if directory.is_complete:
            source, reader = "config.json", "config"
        else:
            source, reader = f"{_FOLDER}/last.ckpt", "torch"
        facts += (
            Fact(FactKind.PARAM, key, value, source, reader)
            for key, value in directory.config.items()
            if not (isinstance(value, str) and "${" in value)
        )
    source = f"{_FOLDER}/{best_name(directory, habits)}"
    facts.append(Fact(FactKind.COUNT, "epoch", directory.best_epoch, source, "file name"))
    if directory.loss_text:
        facts.append(Fact(FactKind.METRIC, habits.loss, directory.loss_text, source, "file name"))
    if directory.is_complete:  # model.pt names its own directory, which is no reference to a run
        own = training.directory_name(directory.part)
        facts.append(Fact(FactKind.MENTION, "run_id", own, "model.pt", "torch"))
    if training.pointer is not None:
        facts.append(Fact(FactKind.MENTION, "MLflow Run ID", training.pointer, "MLFLOW_RUN_ID.txt", "pointer"))
    facts.sort(key=lambda fact: (fact.source, fact.key))
    return Evidence(tuple(facts))
