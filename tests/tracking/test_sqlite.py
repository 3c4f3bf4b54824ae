"""SQLite stores: in WAL mode, after crashes, under writers, damaged, and never changed."""

from __future__ import annotations

import math
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking import open_stores, sqlite, sqlite_copy, sqlite_files
from tracking.database_maker import PARAMS, contents, make_database, writer

if TYPE_CHECKING:
    from ckpt_migrate.tracking.records import RunStore

RUN = "94525c6650a3407985928d7c2f83f9eb"


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


def opened(path: Path) -> RunStore:
    return open_stores([f"sqlite:///{path}"])


def insert(path: Path, table: str, *rows: tuple[object, ...]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        marks = ", ".join("?" * len(rows[0]))
        database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - a table of this test's


def check_complete(store: RunStore, *, at_least: int) -> int:
    """Every run that is there has all its params, and none of those committed before is missing."""
    runs = store.runs()
    details = store.details([run.run_id for run in runs])
    assert [run.run_id for run in runs] == [f"{number:032x}" for number in range(len(runs))]
    assert {len(found.params) for found in details.values()} <= {PARAMS}
    assert len(runs) >= at_least
    return len(runs)


def test_a_wal_database_under_a_live_writer_is_read_complete_and_consistent(folder: Path, scratch: Path) -> None:
    """What is in the WAL alone counts, no transaction is halved, and the writer never finds a lock.

    The writer does not wait for locks at all and checkpoints every few transactions.
    """
    path = make_database(folder / "mlflow.db", journal_mode="wal")
    count = 300
    with writer(path, "wal", count=count, pause_s=0.002) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            if int(line) % 20 == 0:
                store = opened(path)
                assert not os.listdir(scratch)
                seen.append(check_complete(store, at_least=int(line) + 1))
                store.close()
            if int(line) == count - 1:
                break
        assert len(seen) == 15
        assert seen == sorted(seen)
        assert set(os.listdir(folder)) == {"mlflow.db", "mlflow.db-wal", "mlflow.db-shm"}
    assert os.listdir(folder) == ["mlflow.db"]


def test_a_copy_is_made_again_when_the_wal_starts_anew_meanwhile(
    folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interleaving that would mix two states: a full checkpoint and a new WAL between the two copies."""
    path = make_database(folder / "mlflow.db", journal_mode="wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("INSERT INTO runs (run_uuid, experiment_id) VALUES (?, 1)", ("a" * 32,))
        real = sqlite_files.copy_file
        calls: list[str] = []

        def copy(source: str, target: str) -> None:
            real(source, target)
            calls.append(source)
            if len(calls) == 1:  # the database is copied, the WAL not yet
                database.execute("PRAGMA wal_checkpoint(RESTART)")
                database.execute("INSERT INTO runs (run_uuid, experiment_id) VALUES (?, 1)", ("b" * 32,))

        monkeypatch.setattr(sqlite_copy, "copy_file", copy)
        assert [run.run_id[0] for run in opened(path).runs()] == ["a", "b"]
        assert calls.count(str(path)) == 2
    assert not os.listdir(scratch)


@pytest.mark.parametrize("has_shm", [True, False])
def test_a_wal_that_a_crash_left_is_read_and_kept(folder: Path, scratch: Path, *, has_shm: bool) -> None:
    path = make_database(folder / "mlflow.db", journal_mode="wal")
    with writer(path, "wal", count=30) as process:
        assert process.stdout is not None
        for _ in range(30):
            process.stdout.readline()
        process.kill()
        process.wait()
    if not has_shm:
        (folder / "mlflow.db-shm").unlink()
    assert (folder / "mlflow.db-wal").stat().st_size > 0
    before = contents(folder)
    store = opened(path)
    assert check_complete(store, at_least=30) == 30
    store.close()
    assert contents(folder) == before
    assert not os.listdir(scratch)


def test_a_wal_database_at_rest_gets_no_files_beside_it(folder: Path, scratch: Path) -> None:
    path = make_database(folder / "mlflow.db", runs=3, journal_mode="wal")
    before = contents(folder)
    assert list(before) == ["mlflow.db"]
    store = opened(path)
    check_complete(store, at_least=3)
    assert contents(folder) == before
    store.close()
    assert not os.listdir(scratch)


def test_a_transaction_that_a_crash_cut_short_is_not_seen_and_not_rolled_back_in_place(
    folder: Path, scratch: Path
) -> None:
    path = make_database(folder / "mlflow.db", runs=50)
    crash = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA cache_size=1')\n"
        "database.execute('BEGIN')\n"
        "database.execute(\"UPDATE params SET value = 'half a transaction' || value\")\n"
        "database.execute('DELETE FROM runs')\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", crash, str(path)], check=False)
    before = contents(folder)
    assert before["mlflow.db-journal"][0]
    assert b"half a transaction" in before["mlflow.db"][0]
    store = opened(path)
    assert check_complete(store, at_least=50) == 50
    assert not list(store.mentions(re.compile("half")))
    store.close()
    assert contents(folder) == before
    assert not os.listdir(scratch)


def test_a_rollback_journal_database_is_read_in_place_beside_a_writer(folder: Path, scratch: Path) -> None:
    path = make_database(folder / "mlflow.db")
    with writer(path, "delete", count=200, pause_s=0.002) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) % 40 == 0:
                store = opened(path)
                assert len(store.runs()) > int(line)
                store.close()
            if int(line) == 199:
                break
        assert not os.listdir(scratch)
    assert os.listdir(folder) == ["mlflow.db"]


def test_a_database_that_stays_locked_is_an_error_with_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_database(folder / "mlflow.db")
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked") as caught:
            opened(path)
        assert "wait" in str(caught.value.remedy)


def test_databases_of_all_kinds_are_read_without_permission_to_write() -> None:
    """In a folder of another user, where SQLite itself could not open a WAL database at all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for mode in ("delete", "wal"):
            make_database(folder / f"{mode}.db", runs=2, journal_mode=mode)
            (folder / f"{mode}.db").chmod(0o444)
        folder.chmod(0o555)
        user = os.geteuid()
        os.seteuid(65534 if user == 0 else user)
        try:
            for mode in ("delete", "wal"):
                assert check_complete(opened(folder / f"{mode}.db"), at_least=2) == 2
        finally:
            os.seteuid(user)
        folder.chmod(0o755)


def test_a_live_wal_is_read_by_a_user_who_may_not_write() -> None:
    """The writer of another user goes on; nothing in its folder changes but what it writes itself."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = make_database(folder / "mlflow.db", journal_mode="wal")
        folder.chmod(0o755)
        with writer(path, "wal", count=20) as process:
            assert process.stdout is not None
            for _ in range(20):
                process.stdout.readline()
            before = contents(folder)
            assert sorted(before) == ["mlflow.db", "mlflow.db-shm", "mlflow.db-wal"]
            user = os.geteuid()
            os.seteuid(65534 if user == 0 else user)
            try:
                store = opened(path)
                assert check_complete(store, at_least=20) == 20
                store.close()
            finally:
                os.seteuid(user)
            assert contents(folder) == before


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"hello world, this is no database at all, just text that is longer than a header", "no SQLite"),
        (b"SQLite format 3\x00" + b"\xff" * 4000, "cannot be read"),
        (b"SQLite format 3\x00", "cannot be read|no MLflow runs"),
    ],
)
def test_a_file_that_is_no_database_is_an_error(folder: Path, data: bytes, what: str) -> None:
    (folder / "mlflow.db").write_bytes(data)
    with pytest.raises(StoreError, match=what) as caught:
        opened(folder / "mlflow.db")
    assert caught.value.remedy
    assert os.listdir(folder) == ["mlflow.db"]


def test_a_database_of_something_else_is_an_error(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "other.db")) as database:
        database.executescript("CREATE TABLE runs (id INTEGER); CREATE TABLE users (id INTEGER)")
    with pytest.raises(StoreError, match="no MLflow runs"):
        opened(folder / "other.db")


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_damage_in_the_middle_is_an_error_never_a_part_as_all(folder: Path, mode: str) -> None:
    path = make_database(folder / "mlflow.db", runs=300, journal_mode=mode)
    data = bytearray(path.read_bytes())
    page = 4096
    for start in range(8 * page, len(data) - page, 3 * page):
        data[start : start + page] = b"\xa5" * page
    path.write_bytes(data)
    ids = [f"{number:032x}" for number in range(300)]
    with pytest.raises(StoreError, match="cannot be read"):
        opened(path).details(ids)


def test_a_copy_that_finds_no_room_says_how_much_and_where(
    folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_database(folder / "mlflow.db", runs=1, journal_mode="wal")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sqlite_copy, "copy_file", full)
    with pytest.raises(StoreError, match="No space left") as caught:
        opened(path)
    assert "TMPDIR" in str(caught.value.remedy)
    assert not os.listdir(scratch)


def test_odd_rows_are_read_or_named_and_never_lose_the_rest(folder: Path) -> None:
    path = make_database(folder / "mlflow.db")
    insert(
        path,
        "runs",
        (RUN, None, None, 1_700_000_000_000, None, None, None, 2),
        ("not-a-run-id", "x", "FINISHED", 1, 2, "active", None, 1),
        (b"\x00\xff", "x", "FINISHED", 1, 2, "active", None, 1),
        ("a" * 32, "x", "FINISHED", "soon", 9e300, "active", None, 99),
    )
    insert(path, "tags", ("mlflow.runName", "phase2_x", RUN), ("none", None, RUN))
    insert(path, "params", ("number", 5, RUN))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO params VALUES ('bad', CAST(X'ff61' AS TEXT), ?)", (RUN,))
    insert(
        path,
        "latest_metrics",
        ("nan", 0, 5, RUN, 3, 1),
        ("inf", sys.float_info.max, 5, RUN, 3, 0),
        ("null", None, 5, RUN, None, 0),
        ("words", "many", 5, RUN, 3, 0),
    )
    store = opened(path)
    runs = {run.run_id: run for run in store.runs()}
    assert list(runs) == [RUN, "a" * 32]
    assert (runs[RUN].name, runs[RUN].status, runs[RUN].is_deleted) == ("phase2_x", "UNKNOWN", True)
    assert (runs["a" * 32].start_utc_ms, runs["a" * 32].experiment) == (None, "")
    details = store.details(list(runs))[RUN]
    assert details.tags == {"mlflow.runName": "phase2_x", "none": ""}
    assert details.params == {"bad": "\ufffda", "number": "5"}
    assert math.isnan(details.metrics["nan"].value)
    assert details.metrics["inf"].value == math.inf
    assert math.isnan(details.metrics["null"].value)
    assert "words" not in details.metrics
    text = " ".join(f"{warning.where} {warning.what}" for warning in store.warnings)
    for part in ("not-a-run-id", "start_time", "end_time", "experiment 99", "metric words"):
        assert part in text


def test_one_call_for_many_ids_equals_many_calls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking ids up and passing over the table are two ways to the same answer."""
    path = make_database(folder / "mlflow.db", runs=40)
    ids = [f"{number:032x}" for number in range(40)]
    looked_up = opened(path).details(ids)
    monkeypatch.setattr(sqlite, "_MANY_IDS", 3)
    monkeypatch.setattr(sqlite, "_ROWS_AT_ONCE", 7)
    store = opened(path)
    assert store.details(ids) == looked_up
    assert store.details(ids[:7]) == {run_id: looked_up[run_id] for run_id in ids[:7]}
    assert len(list(store.mentions(re.compile("^x")))) == 40 * PARAMS


def test_a_schema_without_an_index_for_runs_is_passed_over_once(folder: Path) -> None:
    """Asking for run after run must not read the whole table each time; an index changes no answer."""
    plain = make_database(folder / "plain.db", runs=30)
    indexed = folder / "indexed.db"
    shutil.copy(plain, indexed)
    with closing(sqlite3.connect(indexed)) as database, database:
        for table in ("params", "tags", "metrics", "latest_metrics"):
            database.execute(f"CREATE INDEX index_{table}_run_uuid ON {table} (run_uuid)")
    answers = []
    steps = []
    for path in (plain, indexed):
        rows = sqlite.SqliteRows(sqlite3.connect(path, isolation_level=None), "x")
        count = [0]

        def tick(count: list[int] = count) -> None:
            count[0] += 1

        rows._connection.set_progress_handler(tick, 1)
        ids = [[f"{number:032x}"] for number in range(30)]
        columns = ("run_uuid", "key", "value")
        answers.append([sorted(rows.select("params", columns, run_ids=one), key=str) for one in ids])
        steps.append(count[0])
        rows.close()
    assert answers[0] == answers[1]
    assert [len(found) for found in answers[0]] == [PARAMS] * 30
    assert steps[0] < 3 * steps[1]


def test_paths_with_odd_characters_are_opened(folder: Path) -> None:
    for name in ("a b.db", "a%20b.db", "a#b.db", "a?b.db", "ä.db", "a&mode=rwc.db"):
        for mode in ("delete", "wal"):
            path = make_database(folder / f"{mode}{name}", runs=1, journal_mode=mode)
            assert len(opened(path).runs()) == 1
            assert len(open_stores([str(path)]).runs()) == 1
    assert len(os.listdir(folder)) == 12


def test_a_linked_database_is_read_with_the_log_beside_the_real_one(folder: Path, tmp_path: Path) -> None:
    path = make_database(folder / "mlflow.db", journal_mode="wal")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with writer(path, "wal", count=5) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        assert len(opened(link).runs()) == 5
