"""A tracking store in memory, and what a training leaves in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt_migrate.tracking.records import ArtifactFile, Mention, MetricPoint, Run, RunDetails

from .traces import directories, weights_bytes
from .trainings import Outcome, Record

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ckpt_migrate.tracking.records import StoreWarning

    from .trainings import Habits, Training

URI = "memory://world"


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """Everything that a store has of one run."""

    run: Run
    details: RunDetails = field(default_factory=RunDetails)
    histories: Mapping[str, tuple[MetricPoint, ...]] = field(default_factory=dict)
    artifacts: tuple[ArtifactFile, ...] = ()


class MemoryStore:
    """A `RunStore` over recorded runs."""

    def __init__(self, recorded: Collection[RecordedRun], uri: str = URI) -> None:
        self._uri = uri
        self._recorded = {each.run.run_id: each for each in sorted(recorded, key=lambda each: each.run.run_id)}
        self._runs = tuple(each.run for each in self._recorded.values())

    @property
    def uri(self) -> str:
        """Where it would lie."""
        return self._uri

    @property
    def warnings(self) -> Sequence[StoreWarning]:
        """Nothing is ever passed over."""
        return ()

    def recorded(self) -> Sequence[RecordedRun]:
        """Return everything, sorted by run id."""
        return tuple(self._recorded.values())

    def runs(self) -> Sequence[Run]:
        """Return every run, sorted by run id."""
        return self._runs

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        """Return the details of the known ones among these runs."""
        return {run_id: self._recorded[run_id].details for run_id in run_ids if run_id in self._recorded}

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[Mention]:
        """Yield names, params and tags in which the pattern is found, sorted by run id."""
        for run_id, each in self._recorded.items():
            if pattern.search(each.run.name):
                yield Mention(run_id, "run name", each.run.name)
            for kind, texts in (("param", each.details.params), ("tag", each.details.tags)):
                for key, text in sorted(texts.items()):
                    if pattern.search(text):
                        yield Mention(run_id, f"{kind} {key}", text)

    def metric_histories(self, run_id: str) -> Mapping[str, Sequence[MetricPoint]]:
        """Return every point of every metric of a run; nothing for an unknown run."""
        return self._recorded[run_id].histories if run_id in self._recorded else {}

    def artifact_files(self, run_id: str) -> Sequence[ArtifactFile]:
        """Return the files among a run's artifacts; nothing for an unknown run."""
        return self._recorded[run_id].artifacts if run_id in self._recorded else ()

    def close(self) -> None:
        """Do nothing: memory needs no closing."""


def record(training: Training, habits: Habits, *, experiment_id: str, experiment: str) -> RecordedRun:
    """Return what the store has of a training, whether or not it is in the store any more."""
    histories = _histories(training, habits)
    start_s, end_s = training.recorded_s or (training.start_s, training.end_s)
    run = Run(
        run_id=training.run_id,
        name=training.run_name,
        experiment_id=experiment_id,
        experiment=experiment,
        status=training.outcome.value,
        is_deleted=training.record is Record.DELETED,
        start_utc_ms=int(start_s * 1000),
        end_utc_ms=None if training.outcome is Outcome.RUNNING else int(end_s * 1000),
        artifact_uri=f"{URI}/{experiment_id}/{training.run_id}/artifacts",
        store=URI,
    )
    details = RunDetails(
        params=logged_params(training, habits),
        tags=dict(training.tags) | {"mlflow.runName": training.run_name},
        metrics={key: points[-1] for key, points in histories.items()},
    )
    artifacts = dict(training.artifacts)
    if training.outcome is Outcome.FINISHED:
        artifacts["plots/loss.png"] = 30_000 + int(training.run_id[:3], 16)
        for last in list(directories(training, habits))[-1:] if habits.copies_files else ():
            artifacts["model/model.pt"] = weights_bytes(training)
            artifacts["config/config.json"] = len(last.config_json())
    files = tuple(ArtifactFile(path, size, None) for path, size in sorted(artifacts.items()))
    return RecordedRun(run, details, histories, files)


def logged_params(training: Training, habits: Habits) -> dict[str, str]:
    """Return a training's params as logged: drifting keys with the value they had at the time."""
    config = dict(training.config)
    for key in habits.drifting:
        value = config.get(key)
        digit = int(training.run_id[-1], 16)
        config[key] = value + 1 + digit % 3 if isinstance(value, int) else f"{value}:{digit % 4}"
    config = {key: value for key, value in config.items() if key not in habits.unlogged}
    return habits.format.logged(config) | dict(training.extra_params)


def _histories(training: Training, habits: Habits) -> dict[str, tuple[MetricPoint, ...]]:
    """Return the points of every metric: one an epoch, and between them where the project logs by step."""
    epochs = len(training.losses)
    span_s = (training.end_s - training.start_s) * 0.98 / epochs
    points: dict[str, list[MetricPoint]] = {}

    def log(key: str, value: float, epoch: float) -> None:
        step = int((epoch + 1) * habits.epoch_step) - 1
        at_ms = int((training.start_s + span_s * (epoch + 1)) * 1000)
        points.setdefault(key, []).append(MetricPoint(value, step, at_ms))

    other = "val_loss" if habits.loss == "train_loss" else "train_loss"
    for epoch, loss in enumerate(training.losses):
        if habits.logs_steps:  # a single batch's loss lies beside the epoch's
            for part, share in enumerate((-0.7, -0.4, -0.1)):
                shift = (int(training.run_id[part : part + 2], 16) - 128) / 1500
                log(habits.loss, loss * (1 + shift), epoch + share)
            log(f"{habits.loss}_epoch", loss, epoch)
        else:
            log(habits.loss, loss, epoch)
        log(other, loss * 1.07, epoch)
        log("epoch", float(epoch), epoch)
    return {key: tuple(found) for key, found in sorted(points.items())}
