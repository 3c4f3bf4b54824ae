"""Kills at system calls, torn and damaged logs: what is found afterwards is continued or undone exactly.

The slice here is small; `trees.crash` run as a program kills at every call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from trees import faults, make_tree, power
from trees.crash import SCENARIOS, Point, campaign, kill_at, make_world, start

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import CkptMigrateError, JournalError, UnfinishedError
from ckpt_migrate.journal.extent import path_of
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.journal.logs import find_logs
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from trees import Tree

    from ckpt_migrate.recipe import Recipe

has_strace = shutil.which("strace") is not None and (
    subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], check=False, capture_output=True).returncode == 0
)
needs_strace = pytest.mark.skipif(not has_strace, reason="strace is missing or may not trace here")


@needs_strace
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_call_is_recovered_exactly(tmp_path: Path, scenario: str) -> None:
    """A slice of the campaign: every 31st call that changes something, in each of the four scenarios."""
    kills = 0
    for label, point, difference in campaign(tmp_path / "crash", step=31, scenarios=(scenario,)):
        kills += 1
        assert not difference, f"{label}, killed at {point}:\n{difference}"
    assert kills >= 2


@needs_strace
@pytest.mark.parametrize(("number", "most_operations"), [(300, 1300), (772, 30)])
def test_a_kill_in_a_large_group_is_recovered(
    tmp_path: Path, recipe: Recipe, number: int, most_operations: int
) -> None:
    """In the first group of 256, and in the one after it: what was marked done is not done again."""
    tree = start(tmp_path / "crash", lambda folder: _wide(folder, 260))
    before = tree.snapshot()
    kill_at("apply", tmp_path / "crash", Point("renameat2", number))
    result = apply_plan(tree.plan(), recipe)
    assert (result.was_continued, result.renamed) == (True, 260)
    assert len(result.operations) < most_operations
    assert result.log is not None
    assert roll_back(result.log).is_complete
    assert tree.snapshot() == before


def test_a_power_cut_is_recovered_exactly(tmp_path: Path) -> None:
    """A slice of the other campaign: the image under a mounted ext4, copied while apply and rollback are at work."""
    reason = power.lack(tmp_path, power.ORDERED) if os.geteuid() == 0 else "only the superuser may mount"
    if reason:
        pytest.skip(reason)
    cuts = 0
    for label, number, difference in power.campaign(tmp_path, step=50):
        cuts += 1
        assert not difference, f"{label}, power cut before call {number}:\n{difference}"
    assert cuts >= 5


@needs_strace
def test_a_system_call_that_fails_is_recovered_exactly(tmp_path: Path) -> None:
    """A slice of the third: one real call of an apply, a continuation or a rollback fails, here every 97th."""
    failed = 0
    for label, point, difference in faults.campaign(tmp_path / "faults", step=97, errors=("EIO", "ENOSPC")):
        failed += 1
        assert not difference, f"{label}, failed at {point}:\n{difference}"
    assert failed >= 4


def _wide(folder: Path, count: int) -> Tree:
    tree = make_tree(folder)
    for number in range(count):
        tree.add(number, files={"model.pt": b"w"})
    tree.settle()
    tree.refresh()
    return tree


@pytest.fixture
def cut_short(tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> tuple[Tree, str, dict[str, object]]:
    """Return a tree whose apply was cut short in the middle, its log, and how the tree was before."""
    tree = make_world(tmp_path / "project")
    before = tree.snapshot()
    _crash_at(tree, recipe, monkeypatch, rename=11)
    return tree, find_logs(str(tree.root))[0].path, before


class CrashError(BaseException):
    """Ends a run where it stands, as a kill would."""


def _crash_at(tree: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, *, rename: int) -> None:
    real, calls = storage.rename_noreplace, 0

    def crash(source: str, target: str) -> None:
        nonlocal calls
        calls += 1
        if calls == rename:
            raise CrashError
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "rename_noreplace", crash)
        with pytest.raises(CrashError):
            apply_plan(tree.plan(), recipe)


def test_a_dry_run_tells_what_ending_it_will_do(cut_short: tuple[Tree, str, dict[str, object]], recipe: Recipe) -> None:
    """After a crash, too, a dry run changes nothing and lists exactly what the real one does, leftovers included."""
    tree, log, before = cut_short
    now = tree.snapshot()
    undo = roll_back(log, is_dry_run=True)
    dry = apply_plan(tree.plan(), recipe, is_dry_run=True)
    assert tree.snapshot() == now
    assert any(step.verb == "remove leftover" for step in dry.operations)
    assert dry.was_continued
    assert roll_back(log).operations == undo.operations
    assert tree.snapshot() == before


def test_continuing_does_what_its_dry_run_told(cut_short: tuple[Tree, str, dict[str, object]], recipe: Recipe) -> None:
    tree, _, _ = cut_short
    dry = apply_plan(tree.plan(), recipe, is_dry_run=True)
    assert apply_plan(tree.plan(), recipe).operations == dry.operations


def _read(log: str) -> tuple[bytes, bytes]:
    """Return the bytes of a log and of its extent."""
    return Path(log).read_bytes(), Path(path_of(log)).read_bytes()


def _write(log: str, data: bytes, extent: bytes) -> None:
    Path(log).write_bytes(data)
    Path(path_of(log)).write_bytes(extent)


def test_a_log_that_lost_its_end_is_never_taken_for_a_whole_one(tmp_path: Path, recipe: Recipe) -> None:
    """Cut at any record of a finished apply, or in one: it is listed as incomplete, and stands in the way of others.

    Rollback brings back what is known and says that it is not all, twice as well; by nothing at all it refuses.
    """
    tree = _wide(tmp_path / "project", 4)
    before = tree.snapshot()
    other = tree.plan(tree.entries[:1])
    log = apply_plan(tree.plan(), recipe).log
    assert log is not None
    whole, extent = _read(log)
    after = tree.snapshot()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    refused = 0
    for length in [0, 30, *ends[:-1], *(end + 9 for end in ends[:-1])]:
        _write(log, whole[:length], extent)
        assert find_logs(str(tree.root))[0].state is LogState.INCOMPLETE, length
        for plan in (tree.plan(), other):
            with pytest.raises((JournalError, UnfinishedError), match=r"damaged|incomplete"):
                apply_plan(plan, recipe)
        assert tree.snapshot() == after
        if '"intent"' in whole[: max(end for end in (0, *ends) if end <= length)].decode():
            for _ in range(2):
                result = roll_back(log)
                assert not result.is_complete, length
                assert result.damage, length
        else:
            refused += 1
            with pytest.raises(JournalError, match="nothing that is left of it says what was changed") as caught:
                roll_back(log)
            assert tree.plan().path in str(caught.value) or length < ends[0]
            assert tree.snapshot() == after
        _write(log, whole, extent)
        assert roll_back(log).is_complete
        assert tree.snapshot() == before, length
        Path(log).unlink()
        log = str(apply_plan(tree.plan(), recipe).log)
        (whole, extent), after = _read(log), tree.snapshot()
    assert 3 <= refused < len(ends)


def test_what_a_rollback_wrote_may_be_lost(tmp_path: Path, recipe: Recipe) -> None:
    """The apply's own records are enough to tell that all is back; a copy of the log from before does for an undo."""
    tree = _wide(tmp_path / "project", 3)
    before = tree.snapshot()
    log = apply_plan(tree.plan(), recipe).log
    assert log is not None
    whole, _ = _read(log)
    assert roll_back(log).is_complete
    Path(log).write_bytes(whole)
    assert find_logs(str(tree.root))[0].state is LogState.INCOMPLETE
    for _ in range(2):
        assert roll_back(log).is_complete
    assert tree.snapshot() == before
    assert find_logs(str(tree.root))[0].state is LogState.ROLLED_BACK


def test_every_flipped_byte_of_a_log_is_survived(
    cut_short: tuple[Tree, str, dict[str, object]], recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback by a damaged log brings back all that is still known, says what is not, and overruns nothing.

    It never says that all is back when it is not. Continuing by a damaged log is refused.
    """
    tree, log, before = cut_short
    whole, extent = _read(log)
    refused = partial = complete = 0
    for position in range(0, len(whole), 499):
        flipped = whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :]
        with open(log, "wb") as file:
            file.write(flipped)
        with pytest.raises((JournalError, UnfinishedError)):
            apply_plan(tree.plan(), recipe)
        refused += 1
        result = roll_back(log)
        is_back = tree.snapshot() == before
        assert not result.is_complete or is_back, position
        partial += not result.is_complete
        complete += result.is_complete
        assert result.is_complete or result.damage, position
        # The whole log, put back with its extent, then brings back the rest.
        _write(log, whole, extent)
        assert roll_back(log).is_complete, position
        assert tree.snapshot() == before, position
        os.unlink(log)
        _crash_at(tree, recipe, monkeypatch, rename=11)
        log = find_logs(str(tree.root))[0].path
        whole, extent = _read(log)
    assert partial > 10
    assert refused == partial + complete


def test_every_prefix_of_a_log_that_was_not_acted_upon_can_be_continued(
    tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut while a group's intents are written leaves any part of them, and nothing of it was done.

    The first ones of a swap without the second must not be taken for work begun.
    """
    tree = make_world(tmp_path / "project")
    before = tree.snapshot()
    _crash_at(tree, recipe, monkeypatch, rename=1)
    log = find_logs(str(tree.root))[0].path
    whole, _ = _read(log)
    lines = whole.splitlines(keepends=True)
    lengths = [sum(map(len, lines[:count])) + extra for count in range(len(lines)) for extra in (0, 40)]
    for length in lengths:
        _write(log, whole[:length], b"")
        assert tree.snapshot() == before
        result = apply_plan(tree.plan(), recipe)
        assert result.log is not None
        assert roll_back(result.log).is_complete, length
        assert tree.snapshot() == before, length
        for summary in find_logs(str(tree.root)):
            os.unlink(summary.path)


def test_a_finished_log_with_a_damaged_line_still_undoes_the_rest(tmp_path: Path, recipe: Recipe) -> None:
    """The line is named, the directory it was about keeps its new name, all others go back."""
    tree = _wide(tmp_path / "project", 5)
    log = apply_plan(tree.plan(), recipe).log
    assert log is not None
    with open(log, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if b'"item":2' in line)
    lines[number] = lines[number].replace(b'"item":2', b'"item":7')
    with open(log, "wb") as file:
        file.write(b"".join(lines))
    summary = find_logs(str(tree.root))[0]
    assert summary.damage == (f"line {number + 1}: damaged; what was recorded there is not known",)
    result = roll_back(log)
    assert (len(result.restored), result.is_complete, result.damage) == (4, False, summary.damage)
    assert os.path.exists(tree.plan().absolute(tree.entries[2].target or ""))


def test_a_damaged_header_does_not_stop_an_undo(tmp_path: Path, recipe: Recipe) -> None:
    tree = _wide(tmp_path / "project", 3)
    before = tree.snapshot()
    log = apply_plan(tree.plan(), recipe).log
    assert log is not None
    with open(log, "r+b") as file:
        file.seek(5)
        file.write(b"#")
    result = roll_back(log)
    assert len(result.restored) == 3
    assert not result.is_complete
    assert tree.snapshot() == before


def test_a_killed_process_leaves_no_lock(tmp_path: Path, recipe: Recipe) -> None:
    """Even a process that was killed while it held the lock."""
    if not has_strace:
        pytest.skip("strace is missing or may not trace here")
    tree = start(tmp_path / "crash", make_world)
    kill_at("apply", tmp_path / "crash", Point("renameat2", 4))
    try:
        assert apply_plan(tree.plan(), recipe).was_continued
    except CkptMigrateError as error:
        pytest.fail(str(error))
