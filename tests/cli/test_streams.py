"""The command line as a process: pipes that close, disks that are full, terminals of other encodings, and its start."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ckpt_migrate import __version__
from ckpt_migrate.cli import COMMANDS, output
from ckpt_migrate.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNDECIDED, EXIT_USAGE
from ckpt_migrate.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from project import Project

    from cli.conftest import Ended

    Call = Callable[..., Ended]

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = ("yaml", "mlflow", "sqlite3", "tqdm", "ckpt_migrate.api", "ckpt_migrate.scan.walk", "ckpt_migrate.plan")
STORE = ("--tracking-uri", "mlruns")
TIMES_CLICK = 2.0
"""User time that the list of commands may take, in that of Python with click alone."""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **more}


def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command line as a process."""
    command = [sys.executable, "-m", "ckpt_migrate", *arguments]
    streams: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    } | options
    return subprocess.Popen(command, env=streams.pop("env", environment()), **streams)


def run(*arguments: str, **options: Any) -> tuple[int, str, str]:
    """Run the command line as a process; return its exit code and what it printed."""
    with start(*arguments, **options) as process:
        out, err = process.communicate(timeout=60)
    assert b"Traceback" not in (err or b"")
    assert b"Exception ignored" not in (err or b"")
    return process.returncode, (out or b"").decode(), (err or b"").decode()


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("scan", "checkpoints"), EXIT_DONE),
        (("scan", "checkpoints", "--format", "json"), EXIT_DONE),
        (("plan", "checkpoints", *STORE, "-o", "-"), EXIT_UNDECIDED),
        (("verify", "checkpoints", *STORE), EXIT_UNDECIDED),
        (("--help",), EXIT_DONE),
    ],
)
def test_a_reader_that_goes_away_changes_neither_the_exit_code_nor_says_anything(
    arguments: tuple[str, ...], code: int
) -> None:
    """As in `| head -1`: the pipe is closed before the command has written anything."""
    read, write = os.pipe()
    os.close(read)
    try:
        found, _, err = run(*arguments, stdout=write)
    finally:
        os.close(write)
    assert found == code
    assert "Broken pipe" not in err


@pytest.mark.usefixtures("project")
def test_an_apply_whose_reader_goes_away_is_finished(project: Project) -> None:
    run("plan", "checkpoints", *STORE)
    read, write = os.pipe()
    os.close(read)
    code, _, _ = run("apply", "plan.yaml", "--yes", stdout=write)
    os.close(write)
    assert code == EXIT_DONE
    assert (project.root / project.training(0).target).is_dir()


@pytest.mark.usefixtures("project")
def test_head_takes_one_line() -> None:
    command = f"{sys.executable} -m ckpt_migrate scan checkpoints | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("STATE")
    assert (done.stdout.splitlines()[1:], done.stderr) == (["0"], "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.usefixtures("project")
def test_a_full_disk_under_standard_output_is_a_failure_that_says_so() -> None:
    with open("/dev/full", "wb") as full:
        code, _, err = run("plan", "checkpoints", *STORE, stdout=full)
    assert code == EXIT_FAILED
    assert "Error: standard output cannot be written (No space left on device)" in err
    assert "What the command had done by then is done" in err
    assert Path("plan.yaml").is_file()


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_closed_by_the_shell_are_no_trouble(closed: str) -> None:
    calls = (("plan checkpoints --tracking-uri mlruns", EXIT_UNDECIDED), ("apply plan.yaml", EXIT_USAGE))
    for arguments, code in calls:
        command = ["bash", "-c", f"{sys.executable} -m ckpt_migrate {arguments} {closed}"]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_that_an_encoding_cannot_hold_are_written_out(empty_project: Project, encoding: str) -> None:
    training = empty_project.training(0)
    empty_project.add_directory(training, below="checkpoints/実験")
    empty_project.add_run(training, name="zürich 🦊")
    for arguments in (
        ("scan", "checkpoints"),
        ("plan", "checkpoints", *STORE, "-o", "-"),
        ("find", training.uid, "--root", "checkpoints", *STORE),
        ("scan", "実験/gone"),
    ):
        with start(*arguments, env=environment(PYTHONIOENCODING=encoding)) as process:
            out, err = process.communicate(timeout=60)
        assert b"Traceback" not in err
        assert process.returncode in {EXIT_DONE, EXIT_USAGE, EXIT_UNDECIDED}
        (out + err).decode(encoding if encoding != "ascii" else "utf-8")  # click takes ASCII for a mistake


def test_names_are_no_commands_to_a_terminal(ckpt: Call, empty_project: Project) -> None:
    """Run names, params, experiments and folders may hold escapes; a terminal is never sent one."""
    wild = "\x1b]0;owned\x07\x9b31m\r\u2028\u202e\nfake line"
    training = empty_project.add(0)
    empty_project.add_directory(empty_project.training(1), below="checkpoints/a\x1b[2J\nb")
    empty_project.add_directory(empty_project.training(2))
    empty_project.add_run(empty_project.training(2), name=wild, tags={"checkpoint_dir": wild}, params={"lr": wild})
    empty_project.link("checkpoints/phase2/late\x1b[2Jst", training.legacy)
    meta = empty_project.folder / "mlruns" / "1" / "meta.yaml"
    meta.write_text('experiment_id: "1"\nname: "a\\e[2J\\nb"\nlifecycle_stage: active\n', encoding="utf-8")
    commands = [
        ("scan", "checkpoints"),
        ("plan", "checkpoints", *STORE),
        ("plan", "checkpoints", *STORE, "-o", "-"),
        ("show", "plan.yaml"),
        ("show", "plan.yaml", empty_project.training(2).uid),
        ("verify", "checkpoints", *STORE),
        ("find", wild, empty_project.training(2).run_id, "--root", "checkpoints", *STORE),
        ("apply", "plan.yaml", "--dry-run"),
        ("apply", "plan.yaml", "--yes"),
        ("log",),
        ("scan", wild),
        ("apply", wild),
    ]
    for arguments in commands:
        for more in ((), ("--format", "json")):
            ended = ckpt(*arguments, *more)
            out, err = ended.out, ended.err
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", out + err), (arguments, out, err)
            assert "\nfake line" not in out + err
            if more and out and "-o" not in arguments:
                json.loads(out)  # it is JSON for readers other than ours, too


def test_bars_and_shortened_tables_are_for_terminals_alone(project: Project) -> None:
    """On a terminal ids are shortened until the table fits; in a pipe nothing is."""
    long = project.training(4).legacy
    run("plan", "checkpoints", *STORE)
    assert long in run("show", "plan.yaml")[1]
    parent, child = pty.openpty()
    with start("show", "plan.yaml", stdout=child, env=environment(COLUMNS="90", NO_COLOR="1")) as process:
        os.close(child)
        shown = b""
        while part := _read(parent):
            shown += part
    assert process.returncode == EXIT_DONE
    assert long not in shown.decode()
    assert f"{long[:8]}..{long[32:]}" in shown.decode()
    rows = [line for line in shown.decode().splitlines() if " skip " in line or " rename " in line]
    assert rows
    assert all(len(row) <= 90 for row in rows)


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 65_536)
    except OSError:  # how a terminal says that its other side is gone
        return b""


# The start.


def test_version_and_help() -> None:
    assert run("--version") == (EXIT_DONE, f"ckpt-migrate {__version__}\n", "")
    for arguments in (("--help",), ("-h",)):
        code, out, _ = run(*arguments)
        assert code == EXIT_DONE
        for command, (_, text) in COMMANDS.items():
            assert f"  {command} " in out
            assert text.split()[0] in out
    assert run("plan", "-h")[0] == EXIT_DONE


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(ckpt: Call, command: str) -> None:
    ended = ckpt(command, "--help")
    assert (ended.code, ended.err) == (EXIT_DONE, "")
    assert f"Usage: ckpt-migrate {command}" in ended.out
    assert all(len(line) <= 100 for line in ended.out.splitlines())


def test_the_list_of_commands_imports_nothing_heavy() -> None:
    script = "import sys; from ckpt_migrate.cli import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_the_list_of_commands_takes_little_longer_than_click_itself() -> None:
    """User time, the best of several, since the machine may be busy."""

    def user_s(*arguments: str) -> float:
        best = 1e9
        for _ in range(7):
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            subprocess.run([sys.executable, *arguments], env=environment(), capture_output=True, check=True)
            best = min(best, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
        return best

    bare = user_s("-c", "import click")
    assert user_s("-m", "ckpt_migrate", "--help") < TIMES_CLICK * bare + 0.03


@pytest.mark.parametrize(("module", "line"), [("click", "Interrupted.\n"), ("ckpt_migrate.api", "Stopped; ")])
def test_a_ctrl_c_while_the_command_is_still_imported_is_no_traceback(tmp_path: Path, module: str, line: str) -> None:
    """Whoever mistypes a command stops it at once, and then most of its time goes into imports."""
    code = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from ckpt_migrate.__main__ import main\n"
        "sys.argv = ['ckpt-migrate', 'scan', '.']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_FAILED
    assert done.stderr.lstrip().startswith(line)
    assert "Traceback" not in done.stderr


def test_without_tqdm_there_are_no_bars_and_all_else_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that lost it is no reason to refuse an undo."""
    monkeypatch.setattr(output, "can_move", lambda _: True)
    assert output.bars() is not SILENT
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert output.bars() is SILENT
