"""The demo: its world is what it says, and its walk notices whatever goes wrong."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import pickle
import resource
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from ckpt_migrate.demo import DemoWorld, Kind, build_demo, walk
from ckpt_migrate.demo.history import ZONE
from ckpt_migrate.errors import UsageError
from ckpt_migrate.naming import NameForm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEGACY = NameForm("{uuid}_{stamp}")
COUNTS = {
    Kind.PLAIN: 10,
    Kind.SWEEP: 6,
    Kind.CRASHED: 1,
    Kind.RESUMED: 2,
    Kind.TWIN: 2,
    Kind.ORPHAN: 1,
    Kind.DELETED: 1,
    Kind.DASHED: 1,
    Kind.STALE: 1,
    Kind.CURRENT: 1,
    Kind.ALIGNMENT: 1,
}
TELLS_THE_WORLD = """
import json, sys
from ckpt_migrate.demo import build_demo
world = build_demo(sys.argv[1])
print(json.dumps([[entry.path, entry.kind.value, entry.run_id] for entry in world.checkpoints]))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> DemoWorld:
    """One world for all; tests that change it work on a copy."""
    return build_demo(str(tmp_path_factory.mktemp("worlds") / "dêmo 1"))


@pytest.fixture
def copy(world: DemoWorld, tmp_path: Path) -> DemoWorld:
    """Return a copy of the world, times included."""
    folder = str(tmp_path / "demo")
    shutil.copytree(world.folder, folder, symlinks=True)
    return dataclasses.replace(
        world,
        folder=folder,
        root=os.path.join(folder, "checkpoints", "phase2"),
        tracking_uri=f"sqlite:///{folder}/mlflow.db",
    )


def rows(world: DemoWorld, query: str, *arguments: str) -> list[tuple[Any, ...]]:
    """Ask the store, read-only."""
    path = world.tracking_uri.removeprefix("sqlite:///")
    connection = sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute(query, arguments).fetchall()
    finally:
        connection.close()


def config_of(world: DemoWorld, path: str) -> dict[str, Any]:
    """Read a directory's config.json."""
    loaded: dict[str, Any] = json.loads(Path(world.folder, path, "config.json").read_text(encoding="utf-8"))
    return loaded


def torch_content(path: Path) -> dict[str, Any]:
    """Read a checkpoint as torch.load would, without its numbers."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, pid: Any) -> Any:
            return pid

    with zipfile.ZipFile(path) as archive, archive.open("archive/data.pkl") as file:
        loaded: dict[str, Any] = Unpickler(file).load()
    return loaded


def test_the_world_has_every_kind_of_directory_and_a_run_for_all_but_the_orphan(world: DemoWorld) -> None:
    assert {kind: len(world.of_kind(kind)) for kind in Kind} == COUNTS
    known = {run_id for (run_id,) in rows(world, "SELECT run_uuid FROM runs")}
    for checkpoint in world.checkpoints:
        assert os.path.isdir(os.path.join(world.folder, checkpoint.path))
        assert world.truth[checkpoint.name] == checkpoint.run_id
        assert (checkpoint.run_id in known) == (world.kinds[checkpoint.name] is not Kind.ORPHAN)
    assert os.path.dirname(world.of_kind(Kind.ALIGNMENT)[0].path) == "checkpoints/alignment"
    listed = sorted(entry.name for entry in os.scandir(world.root) if entry.is_dir(follow_symlinks=False))
    assert listed == sorted(c.name for c in world.checkpoints if c.kind is not Kind.ALIGNMENT)


def test_only_the_run_ids_differ_between_two_worlds_and_nothing_is_said_meanwhile(
    world: DemoWorld, tmp_path: Path
) -> None:
    """MLflow's and Alembic's notes stay off the terminal, and nothing is put into the current directory."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", TELLS_THE_WORLD, "other"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert os.listdir(tmp_path) == ["other"]
    other = json.loads(done.stdout)
    assert [kind for _, kind, _ in other] == [checkpoint.kind.value for checkpoint in world.checkpoints]
    for (path, _, run_id), checkpoint in zip(other, world.checkpoints, strict=True):
        if checkpoint.run_id is not None:
            assert run_id != checkpoint.run_id
        if checkpoint.kind not in {Kind.STALE, Kind.CURRENT, Kind.ALIGNMENT}:
            assert path == checkpoint.path
        ours, theirs = os.path.join(world.folder, checkpoint.path), tmp_path / "other" / path
        assert _listing(ours) == _listing(str(theirs))


def _listing(directory: str) -> list[tuple[str, int, int]]:
    """Return path, size and time of all files, and the times of all directories."""
    found = [("", 0, os.stat(directory).st_mtime_ns)]
    for parent, folders, files in os.walk(directory):
        for name in folders + files:
            status = os.stat(os.path.join(parent, name))
            size = status.st_size if name in files else 0
            found.append((os.path.relpath(os.path.join(parent, name), directory), size, status.st_mtime_ns))
    return sorted(found)


@pytest.mark.parametrize("content", ["a file", "a folder with a file"])
def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    kept = tmp_path / "kept" if content == "a file" else tmp_path / "taken" / "kept"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("precious", encoding="utf-8")
    with pytest.raises(UsageError):
        build_demo(str(kept if content == "a file" else kept.parent))
    assert [path.name for path in kept.parent.iterdir()] == ["kept"]
    assert kept.read_text(encoding="utf-8") == "precious"


def test_building_leaves_the_process_as_it_was(world: DemoWorld, tmp_path: Path) -> None:
    """The current directory, the logging set-up and the environment are put back, after a failure too."""
    root = logging.getLogger()
    before = (os.getcwd(), root.level, list(root.handlers), root.manager.disable, dict(os.environ))
    with pytest.raises(UsageError):
        build_demo(world.folder)
    build_demo(str(tmp_path / "again"))
    assert (os.getcwd(), root.level, list(root.handlers), root.manager.disable, dict(os.environ)) == before


def test_params_are_the_config_as_lightning_logs_it(world: DemoWorld) -> None:
    checkpoint = world.of_kind(Kind.SWEEP)[0]
    params = dict(rows(world, "SELECT key, value FROM params WHERE run_uuid = ?", checkpoint.run_id or ""))
    config = config_of(world, checkpoint.path)
    assert params["learning_rate"] == "1e-05"
    assert params["optimizer/betas"] == "[0.9, 0.999]"
    assert params["gradient_checkpointing"] == "True"
    assert params["resume_from"] == "None"
    assert len(params) == 16
    assert len(config) == 13
    assert os.path.isfile(os.path.join(world.folder, config["phase1_checkpoint_path"]))


def test_the_loss_in_a_file_name_is_a_logged_value_rounded(world: DemoWorld) -> None:
    for checkpoint in world.checkpoints:
        folder = Path(world.folder, checkpoint.path, "lightning_checkpoints")
        if checkpoint.run_id is None or not folder.is_dir():
            continue
        (best,) = folder.glob("best-*.ckpt")
        query = "SELECT value FROM metrics WHERE run_uuid = ? AND key = 'train_loss_epoch'"
        logged = {f"{value:.4f}" for (value,) in rows(world, query, checkpoint.run_id)}
        assert best.stem.rsplit("=", 1)[1] in logged
        content = torch_content(folder / "last.ckpt")
        assert content["global_step"] == (content["epoch"] + 1) * 500
        assert content["hyper_parameters"]["model_name"] == "bloom-560m"


def test_artifacts_are_the_checkpoints_bytes(world: DemoWorld) -> None:
    """A run that ended well keeps both files, but for two that keep none; the sweep keeps no weights."""
    kept = dict.fromkeys(Kind, 0)
    for checkpoint in world.checkpoints:
        directory = Path(world.folder, checkpoint.path)
        if not (directory / "config.json").exists():  # the first half of the resumed run, and what never ended
            continue
        for artifact in Path(world.folder, "mlruns").glob(f"*/{checkpoint.run_id}/artifacts/*/*"):
            assert artifact.read_bytes() == (directory / artifact.name).read_bytes()
            kept[checkpoint.kind] += 1
    assert kept == {
        **dict.fromkeys((Kind.CRASHED, Kind.TWIN, Kind.ORPHAN), 0),
        **dict.fromkeys((Kind.RESUMED, Kind.DELETED, Kind.DASHED, Kind.STALE, Kind.CURRENT), 2),
        Kind.PLAIN: 8 * 2,
        Kind.SWEEP: 6,
        Kind.ALIGNMENT: 1,
    }


def test_model_files_name_the_old_directory(world: DemoWorld) -> None:
    for checkpoint in world.of_kind(Kind.PLAIN):
        content = torch_content(Path(world.folder, checkpoint.path, "model.pt"))
        assert set(content) == {"model_state_dict", "config", "run_id"}
        assert content["run_id"] == checkpoint.name
        assert content["config"] == config_of(world, checkpoint.path)


def starts(world: DemoWorld) -> Iterator[tuple[datetime, datetime]]:
    """Yield stamp, naive, and run start, UTC, of every legacy directory that began its run."""
    begun = dict(rows(world, "SELECT run_uuid, start_time FROM runs"))
    seen: set[str] = set()
    for checkpoint in world.checkpoints:
        name = LEGACY.parse(checkpoint.name)
        if name is None or name.local_time is None or checkpoint.run_id is None or checkpoint.run_id in seen:
            continue
        seen.add(checkpoint.run_id)
        yield name.local_time, datetime.fromtimestamp(begun[checkpoint.run_id] / 1000, timezone.utc)


def test_only_a_zone_with_summer_time_explains_all_stamps(world: DemoWorld) -> None:
    """No fixed offset does: the clocks of the training machine went forward between the runs."""
    zone, fixed = ZoneInfo(ZONE), timezone(timedelta(hours=1))
    lags = [(start - stamp.replace(tzinfo=zone)).total_seconds() for stamp, start in starts(world)]
    assert all(-3 < lag < 3 for lag in lags)
    fixed_lags = [(start - stamp.replace(tzinfo=fixed)).total_seconds() for stamp, start in starts(world)]
    assert sum(abs(lag) > 3000 for lag in fixed_lags) == 4


def test_files_were_written_while_their_run_was_on(world: DemoWorld) -> None:
    spans = {
        run_id: (start, end) for run_id, start, end in rows(world, "SELECT run_uuid, start_time, end_time FROM runs")
    }
    for checkpoint in world.checkpoints:
        if checkpoint.run_id is not None:
            start, end = spans[checkpoint.run_id]
            times = [time_ns / 1e6 for _, _, time_ns in _listing(os.path.join(world.folder, checkpoint.path))]
            assert start < min(times)
            assert max(times) < end


def test_the_sweep_differs_in_the_learning_rate_alone(world: DemoWorld) -> None:
    configs = [config_of(world, checkpoint.path) for checkpoint in world.of_kind(Kind.SWEEP)]
    assert len({config.pop("learning_rate") for config in configs}) == 6
    assert all(config == configs[0] for config in configs)
    stamps = [checkpoint.name.rsplit("_", 1)[1] for checkpoint in world.of_kind(Kind.SWEEP)]
    assert int(stamps[-1]) - int(stamps[0]) < 60


def test_nothing_tells_the_twins_apart(world: DemoWorld) -> None:
    first, second = world.of_kind(Kind.TWIN)
    assert first.name.split("_", 1)[1] == second.name.split("_", 1)[1]
    folders = [Path(world.folder, twin.path) for twin in (first, second)]
    assert _listing(str(folders[0])) == _listing(str(folders[1]))
    for path in folders[0].rglob("*.ckpt"):
        assert path.read_bytes() == (folders[1] / path.relative_to(folders[0])).read_bytes()
    for table in ("params", "tags", "metrics"):
        query = f"SELECT key, value FROM {table} WHERE run_uuid = ? AND key != 'mlflow.runName' ORDER BY 1, 2"  # noqa: S608 - three names of ours
        assert rows(world, query, first.run_id or "") == rows(world, query, second.run_id or "")
    times = "SELECT start_time, end_time, status FROM runs WHERE run_uuid = ?"
    assert rows(world, times, first.run_id or "") == rows(world, times, second.run_id or "")


def test_special_directories_are_what_their_kind_says(world: DemoWorld) -> None:
    """Crashed, resumed, deleted, stale, current: each as the training scripts and people left them."""
    crashed = world.of_kind(Kind.CRASHED)[0]
    assert os.listdir(os.path.join(world.folder, crashed.path)) == ["lightning_checkpoints"]
    assert rows(world, "SELECT status FROM runs WHERE run_uuid = ?", crashed.run_id or "") == [("FAILED",)]
    first, second = world.of_kind(Kind.RESUMED)
    assert first.run_id == second.run_id
    assert config_of(world, second.path)["resume_from"].startswith(f"{first.path}/")
    deleted = world.of_kind(Kind.DELETED)[0]
    query = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
    assert rows(world, query, deleted.run_id or "") == [("deleted",)]
    for kind in (Kind.STALE, Kind.CURRENT):
        checkpoint = world.of_kind(kind)[0]
        text = Path(world.folder, checkpoint.path, "MLFLOW_RUN_ID.txt").read_text(encoding="utf-8")
        assert checkpoint.name.startswith(f"{checkpoint.run_id}_")
        assert (f"MLflow Run ID: {checkpoint.run_id}\n" in text) == (kind is Kind.CURRENT)
        assert (f"Checkpoint Dir: {checkpoint.path}\n" in text) == (kind is Kind.CURRENT)


def test_old_names_are_left_lying_around(world: DemoWorld) -> None:
    """A link and a config name the newest legacy directory, and loose files are there."""
    newest = world.of_kind(Kind.PLAIN)[-1]
    assert os.readlink(os.path.join(world.root, "latest")) == newest.name
    assert f"{newest.path}/model.pt" in Path(world.folder, "configs", "eval.yaml").read_text(encoding="utf-8")
    assert zipfile.is_zipfile(os.path.join(world.root, "last.ckpt"))


class Recorder:
    """Stands for the command line: records, does what it is told to, and returns the exit codes of a good day."""

    def __init__(self, acts: dict[str, Callable[[], None]] | None = None, code: dict[str, int] | None = None) -> None:
        self.commands: list[list[str]] = []
        self.lines: list[str] = []
        self._acts = acts or {}
        self._codes = {"plan": 3, "verify": 3, **(code or {})}

    def run(self, command: list[str]) -> int:
        """Record a command and act; `rehearse` is the act of a dry run."""
        self.commands.append(command)
        name = "rehearse" if "--dry-run" in command else command[0]
        if name in self._acts:
            self._acts[name]()
        return self._codes.get(name, 0)

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(self.lines)


def rename(world: DemoWorld, kind: Kind, run_id: str | None) -> Callable[[], None]:
    """Return an act that renames the first directory of a kind, and keeps its parent's time."""

    def act() -> None:
        checkpoint = world.of_kind(kind)[0]
        stamp = checkpoint.name.split("_", 1)[1]
        os.rename(os.path.join(world.folder, checkpoint.path), os.path.join(world.root, f"{run_id}_{stamp}"))

    return act


def test_the_walk_tells_the_whole_story_in_order(copy: DemoWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scan, plan, read, rehearse, apply, verify, find, log, rollback; each command is shown as it is run."""
    monkeypatch.chdir(Path(copy.folder).parent)
    recorder = Recorder()
    assert walk(copy, recorder.run, recorder.lines.append, program=".venv/bin/ckpt-migrate") == 0
    root, store, plan = "demo/checkpoints/phase2", "sqlite:///demo/mlflow.db", "demo/plan.yaml"
    assert recorder.commands == [
        ["scan", root],
        ["plan", root, "--tracking-uri", store, "-o", plan],
        ["show", plan],
        ["show", plan, copy.of_kind(Kind.SWEEP)[0].name],
        ["show", plan, copy.of_kind(Kind.TWIN)[0].name],
        ["apply", plan, "--dry-run"],
        ["apply", plan, "--yes"],
        ["verify", root, "--tracking-uri", store],
        ["find", copy.of_kind(Kind.PLAIN)[0].name, "--root", root, "--tracking-uri", store],
        ["log", root],
        ["rollback", "latest", "--root", root, "--yes"],
    ]
    for command in recorder.commands:
        assert f"  $ .venv/bin/ckpt-migrate {' '.join(command)}" in recorder.lines
    assert recorder.text.count("Proof: ") == 2
    assert max(len(line) for line in recorder.lines if "  $ " not in line) <= 100
    assert f"  $ .venv/bin/ckpt-migrate apply {plan}" in recorder.lines


def test_paths_outside_the_current_directory_are_shown_in_full_and_quoted(
    world: DemoWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recorder = Recorder()
    assert walk(world, recorder.run, recorder.lines.append) == 0
    assert recorder.commands[0] == ["scan", world.root]
    assert f"  $ ckpt-migrate scan '{world.root}'" in recorder.lines


@pytest.mark.parametrize(("command", "code"), [("scan", 1), ("plan", 1), ("apply", 2), ("find", 3), ("rollback", 3)])
def test_the_walk_stops_where_a_command_fails_and_says_how_to_undo(copy: DemoWorld, command: str, code: int) -> None:
    recorder = Recorder(code={command: code})
    assert walk(copy, recorder.run, recorder.lines.append) == 1
    assert recorder.commands[-1][0] == command
    assert f"ended with exit code {code}, not" in recorder.text
    assert recorder.lines[-1].startswith("  $ ckpt-migrate rollback latest --root ")


def test_right_and_wrong_renames_are_counted_and_a_wrong_one_fails_the_demo(copy: DemoWorld) -> None:
    wronged, neighbour = copy.of_kind(Kind.SWEEP)[:2]
    rightly = rename(copy, Kind.PLAIN, copy.of_kind(Kind.PLAIN)[0].run_id)
    wrongly = rename(copy, Kind.SWEEP, neighbour.run_id)
    recorder = Recorder({"plan": rightly, "apply": wrongly})
    assert walk(copy, recorder.run, recorder.lines.append) == 1
    assert "1 renamed rightly, 1 wrongly" in recorder.text
    assert "names left alone: 1 crashed, 1 current, 1 dashed" in " ".join(recorder.text.split())
    assert f"WRONG: {wronged.name} is now {neighbour.run_id}_" in recorder.text


def test_the_demo_notices_a_rollback_that_leaves_a_name_behind(copy: DemoWorld) -> None:
    run_id = copy.of_kind(Kind.PLAIN)[0].run_id
    recorder = Recorder({"apply": rename(copy, Kind.PLAIN, run_id)})
    assert walk(copy, recorder.run, recorder.lines.append) == 1
    assert recorder.text.count("Proof: ") == 1
    assert f"{copy.of_kind(Kind.PLAIN)[0].path}: is gone" in recorder.text


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("byte", "last.ckpt: content changed"),
        ("time", "last.ckpt: modification time changed"),
        ("mode", "last.ckpt: permissions changed"),
        ("link", "latest: content and modification time changed"),
        ("store", "mlflow.db: content changed"),
        ("new", "surprise: is new"),
    ],
)
def test_the_demo_notices_a_dry_run_that_changes_anything(copy: DemoWorld, damage: str, told: str) -> None:
    def act() -> None:
        name = {"store": os.path.join(copy.folder, "mlflow.db"), "link": os.path.join(copy.root, "latest")}
        path = name.get(damage, os.path.join(copy.root, "last.ckpt"))
        before = os.stat(path)
        if damage in {"byte", "store"}:
            with open(path, "r+b") as file:
                file.write(b"?")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif damage == "time":
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        elif damage == "mode":
            os.chmod(path, 0o400)
        elif damage == "link":
            os.remove(path)
            os.symlink("elsewhere", path)
        else:
            Path(copy.root, "surprise").write_bytes(b"")

    recorder = Recorder({"rehearse": act})
    assert walk(copy, recorder.run, recorder.lines.append) == 1
    assert told in recorder.text


def test_the_logs_that_stay_are_no_difference(copy: DemoWorld) -> None:
    def act() -> None:
        folder = Path(copy.root, ".ckpt-migrate")
        folder.mkdir()
        (folder / "20260501T000000Z-1.jsonl").write_bytes(b"{}\n")

    recorder = Recorder({"apply": act})
    assert walk(copy, recorder.run, recorder.lines.append) == 0


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, float, Path]:
    """The real thing, as a user runs it: standard output, standard error, CPU seconds, where."""
    folder = tmp_path_factory.mktemp("story")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "ckpt_migrate", "demo", "my demo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # A machine that others use makes the wall clock tell of them; on one of its own the story hardly ever waits.
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return " ".join(done.stdout.split()), done.stderr, cpu_s, folder


def test_the_command_runs_the_whole_story_in_a_minute(told: tuple[str, str, float, Path]) -> None:
    text, errors, seconds, folder = told
    assert seconds < 60
    assert "WRONG" not in text
    assert "Traceback" not in errors
    assert os.listdir(folder) == ["my demo"]
    assert sorted(os.listdir(folder / "my demo")) == [
        "checkpoints",
        "configs",
        "mlflow.db",
        "mlruns",
        "plan.yaml",
    ]


def test_the_tool_gets_the_demo_right(told: tuple[str, str, float, Path]) -> None:
    """Nineteen renames, all of them right; the zone is found; what nobody can know is left alone."""
    text = told[0]
    assert "Europe/Berlin" in text
    assert "19 renamed rightly, 0 wrongly" in text
    assert "1 current, 1 dashed, 1 deleted, 1 orphan, 1 stale manifest, 2 twin" in text
    assert text.count("Proof: ") == 2
