"""Stores made to hurt: whatever lies in one costs bounded time and memory, and is an error or a counted warning."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tracking.database_maker import make_database
from tracking.file_store_maker import add_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded by Linux' limits")

MEMORY_BYTES = 400 << 20
SECONDS = 10
READ = """
import re, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[3]),) * 2)
from ckpt_migrate.errors import CkptMigrateError
from ckpt_migrate.tracking import open_stores
try:
    store = open_stores([sys.argv[1]])
    runs = store.runs()
    list(store.mentions(re.compile("x")))
    details = store.details([run.run_id for run in runs])
    for run in runs:
        store.metric_histories(run.run_id)
        store.artifact_files(run.run_id)
    print(len(runs), "runs", sorted(key for found in details.values() for key in found.params))
    for warning in store.warnings:
        print("passed over:", warning.where, warning.what)
except CkptMigrateError as error:
    assert error.remedy
    print("error:", error.what)
"""


def sparse(path: Path, size: int = 100 << 20) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def bomb(run: Path) -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)]
    (run / "meta.yaml").write_text("a0: &a0 [x, x]\n" + "".join(levels) + "run_name: *a29\n", "utf-8")


def long_metrics(run: Path) -> None:
    """Most of it within the limit: a million points, as long trainings have."""
    (run / "metrics").mkdir(exist_ok=True)
    lines = (f"17000000{n:05d} 0.5 {n}\n" for n in range(300_000))
    (run / "metrics" / "loss").write_text("".join(lines), "ascii")
    sparse(run / "metrics" / "zeros", 10 << 30)


def loops(run: Path) -> None:
    for folder, target in (
        (run / "params", ".."),
        (run / "artifacts", "."),
        (run.parent.parent, "."),
        (run.parent, ".."),
    ):
        folder.mkdir(exist_ok=True)
        (folder / "loop").symlink_to(target)


def deep(run: Path) -> None:
    folder = run / "params"
    for _ in range(120):
        folder = folder / "d"
        folder.mkdir(parents=True)
    (folder / "key").write_text("1", "ascii")


def pipes(run: Path) -> None:
    for folder in ("params", "tags", "metrics", "artifacts"):
        (run / folder).mkdir(exist_ok=True)
        os.mkfifo(run / folder / "pipe")
        (run / folder / "device").symlink_to("/dev/zero")


def numbers(run: Path) -> None:
    (run / "metrics").mkdir(exist_ok=True)
    (run / "metrics" / "loss").write_text(f"1 2.5 {'9' * 400}\n{'9' * 5000} 1 0\n", "ascii")


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a 100 MB param": (lambda run: sparse(run / "params" / "huge"), "params/huge"),
    "a 100 MB meta.yaml": (lambda run: sparse(run / "meta.yaml"), "meta.yaml cannot be read|longer than"),
    "a YAML bomb": (bomb, "aliases are not read|longer than"),
    "brackets without end": (lambda run: (run / "meta.yaml").write_text("z: " + "[" * 99_999, "ascii"), "nested|YAML"),
    "long metrics": (long_metrics, "metrics/zeros"),
    "links in a circle": (loops, "a link to a folder is not followed"),
    "folders in folders": (deep, "nested too deeply"),
    "pipes and devices": (pipes, "params/pipe: no regular file|params/pipe"),
    "numbers of any length": (numbers, "2 malformed lines"),
    "names that turn the line": (
        lambda run: (run / "params" / "a\n\x1b[31m\u202e").symlink_to("nowhere"), r"a\\n\\x1b\[31m\\u202e"
    ),
}  # fmt: skip


def outcome(uri: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", READ, uri, str(MEMORY_BYTES), str(SECONDS)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("what", FILES)
def test_a_file_store_is_read_around_what_is_wrong(tmp_path: Path, what: str) -> None:
    spoil, why = FILES[what]
    store = tmp_path / "mlruns"
    spoil(add_run(store, params={"good": "1"}))
    text = outcome(str(store))
    assert "error:" not in text
    assert "'good'" in text or "passed over: " in text
    assert re.search(why, text), text


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 3 :: 5] = b"\xff" * len(data[4096 * 3 :: 5])
    path.write_bytes(data)


def long_values(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO params SELECT 'huge', zeroblob(?), run_uuid FROM runs LIMIT 1", (30 << 20,))
        database.execute("INSERT INTO metrics VALUES ('loss', 'words', ?, ?, 'x', 0)", ("9" * 400, "0" * 32))


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def other_tables(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE runs (id INTEGER)")


DATABASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "damage": (damage, "error: the database cannot be read"),
    "something else": (other_tables, "error: the database holds no MLflow runs"),
    "an empty file": (lambda path: path.write_bytes(b""), "error: the file is empty"),
    "no database": (lambda path: path.write_bytes(b"PK" * 1000), "error: the file is no SQLite database"),
    "100 GB of zeros": (lambda path: sparse(path, 100 << 30), "error: the file is no SQLite database"),
    "a device": (device, "error: this is no regular file"),
    "long values": (long_values, "param huge is longer than"),
}


@pytest.mark.parametrize("what", DATABASES)
def test_a_database_is_an_error_or_read_around_what_is_wrong(tmp_path: Path, what: str) -> None:
    spoil, why = DATABASES[what]
    path = make_database(tmp_path / "mlflow.db", runs=3)
    spoil(path)
    text = outcome(f"sqlite:///{path}")
    assert why in text
    assert sorted(os.listdir(tmp_path)) == ["mlflow.db"]


@pytest.mark.parametrize("name", ["a%20b", "a b#c", "ä?x=1", "100%", "new\nline"])
def test_paths_are_taken_as_they_are(tmp_path: Path, name: str) -> None:
    store = tmp_path / name / "mlruns"
    add_run(store, params={"good": "1"})
    make_database(tmp_path / name / "mlflow.db", runs=1)
    assert outcome(str(store)).startswith("1 runs ['good']")
    assert outcome(str(tmp_path / name / "mlflow.db")).startswith("1 runs")
