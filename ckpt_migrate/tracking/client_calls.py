"""Calls of MlflowClient: with our patience, without its noise, and with errors that say what to do."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking.uri import HIDDEN, mask_credentials, scrub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

TRY_AGAIN = "Check the address and that the server runs; then run the command again, nothing was changed."
_KINDS_OF_FAILURE = (
    (r"too many \d+ error|error code (?:429|5\d\d)\b", "the server keeps answering with an error", TRY_AGAIN),
    (
        r"timed out|timeout exception",
        "the server does not answer in time",
        "Try again, or allow more seconds a request with MLFLOW_HTTP_REQUEST_TIMEOUT.",
    ),
    (
        r"SSLError|CERTIFICATE_VERIFY",
        "the server's certificate is not trusted",
        "Name its authority's certificate with MLFLOW_TRACKING_SERVER_CERT_PATH.",
    ),
    (
        r"Max retries|refused|Failed to resolve|Connection (?:aborted|broken)|RemoteDisconnected|reset by peer",
        "the server cannot be reached",
        TRY_AGAIN,
    ),
    (
        r"error code 40[13]\b|UNAUTHENTICATED|PERMISSION_DENIED|_UNAUTHORIZED|credential|not authorized|configur",
        "the server refuses access, or access to it is not set up",
        (
            "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN; for Databricks "
            "DATABRICKS_HOST and DATABRICKS_TOKEN, or a profile in ~/.databrickscfg."
        ),
    ),
    (
        r"valid JSON|JSONDecode|error code 40[45]\b|ENDPOINT_NOT_FOUND|INTERNAL_ERROR: Response:|<html|<!doctype",
        "this is no MLflow tracking server: it does not answer as one",
        "Name the address at which the MLflow page opens in a browser, without a path behind it.",
    ),
)

# MLflow itself waits 120 s a request and retries seven times, over four minutes on a server that is down. What the
# user has set is left alone. Telemetry must be off before MLflow is imported.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_TIMEOUT_VARIABLE = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_AT_ONCE = 8
_SECRETS = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "DATABRICKS_TOKEN",
    "DATABRICKS_PASSWORD",
    "DATABRICKS_CLIENT_SECRET",
)
_DATABRICKS_TOKEN = re.compile(r"\bdapi[\w-]{6,}")
_LONGEST_CALL = 10
"""How many times the time-out of a request a call may take, retries and all. The time-out itself is counted anew with
every byte, so that an answer that trickles in would be waited for without end."""


class ClientCalls:
    """Makes calls of a client.

    Args:
        uri: The server's address with credentials; kept out of messages.
    """

    def __init__(self, uri: str) -> None:
        self._secret_uri = uri
        self._uri = mask_credentials(uri)

    def load(self, call: Callable[[], T]) -> T:
        """Return what a call returns that asks nothing of the server, such as importing MLflow, however long it takes.

        Raises:
            StoreError: It failed.
        """
        with self._settings():
            try:
                return call()
            except Exception as error:  # noqa: BLE001 - MLflow lets errors of requests, json and protobuf through
                raise self._store_error(error, "connecting") from None

    def ask(self, doing: str, call: Callable[[], T]) -> T:
        """Return what a call returns; `ask_all` for one."""
        return self.ask_all(doing, [call])[0]

    def ask_all(self, doing: str, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Return what each call returns, in order; several are under way at once, as most of each is waiting.

        Args:
            doing: What is being done, for errors.
            calls: Call MLflow.

        Raises:
            StoreError: One of them failed, or did not end in time.
        """
        answers: dict[int, T] = {}
        errors: list[Exception] = []
        waiting = iter(enumerate(calls))

        def work() -> None:
            for number, call in waiting:
                try:
                    answers[number] = call()
                except Exception as error:  # noqa: BLE001 - see `load`
                    errors.append(error)
                if errors:
                    return

        with self._settings() as longest_s:
            # Daemons: what waits for a server for ever must not keep this process from ending.
            threads = [threading.Thread(target=work, daemon=True) for _ in calls[:_AT_ONCE]]
            for thread in threads:
                thread.start()
            deadline_s = time.monotonic() + longest_s * -(-len(calls) // _AT_ONCE)
            for thread in threads:
                thread.join(max(0.0, deadline_s - time.monotonic()))
        if errors:
            raise self._store_error(errors[0], doing) from None
        if len(answers) < len(calls):
            raise self._store_error(TimeoutError(f"timed out: no whole answer within {longest_s:.0f} s"), doing)
        return [answers[number] for number in range(len(calls))]

    @contextmanager
    def _settings(self) -> Iterator[float]:
        """Set what MLflow heeds, for the time of a call; yields how long that may take, in seconds."""
        before = dict(os.environ)
        os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in before})
        os.environ["MLFLOW_TRACKING_URI"] = self._secret_uri  # older clients look served artifacts up there
        logger = logging.getLogger("mlflow")
        level = logger.level
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                logger.setLevel(logging.CRITICAL)
                yield _LONGEST_CALL * _seconds(os.environ[_TIMEOUT_VARIABLE])
        finally:
            logger.setLevel(level)
            for name in (*_ENVIRONMENT, "MLFLOW_TRACKING_URI"):
                if name in before:
                    os.environ[name] = before[name]
                else:
                    os.environ.pop(name, None)

    def _store_error(self, error: Exception, doing: str) -> StoreError:
        # The message may hold the address with its password, or a whole page of HTML.
        words = " ".join(_DATABRICKS_TOKEN.sub(HIDDEN, scrub(str(error), self._secret_uri)).split())
        for secret in filter(None, map(os.environ.get, _SECRETS)):
            words = words.replace(secret, HIDDEN)
        where = f"{self._uri}, {doing}"
        for pattern, what, remedy in _KINDS_OF_FAILURE:
            if re.search(pattern, words, re.IGNORECASE):
                return StoreError(what, where=where, problems=(f"{words:.300}",), remedy=remedy)
        return StoreError(f"the server cannot be read ({words:.300})", where=where, remedy=TRY_AGAIN)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float(_ENVIRONMENT[_TIMEOUT_VARIABLE])  # MLflow says what is wrong with the user's
