"""Logs of the past: where they are found, how they stand, and what they stand in the way of."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from trees import Tree, facts, make_tree, run_id, stamp

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import (
    EXIT_USAGE,
    ExecutionError,
    JournalError,
    LockedError,
    PlanAppliedError,
    UnfinishedError,
    UsageError,
)
from ckpt_migrate.executor.lock import hold
from ckpt_migrate.journal.logs import find_logs, latest_log
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.recipe import Recipe


@pytest.fixture
def two(tmp_path: Path) -> Tree:
    """Return a tree of two roots with two directories each."""
    tree = make_tree(tmp_path / "project", "a/checkpoints", "b/checkpoints")
    for number in range(4):
        tree.add(number, root=tree.roots[number % 2])
    tree.settle()
    tree.refresh()
    return tree


def _fail_at(monkeypatch: pytest.MonkeyPatch, plan: Plan, recipe: Recipe, *, rename: int) -> str:
    real, calls = storage.rename_noreplace, 0

    def fail(source: str, target: str) -> None:
        nonlocal calls
        calls += 1
        if calls == rename:
            raise OSError(5, "Input/output error")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "rename_noreplace", fail)
        with pytest.raises(ExecutionError) as caught:
            apply_plan(plan, recipe)
    assert caught.value.where is not None
    return caught.value.where


def test_a_log_goes_through_its_states(small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = small.plan()
    log = _fail_at(monkeypatch, plan, recipe, rename=2)
    seen = [find_logs(str(small.root))[0].state.value]
    apply_plan(plan, recipe)
    seen.append(find_logs(str(small.root))[0].state.value)
    obstacle = small.root / small.entries[0].checkpoint.rpartition("/")[2]
    obstacle.mkdir()
    roll_back(log)
    seen.append(find_logs(str(small.root))[0].state.value)
    obstacle.rmdir()
    roll_back(log)
    (summary,) = find_logs(str(small.root))
    assert [*seen, summary.state.value] == ["unfinished", "finished", "partly rolled back", "rolled back"]
    assert (summary.path, summary.plan_digest, summary.plan_path) == (log, plan.digest, plan.path)
    assert (summary.renamed, summary.repaired, summary.skipped, summary.damage) == (3, 0, 0, ())
    assert summary.started is not None
    assert summary.started.utcoffset() is not None
    assert summary.id == os.path.basename(log)[: -len(".jsonl")]


def test_several_roots_have_one_log_that_each_of_them_knows(two: Tree, recipe: Recipe) -> None:
    before = two.snapshot()
    log = apply_plan(two.plan(), recipe).log
    assert log is not None
    assert log.startswith(str(two.roots[0]))
    assert [find_logs(str(root))[0].path for root in two.roots] == [log, log]
    pointer = two.roots[1] / ".ckpt-migrate" / os.path.basename(log)
    assert pointer.read_bytes().count(b"\n") == 1
    assert roll_back(str(pointer)).is_complete
    assert two.snapshot() == before


def test_an_unfinished_apply_is_seen_from_every_root(
    two: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a plan that is about the other root alone; the commands lead to the one log."""
    log = _fail_at(monkeypatch, two.plan(), recipe, rename=1)
    second = [entry for entry in two.entries if entry.root.startswith("b")]
    with pytest.raises(UnfinishedError) as caught:
        apply_plan(two.plan(second), recipe)
    assert caught.value.where == log
    assert roll_back(log).is_complete
    apply_plan(two.plan(second), recipe)


def test_a_log_whose_root_is_gone_is_not_passed_over(
    two: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_at(monkeypatch, two.plan(), recipe, rename=1)
    two.roots[0].rename(two.folder / "unmounted")
    second = [entry for entry in two.entries if entry.root.startswith("b")]
    with pytest.raises(UnfinishedError, match="lies in another root, and is not there"):
        apply_plan(two.plan(second), recipe)
    assert find_logs(str(two.roots[1]))[0].state.value == "unreachable"


def test_all_roots_are_locked(two: Tree, recipe: Recipe) -> None:
    for root in two.roots:
        (root / ".ckpt-migrate").mkdir()
    for root in two.roots:
        with hold([str(root)]), pytest.raises(LockedError) as caught:
            apply_plan(two.plan(), recipe)
        assert caught.value.where == str(root)


def test_work_in_a_root_above_or_below_is_seen(tree: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """`checkpoints` and `checkpoints/phase2` are the same directories; a log and a lock of one count for the other."""
    tree.add(0)
    tree.add(1)
    above = tree.root.parent
    wide = [replace(entry, root="checkpoints") for entry in tree.entries]
    log = _fail_at(monkeypatch, tree.plan(wide), recipe, rename=1)
    assert log.startswith(str(above / ".ckpt-migrate"))
    with pytest.raises(UnfinishedError):
        apply_plan(tree.plan(), recipe)
    roll_back(log)
    with hold([str(above)]), pytest.raises(LockedError):
        apply_plan(tree.plan(), recipe)
    log = _fail_at(monkeypatch, tree.plan(), recipe, rename=1)
    with pytest.raises(UnfinishedError):
        apply_plan(tree.plan(wide), recipe)
    assert log.startswith(str(tree.root / ".ckpt-migrate"))


def test_the_latest_log_is_found_at_or_below_a_folder(tmp_path: Path, recipe: Recipe) -> None:
    trees = [make_tree(tmp_path / name) for name in ("one", "two")]
    logs = []
    for number, tree in enumerate(trees):
        tree.add(number)
        log = apply_plan(tree.plan(), recipe).log
        assert log is not None
        logs.append(log)
    assert latest_log(str(tmp_path)) == logs[1]
    assert latest_log(str(tmp_path / "one")) == logs[0]
    assert latest_log(str(trees[0].root)) == logs[0]
    newer = "99990101T000000Z-00000000.jsonl"
    inside = trees[0].root / f"{run_id(0)}_{stamp(0)}" / ".ckpt-migrate"
    snapshot = tmp_path / "one" / ".snapshot" / "hourly" / ".ckpt-migrate"
    hidden = tmp_path / "one" / ".cache" / "p2" / ".ckpt-migrate"
    for folder, is_seen in ((inside, False), (snapshot, False), (hidden, True)):
        folder.mkdir(parents=True)
        shutil.copy(logs[1], folder / newer)
        assert latest_log(str(tmp_path / "one")) == (str(folder / newer) if is_seen else logs[0])


def test_no_log_at_all_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no log of an apply") as caught:
        latest_log(str(tmp_path))
    assert caught.value.exit_code == EXIT_USAGE
    assert find_logs(str(tmp_path)) == ()


def test_a_log_that_cannot_be_read_is_listed_and_blocks(small: Tree, recipe: Recipe) -> None:
    """What is not understood may be unfinished work; it is never passed over in silence."""
    state = small.root / ".ckpt-migrate"
    state.mkdir()
    (state / "20260201T000000Z-00000000.jsonl").write_bytes(b"garbage\n")
    (summary,) = find_logs(str(small.root))
    assert summary.state.value == "unreadable"
    assert summary.damage
    with pytest.raises(JournalError):
        apply_plan(small.plan(), recipe)


def test_a_log_of_a_newer_version_is_refused_not_misread(small: Tree, recipe: Recipe) -> None:
    from ckpt_migrate.journal.line import encode  # noqa: PLC0415 - one user

    log = apply_plan(small.plan(), recipe).log
    assert log is not None
    with open(log, "rb") as file:
        lines = file.read().splitlines()
    import json  # noqa: PLC0415 - one user

    header = json.loads(lines[0])
    del header["crc"]
    lines[0] = encode({**header, "format": 2}).encode()
    with open(log, "wb") as file:
        file.write(b"\n".join([*lines, b""]))
    with pytest.raises(JournalError, match="version of the tool"):
        roll_back(log)


def test_a_plan_made_in_memory_is_known_again(small: Tree, recipe: Recipe) -> None:
    """Without a file there is no digest of one; what the plan says stands for it."""
    apply_plan(replace(small.plan(), digest="", path=""), recipe)
    with pytest.raises(PlanAppliedError):
        apply_plan(replace(small.plan(), digest="", path=""), recipe)
    changed = {**small.runs, run_id(0): facts(run_id(0), name="other")}
    with pytest.raises(PlanAppliedError):
        apply_plan(replace(small.plan(), digest="", path="", runs=changed), recipe)
