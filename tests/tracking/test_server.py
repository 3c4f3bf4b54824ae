"""Stores behind a real `mlflow server`, and servers that misbehave."""

from __future__ import annotations

import http.server
import json
import os
import re
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking import client_calls, open_stores
from ckpt_migrate.tracking.server import ServerStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message
    from pathlib import Path

Reply = tuple[int, str, str]


@contextmanager
def http_server(
    reply: Callable[[str, dict[str, Any]], Reply | None],
    look: Callable[[Message], object] = bool,
    *,
    pause_s: float = 0,
    missing: int = 0,
) -> Iterator[str]:
    """Serve `reply(path, body)` on 127.0.0.1; None drops the connection. Yields the address.

    Args:
        reply: Status, content type and text.
        look: Is given the headers of every request.
        pause_s: Wait before each byte.
        missing: How many bytes the connection drops before the end.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            look(self.headers)
            answer = reply(self.path, body)
            if answer is None:
                self.close_connection = True
                self.connection.close()
                return
            status, kind, text = answer
            data = text.encode()
            with suppress(OSError):  # a client that waited long enough
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                for start in range(0, len(data) - missing, 1 if pause_s else len(data)):
                    self.wfile.write(data[start : start + 1 if pause_s else len(data) - missing])
                    time.sleep(pause_s)
                self.close_connection = self.close_connection or bool(missing)

        do_GET = handle_any  # noqa: N815 - the name that http.server calls
        do_POST = handle_any  # noqa: N815 - same

        def log_message(self, *_: object) -> None:
            pass

        def finish(self) -> None:
            with suppress(OSError, ValueError):  # a dropped connection
                super().finish()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def filled(mlflow_server: str, mlflow_client: Callable[[str], Any], tmp_path_factory: Any) -> dict[str, Any]:
    """Fill the server with 25 runs in two experiments, some deleted, one with artifacts."""
    client = mlflow_client(mlflow_server)
    first, second = (client.create_experiment(name) for name in ("first", "gone"))
    ids = []
    for number in range(25):
        experiment = second if number % 5 == 0 else first
        run = client.create_run(experiment, start_time=1_700_000_000_000 + number * 1000, run_name=f"run-{number}")
        run_id = run.info.run_id
        ids.append(run_id)
        client.log_param(run_id, "model/lr", f"0.{number}")
        for step, value in enumerate((float(number), float("inf"), float("nan"))[: number % 3 + 1]):
            client.log_metric(run_id, "loss", value, timestamp=1_700_000_000_000 + step, step=step)
        client.set_terminated(run_id, "FAILED" if number == 3 else "FINISHED")
    client.delete_run(ids[1])
    file = tmp_path_factory.mktemp("artifact") / "model.pt"
    file.write_bytes(b"weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_server)  # older clients look served artifacts up there
        client.log_artifact(ids[2], str(file), "model")
        client.log_artifact(ids[2], str(file))
    client.delete_experiment(second)
    return {"client": client, "ids": ids, "gone": second}


def test_every_run_of_every_page_is_there(mlflow_server: str, filled: dict[str, Any]) -> None:
    """Deleted runs and runs of deleted experiments too, with fields as MlflowClient has them."""
    store = ServerStore(mlflow_server, runs_a_page=4)
    runs = {run.run_id: run for run in store.runs()}
    details = store.details(list(runs))
    assert sorted(runs) == sorted(filled["ids"]) == list(runs)
    for run_id, run in runs.items():
        want = filled["client"].get_run(run_id)
        assert (run.name, run.experiment_id, run.status) == (
            want.info.run_name, want.info.experiment_id, want.info.status,
        )  # fmt: skip
        assert (run.start_utc_ms, run.end_utc_ms) == (want.info.start_time, want.info.end_time)
        assert run.is_deleted == (run_id == filled["ids"][1] or run.experiment_id == filled["gone"])
        assert run.experiment == ("gone" if run.experiment_id == filled["gone"] else "first")
        assert details[run_id].params == want.data.params
        assert details[run_id].tags == want.data.tags
    assert not store.warnings


def test_last_points_and_histories_keep_step_time_and_odd_values(mlflow_server: str, filled: dict[str, Any]) -> None:
    store = open_stores([mlflow_server])
    run_id = filled["ids"][2]
    history = store.metric_histories(run_id)["loss"]
    assert [point.step for point in history] == [0, 1, 2]
    assert history[1].value == float("inf")
    assert history[2].value != history[2].value
    assert history[0].timestamp_utc_ms == 1_700_000_000_000
    assert store.details([run_id])[run_id].metrics["loss"].step == 2
    assert store.metric_histories("0" * 32) == {}


def test_artifacts_are_listed_through_the_server(mlflow_server: str, filled: dict[str, Any]) -> None:
    store = open_stores([mlflow_server])
    files = store.artifact_files(filled["ids"][2])
    assert [(file.path, file.size_bytes) for file in files] == [("model.pt", 7), ("model/model.pt", 7)]
    assert store.artifact_files(filled["ids"][4]) == ()


def test_mentions_are_found_in_names_params_and_tags(mlflow_server: str, filled: dict[str, Any]) -> None:
    store = open_stores([mlflow_server])
    hits = [(hit.run_id, hit.place) for hit in store.mentions(re.compile(r"^run-7$|^0\.7$"))]
    assert hits == [(filled["ids"][7], place) for place in ("run name", "param model/lr", "tag mlflow.runName")]


def test_reading_changes_no_setting_of_the_process(mlflow_server: str, filled: dict[str, Any]) -> None:
    assert filled
    before = dict(os.environ)
    open_stores([mlflow_server]).runs()
    assert dict(os.environ) == before


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


def failure(uri: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        open_stores([uri]).runs()
    assert caught.value.remedy
    return caught.value


def test_a_server_that_is_down_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    with http_server(lambda *_: (200, "text/plain", "")) as address:
        pass
    error = failure(address.replace("http://", "http://bob:s3cret@"))
    assert error.what == "the server cannot be reached"
    assert "***@127.0.0.1" in str(error)
    assert "s3cret" not in str(error)
    assert "bob" not in str(error)


def test_a_server_that_does_not_answer_in_time_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    done = threading.Event()

    def wait(*_: object) -> Reply:
        done.wait(10)
        return 200, "text/plain", ""

    with http_server(wait) as address:
        assert failure(address).what == "the server does not answer in time"
        done.set()


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        ((401, "application/json", '{"message": "no", "error_code": "UNAUTHENTICATED"}'), "refuses access"),
        ((401, "text/html", "<html>Log in</html>"), "refuses access"),
        ((403, "text/plain", "Forbidden"), "refuses access"),
        ((404, "text/html", "<html>nothing here</html>"), "no MLflow tracking server"),
        ((200, "text/html", "<!doctype html><p>Welcome to nginx</p>"), "no MLflow tracking server"),
        ((404, "application/json", '{"detail": "Not Found"}'), "no MLflow tracking server"),
        ((200, "application/json", "{}"), "shows no experiment"),
        ((503, "text/plain", "overloaded"), "keeps answering with an error"),
        ((429, "text/plain", "slow down"), "keeps answering with an error"),
    ],
)
def test_answers_that_are_none_are_errors(reply: Reply, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    with http_server(lambda *_: reply) as address:
        assert what in failure(address).what


def experiments_page() -> Reply:
    experiment = {"experiment_id": "0", "name": "Default", "lifecycle_stage": "active"}
    return 200, "application/json", json.dumps({"experiments": [experiment]})


def runs_page(number: int, token: str) -> Reply:
    info = {"run_id": f"{number:032x}", "experiment_id": "0", "status": "FINISHED", "lifecycle_stage": "active"}
    answer = {"runs": [{"info": info, "data": {}}], "next_page_token": token}
    return 200, "application/json", json.dumps(answer)


@pytest.mark.parametrize("profile", [None, "team"])
def test_databricks_is_read_with_the_users_token_which_stays_secret(
    profile: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against what speaks its part of the interface: MLflow's own, with a token."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")  # the first request imports a client of its own
    monkeypatch.setenv("HOME", str(tmp_path))
    tokens, is_refused = set(), threading.Event()

    def reply(path: str, body: dict[str, Any]) -> Reply:
        if is_refused.is_set():
            return 403, "application/json", '{"error_code": "PERMISSION_DENIED", "message": "dapi-t0ken has ended"}'
        if "experiments/search" in path:
            return experiments_page()
        return runs_page(2, "") if "page_token" in body else runs_page(1, "more")

    with http_server(reply, lambda headers: tokens.add(headers["Authorization"])) as address:
        if profile is None:
            monkeypatch.setenv("DATABRICKS_HOST", address)
            monkeypatch.setenv("DATABRICKS_TOKEN", "dapi-t0ken")
        else:
            (tmp_path / "settings").write_text(f"[{profile}]\nhost = {address}\ntoken = dapi-t0ken\n", "utf-8")
            monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "settings"))
        uri = "databricks" if profile is None else f"databricks://{profile}"
        store = open_stores([uri])
        assert [run.run_id[-1] for run in store.runs()] == ["1", "2"]
        assert store.uri == uri
        assert tokens - {None} == {"Bearer dapi-t0ken"}  # newer clients first look around without it
        is_refused.set()
        error = failure(uri)
        assert "refuses access" in error.what
        assert "t0ken" not in str(error)


@pytest.mark.parametrize("uri", ["databricks", "databricks://no-such-profile"])
def test_databricks_without_a_profile_says_what_to_set(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "DATABRICKS_TOKEN" in str(failure(uri).remedy)


def test_a_connection_that_drops_half_way_never_gives_a_part_as_all(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)

    def reply(path: str, body: dict[str, Any]) -> Reply | None:
        if "experiments/search" in path:
            return experiments_page()
        return None if "page_token" in body else runs_page(1, "more")

    with http_server(reply) as address:
        assert failure(address).what == "the server cannot be reached"


def test_an_answer_that_breaks_off_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    with http_server(lambda *_: experiments_page(), missing=10) as address:
        assert failure(address).what == "the server cannot be reached"


def test_an_answer_that_trickles_in_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every byte comes in time; the whole never does."""
    quick(monkeypatch)
    monkeypatch.setattr(client_calls, "_LONGEST_CALL", 1)
    start = time.monotonic()
    with http_server(lambda *_: experiments_page(), pause_s=0.1) as address:
        assert failure(address).what == "the server does not answer in time"
        assert time.monotonic() - start < 8


def test_histories_are_asked_for_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of a request is waiting; a server that answers each only when four are there shows that they overlap."""
    quick(monkeypatch)
    four = threading.Barrier(4, timeout=20)
    metrics = [{"key": f"m{number}", "value": number, "timestamp": 1, "step": 0} for number in range(8)]

    def reply(path: str, _: dict[str, Any]) -> Reply:
        if "experiments/search" in path:
            return experiments_page()
        if "runs/search" in path:
            answer = json.loads(runs_page(1, "")[2])
            answer["runs"][0]["data"] = {"metrics": metrics}
            return 200, "application/json", json.dumps(answer)
        four.wait()
        key = re.search(r"metric_key=(m\d)", path)
        assert key is not None
        mine = [metric for metric in metrics if metric["key"] == key[1]]
        return 200, "application/json", json.dumps({"metrics": mine})

    with http_server(reply) as address:
        store = open_stores([address])
        found = store.metric_histories(store.runs()[0].run_id)
    assert {key: [point.value for point in points] for key, points in found.items()} == {
        f"m{number}": [float(number)] for number in range(8)
    }


@pytest.mark.parametrize("status", [429, 503])
def test_an_error_that_passes_is_retried(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    asked: list[str] = []

    def reply(path: str, body: dict[str, Any]) -> Reply:
        if "experiments/search" in path:
            return experiments_page()
        asked.append(str(body.get("page_token")))
        if len(asked) == 2:
            return status, "text/plain", "a moment"
        return runs_page(len(asked), "more" if len(asked) == 1 else "")

    with http_server(reply) as address:
        assert [run.run_id[-1] for run in open_stores([address]).runs()] == ["1", "3"]
    assert asked == ["None", "more", "more"]


def test_a_page_that_repeats_for_ever_ends_in_an_error() -> None:
    with http_server(
        lambda path, _: experiments_page() if "experiments/search" in path else runs_page(1, "again")
    ) as address:
        assert "same page" in failure(address).what


def test_artifacts_out_of_reach_are_none_and_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose artifacts the server cannot list keeps the plan going."""
    quick(monkeypatch)
    assert tmp_path
    info = {
        "run_id": "a" * 32, "experiment_id": "0", "status": "FINISHED", "lifecycle_stage": "active",
        "artifact_uri": "mlflow-artifacts:/0/" + "a" * 32 + "/artifacts",
    }  # fmt: skip

    def reply(path: str, _: dict[str, Any]) -> Reply:
        if "experiments/search" in path:
            return experiments_page()
        if "runs/search" in path:
            return 200, "application/json", json.dumps({"runs": [{"info": info, "data": {}}]})
        return 404, "text/html", "<html></html>"

    with http_server(reply) as address:
        store = open_stores([address])
        assert store.artifact_files("a" * 32) == ()
        assert "cannot be listed" in store.warnings[0].what
