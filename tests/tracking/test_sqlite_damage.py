"""SQLite files that are damaged, made up, or no files at all: an error at once, and nothing left anywhere."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.errors import CkptMigrateError, StoreError
from ckpt_migrate.tracking import open_stores, sqlite_copy, sqlite_files
from tracking.database_maker import contents, make_database, writer

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30
PLENTY_S = 10.0  # of these tests each takes well under a second where nothing hangs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "db").mkdir()
    return tmp_path / "db"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which copies are made; looked at afterwards."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def read_all(path: Path) -> int:
    store = open_stores([f"sqlite:///{path}"])
    try:
        ids = [run.run_id for run in store.runs()]
        store.details(ids)
        list(store.mentions(re.compile("x")))
        for run_id in ids[:2]:
            store.metric_histories(run_id)
        return len(ids)
    finally:
        store.close()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_any_damage_is_read_around_or_is_an_error(folder: Path, scratch: Path, mode: str) -> None:
    """Damaged names in the schema make SQLite quote bytes that are no text, which Python cannot even report."""
    whole = make_database(folder / "whole.db", runs=20, journal_mode=mode).read_bytes()
    errors = set()
    for seed in range(120):
        draw = random.Random(seed)  # noqa: S311 - the same damage every time
        data = bytearray(whole)
        for _ in range(draw.choice((1, 5, 50, 1000))):
            data[draw.randrange(100, 4096 if seed % 2 else len(data))] = draw.randrange(256)
        (folder / "damaged.db").write_bytes(data)
        try:
            read_all(folder / "damaged.db")
        except StoreError as error:
            errors.add(error.what)
        assert sorted(os.listdir(folder)) == ["damaged.db", "whole.db"]
    assert any("it is damaged" in what for what in errors)
    assert not os.listdir(scratch)


@pytest.mark.parametrize("ending", ["", "-wal", "-journal", "-shm"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "link to a device"])
def test_what_is_no_regular_file_is_not_opened(folder: Path, ending: str, kind: str) -> None:
    """A named pipe would be waited for without end, and a -wal of any kind makes SQLite write a -shm."""
    path = folder / "mlflow.db"
    if ending:
        make_database(path, runs=1)
    odd = f"{path}{ending}"
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "folder":
        os.mkdir(odd)
    else:
        os.symlink("/dev/zero", odd)
    before = sorted(os.listdir(folder))
    start = time.monotonic()
    with pytest.raises(CkptMigrateError) as caught:
        read_all(path)
    assert time.monotonic() - start < PLENTY_S
    assert caught.value.remedy
    assert sorted(os.listdir(folder)) == before


def test_a_wal_beside_a_database_of_the_other_format_makes_no_file(folder: Path, scratch: Path) -> None:
    path = make_database(folder / "mlflow.db", runs=3)
    (folder / "mlflow.db-wal").touch()
    before = contents(folder)
    assert read_all(path) == 3
    assert contents(folder) == before
    assert not os.listdir(scratch)


@pytest.mark.parametrize("head", [b"", b"\x37\x7f\x06\x82", bytes(range(256)) * 16], ids=["zeros", "magic", "noise"])
def test_a_wal_that_is_none_costs_nothing_however_long(folder: Path, scratch: Path, head: bytes) -> None:
    path = make_database(folder / "mlflow.db", runs=3, journal_mode="wal")
    with (folder / "mlflow.db-wal").open("wb") as wal:
        wal.write(head)
        wal.truncate(50 * GIB)
    start = time.monotonic()
    assert read_all(path) == 3
    assert time.monotonic() - start < PLENTY_S
    assert sorted(os.listdir(folder)) == ["mlflow.db", "mlflow.db-wal"]
    assert not os.listdir(scratch)


def test_of_a_long_wal_the_part_that_counts_is_copied(folder: Path, scratch: Path) -> None:
    """Behind the frames of this round lie those of an earlier one, or, here, 50 GiB of nothing."""
    path = make_database(folder / "mlflow.db", journal_mode="wal")
    with writer(path, "wal", count=10) as process:
        assert process.stdout is not None
        for _ in range(10):
            process.stdout.readline()
        process.kill()
        process.wait()
    with (folder / "mlflow.db-wal").open("rb+") as wal:
        wal.truncate(50 * GIB)
    assert read_all(path) == 10
    sqlite_files.copy_wal(f"{path}-wal", str(scratch / "copy"))
    assert 0 < (scratch / "copy").stat().st_size < 10_000_000


def test_a_database_without_room_for_its_copy_is_refused_before_any_is_made(
    folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_database(folder / "mlflow.db", runs=1, journal_mode="wal")
    monkeypatch.setattr(sqlite_copy, "bytes_on_disk", lambda _: 1 << 60)
    with pytest.raises(StoreError, match="No space left") as caught:
        read_all(path)
    assert "TMPDIR" in str(caught.value.remedy)
    assert not os.listdir(scratch)


def test_holes_stay_holes_in_the_copy(folder: Path) -> None:
    with (folder / "sparse").open("wb") as file:
        file.write(b"x")
        file.truncate(GIB // 4)
    sqlite_files.copy_file(str(folder / "sparse"), str(folder / "copy"))
    assert (folder / "copy").stat().st_size == GIB // 4
    assert sqlite_files.bytes_on_disk(str(folder / "copy")) < GIB // 16


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_reader_that_is_told_to_end_leaves_no_copy(folder: Path, scratch: Path, name: str) -> None:
    path = make_database(folder / "mlflow.db", runs=1, journal_mode="wal")
    script = (
        "import sys, time\n"
        "from ckpt_migrate.tracking import open_stores, sqlite_copy\n"
        "def slow(source, target):\n"
        "    open(target, 'wb').close()\n"
        "    print('copying', flush=True)\n"
        "    time.sleep(60)\n"
        "sqlite_copy.copy_file = slow\n"
        "open_stores([sys.argv[1]])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, f"sqlite:///{path}"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"copying\n"
        assert os.listdir(scratch)
        process.send_signal(getattr(signal, name))
        assert process.wait(timeout=30) != 0
    assert not os.listdir(scratch)


@pytest.mark.parametrize("table", ["runs", "params"])
def test_tables_that_the_database_computes_are_refused(folder: Path, table: str) -> None:
    """Such a view can have rows without end."""
    path = make_database(folder / "mlflow.db", runs=1)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"ALTER TABLE {table} RENAME TO real_{table}")
        database.execute(
            f"CREATE VIEW {table} AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"  # noqa: S608
            f" SELECT real_{table}.* FROM real_{table}, n"
        )
    with pytest.raises(StoreError, match="computed"):
        read_all(path)
