"""Starts real PostgreSQL and MySQL (MariaDB) servers in folders and on ports of their own."""

from __future__ import annotations

import glob
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tracking.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PASSWORD = "s3cret pass"  # noqa: S105 - of servers that live for one test
_START_S = 60
_MEMORY = "/dev/shm"  # noqa: S108 - just where a folder of a random name is made


def _program(name: str) -> str:
    """Return where a program is; Debian keeps those of PostgreSQL off the path."""
    found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if found is None:
        pytest.skip(f"no {name} on this machine")
    return found


def _driver(names: Sequence[str]) -> str:
    found = next((name for name in names if importlib.util.find_spec(name)), None)
    if found is None:
        pytest.skip(f"no driver on this machine: {' or '.join(names)}")
    return found


@contextmanager
def _server(command: Sequence[str], *, folder: str, user: str, ready: str) -> Iterator[None]:
    """Run a server, from when its words say that it is ready."""
    log = Path(folder, "log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, user=user, cwd="/")
    try:
        deadline_s = time.monotonic() + _START_S
        while ready not in log.read_text("utf-8", "replace"):
            if process.poll() is not None or time.monotonic() > deadline_s:
                pytest.fail(f"the server did not start: {log.read_text('utf-8', 'replace')[-1000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(
            signal.SIGINT if "postgres" in command[0] else signal.SIGTERM
        )  # without waiting for clients
        process.wait(timeout=_START_S)


@contextmanager
def _folder() -> Iterator[tuple[str, str]]:
    """Make a folder for a server, in memory where there is such, and say whose it is: they refuse to run as root."""
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.path.isdir(_MEMORY) else None) as name:
        if os.geteuid() == 0:
            shutil.chown(name, user)
        yield name, user


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL with a user `bob`; yields its URI."""
    initdb, postgres, driver = _program("initdb"), _program("postgres"), _driver(("psycopg2", "psycopg", "pg8000"))
    with _folder() as (name, user):
        Path(name, "password").write_text(_PASSWORD, "utf-8")
        options = ["-D", f"{name}/data", "-U", "bob", "--auth", "scram-sha-256", "--pwfile", f"{name}/password"]
        subprocess.run([initdb, *options, "--no-sync"], check=True, capture_output=True, user=user, cwd="/")
        port = str(free_port())
        command = [postgres, "-D", f"{name}/data", "-p", port, "-h", "127.0.0.1", "-k", name, "-F"]
        with _server(command, folder=name, user=user, ready="ready to accept connections"):
            yield f"postgresql+{driver}://bob:s3cret%20pass@127.0.0.1:{port}/postgres"


@contextmanager
def mysql() -> Iterator[str]:
    """Run a MariaDB with a user `bob` and a database `mlflow`; yields its URI."""
    install, mariadbd, driver = _program("mariadb-install-db"), _program("mariadbd"), _driver(("pymysql",))
    with _folder() as (name, user):
        Path(name, "init.sql").write_text(
            f"CREATE DATABASE mlflow;\nCREATE USER bob@'127.0.0.1' IDENTIFIED BY '{_PASSWORD}';\n"
            "GRANT ALL ON *.* TO bob@'127.0.0.1' WITH GRANT OPTION;\n",
            "utf-8",
        )
        options = [f"--datadir={name}/data", "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([install, "--no-defaults", *options], check=True, capture_output=True, user=user, cwd="/")
        port = str(free_port())
        command = [
            mariadbd, "--no-defaults", f"--datadir={name}/data", f"--port={port}", "--bind-address=127.0.0.1",
            f"--socket={name}/socket", f"--pid-file={name}/pid", f"--init-file={name}/init.sql", f"--tmpdir={name}",
            "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve", "--character-set-server=utf8mb4",
        ]  # fmt: skip
        with _server(command, folder=name, user=user, ready="ready for connections"):
            yield f"mysql+{driver}://bob:s3cret%20pass@127.0.0.1:{port}/mlflow"


SERVERS = {"postgresql": postgresql, "mysql": mysql}
