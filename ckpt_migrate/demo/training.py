"""A training of the demo replayed: its config, its losses, and the moment at which each thing was written."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ckpt_migrate.demo.history import BASE_CONFIG, ZONE, Training, Value
from ckpt_migrate.naming import STAMP_FORMAT
from ckpt_migrate.tracking.records import MetricPoint

if TYPE_CHECKING:
    from collections.abc import Mapping

STEPS_PER_EPOCH = 500
STEPS_PER_POINT = 75
_MS = 1000
_SETUP_S = 41
"""From the start of a run to its first step, seconds: loading the model."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A training and all that follows from it.

    Attributes:
        training: The training.
        uid: The uuid that the legacy script made up for its directory.
        config: Its whole config.
        stamp_utc_ms: The directory's stamp as milliseconds since 1970-01-01 UTC.
        losses: `train_loss_epoch` of every finished epoch, those of `earlier` included.
        earlier: What it resumes, in the same run.
    """

    training: Training
    uid: str
    config: Mapping[str, Value]
    stamp_utc_ms: int
    losses: tuple[float, ...]
    earlier: Replay | None

    @property
    def start_utc_ms(self) -> int:
        """The start of its run, or of its part of a resumed run; milliseconds since 1970-01-01 UTC."""
        return self.stamp_utc_ms + self.training.lag_ms

    @property
    def end_utc_ms(self) -> int:
        """The run's end, likewise: some seconds after the last file was written."""
        return self.epoch_end_utc_ms(self.training.epochs - 1) + 9 * _MS

    def epoch_end_utc_ms(self, epoch: int) -> int:
        """Return when an epoch (0-based, over the whole run) ended, likewise."""
        done_before = 0 if self.earlier is None else self.earlier.training.epochs
        if self.earlier is not None and epoch < done_before:
            return self.earlier.epoch_end_utc_ms(epoch)
        return self.start_utc_ms + (_SETUP_S + (epoch + 1 - done_before) * self.training.epoch_s) * _MS

    @property
    def is_complete(self) -> bool:
        """Whether training came to its end, where the script writes `model.pt` and `config.json`."""
        return len(self.losses) == self.config["max_epochs"]

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest loss."""
        return min(range(len(self.losses)), key=self.losses.__getitem__)

    def params(self) -> dict[str, str]:
        """Return the config as Lightning's MLflow logger writes it: nested keys joined by `/`, values as str."""
        return {key: str(value) for key, value in _flatten(self.config, "").items()}

    def metrics(self) -> dict[str, tuple[MetricPoint, ...]]:
        """Return every metric that was logged, with steps."""
        rng = _chance("steps", self.training, self.config)
        rate = float(str(self.config["learning_rate"]))
        total = len(self.losses) * STEPS_PER_EPOCH
        losses, rates, epochs = [], [], []
        for step in range(STEPS_PER_POINT - 1, total, STEPS_PER_POINT):
            epoch = step // STEPS_PER_EPOCH
            end = self.epoch_end_utc_ms(epoch)
            left_s = self.training.epoch_s * (1 - (step % STEPS_PER_EPOCH + 1) / STEPS_PER_EPOCH)
            moment = end - round(left_s * _MS)
            losses.append(MetricPoint(self.losses[epoch] + rng.gauss(0, 0.08), step, moment))
            rates.append(MetricPoint(rate * (1 - step / total), step, moment))
            epochs.append(MetricPoint(float(epoch), step, moment))
        ends = [
            (loss, (epoch + 1) * STEPS_PER_EPOCH - 1, self.epoch_end_utc_ms(epoch))
            for epoch, loss in enumerate(self.losses)
        ]
        return {
            "train_loss": tuple(losses),
            "learning_rate": tuple(rates),
            "epoch": tuple(epochs),
            "train_loss_epoch": tuple(MetricPoint(loss, step, moment) for loss, step, moment in ends),
            "val_loss": tuple(MetricPoint(loss + rng.uniform(0.02, 0.2), step, moment) for loss, step, moment in ends),
        }


def replay(training: Training, *, number: int, overrides: Mapping[str, Value], earlier: Replay | None = None) -> Replay:
    """Replay a training.

    Args:
        training: The training.
        number: Its place in history; the directory's uuid follows from it.
        overrides: Config values that are known only once other directories are there: paths.
        earlier: What it resumes, in the same run.
    """
    config = {**BASE_CONFIG, **training.changes, **overrides}
    local = datetime.strptime(training.stamp, STAMP_FORMAT).replace(tzinfo=ZoneInfo(ZONE))
    uid = uuid.UUID(int=random.Random(f"directory {number}").getrandbits(128), version=4)  # noqa: S311 - no secret, and repeatable
    stamp_utc_ms = round(local.timestamp()) * _MS
    return Replay(training, uid.hex, config, stamp_utc_ms, _losses(training, config), earlier)


def _losses(training: Training, config: Mapping[str, Value]) -> tuple[float, ...]:
    rng = _chance("losses", training, config)
    first = 2.7 + rng.uniform(-0.3, 0.3)
    return tuple(first * 0.82**epoch + rng.uniform(-0.05, 0.05) for epoch in range(training.epochs))


def _chance(what: str, training: Training, config: Mapping[str, Value]) -> random.Random:
    """Return random numbers that depend on the settings alone: paths hold run ids, which MLflow makes up."""
    settings = sorted((key, str(value)) for key, value in config.items() if not key.endswith(("_path", "_from")))
    return random.Random(f"{what} {training.luck} {settings}")  # noqa: S311 - no secret, and repeatable


def _flatten(config: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    flat: dict[str, Value] = {}
    for key, value in config.items():
        flat.update(_flatten(value, f"{prefix}{key}/") if isinstance(value, dict) else {prefix + key: value})
    return flat
