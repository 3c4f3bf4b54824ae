"""Stores in a database, of any schema since MLflow 0.9: which columns mean what, whatever the driver.

Only columns that exist are selected. MLflow itself would migrate an older schema in place before it reads.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from ckpt_migrate.errors import StoreError
from ckpt_migrate.naming import is_run_id
from ckpt_migrate.tracking.artifacts import ArtifactPlaces, list_artifacts
from ckpt_migrate.tracking.metric_lines import MAX_NUMBER, point_order
from ckpt_migrate.tracking.passed_over import PassedOver
from ckpt_migrate.tracking.records import Mention, MetricPoint, Run, RunDetails
from ckpt_migrate.tracking.run_fields import RUN_NAME_TAG, metric_value, status_name, utc_ms
from ckpt_migrate.tracking.uri import mask_credentials

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ckpt_migrate.tracking.records import ArtifactFile, StoreWarning

RUN_COLUMNS = (
    "run_uuid",
    "name",
    "experiment_id",
    "status",
    "start_time",
    "end_time",
    "lifecycle_stage",
    "artifact_uri",
)
EXPERIMENT_COLUMNS = ("experiment_id", "name", "lifecycle_stage")
TEXT_COLUMNS = ("run_uuid", "key", "value")
METRIC_COLUMNS = ("run_uuid", "key", "value", "timestamp", "step", "is_nan")
TEXT_TABLES = ("params", "tags")
TABLES = ("runs", "experiments", "params", "tags", "metrics", "latest_metrics")

MAX_VALUE_CHARACTERS = 1 << 20
"""Longest param or tag that is read; MLflow's own limits are 6,000 and 8,000 characters."""

_SHORT_VALUE = 64


class Rows(Protocol):
    """Read access to the tables of one database."""

    def columns(self) -> Mapping[str, frozenset[str]]:
        """Return the columns of those of `TABLES` that exist."""

    def select(
        self,
        table: str,
        columns: Sequence[str],
        *,
        run_ids: Collection[str] | None = None,
        key: str | None = None,
    ) -> Iterator[Sequence[object]]:
        """Yield rows, in any order; a column that does not exist yields None.

        Args:
            table: One of `TABLES`; one that does not exist has no rows.
            columns: Names of columns, `run_uuid` first where `run_ids` is given.
            run_ids: Only rows of these runs.
            key: Only rows of this key.

        Raises:
            StoreError: The table could not be read to its end.
        """

    def one_state(self) -> AbstractContextManager[None]:
        """Within this, all rows are of one state of the database."""

    def close(self) -> None:
        """Close the connection and remove whatever was made for it."""


class DatabaseStore:
    """A store in a database; implements `RunStore`.

    Args:
        rows: Its tables; closed with the store.
        uri: The store as the user names it; credentials are masked here.
        beside: The folder that holds the database file; None when it is on another machine.

    Raises:
        StoreError: The database has no table of runs.
    """

    def __init__(self, rows: Rows, uri: str, beside: str | None) -> None:
        self._rows = rows
        self._uri = mask_credentials(uri)
        self._beside = beside
        self._passed_over = PassedOver()
        self._runs: dict[str, Run] | None = None
        columns = rows.columns()
        if "run_uuid" not in columns.get("runs", ()) or "experiments" not in columns:
            raise StoreError(
                "the database holds no MLflow runs: its tables are not those of MLflow",
                where=self._uri,
                remedy="Name the database that `mlflow server --backend-store-uri` was started with.",
            )
        self._has_latest = "latest_metrics" in columns
        # Before MLflow 1.0 metrics had no step, and their times were in seconds.
        self._time_unit_ms = 1 if "step" in columns.get("metrics", ()) else 1000

    @property
    def uri(self) -> str:
        """The store's URI, credentials masked."""
        return self._uri

    @property
    def warnings(self) -> Sequence[StoreWarning]:
        """What was passed over so far."""
        return self._passed_over.all()

    def runs(self) -> Sequence[Run]:
        """Return every run, deleted ones too, sorted by run id; the tables are read once."""
        return tuple(self._read_runs().values())

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        """Return params, tags and last metrics of these runs; unknown ids are left out.

        One call for many ids reads each table once; schemas before MLflow 1.30 have no index for single runs.
        """
        known = self._read_runs()
        wanted = sorted(run_id for run_id in set(run_ids) if run_id in known)
        if not wanted:
            return {}
        params = self._texts("params", wanted)
        tags = self._texts("tags", wanted)
        metrics = self._last_points(wanted)
        return {
            run_id: RunDetails(params.get(run_id, {}), tags.get(run_id, {}), metrics.get(run_id, {}))
            for run_id in wanted
        }

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[Mention]:
        """Yield every run name, param value and tag value in which `pattern` is found, sorted by run id."""
        known = self._read_runs()
        found = [Mention(run.run_id, "run name", run.name) for run in known.values() if pattern.search(run.name)]
        for table, kind in (("params", "param"), ("tags", "tag")):
            for run_id, key, value in self._rows.select(table, TEXT_COLUMNS):
                if value is not None and run_id in known:
                    text = str(value)
                    if pattern.search(text):
                        found.append(Mention(str(run_id), f"{kind} {key}", text))
        order = {"run": 0, "par": 1, "tag": 2}
        yield from sorted(found, key=lambda hit: (hit.run_id, order[hit.place[:3]], hit.place))

    def metric_histories(self, run_id: str) -> Mapping[str, Sequence[MetricPoint]]:
        """Return every logged point of every metric of a run, sorted by step, then time."""
        found: dict[str, list[MetricPoint]] = {}
        for _, key, point in self._points("metrics", (run_id,)):
            found.setdefault(key, []).append(point)
        return {key: tuple(sorted(found[key], key=point_order)) for key in sorted(found)}

    def artifact_files(self, run_id: str) -> Sequence[ArtifactFile]:
        """Return the files among a run's artifacts, sorted by path; empty when they are out of reach."""
        run = self._read_runs().get(run_id)
        return () if run is None else list_artifacts(run, ArtifactPlaces(beside=self._beside), self._passed_over)

    def close(self) -> None:
        """Close the connection."""
        self._rows.close()

    def _read_runs(self) -> dict[str, Run]:
        if self._runs is None:
            with self._rows.one_state():
                experiments = {
                    str(number): (str(name or ""), stage == "deleted")
                    for number, name, stage in self._rows.select("experiments", EXPERIMENT_COLUMNS)
                }
                rows = list(self._rows.select("runs", RUN_COLUMNS))
                names: dict[object, object] = {}
                if any(not row[1] for row in rows):  # before MLflow 1.30 the name was in the tag alone
                    tags = self._rows.select("tags", TEXT_COLUMNS, key=RUN_NAME_TAG)
                    names = {run_id: value for run_id, _, value in tags}
            runs = [run for row in rows if (run := self._run(row, experiments, names)) is not None]
            self._runs = {run.run_id: run for run in sorted(runs, key=lambda run: run.run_id)}
        return self._runs

    def _run(
        self,
        row: Sequence[object],
        experiments: Mapping[str, tuple[str, bool]],
        names: Mapping[object, object],
    ) -> Run | None:
        run_id, name, experiment_id, status, start, end, stage, artifact_uri = row
        if not isinstance(run_id, str) or not is_run_id(run_id):
            self._passed_over.add(f"{self._uri}, table runs", f"a run whose id is none: {run_id!r:.80}")
            return None
        for column, value in (("start_time", start), ("end_time", end)):
            if value is not None and utc_ms(value) is None:
                self._passed_over.add(f"run {run_id}", f"{column} is no time: {value!r:.80}")
        number = "" if experiment_id is None else str(experiment_id)
        if number not in experiments:
            self._passed_over.add(f"run {run_id}", f"its experiment {number or '(none)'} is not in the store")
        experiment, is_gone = experiments.get(number, ("", False))
        return Run(
            run_id=run_id,
            name=str(name or names.get(run_id) or ""),
            experiment_id=number,
            experiment=experiment,
            status=status_name(status),
            is_deleted=is_gone or stage == "deleted",
            start_utc_ms=utc_ms(start),
            end_utc_ms=utc_ms(end),
            artifact_uri=None if artifact_uri is None else mask_credentials(str(artifact_uri)),
            store=self._uri,
        )

    def _texts(self, table: str, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        known: dict[str, str] = {}  # values repeat from run to run; one copy of each serves all
        for run_id, key, value in self._rows.select(table, TEXT_COLUMNS, run_ids=run_ids):
            text = "" if value is None else str(value)
            if len(text) > MAX_VALUE_CHARACTERS:
                what = f"{table[:-1]} {key!s:.80} is longer than {MAX_VALUE_CHARACTERS} characters"
                self._passed_over.add(f"run {run_id}", what)
                continue
            if len(text) <= _SHORT_VALUE:
                text = known.setdefault(text, text)
            found.setdefault(str(run_id), {})[sys.intern(str(key))] = text
        return found

    def _last_points(self, run_ids: Sequence[str]) -> dict[str, dict[str, MetricPoint]]:
        found: dict[str, dict[str, MetricPoint]] = {}
        table = "latest_metrics" if self._has_latest else "metrics"
        for run_id, key, point in self._points(table, run_ids):
            last = found.setdefault(run_id, {})
            other = last.get(key)
            if other is None or (*point_order(point), point.value) > (*point_order(other), other.value):
                last[key] = point
        return found

    def _points(self, table: str, run_ids: Sequence[str]) -> Iterator[tuple[str, str, MetricPoint]]:
        rows = self._rows.select(table, METRIC_COLUMNS, run_ids=run_ids)
        for run_id, key, value, timestamp, step, is_nan in rows:
            point = None
            try:
                number = metric_value(value, is_nan=bool(is_nan))
                time = int(str(timestamp or 0)) * self._time_unit_ms
                point = MetricPoint(number, int(str(step or 0)), time)
            except ValueError:
                pass  # SQLite keeps any text in a column of numbers
            if point is None or max(abs(point.step), abs(point.timestamp_utc_ms)) > MAX_NUMBER:
                self._passed_over.add(f"run {run_id}", f"metric {key} holds no number")
            else:
                yield str(run_id), sys.intern(str(key)), point
