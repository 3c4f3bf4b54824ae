"""Tags of runs, written through MLflow's own client: all that is ever written to a store, and only when asked."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking.uri import StoreKind, mask_credentials, parse_uri, scrub

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class RunTags:
    """Reads and writes tags of runs.

    Args:
        uri: The store as MLflow takes it, credentials in it.
    """

    def __init__(self, uri: str) -> None:
        address = parse_uri(uri)
        self._address = address
        self._given = uri
        self._target = f"sqlite:///{os.path.abspath(address.target)}" if address.kind is StoreKind.SQLITE else uri
        if address.kind is StoreKind.FILES:
            self._target = os.path.abspath(address.target)
        self.uri = mask_credentials(self._target)
        self._client: Any = None

    def check(self) -> None:
        """Refuse a database that MLflow would upgrade before it writes: that is for its owner to decide.

        Raises:
            StoreError: It would, or the database cannot be reached.
        """
        if self._address.kind not in {StoreKind.SQLITE, StoreKind.DATABASE}:
            return
        found, wanted = self._ask(self._schema_versions, "asking the database for its version", StoreError)
        if found != wanted:
            what = f"MLflow would upgrade this database from {found or 'no version'} to {wanted} before it writes tags"
            remedy = f"Back it up, then: mlflow db upgrade {self.uri}   or plan without --tag-runs."
            raise StoreError(what, where=self.uri, remedy=remedy)

    def tags(self, run_id: str) -> Mapping[str, str]:
        """Return the tags of a run.

        Raises:
            OSError: MLflow could not read them.
        """
        found: Mapping[str, str] = self._ask(
            lambda: dict(self._connected().get_run(run_id).data.tags), f"reading the tags of run {run_id}", _os_error
        )
        return found

    def set(self, run_id: str, key: str, value: str | None) -> None:
        """Set a tag, or remove it for None.

        Raises:
            OSError: MLflow could not.
        """
        if value is None:
            self._ask(lambda: self._connected().delete_tag(run_id, key), f"removing a tag of run {run_id}", _os_error)
        else:
            self._ask(lambda: self._connected().set_tag(run_id, key, value), f"tagging run {run_id}", _os_error)

    def _connected(self) -> Any:  # noqa: ANN401 - MLflow's own client
        if self._client is None:
            from mlflow.tracking import MlflowClient  # noqa: PLC0415 - takes seconds; only tagging needs it

            self.check()
            self._client = MlflowClient(tracking_uri=self._target)
        return self._client

    def _schema_versions(self) -> tuple[str | None, str]:
        from mlflow.store.db import utils  # noqa: PLC0415 - takes seconds; only tagging needs it

        engine = utils.create_sqlalchemy_engine(self._target)
        try:
            # MLflow has no public word for either, and no other way tells them without upgrading.
            return utils._get_schema_version(engine), utils._get_latest_schema_revision()  # noqa: SLF001 - see above
        finally:
            engine.dispose()

    def _ask(self, call: Callable[[], Any], doing: str, error_type: Callable[[str], Exception]) -> Any:  # noqa: ANN401 - what MLflow answers
        try:
            return call()
        except StoreError:
            raise
        except Exception as error:  # MLflow and its drivers raise anything
            text = scrub(str(error).partition("\n")[0], self._given)
            raise error_type(f"{doing} failed: {text}") from error


def _os_error(text: str) -> OSError:
    return OSError(errno.EIO, text)
