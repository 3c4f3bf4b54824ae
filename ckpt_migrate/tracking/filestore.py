"""File stores: an `mlruns` folder of any MLflow version, read by directory walks alone.

The layout is `<experiment>/<run>/{meta.yaml,params,tags,metrics,artifacts}`; deleted experiments lie in `.trash`.
MLflow itself is not asked: it creates `.trash` where there is none, refuses file stores since 3.13, fails on
stores of 0.x and loses the runs of an experiment whose own `meta.yaml` is gone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ckpt_migrate.errors import StoreError, StoreNotFoundError
from ckpt_migrate.naming import is_run_id
from ckpt_migrate.tracking import meta_yaml
from ckpt_migrate.tracking.artifacts import ArtifactPlaces, list_artifacts
from ckpt_migrate.tracking.key_files import TooLargeError, read_bounded
from ckpt_migrate.tracking.passed_over import PassedOver
from ckpt_migrate.tracking.preference import preference
from ckpt_migrate.tracking.processes import map_batches, usable_processors
from ckpt_migrate.tracking.records import Mention, Run
from ckpt_migrate.tracking.run_fields import RUN_NAME_TAG, status_name, utc_ms
from ckpt_migrate.tracking.run_folder import MAX_VALUE_BYTES, RunFolder, unpack
from ckpt_migrate.tracking.uri import mask_credentials

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ckpt_migrate.tracking.records import ArtifactFile, MetricPoint, RunDetails, StoreWarning
    from ckpt_migrate.tracking.run_folder import PackedDetails

TRASH = ".trash"
META = "meta.yaml"
_RUN_FOLDERS = ("params", "metrics", "tags")
_RESERVED = frozenset({"tags", "datasets", "traces", "models"})  # in an experiment's folder, beside the runs
_BATCH = 250  # runs read at once by one process

_Result = TypeVar("_Result")
_Warnings: TypeAlias = "list[tuple[str, str]]"


@dataclass(frozen=True, slots=True)
class _Experiment:
    """An experiment's folder; `name` is empty when its meta.yaml is gone."""

    folder: str
    experiment_id: str
    name: str
    is_deleted: bool


def is_file_store(folder: str) -> bool:
    """Say whether a folder holds an experiment or a run of a file store, or was prepared for them.

    A folder of artifacts alone (of a store whose runs are in a database) is none.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return False
    return TRASH in names or any(_is_experiment(os.path.join(folder, name)) for name in names)


def _is_experiment(folder: str) -> bool:
    meta = os.path.join(folder, META)
    if os.path.isfile(meta):
        try:
            fields = meta_yaml.parse_meta(read_bounded(meta, meta_yaml.MAX_BYTES))
        except (OSError, meta_yaml.MetaError):
            return _has_runs(folder)
        return "experiment_id" in fields or _has_runs(folder)
    return _has_runs(folder)


def _has_runs(folder: str) -> bool:
    try:
        names = os.listdir(folder)
    except PermissionError:
        return True  # it may; whoever reads the store is told that it cannot be listed
    except OSError:
        return False
    return any(is_run_id(name) and os.path.isfile(os.path.join(folder, name, META)) for name in names)


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
        self._runs: tuple[Run, ...] | None = None
        self._folders: dict[str, RunFolder] = {}

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
        if self._runs is None:
            found: dict[str, Run] = {}
            folders: dict[str, RunFolder] = {}
            for experiment in self._experiments():
                for run, folder in self._runs_of(experiment):
                    other = found.get(run.run_id)
                    if other is not None:
                        self._passed_over.add(folder.path, "this run lies in the store twice; the better one counts")
                    if other is None or preference(run) > preference(other):
                        found[run.run_id] = run
                        folders[run.run_id] = folder
            self._folders = folders
            self._runs = tuple(found[run_id] for run_id in sorted(found))
        return self._runs

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        """Return params, tags and last metrics of these runs; unknown ids are left out."""
        self.runs()
        folders = [self._folders[run_id] for run_id in sorted(set(run_ids)) if run_id in self._folders]

        def read(batch: Sequence[RunFolder]) -> tuple[list[PackedDetails], _Warnings]:
            known: dict[str, str] = {}
            passed_over = PassedOver()
            packed = [folder.packed_details(passed_over, known) for folder in batch]
            return packed, passed_over.pairs()

        packed = self._read(read, folders)
        return {folder.run_id: unpack(details) for folder, details in zip(folders, packed, strict=True)}

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[Mention]:
        """Yield every run name, param value and tag value in which `pattern` is found, sorted by run id."""
        runs = self.runs()

        def read(batch: Sequence[RunFolder]) -> tuple[list[list[tuple[str, str]]], _Warnings]:
            passed_over = PassedOver()
            hits = []
            for folder in batch:
                of_run = []
                for kind in ("params", "tags"):
                    for key, text in folder.texts(kind, passed_over, {}).items():
                        if pattern.search(text):
                            of_run.append((f"{kind[:-1]} {key}", text))
                hits.append(of_run)
            return hits, passed_over.pairs()

        folders = [self._folders[run.run_id] for run in runs]
        for run, hits in zip(runs, self._read(read, folders), strict=True):
            if pattern.search(run.name):
                yield Mention(run.run_id, "run name", run.name)
            for place, text in hits:
                yield Mention(run.run_id, place, text)

    def metric_histories(self, run_id: str) -> Mapping[str, Sequence[MetricPoint]]:
        """Return every logged point of every metric of a run, sorted by step, then time."""
        self.runs()
        folder = self._folders.get(run_id)
        return {} if folder is None else folder.histories(self._passed_over)

    def artifact_files(self, run_id: str) -> Sequence[ArtifactFile]:
        """Return the files among a run's artifacts, sorted by path; empty when they are out of reach."""
        run = next((run for run in self.runs() if run.run_id == run_id), None)
        if run is None:
            return ()
        inside = f"{self._folders[run_id].path}/artifacts"
        places = ArtifactPlaces(inside=(inside,), beside=os.path.dirname(os.path.abspath(self._folder)))
        return list_artifacts(run, places, self._passed_over)

    def close(self) -> None:
        """Release nothing: no file is held open."""

    def _read(
        self,
        read: Callable[[Sequence[RunFolder]], tuple[list[_Result], _Warnings]],
        folders: Sequence[RunFolder],
    ) -> Iterator[_Result]:
        """Yield what `read` finds in each folder, in order, noting what it passed over."""
        batches = [folders[start : start + _BATCH] for start in range(0, len(folders), _BATCH)]
        for results, warnings in map_batches(read, batches, usable_processors()):
            for where, what in warnings:
                self._passed_over.add(where, what)
            yield from results

    def _experiments(self) -> Iterator[_Experiment]:
        """Yield the experiments, deleted ones too, in a fixed order."""
        for folder, is_trash in ((self._folder, False), (os.path.join(self._folder, TRASH), True)):
            for name in self._list(folder, may_be_absent=is_trash):
                if name == TRASH or (name == "models" and not is_trash):
                    continue  # `models` is the model registry
                path = os.path.join(folder, name)
                if os.path.isdir(path):
                    experiment = self._experiment(path, name, is_trash=is_trash)
                    if experiment is not None:
                        yield experiment

    def _experiment(self, path: str, name: str, *, is_trash: bool) -> _Experiment | None:
        fields: dict[str, str | None] = {}
        try:
            fields = meta_yaml.parse_meta(read_bounded(os.path.join(path, META), meta_yaml.MAX_BYTES))
        except FileNotFoundError:
            if not _has_runs(path):
                return None
            self._passed_over.add(path, "no meta.yaml, so the experiment's name is lost; its runs are read")
        except (OSError, meta_yaml.MetaError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._passed_over.add(os.path.join(path, META), f"{reason}; the experiment's runs are read")
        if fields.get("experiment_id") not in (None, name):
            self._passed_over.add(path, f"its meta.yaml says experiment {fields['experiment_id']}")
        is_deleted = is_trash or fields.get("lifecycle_stage") == "deleted"
        return _Experiment(path, name, fields.get("name") or "", is_deleted)

    def _list(self, folder: str, *, may_be_absent: bool = False) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError as error:
            if may_be_absent:
                return []
            raise StoreNotFoundError("there is no such folder", where=folder, remedy="Check --tracking-uri.") from error
        except OSError as error:
            raise StoreError(
                f"the store cannot be listed ({error.strerror})",
                where=folder,
                remedy="Give this user permission to read it, then run the command again; nothing was changed.",
            ) from error

    def _runs_of(self, experiment: _Experiment) -> Iterator[tuple[Run, RunFolder]]:
        for name in self._list(experiment.folder):
            if name in _RESERVED:
                continue
            if not is_run_id(name):
                self._check_other(experiment.folder, name)
                continue
            path = f"{experiment.folder}/{name}"
            try:
                fields = meta_yaml.parse_meta(read_bounded(f"{path}/{META}", meta_yaml.MAX_BYTES))
            except NotADirectoryError:
                continue
            except FileNotFoundError:
                # Artifacts alone belong to a run in a database whose artifacts lie here.
                if any(os.path.isdir(os.path.join(path, kind)) for kind in _RUN_FOLDERS):
                    self._passed_over.add(path, "a run without meta.yaml")
                continue
            except (TooLargeError, meta_yaml.MetaError) as error:
                self._passed_over.add(f"{path}/{META}", str(error))
                continue
            except OSError as error:
                self._passed_over.add(f"{path}/{META}", f"cannot be read ({error.strerror})")
                continue
            run = self._run(fields, name, experiment)
            if run is not None:
                is_0x = "run_id" not in fields and "lifecycle_stage" not in fields
                yield run, RunFolder(experiment.folder, name, is_0x)

    def _check_other(self, folder: str, name: str) -> None:
        """Note a folder that holds a run's meta.yaml under a name that is no run id."""
        path = os.path.join(folder, name, META)
        if os.path.isfile(path):
            self._passed_over.add(os.path.dirname(path), "holds a meta.yaml, but its name is no run id")

    def _run(self, fields: dict[str, str | None], run_id: str, experiment: _Experiment) -> Run | None:
        path = f"{experiment.folder}/{run_id}"
        named = fields.get("run_id") or fields.get("run_uuid")
        if named != run_id:
            said = "names no run" if named is None else f"names another run, {named}"
            self._passed_over.add(f"{path}/{META}", said)
            return None
        if fields.get("experiment_id") not in (None, experiment.experiment_id):
            self._passed_over.add(path, f"its meta.yaml says experiment {fields['experiment_id']}")
        for key in ("start_time", "end_time"):
            if fields.get(key) is not None and utc_ms(fields[key]) is None:
                self._passed_over.add(f"{path}/{META}", f"{key} is no time: {fields[key]}")
        artifact_uri = fields.get("artifact_uri")
        return Run(
            run_id=run_id,
            name=fields.get("run_name") or fields.get("name") or self._run_name_tag(path),
            experiment_id=experiment.experiment_id,
            experiment=experiment.name,
            status=status_name(fields.get("status")),
            is_deleted=experiment.is_deleted or fields.get("lifecycle_stage") == "deleted",
            start_utc_ms=utc_ms(fields.get("start_time")),
            end_utc_ms=utc_ms(fields.get("end_time")),
            artifact_uri=None if artifact_uri is None else mask_credentials(artifact_uri),
            store=self._uri,
        )

    def _run_name_tag(self, path: str) -> str:
        try:
            data = read_bounded(f"{path}/tags/{RUN_NAME_TAG}", MAX_VALUE_BYTES)
        except OSError:
            return ""
        return data.decode("utf-8", "replace")
