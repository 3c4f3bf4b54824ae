"""Bad input through the command line: a clear error with what to do next, the right exit code, nothing changed."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.api import read
from ckpt_migrate.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNDECIDED, EXIT_USAGE
from ckpt_migrate.plan.write import render_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from project import Project

    from cli.conftest import Ended

    Call = Callable[..., Ended]

STORE = ("--tracking-uri", "mlruns")
AS_USER = pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read and write everywhere")


def fails(ended: Ended, code: int, *parts: str) -> None:
    """Check that a command ended in a message that says what, where and what to do next."""
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(("Error: ", "Usage: ")), ended.err
    for part in parts:
        assert part in ended.err
    assert all(line.isprintable() for line in ended.err.split("\n"))


# Roots.


@pytest.mark.parametrize("command", ["scan", "plan", "verify"])
def test_a_root_that_is_none_is_refused_with_all_others(ckpt: Call, project: Project, command: str) -> None:
    (project.folder / "file").touch()
    inside = f"checkpoints/phase2/{project.training(0).legacy}"
    store = () if command == "scan" else STORE
    ended = ckpt(command, "gone", "file", "a\x1b[31mb", "", inside, "checkpoints", *store)
    fails(
        ended,
        EXIT_USAGE,
        "5 roots cannot be scanned",
        "gone: no such directory",
        "file: not a directory",
        r"a\x1b[31mb",
    )
    assert "name the directory that holds it" in ended.err
    assert "Give directories that hold checkpoint directories" in ended.err


def test_a_root_that_is_none_is_refused_by_commands_with_options(ckpt: Call, project: Project) -> None:
    assert project.root.is_dir()
    fails(ckpt("find", "abcdef", "--root", "gone", *STORE), EXIT_USAGE, "gone: no such directory")
    fails(ckpt("log", "gone"), EXIT_USAGE, "gone: no such directory", "Name a root")
    fails(ckpt("rollback", "latest", "--root", "gone"), EXIT_USAGE, "gone: no such directory")


def test_an_empty_root_has_nothing_to_migrate(ckpt: Call, empty_project: Project) -> None:
    ended = ckpt("scan", "checkpoints")
    assert ended.code == EXIT_DONE
    assert "No checkpoint directories below" in ended.out
    ended = ckpt("plan", "checkpoints", *STORE)
    assert ended.code == EXIT_UNDECIDED
    assert ended.out.splitlines()[1:] == [
        "No changes: there is no checkpoint directory of this recipe's name forms below the roots.",
        "",
        "The plan is in plan.yaml; there is nothing to do.",
    ]
    assert ckpt("apply", "plan.yaml", "--yes").code == EXIT_DONE
    ended = ckpt("verify", "checkpoints", *STORE)
    assert ended.code == EXIT_UNDECIDED
    assert "There is no checkpoint directory" in ended.out
    assert not (empty_project.root / ".ckpt-migrate").exists()


def test_what_is_passed_over_for_its_name_is_said(ckpt: Call, project: Project) -> None:
    """Silence would look as if all were well; a tree of nothing else needs a person."""
    for directory in project.root.iterdir():
        if directory.is_symlink():
            directory.unlink()
        elif len(directory.name) > len("20260201_041227_"):
            uid, _, stamp = directory.name.partition("_")
            directory.rename(directory.with_name(f"{uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:]}_{stamp}"))
    ended = ckpt("plan", "checkpoints", *STORE)
    assert ended.code == EXIT_UNDECIDED
    assert "checkpoints were passed over for the name (" in ended.err
    assert "dashes" in ended.err
    ended = ckpt("verify", "checkpoints", *STORE)
    assert ended.code == EXIT_UNDECIDED
    assert "dashes" in ended.err


@AS_USER
def test_a_root_that_cannot_be_listed_is_refused(ckpt: Call, project: Project) -> None:
    project.root.chmod(0)
    try:
        fails(ckpt("scan", "checkpoints/phase2"), EXIT_USAGE, "cannot be listed (Permission denied)")
    finally:
        project.root.chmod(0o755)


# Stores.


def test_no_store_at_all_says_what_was_looked_for(
    ckpt: Call, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    ended = ckpt("plan", ".")
    fails(
        ended, EXIT_USAGE, "no MLflow store was named and none was found", "--tracking-uri URI", "MLFLOW_TRACKING_URI"
    )
    assert os.listdir(".") == os.listdir(project.root)


@pytest.mark.parametrize(
    ("uri", "code", "what"),
    [
        ("gone", EXIT_USAGE, "there is no such file or folder"),
        ("checkpoints", EXIT_USAGE, "the folder holds no MLflow experiments and no runs"),
        ("ftp://host/mlruns", EXIT_USAGE, "the scheme ftp: is not known"),
        ("", EXIT_USAGE, "the tracking URI is empty"),
        ("sqlite:///gone.db", EXIT_USAGE, "there is no such database file"),
        ("sqlite:///", EXIT_USAGE, "the URI names no database file"),
        ("sqlite:///mlruns", EXIT_USAGE, "this is a folder, no database file"),
        ("file://elsewhere/mlruns", EXIT_USAGE, "the file URI names another machine"),
        ("sqlite:///checkpoints/phase2/text.db", EXIT_FAILED, ""),
        ("postgresql://bob:s3cret@127.0.0.1:1/mlflow", EXIT_FAILED, ""),
    ],
)
def test_a_wrong_uri_is_refused(ckpt: Call, project: Project, uri: str, code: int, what: str) -> None:
    (project.root / "text.db").write_text("no database", encoding="utf-8")
    for command in ("plan", "verify"):
        ended = ckpt(command, "checkpoints", "--tracking-uri", uri)
        fails(ended, code, what)
        assert len(ended.err.splitlines()) >= 2  # what, and what to do next
        assert "s3cret" not in ended.err
    assert not (project.folder / "plan.yaml").exists()


def test_a_store_without_runs_leaves_everything_to_decide(ckpt: Call, empty_project: Project) -> None:
    empty_project.add_directory(empty_project.training(0))
    ended = ckpt("plan", "checkpoints", *STORE, "--format", "json")
    assert ended.code == EXIT_UNDECIDED
    assert [entry["status"] for entry in ended.data["entries"]] == ["unmatched"]
    assert "Warning: the store has no runs" in ended.err


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve on this machine; every request is answered by `answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


def plan_at(ckpt: Call, uri: str) -> Ended:
    return ckpt("plan", "checkpoints", "--tracking-uri", uri)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not try again, and wait for a second at most."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


@pytest.mark.usefixtures("impatient", "project")
def test_a_server_that_is_down(ckpt: Call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        ended = plan_at(ckpt, f"http://bob:s3cret@127.0.0.1:{taken.getsockname()[1]}")
    fails(ended, EXIT_FAILED, "the server cannot be reached", "***@127.0.0.1", "nothing was changed")
    assert "s3cret" not in ended.err


@pytest.mark.usefixtures("impatient", "project")
def test_a_server_that_never_answers(ckpt: Call) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        ended = plan_at(ckpt, f"http://127.0.0.1:{silent.getsockname()[1]}")
    fails(ended, EXIT_FAILED, "the server does not answer in time", "MLFLOW_HTTP_REQUEST_TIMEOUT")


@pytest.mark.usefixtures("impatient", "project")
@pytest.mark.parametrize(
    ("status", "body", "what"),
    [
        (401, b"login first", "the server refuses access"),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}', "the server refuses access"),
        (404, b"<html>not here</html>", "this is no MLflow tracking server"),
        (200, b"<html>a page</html>", "this is no MLflow tracking server"),
        (500, b"oops", "the server keeps answering with an error"),
    ],
)
def test_a_server_that_answers_wrongly(ckpt: Call, status: int, body: bytes, what: str) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with server(answer) as uri:
        fails(plan_at(ckpt, uri), EXIT_FAILED, what, uri)


# Options.


@pytest.mark.parametrize("zone", ["Nowhere", "Europe/Berlinn", "", "../etc/passwd", "/etc/localtime", "+02:00"])
def test_an_unknown_time_zone_is_refused(ckpt: Call, project: Project, zone: str) -> None:
    ended = ckpt("plan", "checkpoints", *STORE, "--timezone", zone)
    fails(ended, EXIT_USAGE, "no such time zone", "Europe/Berlin")
    assert not (project.folder / "plan.yaml").exists()


def test_an_unknown_recipe_is_refused_and_a_wrong_one_with_all_its_mistakes(ckpt: Call, project: Project) -> None:
    fails(ckpt("plan", "checkpoints", *STORE, "--migration", "phase3"), EXIT_USAGE, "no such recipe", "phase2_run_id")
    (project.folder / "mine.yaml").write_text("version: 9\nname: [x]\nwhat: ever\n", encoding="utf-8")
    ended = ckpt("scan", "checkpoints", "--migration", "mine.yaml")
    fails(ended, EXIT_USAGE, "mine.yaml: the recipe is not valid", "line 1: version", "line 2: name", "line 3: what")


@pytest.mark.parametrize(
    "arguments",
    [
        ["planne"],
        ["plan"],
        ["plan", "--no-such-option"],
        ["plan", "checkpoints", "--format", "xml"],
        ["apply"],
        ["apply", "plan.yaml", "--lock-timeout", "-1"],
        ["find", "--root", "checkpoints"],
        ["find", "abcdef"],
        ["rollback"],
        ["show"],
    ],
)
def test_a_wrong_call_is_refused_with_its_usage(ckpt: Call, arguments: list[str]) -> None:
    ended = ckpt(*arguments)
    fails(ended, EXIT_USAGE, "Usage: ckpt-migrate")


def test_a_mistyped_command_is_told_the_nearest(ckpt: Call) -> None:
    fails(ckpt("rolback", "latest"), EXIT_USAGE, "No such command 'rolback'. Did you mean 'rollback'?")


# Plans and logs.


@pytest.mark.parametrize("command", [["show"], ["apply"], ["apply", "--dry-run"], ["apply", "--yes"]])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "line 1: the file is empty"),
        (b"\xff\xfe", "line 1: is not UTF-8 text"),
        (b"version: 1\n\tentries: []\n", "line 2: a tab is used for indentation"),
        (b"version: 2\n", "not a plan of this tool: it has version '2'"),
        (b"[" * 1_000_000, "nested more than 32 levels deep"),
        (b"version: 1\nentries: !!python/object/apply:os.system [echo]\n", "the tag !!python/object/apply:os.system"),
    ],
    ids=str,
)
def test_a_file_that_is_no_plan_is_refused(
    ckpt: Call, project: Project, command: list[str], content: bytes | None, what: str
) -> None:
    if content is not None:
        (project.folder / "plan.yaml").write_bytes(content)
    before = project.snapshot()
    fails(ckpt(*command, "plan.yaml"), EXIT_USAGE, "plan.yaml", what)
    assert project.snapshot() == before


def test_a_plan_that_was_edited_too_far_is_refused_with_its_lines(ckpt: Call, project: Project) -> None:
    ckpt("plan", "checkpoints", *STORE)
    path = project.folder / "plan.yaml"
    text = path.read_text(encoding="utf-8").replace("confidence: 0.99", "confidence: 0.98", 1)
    path.write_text(text.replace("status: matched", "status: linked", 1), encoding="utf-8")
    before = project.snapshot()
    ended = ckpt("apply", "plan.yaml", "--yes")
    fails(ended, EXIT_USAGE, "confidence was edited", "status was edited", "Only `action` and, with action: rename")
    assert ended.err.count("- line ") == 2
    assert project.snapshot() == before


def test_a_run_that_no_store_has_is_refused_with_its_line(ckpt: Call, project: Project) -> None:
    ckpt("plan", "checkpoints", *STORE)
    path = project.folder / "plan.yaml"
    run_id = project.training(0).run_id
    path.write_text(
        path.read_text(encoding="utf-8").replace(f"run_id: {run_id}", f"run_id: {'1' * 32}"), encoding="utf-8"
    )
    ended = ckpt("apply", "plan.yaml", "--yes")
    fails(ended, EXIT_USAGE, "names runs that the store", "does not have", "1" * 32, "--tracking-uri", "- line ")


def test_a_run_is_looked_up_in_the_plans_store_from_wherever_apply_is_called(
    ckpt: Call, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The orphan is given a run that the planner had not listed."""
    project.add_run(project.training(8))
    ckpt("plan", "checkpoints", *STORE)
    path = project.folder / "plan.yaml"
    orphan = f"{project.training(4).legacy}\n  status: unmatched\n  action: skip\n  run_id: null\n"
    chosen = orphan.replace("skip", "rename").replace("null", project.training(8).run_id)
    text = path.read_text(encoding="utf-8")
    assert orphan in text
    path.write_text(text.replace(orphan, chosen), encoding="utf-8")
    monkeypatch.chdir(project.root)
    ended = ckpt("apply", "../../plan.yaml", "--yes")
    assert ended.code == EXIT_DONE
    assert (project.root / f"{project.training(8).run_id}_{project.training(4).stamp}" / "README.md").is_file()


def test_a_store_whose_password_the_plan_does_not_have_must_be_named(ckpt: Call, project: Project) -> None:
    project.add_run(project.training(8))
    ckpt("plan", "checkpoints", *STORE)
    path = project.folder / "plan.yaml"
    plan = replace(read(path), tracking_uri=("postgresql://***@db.example/mlflow",))
    text = render_plan(plan).replace(f"run_id: {project.training(0).run_id}", f"run_id: {project.training(8).run_id}")
    path.write_text(text, encoding="utf-8")
    fails(
        ckpt("apply", "plan.yaml", "--yes"), EXIT_USAGE, "without the credentials", "Give the store with --tracking-uri"
    )
    assert ckpt("apply", "plan.yaml", "--yes", *STORE).code == EXIT_DONE


@pytest.mark.parametrize("log", ["gone.jsonl", "plan.yaml", "checkpoints", "latest"])
def test_a_log_that_is_none_is_refused(ckpt: Call, project: Project, log: str) -> None:
    ckpt("plan", "checkpoints", *STORE)
    before = project.snapshot()
    ended = ckpt("rollback", log, "--yes")
    assert ended.code == (EXIT_FAILED if log == "plan.yaml" else EXIT_USAGE)
    fails(ended, ended.code)
    assert project.snapshot() == before


def test_there_is_nothing_to_show_of_a_directory_that_the_plan_does_not_have(ckpt: Call, project: Project) -> None:
    ckpt("plan", "checkpoints", *STORE)
    assert ckpt("show", "plan.yaml", project.training(0).uid[:8]).code == EXIT_DONE
    for name in ("0000", "", "/", "x\x1b[2J"):
        fails(ckpt("show", "plan.yaml", name), EXIT_USAGE, "the plan has no such checkpoint", "--all")


# Output.


def test_a_place_where_no_plan_can_be_written_is_refused(ckpt: Call, project: Project) -> None:
    fails(ckpt("plan", "checkpoints", *STORE, "-o", "no/plan.yaml"), EXIT_USAGE, "no/plan.yaml: there is no folder")
    fails(ckpt("plan", "checkpoints", *STORE, "-o", "checkpoints"), EXIT_USAGE, "checkpoints: is a folder")
    fails(ckpt("plan", "checkpoints", *STORE, "-o", "/dev/null"), EXIT_USAGE, "-o -")
    assert sorted(os.listdir(project.folder)) == ["checkpoints", "mlruns"]


def test_a_plan_that_a_person_has_edited_is_not_written_over(ckpt: Call, project: Project) -> None:
    ckpt("plan", "checkpoints", *STORE)
    assert ckpt("plan", "checkpoints", *STORE).code == EXIT_UNDECIDED
    path = project.folder / "plan.yaml"
    edited = path.read_text(encoding="utf-8").replace("action: rename", "action: skip", 1)
    path.write_text(edited, encoding="utf-8")
    ended = ckpt("plan", "checkpoints", *STORE)
    fails(ended, EXIT_USAGE, "plan.yaml: was edited since it was planned", "--overwrite")
    assert path.read_text(encoding="utf-8") == edited
    assert ckpt("plan", "checkpoints", *STORE, "--overwrite").code == EXIT_UNDECIDED
    assert path.read_text(encoding="utf-8") != edited


def test_a_file_that_is_no_plan_is_not_written_over(ckpt: Call, project: Project) -> None:
    script = project.folder / "train.py"
    script.write_text("print('train')\n", encoding="utf-8")
    fails(ckpt("plan", "checkpoints", *STORE, "-o", "train.py"), EXIT_USAGE, "is no plan that this tool wrote")
    assert script.read_text(encoding="utf-8") == "print('train')\n"


@pytest.mark.parametrize("command", ["scan", "plan"])
def test_a_folder_that_no_plan_can_name_leaves_something_to_look_at(ckpt: Call, project: Project, command: str) -> None:
    """Its directories cannot be migrated; that is said, and the exit code says so, too."""
    (project.folder / "checkpoints/phase2").rename(project.folder / "checkpoints/ph\x1base2")
    ended = ckpt(command, "checkpoints", *(() if command == "scan" else STORE))
    assert ended.code == EXIT_UNDECIDED
    assert "checkpoints/ph\\x1base2: holds control characters" in ended.err
    fails(
        ckpt(command, "checkpoints/ph\x1base2", *(() if command == "scan" else STORE)), EXIT_USAGE, "no plan can name"
    )
