# ruff: noqa: INP001 - a script, run from the root of the repository
"""Whether every run comes through a real `mlflow server`, page by page, and how long that takes.

    python -m benchmarks.bench_server --runs 25000

A database of so many runs is filled directly and served by MLflow on 127.0.0.1. It is then read twice, through the
server and as the SQLite file that it is; runs, params, tags and last metrics must be equal, run for run. Ends with 1
where they are not.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.bench_stores import make_database, say
from ckpt_migrate.tracking import open_stores
from ckpt_migrate.tracking.server import RUNS_A_PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ckpt_migrate.tracking.records import Run, RunDetails

START_S = 180.0
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextmanager
def serve(database: str) -> Iterator[str]:
    """Run `mlflow server` on a database; yields its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{database}"]
    command += ["--default-artifact-root", os.path.dirname(database)]
    process = subprocess.Popen(
        command,
        env={**os.environ, **QUIET},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline_s = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):  # noqa: S310 - http on 127.0.0.1
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline_s:
                    sys.exit("the server did not start")
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def read(uri: str) -> tuple[Sequence[Run], Mapping[str, RunDetails], float]:
    """Return all runs, as if of one store, with their details, and the seconds that it took."""
    start = time.perf_counter()
    with closing(open_stores([uri])) as store:
        runs = [replace(run, store="") for run in store.runs()]
        return runs, store.details([run.run_id for run in runs]), time.perf_counter() - start


def main() -> None:
    """Fill, serve, read both ways, compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=25_000, help="runs behind the server (default 25,000)")
    count = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="bench-server-") as folder:
        database = f"{folder}/mlflow.db"
        make_database(database, count, points=2)
        with serve(database) as address:
            served = read(address)
        direct = read(f"sqlite:///{database}")
    say(f"| reader | runs | pages of {RUNS_A_PAGE} | seconds |\n| --- | --- | --- | --- |")
    for name, (runs, _, seconds) in (("through the server", served), ("the file itself", direct)):
        pages = str(-(-len(runs) // RUNS_A_PAGE)) if name == "through the server" else ""
        say(f"| {name} | {len(runs):,} | {pages} | {seconds:.1f} |")
    if served[:2] != direct[:2] or len(served[0]) != count:
        sys.exit("the server's runs are not those of its database")
    say("\nequal, run for run: runs, params, tags, last metrics")


if __name__ == "__main__":
    main()
