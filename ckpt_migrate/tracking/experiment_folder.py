"""Folders of a file store that hold experiments: which they are, and what they say of themselves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.errors import StoreError, StoreNotFoundError
from ckpt_migrate.naming import is_run_id
from ckpt_migrate.tracking import meta_yaml
from ckpt_migrate.tracking.key_files import read_bounded
from ckpt_migrate.tracking.passed_over import printable
from ckpt_migrate.tracking.run_folder import META

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt_migrate.tracking.passed_over import PassedOver

TRASH = ".trash"
_REGISTRY = "models"


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment's folder; `name` is empty when its meta.yaml is gone."""

    folder: str
    experiment_id: str
    name: str
    is_deleted: bool


def is_file_store(folder: str) -> bool:
    """Say whether a folder holds an experiment of a file store, or was prepared for them.

    A folder of artifacts alone (of a store whose runs are in a database) is none, nor is an experiment's own.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return False
    return TRASH in names or any(is_experiment(os.path.join(folder, name)) for name in names)


def is_experiment(folder: str) -> bool:
    """Say whether a folder is an experiment's: by its meta.yaml, or by the runs in it."""
    try:
        fields = meta_yaml.parse_meta(read_bounded(os.path.join(folder, META), meta_yaml.MAX_BYTES))
    except (OSError, meta_yaml.MetaError):
        return _has_runs(folder)
    is_run = "run_id" in fields or "run_uuid" in fields
    return ("experiment_id" in fields and not is_run) or _has_runs(folder)


def experiments_of(store: str, passed_over: PassedOver) -> Iterator[Experiment]:
    """Yield the experiments of a store, deleted ones too, in a fixed order.

    Raises:
        StoreError: The store's folder cannot be listed.
    """
    for folder, is_trash in ((store, False), (os.path.join(store, TRASH), True)):
        for name in list_folder(folder, may_be_absent=is_trash):
            path = os.path.join(folder, name)
            if name == TRASH or (name == _REGISTRY and not is_trash) or not os.path.isdir(path):
                continue
            experiment = _read_experiment(path, printable(name), passed_over, is_trash=is_trash)
            if experiment is not None:
                yield experiment


def list_folder(folder: str, *, may_be_absent: bool = False) -> list[str]:
    """Return the names in a folder, sorted.

    Raises:
        StoreError: It cannot be listed; a part of a store must not pass for all of it.
    """
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


def _read_experiment(path: str, name: str, passed_over: PassedOver, *, is_trash: bool) -> Experiment | None:
    fields: dict[str, str | None] = {}
    try:
        fields = meta_yaml.parse_meta(read_bounded(os.path.join(path, META), meta_yaml.MAX_BYTES))
    except FileNotFoundError:
        if not _has_runs(path):
            return None
        passed_over.add(path, "no meta.yaml, so the experiment's name is lost; its runs are read")
    except (OSError, meta_yaml.MetaError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        passed_over.add(os.path.join(path, META), f"{reason}; the experiment's runs are read")
    if fields.get("experiment_id") not in (None, name):
        passed_over.add(path, f"its meta.yaml says experiment {fields['experiment_id']}")
    is_deleted = is_trash or fields.get("lifecycle_stage") == "deleted"
    return Experiment(path, name, fields.get("name") or "", is_deleted)


def _has_runs(folder: str) -> bool:
    try:
        names = os.listdir(folder)
    except PermissionError:
        return True  # it may; whoever reads the store is told that it cannot be listed
    except OSError:
        return False
    return any(is_run_id(name) and os.path.isfile(os.path.join(folder, name, META)) for name in names)
