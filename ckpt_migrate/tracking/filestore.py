"""File stores: an `mlruns` folder of any MLflow version, read by directory walks alone.

The layout is `<experiment>/<run>/{meta.yaml,params,tags,metrics,artifacts}`; deleted experiments lie in `.trash`.
MLflow itself is not asked: it creates `.trash` where there is none, refuses file stores since 3.13, fails on
stores of 0.x and loses the runs of an experiment whose own `meta.yaml` is gone.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ckpt_migrate.naming import is_run_id
from ckpt_migrate.tracking.artifacts import ArtifactPlaces, list_artifacts
from ckpt_migrate.tracking.experiment_folder import experiments_of, list_folder
from ckpt_migrate.tracking.passed_over import PassedOver
from ckpt_migrate.tracking.preference import preference
from ckpt_migrate.tracking.processes import map_batches
from ckpt_migrate.tracking.records import Mention, Run, RunDetails
from ckpt_migrate.tracking.run_fields import status_name, utc_ms
from ckpt_migrate.tracking.run_folder import META, LastPoints, RunFolder, read_head
from ckpt_migrate.tracking.uri import mask_credentials

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ckpt_migrate.tracking.experiment_folder import Experiment
    from ckpt_migrate.tracking.records import ArtifactFile, MetricPoint, StoreWarning
    from ckpt_migrate.tracking.run_folder import Head, Texts

_RESERVED = frozenset({"tags", "datasets", "traces", "models"})  # in an experiment's folder, beside the runs
_BATCH = 100  # runs read at once by one process
_REWRITE_S = 0.2  # far longer than rewriting a meta.yaml takes

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Warnings: TypeAlias = "list[tuple[str, str]]"


class FileRunStore:
    """A file store; implements `RunStore`.

    Args:
        folder: The folder that holds the experiments.
        uri: The store as the user names it; credentials are masked here.
    """

    def __init__(self, folder: str, uri: str) -> None:
        self._folder = folder
        self._uri = mask_credentials(uri)
        self._passed_over = PassedOver()
        self._runs: dict[str, Run] | None = None
        self._folders: dict[str, RunFolder] = {}
        # Params and tags are most of what lies in a store: whoever looks for mentions first finds them read later.
        self._texts: dict[str, Texts] = {}
        self._details: dict[str, RunDetails] = {}

    @property
    def uri(self) -> str:
        """The store's URI, credentials masked."""
        return self._uri

    @property
    def warnings(self) -> Sequence[StoreWarning]:
        """What was passed over so far."""
        return self._passed_over.all()

    def runs(self) -> Sequence[Run]:
        """Return every run, deleted ones too, sorted by run id; the folder is walked once."""
        return tuple(self._read_runs().values())

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        """Return params, tags and last metrics of these runs; unknown ids are left out."""
        self._read_runs()
        wanted = [run_id for run_id in sorted(set(run_ids)) if run_id in self._folders]
        missing = [run_id for run_id in wanted if run_id not in self._details]
        self._read_texts([run_id for run_id in missing if run_id not in self._texts])
        for run_id in missing:
            points = LastPoints(self._folders[run_id], self._passed_over)
            self._details[run_id] = RunDetails(*self._texts.pop(run_id), points)
        return {run_id: self._details[run_id] for run_id in wanted}

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[Mention]:
        """Yield every run name, param value and tag value in which `pattern` is found, sorted by run id."""
        runs = self._read_runs()
        self._read_texts([run_id for run_id in runs if run_id not in self._details and run_id not in self._texts])
        for run_id, run in runs.items():
            if pattern.search(run.name):
                yield Mention(run_id, "run name", run.name)
            details = self._details.get(run_id)
            texts = self._texts[run_id] if details is None else (details.params, details.tags)
            for kind, found in zip(("param", "tag"), texts, strict=True):
                for key, text in found.items():
                    if pattern.search(text):
                        yield Mention(run_id, f"{kind} {key}", text)

    def metric_histories(self, run_id: str) -> Mapping[str, Sequence[MetricPoint]]:
        """Return every logged point of every metric of a run, sorted by step, then time."""
        self._read_runs()
        folder = self._folders.get(run_id)
        return {} if folder is None else folder.histories(self._passed_over)

    def artifact_files(self, run_id: str) -> Sequence[ArtifactFile]:
        """Return the files among a run's artifacts, sorted by path; empty when they are out of reach."""
        run = self._read_runs().get(run_id)
        if run is None:
            return ()
        inside = f"{self._folders[run_id].path}/artifacts"
        places = ArtifactPlaces(inside=(inside,), beside=os.path.dirname(os.path.abspath(self._folder)))
        return list_artifacts(run, places, self._passed_over)

    def close(self) -> None:
        """Forget what was read; no file is held open."""
        self._texts, self._details = {}, {}

    def _read_runs(self) -> Mapping[str, Run]:
        if self._runs is None:
            candidates = [
                (experiment, name)
                for experiment in experiments_of(self._folder, self._passed_over)
                for name in self._run_names(experiment)
            ]
            found: dict[str, tuple[Run, RunFolder]] = {}
            problems = self._read_heads(candidates, found)
            if problems:
                # MLflow empties a meta.yaml before it writes it anew: what was empty a moment ago may be whole.
                time.sleep(_REWRITE_S)
                problems = self._read_heads(list(problems), found)
            for (experiment, name), problem in problems.items():
                self._passed_over.add(f"{experiment.folder}/{name}", problem)
            self._folders = {run_id: folder for run_id, (_, folder) in found.items()}
            self._runs = {run_id: found[run_id][0] for run_id in sorted(found)}
        return self._runs

    def _read_texts(self, run_ids: Sequence[str]) -> None:
        def read(batch: Sequence[str]) -> tuple[list[Texts], _Warnings]:
            known: dict[bytes, str] = {}
            passed_over = PassedOver()
            texts = [self._folders[run_id].texts(passed_over, known) for run_id in batch]
            return texts, passed_over.pairs()

        self._texts.update(zip(run_ids, self._read(read, run_ids), strict=True))

    def _run_names(self, experiment: Experiment) -> Iterator[str]:
        for name in list_folder(experiment.folder):
            if is_run_id(name):
                yield name
            elif name not in _RESERVED and os.path.isfile(os.path.join(experiment.folder, name, META)):
                what = f"holds a {META}, but its name is no run id"
                self._passed_over.add(os.path.join(experiment.folder, name), what)

    def _read_heads(
        self, candidates: Sequence[tuple[Experiment, str]], found: dict[str, tuple[Run, RunFolder]]
    ) -> dict[tuple[Experiment, str], str]:
        """Read runs into `found`, of two with one id the better; return those with a problem, and which."""

        def read(batch: Sequence[tuple[Experiment, str]]) -> tuple[list[Head], _Warnings]:
            return [read_head(f"{experiment.folder}/{name}") for experiment, name in batch], []

        problems = {}
        for (experiment, name), (fields, problem) in zip(candidates, self._read(read, candidates), strict=True):
            if problem is not None:
                problems[experiment, name] = problem
            run = None if fields is None else self._run(fields, name, experiment)
            if fields is None or run is None:
                continue
            folder = RunFolder(experiment.folder, name, "run_id" not in fields and "lifecycle_stage" not in fields)
            if name in found:
                self._passed_over.add(folder.path, "this run lies in the store twice; the better one counts")
            if name not in found or preference(run) > preference(found[name][0]):
                found[name] = (run, folder)
        return problems

    def _run(self, fields: dict[str, str | None], run_id: str, experiment: Experiment) -> Run | None:
        path = f"{experiment.folder}/{run_id}"
        named = fields.get("run_id") or fields.get("run_uuid")
        if named != run_id:
            said = "names no run" if named is None else f"names another run, {named}"
            self._passed_over.add(path, f"{META} {said}")
            return None
        if fields.get("experiment_id") not in (None, experiment.experiment_id):
            self._passed_over.add(path, f"{META} says experiment {fields['experiment_id']}")
        start, end, artifact_uri = (fields.get(key) for key in ("start_time", "end_time", "artifact_uri"))
        start_utc_ms, end_utc_ms = utc_ms(start), utc_ms(end)
        for key, text, time_ms in (("start_time", start, start_utc_ms), ("end_time", end, end_utc_ms)):
            if text is not None and time_ms is None:
                self._passed_over.add(path, f"{key} is no time: {text:.80}")
        return Run(
            run_id=run_id,
            name=fields.get("run_name") or fields.get("name") or "",
            experiment_id=experiment.experiment_id,
            experiment=experiment.name,
            status=status_name(fields.get("status")),
            is_deleted=experiment.is_deleted or fields.get("lifecycle_stage") == "deleted",
            start_utc_ms=start_utc_ms,
            end_utc_ms=end_utc_ms,
            artifact_uri=None if artifact_uri is None else mask_credentials(artifact_uri),
            store=self._uri,
        )

    def _read(
        self, read: Callable[[Sequence[_Item]], tuple[list[_Result], _Warnings]], items: Sequence[_Item]
    ) -> Iterator[_Result]:
        """Yield what `read` finds for each item, in order, noting what it passed over."""
        batches = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
        for results, warnings in map_batches(read, batches):
            for where, what in warnings:
                self._passed_over.add(where, what)
            yield from results
