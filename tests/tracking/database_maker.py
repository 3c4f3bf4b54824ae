"""Writes SQLite databases with MLflow's tables, and runs writers beside the readers under test."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = """
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name VARCHAR(256), lifecycle_stage VARCHAR(32));
CREATE TABLE runs (run_uuid VARCHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(250), status VARCHAR(20),
  start_time BIGINT, end_time BIGINT, lifecycle_stage VARCHAR(20), artifact_uri VARCHAR(200),
  experiment_id INTEGER);
CREATE TABLE params (key VARCHAR(250), value VARCHAR(8000), run_uuid VARCHAR(32), PRIMARY KEY (key, run_uuid));
CREATE TABLE tags (key VARCHAR(250), value VARCHAR(8000), run_uuid VARCHAR(32), PRIMARY KEY (key, run_uuid));
CREATE TABLE metrics (key VARCHAR(250), value FLOAT, timestamp BIGINT, run_uuid VARCHAR(32), step BIGINT,
  is_nan BOOLEAN);
CREATE TABLE latest_metrics (key VARCHAR(250), value FLOAT, timestamp BIGINT, run_uuid VARCHAR(32), step BIGINT,
  is_nan BOOLEAN, PRIMARY KEY (key, run_uuid));
INSERT INTO experiments VALUES (0, 'Default', 'active'), (1, 'phase2', 'active'), (2, 'gone', 'deleted');
"""
PARAMS = 5
"""Params that every run gets in the transaction that makes it."""

WRITER = """
import sqlite3, sys, time
path, mode, first, count, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
database = sqlite3.connect(path, timeout=5 if mode == "delete" else 0, isolation_level=None)
database.execute(f"PRAGMA journal_mode={mode}")
database.execute("PRAGMA synchronous=OFF")
database.execute("PRAGMA wal_autocheckpoint=50")
for number in range(first, first + count):
    run_id = f"{number:032x}"
    database.execute("BEGIN IMMEDIATE")
    database.execute(
        "INSERT INTO runs VALUES (?, ?, 'FINISHED', 1700000000000, 1700000001000, 'active', NULL, 1)",
        (run_id, f"run-{number}"),
    )
    for key in range(int(sys.argv[6])):
        database.execute("INSERT INTO params VALUES (?, ?, ?)", (f"key{key}", "x" * 200, run_id))
    database.execute("COMMIT")
    print(number, flush=True)
    time.sleep(pause)
sys.stdin.read()
"""


def make_database(path: Path, *, runs: int = 0, journal_mode: str = "delete") -> Path:
    """Make a database of an MLflow-like schema with `runs` runs; nothing lies beside it afterwards."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode={journal_mode}")
        database.executescript(SCHEMA)
    if runs:
        with writer(path, journal_mode, count=runs) as process:
            lines = [process.stdout.readline() for _ in range(runs)] if process.stdout else []
            assert lines[-1:] == [f"{runs - 1}\n"]
    return path


@contextmanager
def writer(
    path: Path, journal_mode: str, *, first: int = 0, count: int, pause_s: float = 0
) -> Iterator[subprocess.Popen[str]]:
    """Run a process that commits run after run, prints each number when it is committed, then stays connected.

    On leaving it is asked to close the database and end, unless the test has killed it.
    """
    command = [sys.executable, "-c", WRITER, str(path), journal_mode, str(first), str(count)]
    command += [str(pause_s), str(PARAMS)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            _, errors = process.communicate(timeout=60)
            assert not errors, errors
        else:
            process.communicate()


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return bytes and modification time of everything in a folder."""
    return {name: ((folder / name).read_bytes(), os.stat(folder / name).st_mtime_ns) for name in os.listdir(folder)}
