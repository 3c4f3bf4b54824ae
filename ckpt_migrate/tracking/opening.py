"""Finds and opens what a user names as tracking stores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckpt_migrate.errors import StoreNotFoundError
from ckpt_migrate.tracking.experiment_folder import is_file_store, list_folder
from ckpt_migrate.tracking.filestore import FileRunStore
from ckpt_migrate.tracking.merged import MergedStore
from ckpt_migrate.tracking.uri import KNOWN_FORMS, StoreAddress, StoreKind, parse_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.tracking.records import RunStore

ENVIRONMENT_VARIABLE = "MLFLOW_TRACKING_URI"


def find_tracking_uris(given: Sequence[str], *, beside: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return which stores to read: those given, else the one of the environment, else those lying in a folder.

    Args:
        given: What the user named, in order.
        beside: The folder in which `mlflow.db` and `mlruns` are looked for.
        environ: The environment, for `MLFLOW_TRACKING_URI`.

    Raises:
        StoreNotFoundError: None was named and none lies there; says what was looked for.
    """
    if given:
        return tuple(given)
    named = environ.get(ENVIRONMENT_VARIABLE, "")
    if named:
        return (named,)
    database = os.path.join(beside, "mlflow.db")
    folder = os.path.join(beside, "mlruns")
    found = [database] if os.path.isfile(database) else []
    # Beside a database, `mlruns` usually holds nothing but the artifacts of the database's runs.
    if is_file_store(folder) or (not found and os.path.isdir(folder)):
        found.append(folder)
    if not found:
        raise StoreNotFoundError(
            "no MLflow store was named and none was found",
            where=os.path.abspath(beside),
            problems=(
                f"{ENVIRONMENT_VARIABLE} is not set",
                f"no file {database}",
                f"no folder {folder}",
            ),
            remedy=f"Name it: --tracking-uri URI, where URI is {KNOWN_FORMS}.",
        )
    return tuple(found)


def open_stores(uris: Sequence[str]) -> RunStore:
    """Open one or several stores as one; a store named twice is opened once.

    Raises:
        StoreNotFoundError: None is named, or one of them does not exist.
        UsageError: A URI is malformed or of an unknown scheme.
        StoreError: One of them cannot be read.
    """
    if not uris:
        raise StoreNotFoundError("no MLflow store was named", remedy=f"Name one: {KNOWN_FORMS}.")
    addresses: dict[str, StoreAddress] = {}
    for uri in uris:
        address = parse_uri(uri)
        is_local = address.kind in (StoreKind.FILES, StoreKind.SQLITE)
        identity = os.path.realpath(address.target) if is_local else address.target
        addresses.setdefault(identity, address)
    stores: list[RunStore] = []
    try:
        for address in addresses.values():
            stores.append(_open(address))  # noqa: PERF401 - those already open must be closed when one fails
    except BaseException:
        for store in stores:
            store.close()
        raise
    if len(stores) == 1:
        return stores[0]
    return MergedStore(stores)


def _open(address: StoreAddress) -> RunStore:
    if address.kind is StoreKind.FILES:
        return _open_files(address)
    if address.kind is StoreKind.SQLITE:
        from ckpt_migrate.tracking.sqlite import open_sqlite  # noqa: PLC0415 - loads sqlite3

        return open_sqlite(address.target, address.uri)
    if address.kind is StoreKind.DATABASE:
        from ckpt_migrate.tracking.sqlalchemy_rows import open_database  # noqa: PLC0415 - loads SQLAlchemy

        return open_database(address.target)
    from ckpt_migrate.tracking.server import open_server  # noqa: PLC0415 - loads MLflow

    return open_server(address.target)


def _open_files(address: StoreAddress) -> RunStore:
    folder = address.target
    list_folder(folder)
    if not is_file_store(folder):
        raise StoreNotFoundError(
            "the folder holds no MLflow experiments and no runs",
            where=address.uri,
            remedy=(
                f"{_nearby(folder)}Name the folder that holds the experiments' folders, or another store: "
                f"{KNOWN_FORMS}."
            ),
        )
    return FileRunStore(folder, address.uri)


def _nearby(folder: str) -> str:
    """Return a sentence about the store that was probably meant: in the folder, around it, or beside it."""
    parent = os.path.dirname(os.path.abspath(folder))
    stores = [path for path in (os.path.join(folder, "mlruns"), parent) if is_file_store(path)]
    databases = [os.path.join(place, "mlflow.db") for place in (folder, parent)]
    near = [*stores, *filter(os.path.isfile, databases)]
    return f"Perhaps {near[0]} was meant. " if near else ""
