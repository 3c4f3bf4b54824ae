"""Ctrl-C and polite kills: the first finishes its group, the second stops at once, both can be continued and undone."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from trees import LONG_AGO_NS, set_time
from trees.crash import make_world
from trees.power import called_before

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import EXIT_FAILED, ExecutionError, PlanAppliedError
from ckpt_migrate.executor import batches
from ckpt_migrate.journal.logs import find_logs
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from pathlib import Path

    from trees import Tree

    from ckpt_migrate.recipe import Recipe

COUNT = 6


@pytest.fixture
def many(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Return a tree of three groups of two."""
    monkeypatch.setattr(batches, "GROUP_SIZE", 2)
    for number in range(COUNT):
        tree.add(number)
    tree.settle()
    tree.refresh()
    return tree


def _send(monkeypatch: pytest.MonkeyPatch, number: int, *, times: int, at_rename: int) -> None:
    """Send this process a signal, once or twice, when it makes a certain rename."""
    real = storage.rename_noreplace
    renames = 0

    def rename(source: str, target: str) -> None:
        nonlocal renames
        renames += 1
        real(source, target)
        if renames == at_rename:
            for _ in range(times):
                os.kill(os.getpid(), number)

    monkeypatch.setattr(storage, "rename_noreplace", rename)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_finishes_the_group(
    many: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Two of six are done wholly, nothing lies half done, and the message has both commands."""
    before = many.snapshot()
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with monkeypatch.context() as patch:
        _send(patch, number, times=1, at_rename=1)
        with pytest.raises(ExecutionError, match=f"stopped by {number.name}") as caught:
            apply_plan(many.plan(), recipe)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    assert caught.value.exit_code == EXIT_FAILED
    log = caught.value.where
    assert log is not None
    assert f"ckpt-migrate apply {many.plan().path}" in str(caught.value)
    assert f"ckpt-migrate rollback {log}" in str(caught.value)
    assert "2 of them renames" in str(caught.value)
    done = [entry for entry in many.entries if os.path.exists(many.plan().absolute(entry.target or ""))]
    assert len(done) == 2
    for entry in done:
        assert {"README.md", "MLFLOW_RUN_ID.txt"} < set(os.listdir(many.plan().absolute(entry.target or "")))
    result = apply_plan(many.plan(), recipe)
    assert (result.was_continued, result.renamed, result.log) == (True, COUNT, log)
    assert roll_back(log).is_complete
    assert many.snapshot() == before


@pytest.mark.parametrize("ending", ["continue", "rollback"])
@pytest.mark.parametrize("at_rename", [1, 2, 3, 5, 8])
def test_the_second_signal_stops_at_once(
    many: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, ending: str, at_rename: int
) -> None:
    before = many.snapshot()
    with monkeypatch.context() as patch:
        _send(patch, signal.SIGINT, times=2, at_rename=at_rename)
        with pytest.raises(ExecutionError, match="stopped at once by SIGINT") as caught:
            apply_plan(many.plan(), recipe)
    if ending == "continue":
        assert apply_plan(many.plan(), recipe).was_continued
    assert caught.value.where is not None
    assert roll_back(caught.value.where).is_complete
    assert many.snapshot() == before


@pytest.mark.parametrize("phase", ["apply", "rollback"])
def test_the_second_signal_stops_at_once_wherever_it_comes(tmp_path: Path, recipe: Recipe, phase: str) -> None:
    """Two at every 19th step of a world with everything in it: whatever was being done, both endings are exact."""
    tree = make_world(tmp_path / "project")
    before = tree.snapshot()
    stopped = 0
    for at in itertools.count(9, 19):
        log = None if phase == "apply" else apply_plan(tree.plan(), recipe).log
        calls = 0

        def hook(at: int = at) -> None:
            nonlocal calls
            calls += 1
            if calls == at:
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGINT)

        with called_before(hook):
            try:
                if log is None:
                    apply_plan(tree.plan(), recipe)
                else:
                    roll_back(log)
            except ExecutionError as error:
                assert "stopped at once by SIGINT" in error.what  # noqa: PT017 - it does not come after the last
                stopped += 1
            except KeyboardInterrupt:
                pass  # before the first change Python itself stops it
        if log is None and stopped % 2 and find_logs(str(tree.root)):
            with contextlib.suppress(PlanAppliedError):
                apply_plan(tree.plan(), recipe)
        logs = find_logs(str(tree.root))
        for summary in logs:
            assert roll_back(summary.path).is_complete, at
            os.unlink(summary.path)
        if not logs:
            set_time(tree.root, LONG_AGO_NS)  # the exception that docs/safety.md names
        assert tree.snapshot() == before, at
        if calls < at:
            break
    assert stopped > 3


def test_a_rollback_is_interrupted_the_same_way(many: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    before = many.snapshot()
    log = apply_plan(many.plan(), recipe).log
    assert log is not None
    for times in (1, 2):
        with monkeypatch.context() as patch:
            _send(patch, signal.SIGTERM, times=times, at_rename=1)
            with pytest.raises(ExecutionError) as caught:
                roll_back(log)
        assert f"To go on: ckpt-migrate rollback {log}" in str(caught.value)
        assert find_logs(str(many.root))[-1].state.value == "rollback unfinished"
    assert roll_back(log).is_complete
    assert many.snapshot() == before


def test_what_is_ignored_stays_ignored(many: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """`nohup` works: a hang-up that is ignored does not stop an apply."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        _send(monkeypatch, signal.SIGHUP, times=1, at_rename=1)
        assert apply_plan(many.plan(), recipe).renamed == COUNT
    finally:
        signal.signal(signal.SIGHUP, previous)


SLOW = """
import pickle, sys, time
from ckpt_migrate import storage
from ckpt_migrate.executor import batches
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import ExecutionError
from ckpt_migrate.recipe import load_recipe
batches.GROUP_SIZE = 2
real = storage.rename_noreplace
def rename(source, target):
    real(source, target)
    print("renamed", flush=True)
    time.sleep(0.3)
storage.rename_noreplace = rename
with open(sys.argv[1], "rb") as file:
    plan = pickle.load(file)
try:
    apply_plan(plan, load_recipe())
except ExecutionError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_real_process_on_a_real_signal(many: Tree, recipe: Recipe) -> None:
    """From outside, as a user or a batch system does it."""
    import pickle  # noqa: PLC0415 - one user

    before = many.snapshot()
    file = many.folder.parent / "plan.pickle"
    plan = replace(many.plan(), path=str(many.folder / "my plan.yaml"))
    file.write_bytes(pickle.dumps(plan))
    child = subprocess.Popen([sys.executable, "-c", SLOW, str(file)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "renamed\n"
    child.send_signal(signal.SIGTERM)
    said = child.communicate(timeout=30)[0]
    assert child.returncode == EXIT_FAILED
    assert "stopped by SIGTERM" in said
    assert f"ckpt-migrate apply '{many.folder}/my plan.yaml'" in said
    log = find_logs(str(many.root))[0].path
    assert apply_plan(plan, recipe).was_continued
    assert roll_back(log).is_complete
    assert many.snapshot() == before
