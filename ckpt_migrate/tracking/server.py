"""Stores behind an MLflow tracking server or Databricks, read through MlflowClient, the only reader for those."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from ckpt_migrate.errors import StoreError
from ckpt_migrate.naming import is_run_id
from ckpt_migrate.tracking.artifacts import MAX_FILES, ArtifactPlaces, list_artifacts
from ckpt_migrate.tracking.client_calls import TRY_AGAIN, ClientCalls
from ckpt_migrate.tracking.metric_lines import point_order
from ckpt_migrate.tracking.passed_over import PassedOver
from ckpt_migrate.tracking.preference import preference
from ckpt_migrate.tracking.records import ArtifactFile, Mention, MetricPoint, Run, RunDetails
from ckpt_migrate.tracking.run_fields import RUN_NAME_TAG, metric_value, status_name, utc_ms
from ckpt_migrate.tracking.uri import mask_credentials

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ckpt_migrate.tracking.records import StoreWarning

RUNS_A_PAGE = 500
EXPERIMENTS_A_PAGE = 500
_EXPERIMENTS_A_SEARCH = 100
_MAX_FOLDERS = 1_000
"""Most artifact folders asked of the server for one run."""

# Schemes of artifact URIs whose files the server itself hands out; others need the user's cloud credentials.
_SERVED_ARTIFACTS = ("mlflow-artifacts:", "http:", "https:", "dbfs:")


def open_server(uri: str) -> ServerStore:
    """Make a client; nothing is asked of the server yet.

    Raises:
        StoreError: MLflow cannot be imported, or refuses the URI.
    """
    return ServerStore(uri)


class ServerStore:
    """A store behind a server; implements `RunStore`.

    The server has no light listing: `runs` brings params, tags and metrics along, which are kept for `details`.

    Args:
        uri: The server's address, with credentials if the user put them there.
        runs_a_page: How many runs are asked for at once.
    """

    def __init__(self, uri: str, *, runs_a_page: int = RUNS_A_PAGE) -> None:
        self._uri = mask_credentials(uri)
        self._calls = ClientCalls(uri)
        self._runs_a_page = runs_a_page
        self._passed_over = PassedOver()
        self._runs: dict[str, Run] | None = None
        self._details: dict[str, RunDetails] = {}

        def connect() -> tuple[Any, Any]:
            from mlflow.entities import ViewType  # noqa: PLC0415 - takes seconds; only servers need it
            from mlflow.tracking import MlflowClient  # noqa: PLC0415 - same

            return ViewType.ALL, MlflowClient(tracking_uri=uri)

        self._all, self._client = self._calls.load(connect)

    @property
    def uri(self) -> str:
        """The server's address, credentials masked."""
        return self._uri

    @property
    def warnings(self) -> Sequence[StoreWarning]:
        """What was passed over so far."""
        return self._passed_over.all()

    def runs(self) -> Sequence[Run]:
        """Return every run, deleted ones too, sorted by run id; the server is asked once."""
        return tuple(self._read_runs().values())

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        """Return params, tags and last metrics of these runs; unknown ids are left out."""
        self._read_runs()
        return {run_id: self._details[run_id] for run_id in sorted(set(run_ids)) if run_id in self._details}

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[Mention]:
        """Yield every run name, param value and tag value in which `pattern` is found, sorted by run id."""
        for run in self._read_runs().values():
            if pattern.search(run.name):
                yield Mention(run.run_id, "run name", run.name)
            details = self._details[run.run_id]
            for kind, texts in (("param", details.params), ("tag", details.tags)):
                for key in sorted(texts):
                    if pattern.search(texts[key]):
                        yield Mention(run.run_id, f"{kind} {key}", texts[key])

    def metric_histories(self, run_id: str) -> Mapping[str, Sequence[MetricPoint]]:
        """Return every logged point of every metric of a run, sorted by step, then time."""
        self._read_runs()
        keys = sorted(self._details[run_id].metrics) if run_id in self._details else []
        if not keys:
            return {}

        calls = [partial(self._client.get_metric_history, run_id, key) for key in keys]
        found = zip(keys, self._calls.ask_all(f"reading the metrics of run {run_id}", calls), strict=True)
        return {key: tuple(sorted(map(_point, history), key=point_order)) for key, history in found}

    def artifact_files(self, run_id: str) -> Sequence[ArtifactFile]:
        """Return the files among a run's artifacts, sorted by path; empty when they are out of reach."""
        run = self._read_runs().get(run_id)
        if run is None:
            return ()
        local = list_artifacts(run, ArtifactPlaces(), self._passed_over)
        if local or not (run.artifact_uri or "").startswith(_SERVED_ARTIFACTS):
            return local
        try:
            return self._served_artifacts(run_id)
        except StoreError as error:
            self._passed_over.add(f"run {run_id}", f"its artifacts cannot be listed: {error.what}")
            return ()

    def close(self) -> None:
        """Forget what was read; MLflow keeps the connections."""
        self._details = {}

    def _read_runs(self) -> Mapping[str, Run]:
        if self._runs is None:
            experiments = self._experiments()
            found: dict[str, Run] = {}
            details: dict[str, RunDetails] = {}
            ids = sorted(experiments)
            known: dict[str, str] = {}
            for start in range(0, len(ids), _EXPERIMENTS_A_SEARCH):
                for entity in self._search(ids[start : start + _EXPERIMENTS_A_SEARCH]):
                    run = self._run(entity.info, entity.data.tags, experiments)
                    other = None if run is None else found.get(run.run_id)
                    if run is not None and (other is None or preference(run) > preference(other)):
                        found[run.run_id] = run
                        details[run.run_id] = _details(entity.data, known)
            self._details = details
            self._runs = {run_id: found[run_id] for run_id in sorted(found)}
        return self._runs

    def _experiments(self) -> dict[str, tuple[str, bool]]:
        """Return name and deletion of every experiment, by id."""

        def page(token: str | None) -> Any:  # noqa: ANN401 - an MLflow list
            return self._client.search_experiments(
                view_type=self._all, max_results=EXPERIMENTS_A_PAGE, page_token=token
            )

        found = {
            str(entity.experiment_id): (str(entity.name or ""), entity.lifecycle_stage == "deleted")
            for entity in self._pages(page, "listing experiments")
        }
        if not found:  # every MLflow store has at least the experiment Default
            raise StoreError(
                "the server shows no experiment, so it is no MLflow tracking server or hides them all",
                where=self._uri,
                remedy="Check the address, and that this user may read the experiments.",
            )
        return found

    def _search(self, experiment_ids: Sequence[str]) -> Iterator[Any]:
        def page(token: str | None) -> Any:  # noqa: ANN401 - an MLflow list
            # Oldest first: a run that starts meanwhile comes last and shifts no page.
            return self._client.search_runs(
                experiment_ids=list(experiment_ids),
                run_view_type=self._all,
                max_results=self._runs_a_page,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )

        yield from self._pages(page, "listing runs")

    def _pages(self, page: Callable[[str | None], Any], doing: str) -> Iterator[Any]:
        token: str | None = None
        seen: set[str] = set()
        while True:
            items = self._calls.ask(doing, partial(page, token))
            yield from items
            token = items.token
            if not token:
                return
            if token in seen:
                raise StoreError(
                    "the server sends the same page again and again",
                    where=f"{self._uri}, {doing}",
                    remedy=TRY_AGAIN,
                )
            seen.add(token)

    def _run(
        self,
        info: Any,  # noqa: ANN401 - MLflow's RunInfo
        tags: Mapping[str, str],
        experiments: Mapping[str, tuple[str, bool]],
    ) -> Run | None:
        run_id = str(info.run_id)
        if not is_run_id(run_id):
            self._passed_over.add(self._uri, f"a run whose id is none: {run_id!r:.80}")
            return None
        experiment, is_gone = experiments.get(str(info.experiment_id), ("", False))
        artifact_uri = info.artifact_uri or None
        return Run(
            run_id=run_id,
            name=str(getattr(info, "run_name", None) or tags.get(RUN_NAME_TAG, "")),
            experiment_id=str(info.experiment_id),
            experiment=experiment,
            status=status_name(info.status),
            is_deleted=is_gone or info.lifecycle_stage == "deleted",
            start_utc_ms=utc_ms(info.start_time),
            end_utc_ms=utc_ms(info.end_time or None),  # servers say 0 for a run that goes on
            artifact_uri=None if artifact_uri is None else mask_credentials(str(artifact_uri)),
            store=self._uri,
        )

    def _served_artifacts(self, run_id: str) -> Sequence[ArtifactFile]:
        found: list[ArtifactFile] = []
        folders: list[str | None] = [None]
        for folder in folders:  # grows while it is walked
            listing = partial(self._client.list_artifacts, run_id, folder)
            for entry in self._calls.ask(f"listing artifacts of run {run_id}", listing):
                if entry.is_dir:
                    folders.append(entry.path)
                else:
                    found.append(ArtifactFile(entry.path, entry.file_size, None))
            if len(folders) > _MAX_FOLDERS or len(found) > MAX_FILES:
                self._passed_over.add(f"run {run_id}", "too many artifacts; the rest is not looked at")
                break
        return tuple(sorted(found[:MAX_FILES], key=lambda file: file.path))


def _details(data: Any, known: dict[str, str]) -> RunDetails:  # noqa: ANN401 - MLflow's RunData
    def texts(pairs: Mapping[str, str]) -> dict[str, str]:
        return {sys.intern(str(key)): known.setdefault(str(text), str(text)) for key, text in pairs.items()}

    metrics = data._metric_objs  # noqa: SLF001 - the public mapping has neither step nor time
    points = {sys.intern(str(metric.key)): _point(metric) for metric in metrics}
    return RunDetails(texts(data.params), texts(data.tags), points)


def _point(metric: Any) -> MetricPoint:  # noqa: ANN401 - MLflow's Metric
    return MetricPoint(metric_value(metric.value), int(metric.step or 0), int(metric.timestamp or 0))
