"""What tests of several rooms share: a clean environment, and small projects on disk."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest
from commands import Ended, call
from hypothesis import settings
from project import Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A shell starts what it runs in the background with Ctrl-C ignored, and so would be all that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The machines that run this are shared: how long one example takes says nothing about the code.
settings.register_profile("shared machines", deadline=None)
settings.load_profile("shared machines")


@pytest.fixture(autouse=True)
def _without_the_users_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's MLflow settings and cache out, and telemetry off."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "DATABRICKS_", "CKPT_MIGRATE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without any checkpoint or run; the current folder is its folder."""
    made = Project(tmp_path.resolve() / "project")
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def project(empty_project: Project) -> Project:
    """A project with one checkpoint of every kind, and a link to the first.

    Trainings 0 and 1 are matched by their runs' names, 5 by time and params. 2 has a deleted run, 3 one that is
    RUNNING, 4 none at all. 6 is named after its run and has no manifests.
    """
    made = empty_project
    made.add(0)
    made.add(1)
    made.add(2, is_deleted=True)
    made.add(3, status="running")
    made.add_directory(made.training(4))
    made.add_directory(made.training(5))
    made.add_run(made.training(5))
    made.add_directory(made.training(6), made.training(6).target)
    made.add_run(made.training(6))
    made.link("checkpoints/phase2/latest", made.training(1).legacy)
    return made


@pytest.fixture
def ckpt(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command in this process; there is no terminal."""
    return partial(call, capsys)
