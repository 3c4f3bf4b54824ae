"""Apply: does what the plan says, in the order that the dry run prints, or refuses with every reason at once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import LONG_AGO_NS, Tree, make_tree, run_id, set_time, stamp, uid

from ckpt_migrate import manifest
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import (
    EXIT_UNDECIDED,
    DriftError,
    ExecutionError,
    PlanAppliedError,
    PlanError,
    UnfinishedError,
)
from ckpt_migrate.executor import batches
from ckpt_migrate.executor.filestate import FileState
from ckpt_migrate.executor.identity import Identity
from ckpt_migrate.executor.moves import order_moves, unit_renames
from ckpt_migrate.executor.operations import (
    Change,
    Operation,
    Rename,
    SetTimes,
    Sweep,
    WriteFile,
)
from ckpt_migrate.journal.logs import find_logs
from ckpt_migrate.plan.records import Action
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from ckpt_migrate.recipe import Recipe


def _all_times(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = os.lstat(path)
        found[str(path)] = (status.st_mtime_ns, status.st_ctime_ns)
    return found


def test_a_plan_is_carried_out(small: Tree, recipe: Recipe) -> None:
    """Each directory gets its new name and two right manifests; what it held, its own time and its parent's stay."""
    before = small.snapshot()
    result = apply_plan(small.plan(), recipe)
    assert (result.renamed, result.repaired, result.skipped, result.was_continued) == (3, 0, 0, False)
    after = small.snapshot()
    for number in range(3):
        old, new = (f"checkpoints/phase2/{kind(number)}_{stamp(number)}" for kind in (uid, run_id))
        assert old not in after
        assert after[new] == before[old]
        for path, state in before.items():
            if path.startswith(f"{old}/") and not path.endswith("README.md"):
                assert after[path.replace(old, new)] == state
        directory = small.folder / new
        name = recipe.target.parse(directory.name)
        assert name is not None
        assert manifest.check(str(directory), name, small.runs[run_id(number)], recipe) == ()
    assert after["checkpoints/phase2"] == before["checkpoints/phase2"]
    readme = (small.root / f"{run_id(1)}_{stamp(1)}" / "README.md").read_bytes()
    assert readme.startswith(b"my notes\nwithout end\n\n<!-- ckpt-migrate:begin -->\n")


def test_groups_of_names_alone_are_larger(
    tree: Tree, small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for the disk once a group, not once a directory; both ways, and with manifests groups stay small."""
    monkeypatch.setattr(batches, "GROUP_SIZE", 1)
    monkeypatch.setattr(batches, "NAMES_ONLY", 2)
    before = small.snapshot()
    numbers = {}
    for manifests in ((), recipe.manifests):
        log = apply_plan(tree.plan(), replace(recipe, manifests=manifests)).log
        assert log is not None
        assert roll_back(log).is_complete
        assert small.snapshot() == before
        numbers[len(manifests)] = Path(log).read_text(encoding="utf-8").count('"kind":"group"')
    assert numbers == {0: 4, len(recipe.manifests): 6}


def test_order_by_time_is_kept(tree: Tree, recipe: Recipe) -> None:
    """`ls -lt` and newest-file scripts see the same order as before: manifests bear their directory's time."""
    for number in (3, 1, 2, 0):
        tree.add(number)
    tree.refresh()
    old = sorted((os.stat(entry).st_mtime_ns, entry.name[32:]) for entry in os.scandir(tree.root))
    apply_plan(tree.plan(), recipe)
    shown = [entry for entry in os.scandir(tree.root) if not entry.name.startswith(".")]
    assert sorted((os.stat(entry).st_mtime_ns, entry.name[32:]) for entry in shown) == old
    for entry in shown:
        assert (Path(entry.path) / "README.md").stat().st_mtime_ns == entry.stat().st_mtime_ns


def test_a_dry_run_changes_nothing_and_tells_the_real_run(small: Tree, recipe: Recipe) -> None:
    """Not a byte, not a time stamp, no log folder; and the real run does exactly these operations in this order."""
    small.repair(7)
    small.add(8, old=f"{uid(8)}_{stamp(8)}", new=f"{uid(9)}_{stamp(8)}")
    small.add(9, old=f"{uid(9)}_{stamp(8)}", new=f"{uid(8)}_{stamp(8)}")
    before = _all_times(small.folder)
    dry = apply_plan(small.plan(), recipe, is_dry_run=True)
    assert _all_times(small.folder) == before
    assert dry.log is None
    assert dry.is_dry_run
    real = apply_plan(small.plan(), recipe)
    assert real.operations == dry.operations


def test_operations_know_their_reverse() -> None:
    """What a reverse shows is what undoing would show; twice reversed is the operation itself."""
    state = FileState(is_link=False, data=b"x", mode=0o644, uid=-1, gid=-1, atime_ns=1, mtime_ns=1)
    shown: dict[Operation, tuple[str, str]] = {
        Rename(0, "/a/x", "/a/y", 7): ("~ rename /a/x -> y", "~ rename /a/y -> x"),
        WriteFile(0, "/a/y", "f", "t", None, state): ("+ write /a/y/f", "- remove /a/y/f"),
        WriteFile(0, "/a/y", "f", "t", state, state): ("~ replace /a/y/f", "~ replace /a/y/f"),
        SetTimes(None, "/a", 10**18): ("= keep time of /a (2001-09-09 01:46:40 UTC)",) * 2,
        Sweep(0, "/a/t"): ("- remove leftover /a/t",) * 2,
    }
    for operation, lines in shown.items():
        steps = operation.step(), operation.reverse().step()
        assert tuple(f"{step.symbol} {step.describe()}" for step in steps) == lines
        assert operation.reverse().reverse() == operation


def test_a_plan_of_skips_makes_nothing(small: Tree, recipe: Recipe) -> None:
    entries = [replace(entry, action=Action.SKIP) for entry in small.entries]
    before = small.snapshot()
    result = apply_plan(small.plan(entries), recipe)
    assert (result.log, result.skipped, result.operations) == (None, 3, ())
    assert small.snapshot() == before
    assert not (small.root / ".ckpt-migrate").exists()


def test_a_repair_touches_only_what_is_wrong(tree: Tree, recipe: Recipe) -> None:
    """A right manifest of the training script stays as it is; one that is wrong is written."""
    path = tree.repair(1)
    tree.add(2)
    apply_plan(tree.plan(tree.entries[1:]), recipe)
    right = tree.root / f"{run_id(2)}_{stamp(2)}"
    (right / "README.md").unlink()
    set_time(right, LONG_AGO_NS)
    tree.entries.pop()
    tree.enter(right, right.name, action=Action.REPAIR)
    text_before = os.lstat(right / "MLFLOW_RUN_ID.txt")
    result = apply_plan(tree.plan(), recipe)
    assert result.repaired == 2
    assert os.lstat(right / "MLFLOW_RUN_ID.txt").st_ino == text_before.st_ino
    written = {step.path for step in result.operations if step.verb in {"write", "replace"}}
    assert written == {str(right / "README.md"), str(path / "README.md"), str(path / "MLFLOW_RUN_ID.txt")}


def test_a_plan_is_not_applied_twice(small: Tree, recipe: Recipe) -> None:
    result = apply_plan(small.plan(), recipe)
    for is_dry_run in (True, False):
        with pytest.raises(PlanAppliedError) as caught:
            apply_plan(small.plan(), recipe, is_dry_run=is_dry_run)
        assert caught.value.where == result.log
        assert f"ckpt-migrate rollback {result.log}" in (caught.value.remedy or "")


def test_after_a_rollback_a_plan_may_be_applied_again(small: Tree, recipe: Recipe) -> None:
    first = apply_plan(small.plan(), recipe)
    finished = small.snapshot()
    assert first.log is not None
    roll_back(first.log)
    second = apply_plan(small.plan(), recipe)
    assert second.log != first.log
    assert small.snapshot() == finished
    assert len(find_logs(str(small.root))) == 2


def test_linked_manifests_are_replaced_not_written_through(tree: Tree, recipe: Recipe) -> None:
    """The file that a link or hard link shares with others keeps its bytes; the text seen through a link is kept."""
    shared = tree.folder / "shared.md"
    shared.write_bytes(b"shared\n")
    linked = tree.add(1)
    (linked / "README.md").symlink_to(shared)
    hard = tree.add(2)
    os.link(shared, hard / "README.md")
    dangling = tree.add(3)
    (dangling / "README.md").symlink_to("nowhere")
    tree.settle()
    tree.refresh()
    apply_plan(tree.plan(), recipe)
    assert shared.read_bytes() == b"shared\n"
    for number, beginning in ((1, b"shared\n\n<!--"), (2, b"shared\n\n<!--"), (3, b"<!--")):
        readme = tree.root / f"{run_id(number)}_{stamp(number)}" / "README.md"
        assert not readme.is_symlink()
        assert readme.read_bytes().startswith(beginning)


def test_a_manifest_keeps_its_mode_and_a_new_one_fits_its_directory(tree: Tree, recipe: Recipe) -> None:
    path = tree.add(1, files={"README.md": b"x\n", "model.pt": b"w"})
    (path / "README.md").chmod(0o600)
    path.chmod(0o2775)
    tree.settle()
    tree.refresh()
    apply_plan(tree.plan(), recipe)
    new = tree.root / f"{run_id(1)}_{stamp(1)}"
    assert oct((new / "README.md").stat().st_mode) == "0o100600"
    assert oct((new / "MLFLOW_RUN_ID.txt").stat().st_mode) == "0o100664"
    assert oct(new.stat().st_mode) == "0o42775"


@settings(deadline=None, max_examples=60)
@given(st.permutations(range(6)), st.lists(st.booleans(), min_size=6, max_size=6))
def test_any_set_of_moves_is_ordered_so_that_no_target_is_taken(targets: list[int], leaves: list[bool]) -> None:
    """Chains, swaps and cycles of any length: played through, every name ends where it must, and none is overrun."""
    sources = [f"/r/{i}" for i in range(6)]
    wanted = {
        source: (f"/r/free{i}" if is_leaving else f"/r/{targets[i]}")
        for i, (source, is_leaving) in enumerate(zip(sources, leaves, strict=True))
    }
    changes = [
        Change(i, source, target, Identity(i, 0, "", None), 0) for i, (source, target) in enumerate(wanted.items())
    ]
    names = {source: source for source in sources}
    placed = []
    for unit in order_moves(changes):
        placed += [change.item for change in unit]
        for rename in unit_renames(unit, "temporary"):
            assert rename.target not in names
            names[rename.target] = names.pop(rename.source)
    assert sorted(placed) == list(range(6))
    assert {source: target for target, source in names.items()} == wanted


def test_a_swap_inside_a_plan_is_done(tree: Tree, recipe: Recipe) -> None:
    """Two directories that bear each other's name change places; no temporary name is left."""
    one, other = f"{uid(1)}_{stamp(1)}", f"{uid(2)}_{stamp(2)}"
    inodes = [os.stat(tree.add(1, old=one, new=other)).st_ino, os.stat(tree.add(2, old=other, new=one)).st_ino]
    apply_plan(tree.plan(), recipe)
    assert [os.stat(tree.root / name).st_ino for name in (other, one)] == inodes
    assert sorted(os.listdir(tree.root)) == sorted([one, other, ".ckpt-migrate"])


def test_wrong_entries_are_refused_together(small: Tree, recipe: Recipe) -> None:
    """What the records say must fit: a run, a fingerprint, a target named after the run, in the same folder."""
    entries = [
        replace(small.entries[0], run_id="0" * 32, line=7),
        replace(small.entries[1], target=f"checkpoints/elsewhere/{run_id(1)}_{stamp(1)}"),
        replace(small.entries[2], fingerprint=None),
        replace(small.entries[0], action=Action.REPAIR),
    ]
    with pytest.raises(PlanError) as caught:
        apply_plan(small.plan(entries), recipe)
    assert len(caught.value.problems) == 4
    assert caught.value.problems[0].startswith("line 7: ")


def test_an_unfinished_apply_blocks_other_plans_until_it_is_ended(
    small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message gives the two commands; when the plan was edited since, only the undo."""
    plan = small.plan()
    (small.folder / "plan.yaml").write_text("the plan")
    log = _cut_short(small, recipe, monkeypatch)
    with pytest.raises(UnfinishedError) as caught:
        apply_plan(replace(plan, digest="1" * 64), recipe)
    assert caught.value.where == log
    assert f"ckpt-migrate rollback {log}" in (caught.value.remedy or "")
    assert "it can only be undone" in (caught.value.remedy or "")
    result = apply_plan(plan, recipe)
    assert result.was_continued
    assert result.log == log


def _cut_short(tree: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> str:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("ckpt_migrate.storage.stage_file", fail)
        with pytest.raises(ExecutionError) as caught:
            apply_plan(tree.plan(), recipe)
    assert caught.value.where is not None
    return caught.value.where


@st.composite
def _worlds(draw: st.DrawFn) -> list[dict[str, object]]:
    names = st.sampled_from(
        ["README.md", "MLFLOW_RUN_ID.txt", "model.pt", "config.json", "lightning_checkpoints/a.ckpt"]
    )
    return draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "files": st.dictionaries(names, st.binary(max_size=40).filter(lambda data: b"\0" not in data)),
                    "mode": st.sampled_from([0o755, 0o700, 0o775]),
                    "link": st.sampled_from([None, "README.md", "MLFLOW_RUN_ID.txt"]),
                    "kind": st.sampled_from(["soft", "hard", "dangling"]),
                    "goes_to": st.sampled_from(["run", "next", "previous"]),
                }
            ),
            min_size=1,
            max_size=5,
        )
    )


def test_a_time_beyond_every_calendar_is_shown_all_the_same() -> None:
    """Some file systems keep times that no year of four digits holds; a dry run shows them."""
    shown = SetTimes(None, "/x", 400_000_000_000 * 1_000_000_000).step().describe()
    assert shown == "keep time of /x (400,000,000,000 s after 1970)"


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds=_worlds(), data=st.data())
def test_apply_and_rollback_are_the_identity(
    tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, worlds: list[dict[str, object]], data: st.DataObject
) -> None:
    """Names, bytes, modes, times, of every file and every directory, the parents too."""
    tree = make_tree(tmp_path_factory.mktemp("world") / "project")
    shared = tree.folder / "shared"
    shared.write_bytes(b"shared\n")
    count = len(worlds)
    is_rotated = count > 1 and data.draw(st.booleans())
    for number, world in enumerate(worlds):
        new = f"{uid((number + 1) % count)}_{stamp(0)}" if is_rotated else f"{run_id(number)}_{stamp(0)}"
        files = world["files"]
        assert isinstance(files, dict)
        path = tree.add(number, files=files, old=f"{uid(number)}_{stamp(0)}", new=new)
        link, kind = world["link"], world["kind"]
        if isinstance(link, str) and not os.path.lexists(path / link):
            if kind == "hard":
                os.link(shared, path / link)
            else:
                (path / link).symlink_to(shared if kind == "soft" else "nowhere")
        path.chmod(int(str(world["mode"])))
    tree.settle()
    tree.refresh()
    before = tree.snapshot()
    result = apply_plan(tree.plan(), recipe)
    for number, entry in enumerate(tree.entries):
        target = tree.plan().absolute(entry.target or "")
        name = recipe.target.parse(os.path.basename(target))
        assert name is not None
        assert manifest.check(target, name, tree.runs[entry.run_id or ""], recipe) == (), number
    assert result.log is not None
    undone = roll_back(result.log)
    assert undone.is_complete
    assert tree.snapshot() == before


def test_a_disk_that_is_not_as_planned_exits_with_its_own_code() -> None:
    assert DriftError.exit_code == EXIT_UNDECIDED
