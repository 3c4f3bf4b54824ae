"""The whole story on a real store: plan, apply and rollback change what they say, and rollback leaves no trace."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt_migrate import api
from ckpt_migrate.cli import run
from ckpt_migrate.demo import DemoWorld, Kind, build_demo
from ckpt_migrate.errors import EXIT_DONE, EXIT_UNDECIDED
from ckpt_migrate.records import STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = "checkpoints/phase2"
STORE = ("--tracking-uri", "sqlite:///mlflow.db")
STAMP_LENGTH = len("20260201_041227")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> DemoWorld:
    """A world with a SQLite store that MLflow wrote; tests work on copies."""
    return build_demo(str(tmp_path_factory.mktemp("built") / "demo"))


def copy_of(built: DemoWorld, folder: Path) -> DemoWorld:
    """Copy a world, times included."""
    shutil.copytree(built.folder, folder, symlinks=True)
    return dataclasses.replace(
        built, folder=str(folder), root=str(folder / ROOT), tracking_uri=f"sqlite:///{folder}/mlflow.db"
    )


@pytest.fixture
def world(built: DemoWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DemoWorld:
    """A copy, in whose folder the test stands."""
    made = copy_of(built, tmp_path.resolve() / "demo")
    monkeypatch.chdir(made.folder)
    return made


def snapshot(folder: str) -> dict[str, tuple[object, ...]]:
    """Return names, kinds, bytes, modes, inodes of directories and times below a folder; not the tool's own state."""
    return dict(_describe(folder))


def _describe(folder: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != STATE_DIRECTORY)
        for path in [base, *(os.path.join(base, name) for name in (*folders, *files))]:
            status = os.lstat(path)
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = Path(path).read_bytes()
            inode = status.st_ino if stat.S_ISDIR(status.st_mode) else None
            yield os.path.relpath(path, folder), (oct(status.st_mode), inode, content, status.st_mtime_ns)


def test_planning_and_dry_runs_change_nothing(world: DemoWorld) -> None:
    before = snapshot(world.folder)
    assert run(["scan", ROOT]) == EXIT_DONE
    assert run(["plan", ROOT, *STORE, "-o", "-"]) == EXIT_UNDECIDED
    assert run(["verify", ROOT, *STORE]) == EXIT_UNDECIDED
    assert run(["find", "ac7c134d", "--root", ROOT, *STORE]) == EXIT_UNDECIDED
    assert snapshot(world.folder) == before
    assert run(["plan", ROOT, *STORE]) == EXIT_UNDECIDED
    assert run(["apply", "plan.yaml", "--dry-run"]) == EXIT_DONE
    assert run(["show", "plan.yaml"]) == EXIT_DONE
    os.unlink("plan.yaml")
    after = snapshot(world.folder)
    assert {path for path in before if before[path] != after[path]} == {"."}  # the plan came and went


def test_apply_renames_every_directory_to_its_true_run_and_rollback_leaves_no_trace(world: DemoWorld) -> None:
    run(["plan", ROOT, *STORE])
    before = snapshot(world.root)
    order = sorted(os.listdir(world.root), key=lambda name: os.lstat(os.path.join(world.root, name)).st_mtime_ns)
    assert run(["apply", "plan.yaml", "--yes"]) == EXIT_DONE
    by_inode = {entry[1]: path for path, entry in before.items() if entry[1] is not None}
    renamed = {
        by_inode[entry[1]]: path
        for path, entry in snapshot(world.root).items()
        if entry[1] is not None and by_inode[entry[1]] != path and "/" not in path
    }
    for old, new in renamed.items():
        assert new == f"{world.truth[old]}_{old[-STAMP_LENGTH:]}"
    matched = {Kind.PLAIN, Kind.SWEEP, Kind.CRASHED, Kind.RESUMED}
    assert set(renamed) == {checkpoint.name for kind in matched for checkpoint in world.of_kind(kind)}
    names = {new: old for old, new in renamed.items()}
    listed = sorted(
        (name for name in os.listdir(world.root) if name != STATE_DIRECTORY),
        key=lambda name: os.lstat(os.path.join(world.root, name)).st_mtime_ns,
    )
    assert [names.get(name, name) for name in listed] == order
    assert run(["rollback", "latest", "--yes"]) == EXIT_DONE
    assert snapshot(world.root) == before


def test_a_plan_applied_rolled_back_and_made_again_is_the_same_plan(world: DemoWorld) -> None:
    first = api.plan(ROOT, tracking_uri="sqlite:///mlflow.db", output="plan.yaml")
    api.rollback(str(api.apply("plan.yaml").log))
    again = api.plan(ROOT, tracking_uri="sqlite:///mlflow.db", output="plan.yaml")
    assert dataclasses.replace(again.plan, created="") == dataclasses.replace(first.plan, created="")
    assert world.root.endswith(ROOT)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_person_decides_rollback_is_its_exact_undo(
    built: DemoWorld, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Actions and runs are chosen at random, as far as the reader takes them."""
    world = copy_of(built, tmp_path_factory.mktemp("decided").resolve() / "demo")
    chance = random.Random(seed)  # noqa: S311 - choices, no secret
    plan = Path(world.folder, "plan.yaml")
    api.plan(world.root, tracking_uri=world.tracking_uri, output=plan)
    data = yaml.safe_load(plan.read_text(encoding="utf-8"))
    free = sorted(set(data["runs"]) - {entry["run_id"] for entry in data["entries"]})
    chance.shuffle(free)
    for entry in data["entries"]:
        if chance.random() < 0.4:
            entry["action"] = "skip"
        elif entry["run_id"] is None and free:
            entry |= {"action": "rename", "run_id": free.pop()}
    plan.write_text(yaml.safe_dump(data, sort_keys=chance.random() < 0.5), encoding="utf-8")
    before = snapshot(world.root)
    result = api.apply(plan)
    wanted = [entry["action"] for entry in data["entries"]]
    assert (result.renamed, result.repaired) == (wanted.count("rename"), wanted.count("repair"))
    if result.log is not None:
        assert api.rollback(result.log).is_complete
    assert snapshot(world.root) == before


def test_after_a_migration_the_tree_tells_its_runs_without_the_tool(world: DemoWorld) -> None:
    run(["plan", ROOT, *STORE])
    run(["apply", "plan.yaml", "--yes"])
    for checkpoint in world.of_kind(Kind.PLAIN):
        (name,) = [name for name in os.listdir(world.root) if name.startswith(f"{checkpoint.run_id}_")]
        pointer = Path(world.root, name, "MLFLOW_RUN_ID.txt").read_text(encoding="utf-8")
        assert pointer.startswith(f"MLflow Run ID: {checkpoint.run_id}\nCheckpoint Dir: {ROOT}/{name}\n")
        readme = Path(world.root, name, "README.md").read_text(encoding="utf-8")
        assert "This ensures the checkpoint directory and MLflow run are easily matched!" in readme
    left = api.verify(ROOT, tracking_uri="sqlite:///mlflow.db").verification
    undecided = {Kind.TWIN, Kind.ORPHAN, Kind.DELETED}
    assert {os.path.basename(finding.path) for finding in left.findings} == {
        checkpoint.name for kind in undecided for checkpoint in world.of_kind(kind)
    }
