"""Failing system calls, newcomers in the gap between check and change, and other processes at the same time."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from trees import run_id, stamp, uid
from trees.crash import IMPORT_FROM, make_world

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import CkptMigrateError, ExecutionError, LockedError, PlanAppliedError
from ckpt_migrate.executor import batches, groups
from ckpt_migrate.journal.logs import find_logs, latest_log
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trees import Tree

    from ckpt_migrate.recipe import Recipe

PRIMITIVES = (
    "rename_noreplace", "exchange", "stage_file", "sync_file", "remove_file", "set_times", "sync_directory", "append",
    "sync_log",
)  # fmt: skip


class Failing:
    """Makes the n-th call of a primitive fail, and all later ones when it is for good; `is_done` after it was made."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        *,
        at: int,
        number: int,
        is_for_good: bool,
        is_done: bool = False,
    ) -> None:
        self.calls = 0
        real: Callable[..., Any] = getattr(storage, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == at or (is_for_good and self.calls > at):
                if is_done:
                    real(*args, **kwargs)
                raise OSError(number, os.strerror(number), str(args[0]))
            return real(*args, **kwargs)

        monkeypatch.setattr(storage, name, call)


@pytest.fixture
def world(tmp_path: Path) -> Tree:
    """Return one of each: plain, others' manifests, linked manifests, a chain, a swap, a repair."""
    return make_world(tmp_path / "project")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_failure_stops_with_the_commands_and_can_be_undone(
    world: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    """Whichever call fails: the error names it and both commands, and rollback gives the original state exactly."""
    before = world.snapshot()
    for at in (1, 2, 3, 5, 8, 13) if number == errno.EIO else (2, 7):
        with monkeypatch.context() as patch:
            failing = Failing(patch, name, at=at, number=number, is_for_good=at % 2 == 0)
            try:
                apply_plan(world.plan(), recipe)
            except ExecutionError as error:
                _assert_helpful(error, number)
        logs = find_logs(str(world.root))
        if logs:
            assert roll_back(logs[-1].path).is_complete, at
        world_now = world.snapshot()
        wrong = {key for key in before.keys() | world_now.keys() if before.get(key) != world_now.get(key)}
        if not logs or not failing.calls:
            wrong.discard(os.path.relpath(world.root, world.folder))
            world.settle()  # the root's own time is lost when not even that can be set
        assert wrong == set(), at


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_failure_can_be_continued(
    world: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Once the cause is gone, the same command ends what was begun, in the same log."""
    reference = make_world(tmp_path / "reference" / "project")
    apply_plan(reference.plan(), recipe)
    finished = reference.snapshot(with_inodes=False)
    with monkeypatch.context() as patch:
        at = 2 if name == "sync_log" else 4  # the first ones come before there is a log
        failing = Failing(patch, name, at=at, number=errno.EIO, is_for_good=True)
        with pytest.raises(ExecutionError):
            apply_plan(world.plan(), recipe)
    assert failing.calls >= at
    result = apply_plan(world.plan(), recipe)
    assert result.was_continued
    assert world.snapshot(with_inodes=False) == finished
    assert len(find_logs(str(world.root))) == 1


@pytest.mark.parametrize("name", PRIMITIVES)
def test_what_was_done_and_reported_as_failed_is_known_for_done(world: Tree, recipe: Recipe, name: str) -> None:
    """A file server whose answer got lost, asked again, says that it failed: no such file, or a name that is taken.

    In apply and in rollback; both endings are exact.
    """
    before = world.snapshot()
    for at in (2, 9):
        for phase, ending in (("apply", "continue"), ("apply", "rollback"), ("rollback", "rollback")):
            log = apply_plan(world.plan(), recipe).log if phase == "rollback" else None
            with pytest.MonkeyPatch.context() as patch:
                Failing(patch, name, at=at, number=errno.ENOENT, is_for_good=False, is_done=True)
                with contextlib.suppress(ExecutionError):
                    if log is None:
                        apply_plan(world.plan(), recipe)
                    else:
                        roll_back(log)
            if ending == "continue":
                with contextlib.suppress(PlanAppliedError):
                    apply_plan(world.plan(), recipe)
            for each in find_logs(str(world.root)):
                assert roll_back(each.path).is_complete, (at, phase, ending)
                os.unlink(each.path)
            assert world.snapshot() == before, (at, phase, ending)


def _assert_helpful(error: ExecutionError, number: int) -> None:
    text = str(error)
    assert os.strerror(number) in text
    if error.where is not None and error.where.endswith(".jsonl"):
        assert "ckpt-migrate apply " in text
        assert f"ckpt-migrate rollback {error.where}" in text
        assert "operations were done" in text or "nothing was changed" in text
    else:
        assert "no checkpoint was changed" in text or "nothing was changed" in text


@pytest.mark.parametrize("kind", ["file", "empty directory", "dangling link"])
@pytest.mark.parametrize("has_flags", [True, False])
def test_a_newcomer_between_check_and_rename_is_not_lost(
    small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, kind: str, *, has_flags: bool
) -> None:
    """It appears under the new name at the last moment: it stays, the apply stops, the undo is exact."""
    target = small.root / f"{run_id(1)}_{stamp(1)}"
    real = storage.rename_noreplace
    if not has_flags:
        monkeypatch.setattr(storage, "_rename_with", lambda *_: False)

    def race(source: str, new: str) -> None:
        if new == str(target):
            if kind == "file":
                target.write_bytes(b"precious")
            elif kind == "dangling link":
                target.symlink_to("nowhere")
            else:
                target.mkdir()
        real(source, new)

    before = small.snapshot()
    with monkeypatch.context() as patch:
        patch.setattr(storage, "rename_noreplace", race)
        with pytest.raises(ExecutionError, match="File exists") as caught:
            apply_plan(small.plan(), recipe)
    assert os.path.lexists(target)
    assert caught.value.where is not None
    assert roll_back(caught.value.where).is_complete
    if kind == "empty directory":
        target.rmdir()
    else:
        target.unlink()
    os.utime(small.root, ns=(0, int(str(before["checkpoints/phase2"][5]))))  # type: ignore[index] # a tuple, see trees
    assert small.snapshot() == before


@pytest.mark.parametrize("can_exchange", [True, False])
def test_an_edit_between_check_and_replacement_is_not_lost(
    small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, *, can_exchange: bool
) -> None:
    """Somebody saves README.md at the last moment: his text is in its place afterwards, and rollback leaves it."""
    readme = small.root / f"{run_id(1)}_{stamp(1)}" / "README.md"
    real = groups._publish
    if not can_exchange:
        monkeypatch.setattr(storage, "exchange", lambda *_: False)

    def race(operation: Any) -> None:
        if operation.path == str(readme):
            readme.write_bytes(b"saved at the last moment")
        real(operation)

    with monkeypatch.context() as patch:
        patch.setattr(groups, "_publish", race)
        with pytest.raises(ExecutionError, match="edited in the meantime") as caught:
            apply_plan(small.plan(), recipe)
    assert readme.read_bytes() == b"saved at the last moment"
    assert caught.value.where is not None
    result = roll_back(caught.value.where)
    old = small.root / f"{uid(1)}_{stamp(1)}"
    assert result.edited == (f"{old / 'README.md'}: edited since",)
    assert (old / "README.md").read_bytes() == b"saved at the last moment"
    assert sorted(os.listdir(old)) == ["README.md", "model.pt"]


def test_a_directory_swapped_at_the_last_moment_is_put_back(
    small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = small.root / f"{uid(1)}_{stamp(1)}"
    real = storage.rename_noreplace

    def race(one: str, other: str) -> None:
        if one == str(source) and not (small.folder / "taken").exists():
            source.rename(small.folder / "taken")
            source.mkdir()
        real(one, other)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "rename_noreplace", race)
        with pytest.raises(ExecutionError, match="another directory has taken its place"):
            apply_plan(small.plan(), recipe)
    assert list(source.iterdir()) == []
    assert (small.folder / "taken" / "model.pt").exists()


@pytest.mark.parametrize("has_manifests", [True, False])
def test_a_directory_changed_after_the_check_stops_the_apply(
    small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, *, has_manifests: bool
) -> None:
    """Each directory is looked at once more just before its group is logged, by recipes without manifests as well."""
    if not has_manifests:
        recipe = replace(recipe, manifests=())
    real = storage.append
    late = small.root / f"{uid(2)}_{stamp(2)}" / "late.ckpt"

    def append(handle: int, data: bytes) -> None:
        if not late.exists():
            late.write_bytes(b"x")
        real(handle, data)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "append", append)
        with pytest.raises(ExecutionError, match="changed since it was checked") as caught:
            apply_plan(small.plan(), recipe)
    assert "nothing was changed in this run" in str(caught.value)


def test_without_renameat2_all_is_the_same(world: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that knows neither a refusing rename nor an exchange (NFS), the promises hold all the same."""
    monkeypatch.setattr(storage, "_rename_with", lambda *_: False)
    before = world.snapshot()
    result = apply_plan(world.plan(), recipe)
    assert result.log is not None
    assert roll_back(result.log).is_complete
    assert world.snapshot() == before


def test_a_claim_left_by_a_crash_is_swept(world: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where names are claimed first, a crash between claim and rename leaves an empty directory of mode 000."""
    before = world.snapshot()
    monkeypatch.setattr(storage, "_rename_with", lambda *_: False)

    class CrashError(BaseException):
        pass

    def crash(_: str, target: str) -> None:
        if stat.S_IMODE(os.lstat(target).st_mode) == storage.CLAIM_MODE:
            raise CrashError

    for ending in ("continue", "rollback"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", crash)
            with pytest.raises(CrashError):
                apply_plan(world.plan(), recipe)
        if ending == "continue":
            assert apply_plan(world.plan(), recipe).was_continued
        log = find_logs(str(world.root))[-1].path
        assert roll_back(log).is_complete
        assert world.snapshot() == before


APPLY = """
import pickle, sys
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import CkptMigrateError
from ckpt_migrate.recipe import load_recipe
with open(sys.argv[1], "rb") as file:
    plan = pickle.load(file)
sys.stdin.readline()
try:
    apply_plan(plan, load_recipe(), lock_timeout_s=float(sys.argv[2]))
except CkptMigrateError as error:
    print(type(error).__name__)
else:
    print("applied")
"""


@pytest.mark.parametrize("timeout_s", [0, 30])
def test_of_two_applies_at_once_one_is_refused(tree: Tree, recipe: Recipe, timeout_s: int) -> None:
    """Two processes, the same plan, the same moment: one applies, the other is told why not; nothing is done twice."""
    import pickle  # noqa: PLC0415 - one user

    for number in range(60):
        tree.add(number)
    tree.refresh()
    file = tree.folder / "plan.pickle"
    file.write_bytes(pickle.dumps(tree.plan()))
    command = [sys.executable, "-c", APPLY, str(file), str(timeout_s)]
    environment = {**os.environ, "PYTHONPATH": IMPORT_FROM}
    reader, writer = os.pipe()
    children = [
        subprocess.Popen(command, env=environment, stdin=reader, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    os.write(writer, b"\n" * 3 * 8192)
    said = sorted(child.communicate(timeout=60)[0].strip() for child in children)
    for end in (reader, writer):
        os.close(end)
    assert said.count("applied") == 1
    refusals = {"PlanAppliedError"} if timeout_s else {"LockedError", "PlanAppliedError", "DriftError"}
    assert set(said) - {"applied"} <= refusals
    assert len(find_logs(str(tree.root))) == 1
    with pytest.raises(PlanAppliedError):
        apply_plan(tree.plan(), recipe)


def test_a_rollback_does_not_run_into_an_apply(small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[CkptMigrateError] = []
    real = storage.sync_file

    def meanwhile(path: str) -> None:
        if not refused:
            log = find_logs(str(small.root))[-1].path
            try:
                roll_back(log)
            except LockedError as error:
                refused.append(error)
        real(path)

    monkeypatch.setattr(storage, "sync_file", meanwhile)
    apply_plan(small.plan(), recipe)
    assert len(refused) == 1
    assert f"process {os.getpid()}" in refused[0].what


@pytest.mark.parametrize("lost", ["lock", "log"])
def test_an_apply_that_loses_its_lock_or_log_stops_at_the_next_group(
    small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Somebody tidies up `.ckpt-migrate` meanwhile: no group is begun that nobody could undo."""
    monkeypatch.setattr(batches, "GROUP_SIZE", 1)
    state = small.root / ".ckpt-migrate"
    real = storage.sync_file

    def tidy(path: str) -> None:
        for file in state.glob("lock" if lost == "lock" else "*.jsonl"):
            file.rename(small.folder / "tidied")
        real(path)

    before = small.snapshot()
    with monkeypatch.context() as patch:
        patch.setattr(storage, "sync_file", tidy)
        with pytest.raises(ExecutionError, match=f"the {lost} was removed or replaced") as caught:
            apply_plan(small.plan(), recipe)
    assert "1 of them renames" in str(caught.value)
    (small.folder / "tidied").rename(state / ("lock" if lost == "lock" else os.path.basename(str(caught.value.where))))
    os.utime(small.folder, ns=(0, int(str(before["."][5]))))  # type: ignore[index] # a tuple, see trees
    assert apply_plan(small.plan(), recipe).was_continued
    assert roll_back(latest_log(str(small.root))).is_complete
    assert small.snapshot() == before


@pytest.mark.parametrize("ending", ["continue", "rollback"])
def test_a_disk_that_is_full_in_the_middle_of_a_record_can_be_ended_either_way(
    small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Each writing to the log in turn gets half of its bytes onto the disk, and the record of the stop follows."""
    before = small.snapshot()
    real = storage.append
    at = 0
    while True:
        at += 1
        calls = 0

        def full(handle: int, data: bytes, at: int = at) -> None:
            nonlocal calls
            calls += 1
            if calls == at:
                real(handle, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            real(handle, data)

        with monkeypatch.context() as patch:
            patch.setattr(storage, "append", full)
            try:
                apply_plan(small.plan(), recipe)
            except ExecutionError as error:
                assert "No space left" in str(error)  # noqa: PT017 - it does not come for good
            else:
                break
        (log,) = find_logs(str(small.root))
        assert log.damage == ()
        if ending == "continue":
            assert apply_plan(small.plan(), recipe).renamed == 3
        assert roll_back(latest_log(str(small.root))).is_complete
        assert small.snapshot() == before, at
        for each in find_logs(str(small.root)):  # two when not even the first record was whole
            os.unlink(each.path)
    assert at > 4


def test_in_a_thread_no_signal_handler_is_needed(small: Tree, recipe: Recipe) -> None:
    """Notebooks and servers call from threads, where Python lets nobody set handlers."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(apply_plan(small.plan(), recipe)))
    thread.start()
    thread.join()
    assert len(results) == 1
