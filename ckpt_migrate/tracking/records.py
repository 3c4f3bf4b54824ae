"""Runs as every store hands them over, and the protocol that the stores share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a run without reading its params, tags or metrics.

    Attributes:
        run_id: 32 lower-case hexadecimal digits, as MLflow made them.
        name: The run's name, empty when it has none.
        experiment_id: The experiment's id as text (old stores hold integers).
        experiment: The experiment's name, empty when the store has lost it.
        status: RUNNING, SCHEDULED, FINISHED, FAILED, KILLED, or UNKNOWN.
        is_deleted: True when the run or its experiment was deleted but is still in the store.
        start_utc_ms: Start, milliseconds since 1970-01-01 UTC; None when not recorded.
        end_utc_ms: End, likewise; None when not recorded.
        artifact_uri: Where the run's artifacts lie, as the store says it; credentials masked.
        store: The store's URI, credentials masked.
    """

    run_id: str
    name: str
    experiment_id: str
    experiment: str
    status: str
    is_deleted: bool
    start_utc_ms: int | None
    end_utc_ms: int | None
    artifact_uri: str | None
    store: str


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One logged value of a metric; `timestamp_utc_ms` in milliseconds since 1970-01-01 UTC."""

    value: float
    step: int
    timestamp_utc_ms: int


@dataclass(frozen=True, slots=True)
class RunDetails:
    """What is read of a run only when it is a candidate.

    Attributes:
        params: Key to value as logged, keys with `/` where the store nests them.
        tags: Key to value, MLflow's own (`mlflow.…`) among them.
        metrics: Key to the last point: the highest step and, of several, the latest in time.
    """

    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, MetricPoint] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mention:
    """A run's own text that matches a pattern; `place` is `run name`, `param KEY` or `tag KEY`."""

    run_id: str
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One file among a run's artifacts.

    Attributes:
        path: Relative to the run's artifact root, with `/`.
        size_bytes: Its size; None when the store does not say.
        local_path: Where it lies on this machine; None when only the server has it.
    """

    path: str
    size_bytes: int | None
    local_path: str | None


@dataclass(frozen=True, slots=True)
class StoreWarning:
    """Something malformed that was passed over; `where` is a path, table or run id."""

    where: str
    what: str


class RunStore(Protocol):
    """A tracking store, read and never written."""

    @property
    def uri(self) -> str:
        """The store's URI, credentials masked."""

    @property
    def warnings(self) -> Sequence[StoreWarning]:
        """What was passed over so far; grows as more is read."""

    def runs(self) -> Sequence[Run]:
        """Return every run, deleted ones too, sorted by run id.

        Raises:
            StoreError: The store could not be read to its end; never a part of the runs as if all.
        """

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        """Return params, tags and last metrics of these runs; unknown ids are left out."""

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[Mention]:
        """Yield every run name, param value and tag value in which `pattern` is found, sorted by run id."""

    def metric_histories(self, run_id: str) -> Mapping[str, Sequence[MetricPoint]]:
        """Return every logged point of every metric of a run, sorted by step, then time."""

    def artifact_files(self, run_id: str) -> Sequence[ArtifactFile]:
        """Return the files among a run's artifacts, sorted by path; empty when they are out of reach."""

    def close(self) -> None:
        """Release connections and caches."""
