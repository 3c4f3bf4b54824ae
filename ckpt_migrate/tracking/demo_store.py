"""Write the demo's runs into a real store, through MLflow's own client and nothing else."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_migrate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt_migrate.tracking.records import MetricPoint

DATABASE = "mlflow.db"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of the demo went, told to MLflow when it ends.

    Attributes:
        status: FINISHED, FAILED or KILLED.
        end_utc_ms: End, milliseconds since 1970-01-01 UTC.
        params: Key to value as logged.
        metrics: Key to every point.
        tags: Key to value.
        artifacts: Folder among the run's artifacts and local file, for each file to be stored.
        is_deleted: True when somebody deleted the run later on.
    """

    status: str
    end_utc_ms: int
    params: Mapping[str, str]
    metrics: Mapping[str, tuple[MetricPoint, ...]]
    tags: Mapping[str, str]
    artifacts: tuple[tuple[str, str], ...]
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class DemoStore:
    """An open store; `client` is an `MlflowClient`."""

    client: Any

    def start(self, *, experiment: str, name: str, start_utc_ms: int) -> str:
        """Start a run, in an experiment that is made when it is not there yet, and return the run's id."""
        known = self.client.get_experiment_by_name(experiment)
        experiment_id = self.client.create_experiment(experiment) if known is None else known.experiment_id
        run = self.client.create_run(experiment_id, start_time=start_utc_ms, run_name=name)
        return str(run.info.run_id)

    def finish(self, run_id: str, outcome: Outcome) -> None:
        """Log all that a run has to say, and end it."""
        from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - MLflow takes seconds to import

        self.client.log_batch(
            run_id,
            metrics=[
                Metric(key, point.value, point.timestamp_utc_ms, point.step)
                for key, points in outcome.metrics.items()
                for point in points
            ],
            params=[Param(key, value) for key, value in outcome.params.items()],
            tags=[RunTag(key, value) for key, value in outcome.tags.items()],
        )
        for folder, path in outcome.artifacts:
            self.client.log_artifact(run_id, path, artifact_path=folder)
        self.client.set_terminated(run_id, status=outcome.status, end_time=outcome.end_utc_ms)
        if outcome.is_deleted:
            self.client.delete_run(run_id)


@contextmanager
def create_store(folder: str) -> Iterator[DemoStore]:
    """Make `mlflow.db` in a folder and keep it open for writing; artifacts go to `mlruns` beside it.

    The current directory is `folder` meanwhile: MLflow puts `mlruns` where it is called from.

    Raises:
        StoreError: MLflow refused.
    """
    before = os.getcwd()
    os.chdir(folder)
    try:
        with _hushed():
            from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow takes seconds to import
            from mlflow.tracking import MlflowClient  # noqa: PLC0415 - as above

            try:
                yield DemoStore(MlflowClient(tracking_uri=store_uri(folder)))
            except MlflowException as error:
                remedy = "Check that `python -m mlflow doctor` works in this environment."
                what = f"MLflow could not write the demo's store: {error}"
                raise StoreError(what, where=folder, remedy=remedy) from error
    finally:
        os.chdir(before)


def store_uri(folder: str) -> str:
    """Return the tracking URI of the store that `create_store` makes in a folder."""
    return f"sqlite:///{folder}/{DATABASE}"


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep MLflow's and Alembic's progress notes off the terminal; what they log as a warning or worse stays.

    Alembic's set-up gives the root logger a handler and a level of its own, so these are put back as well.
    Python's own warnings here are about MLflow's dependencies, nothing that a user of the demo can mend.
    """
    root = logging.getLogger()
    handlers, level, disabled = root.handlers[:], root.level, logging.root.manager.disable
    telemetry = os.environ.get("MLFLOW_DISABLE_TELEMETRY")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers
        root.setLevel(level)
        if telemetry is None:
            del os.environ["MLFLOW_DISABLE_TELEMETRY"]
        else:
            os.environ["MLFLOW_DISABLE_TELEMETRY"] = telemetry
