"""Tracking URIs in every form that MLflow takes, and what of them may be shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_migrate.errors import CkptMigrateError, StoreError, StoreNotFoundError, UsageError
from ckpt_migrate.tracking import find_tracking_uris, mask_credentials, open_stores
from ckpt_migrate.tracking.uri import scrub
from tracking.database_maker import make_database
from tracking.file_store_maker import RUN, add_experiment, add_run


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with `mlruns`, `my runs` and `mlflow.db`, one run each."""
    for name in ("mlruns", "my runs", "a#b"):
        add_experiment(tmp_path / name)
        add_run(tmp_path / name)
    make_database(tmp_path / "mlflow.db", runs=1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "uri",
    [
        "mlruns", "./mlruns", "{cwd}/mlruns", "{cwd}/mlruns/", "file:mlruns", "file:./mlruns", "file:{cwd}/mlruns",
        "file://{cwd}/mlruns", "file://localhost{cwd}/mlruns", "file://./mlruns", "my runs", "my%20runs",
        "file:my%20runs", "file://{cwd}/my%20runs", "file://{cwd}/my runs", "a#b", "file://{cwd}/a%23b",
        "file://{cwd}/a#b", "file://{cwd}/mlruns#fragment", "mlflow.db", "{cwd}/mlflow.db", "file:mlflow.db",
        "sqlite:///mlflow.db", "sqlite:///./mlflow.db", "sqlite:////{cwd}/mlflow.db", "sqlite:///{cwd}/mlflow.db",
        "sqlite+pysqlite:///mlflow.db", "sqlite:///mlflow.db?timeout=5", "sqlite:///file:mlflow.db?mode=ro&uri=true",
        "SQLITE:///mlflow.db",
    ],
)  # fmt: skip
def test_every_form_of_a_local_store_is_opened(world: Path, uri: str) -> None:
    store = open_stores([uri.format(cwd=world)])
    assert len(store.runs()) == 1
    store.close()


@pytest.mark.parametrize(
    ("uri", "kind", "part"),
    [
        ("nowhere", StoreNotFoundError, "no such file or folder"),
        ("file:///no/where", StoreNotFoundError, "no such file or folder"),
        ("sqlite:///no.db", StoreNotFoundError, "four absolute"),
        ("", UsageError, "empty"),
        ("  ", UsageError, "empty"),
        ("a\x00b", UsageError, "NUL"),
        ("sqlite://", UsageError, "no database file"),
        ("sqlite:///:memory:", UsageError, "no database file"),
        ("sqlite:///mlruns", UsageError, "folder"),
        ("ftp://host/x", UsageError, "ftp: is not known"),
        ("uc:x", UsageError, "postgresql://"),
        ("file://server/share", UsageError, "another machine"),
        ("postgresql+nodriver://u:p@127.0.0.1/x", StoreError, "nodriver"),
    ],
)
def test_what_cannot_be_opened_says_why_and_what_to_do(
    world: Path, uri: str, kind: type[CkptMigrateError], part: str
) -> None:
    assert world
    with pytest.raises(kind) as caught:
        open_stores([uri])
    assert part in str(caught.value)
    assert caught.value.remedy


def test_no_store_named_is_an_error() -> None:
    with pytest.raises(StoreNotFoundError):
        open_stores([])


def test_a_store_named_twice_is_opened_once(world: Path) -> None:
    store = open_stores(["mlruns", f"file://{world}/mlruns", "mlruns/"])
    assert store.uri == "mlruns"
    assert len(store.runs()) == 1


def test_given_uris_come_first_then_the_environment_then_what_lies_there(world: Path) -> None:
    environ = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    assert find_tracking_uris(["x", "y"], beside=".", environ=environ) == ("x", "y")
    assert find_tracking_uris([], beside=".", environ=environ) == ("http://127.0.0.1:1",)
    found = find_tracking_uris([], beside=str(world), environ={"MLFLOW_TRACKING_URI": ""})
    assert found == (str(world / "mlflow.db"), str(world / "mlruns"))
    assert {run.run_id for run in open_stores(found).runs()} == {RUN, "0" * 32}


def test_a_folder_of_artifacts_beside_a_database_is_no_second_store(tmp_path: Path) -> None:
    make_database(tmp_path / "mlflow.db")
    (tmp_path / "mlruns" / "1" / RUN / "artifacts").mkdir(parents=True)
    assert find_tracking_uris([], beside=str(tmp_path), environ={}) == (str(tmp_path / "mlflow.db"),)


def test_what_was_looked_for_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError) as caught:
        find_tracking_uris([], beside=str(tmp_path), environ={})
    text = str(caught.value)
    for part in ("MLFLOW_TRACKING_URI", str(tmp_path / "mlflow.db"), str(tmp_path / "mlruns"), "--tracking-uri"):
        assert part in text


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mlruns", "mlruns"),
        ("sqlite:////data/a@b/mlflow.db", "sqlite:////data/a@b/mlflow.db"),
        ("postgresql://bob:s3cret@db:5432/x", "postgresql://***@db:5432/x"),
        ("postgresql+psycopg2://bob@db/x", "postgresql+psycopg2://***@db/x"),
        ("mysql://bob:a@b@db/x", "mysql://***@db/x"),
        ("mysql://bob:a/b#c?d@db/x", "mysql://***@db/x"),
        ("postgresql://db/x?user=bob&password=s3cret&sslmode=require", "postgresql://db/x?user=***&password=***&sslmode=require"),
        ("https://host/path?access_token=abc#sig=def", "https://host/path?access_token=***#sig=***"),
        ("https://token@host:5000", "https://***@host:5000"),
        ("https://host:5000/path@v1", "https://host:5000/path@v1"),
        ("databricks://profile", "databricks://profile"),
        ("databricks://scope:prefix", "databricks://scope:prefix"),
        ("s3://KEY:SECRET@bucket/x", "s3://***@bucket/x"),
        ("wasbs://container@account.blob.core.windows.net/x", "wasbs://container@account.blob.core.windows.net/x"),
        ("http:/bob:s3cret@host/x", "http:/***@host/x"),
        ("bob:s3cret@host/x", "***@host/x"),
        ("//bob:a/b@host/x", "//***@host/x"),
        (" http:/bob:s3cret@host", " http:/***@host"),
        ("file:mlruns@2", "file:mlruns@2"),
        ("/data/a:b@c/mlruns", "/data/a:b@c/mlruns"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BX%7D%3BPWD%3Ds3cret", "mssql+pyodbc:///?odbc_connect=***"),
    ],
)  # fmt: skip
def test_credentials_are_hidden(uri: str, shown: str) -> None:
    assert mask_credentials(uri) == shown
    assert mask_credentials(shown) == shown


@pytest.mark.parametrize("uri", ["bob:s3cret@host/x", "file://bob:s3cret@host/x"])
def test_a_slip_in_a_uri_brings_no_password_into_an_error(uri: str) -> None:
    with pytest.raises(CkptMigrateError) as caught:
        open_stores([uri]).runs()
    assert "s3cret" not in str(caught.value)


SECRETS = st.text("abcXYZ019_-.~%", min_size=4, max_size=12).map(lambda text: f"Qz{text}")


@given(SECRETS, SECRETS, st.sampled_from(["?password={0}", "?sslpassword={0}&x=1", "#token={0}", "?api_key={0}", ""]))
def test_no_secret_survives_masking_or_a_drivers_message(user: str, password: str, query: str) -> None:
    uri = f"postgresql://{user}:{password}@db.example:5432/mlflow" + query.format(password)
    message = f'cannot connect to {uri}: password authentication failed for user "{user}" ({password})'
    for text in (mask_credentials(uri), scrub(message, uri)):
        assert user not in text
        assert password not in text
        assert "db.example" in text


@given(st.text(max_size=60))
def test_masking_takes_any_text(text: str) -> None:
    assert mask_credentials(mask_credentials(text)) == mask_credentials(text)
    scrub(text, text)


def test_nothing_heavy_is_imported_before_a_store_is_opened() -> None:
    import subprocess  # noqa: PLC0415 - this test alone
    import sys  # noqa: PLC0415 - same

    code = (
        "import sys, ckpt_migrate.tracking\n"
        "print(sorted({'mlflow', 'sqlalchemy', 'sqlite3', 'yaml', 'click'} & set(sys.modules)))"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "[]\n"
