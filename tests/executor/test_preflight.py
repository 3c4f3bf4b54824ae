"""Everything that can stand in the way is found before the first change, and all of it is reported at once."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from collections import namedtuple
from typing import TYPE_CHECKING

import pytest
from trees import Tree, make_tree, run_id, set_time, stamp, uid

from ckpt_migrate.apply import taken
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import DriftError
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ckpt_migrate.recipe import Recipe


def _refusal(tree: Tree, recipe: Recipe) -> tuple[str, ...]:
    """Return the problems of a refused apply, having checked that it made nothing."""
    problems = _refusal_beside_logs(tree, recipe)
    assert not (tree.root / ".ckpt-migrate").exists()
    return problems


def _refusal_beside_logs(tree: Tree, recipe: Recipe) -> tuple[str, ...]:
    before = tree.snapshot()
    with pytest.raises(DriftError) as caught:
        apply_plan(tree.plan(), recipe)
    assert tree.snapshot() == before
    return caught.value.problems


def _source(tree: Tree, number: int = 0) -> Path:
    return tree.folder / tree.entries[number].checkpoint


def _remove(path: Path) -> None:
    shutil.rmtree(path)


def _link_instead(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def _file_instead(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"x")


def _other_instead(path: Path) -> None:
    path.rename(path.with_name("moved"))
    shutil.copytree(path.with_name("moved"), path)


def _new_file(path: Path) -> None:
    (path / "late.ckpt").write_bytes(b"x")
    set_time(path / "late.ckpt", 1)


def _grown_file(path: Path) -> None:
    with (path / "config.json").open("ab") as file:
        file.write(b" ")
    set_time(path / "config.json", 1)


def _touched_file(path: Path) -> None:
    set_time(path / "config.json", 1)


@pytest.mark.parametrize(
    ("drift", "problem"),
    [
        (_remove, "is not there any more"),
        (_link_instead, "is no directory any more, but a symbolic link"),
        (_file_instead, "is no directory any more, but a file"),
        (_other_instead, "was changed since it was planned"),
        (_new_file, "was changed since it was planned"),
        (_grown_file, "was changed since it was planned"),
        (_touched_file, "was changed since it was planned"),
    ],
)
def test_drift_of_a_source(small: Tree, recipe: Recipe, drift: Callable[[Path], None], problem: str) -> None:
    drift(_source(small))
    problems = _refusal(small, recipe)
    assert len(problems) == 1
    assert problems[0].startswith(f"{small.entries[0].checkpoint}: {problem}")


def test_a_stale_plan_is_told_which_apply_renamed_its_directories(small: Tree, recipe: Recipe) -> None:
    """One line for each log, however many directories it renamed; what no log knows is said to be gone, as ever."""
    gone, first, second = small.entries
    one = apply_plan(small.plan([second]), recipe).log
    problem = f"{second.checkpoint}: was renamed to {run_id(2)}_{stamp(2)} by the apply of {one}"
    assert _refusal_beside_logs(small, recipe) == (problem,)
    assert one is not None
    assert roll_back(one).is_complete
    both = apply_plan(small.plan([first, second]), recipe).log
    shutil.rmtree(small.folder / gone.checkpoint)
    assert _refusal_beside_logs(small, recipe) == (
        f"{gone.checkpoint}: is not there any more",
        f"{first.checkpoint} and 1 more: were renamed, this one to {run_id(1)}_{stamp(1)}, by the apply of {both}",
    )


@pytest.mark.parametrize("many", [1, taken.MANY])
@pytest.mark.parametrize("kind", ["file", "empty directory", "directory", "dangling link"])
def test_a_taken_target(small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, kind: str, many: int) -> None:
    """It is found by the listing of a folder in which there are many, and by a look at the one name elsewhere."""
    monkeypatch.setattr(taken, "MANY", many)
    target = small.root / f"{run_id(0)}_{stamp(0)}"
    if kind == "file":
        target.write_bytes(b"x")
    elif kind == "dangling link":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
        if kind == "directory":
            (target / "x").write_bytes(b"x")
    problems = _refusal(small, recipe)
    assert problems == (f"{small.entries[0].checkpoint}: its new name is taken: something is at {target}",)


def test_all_conflicts_are_reported_at_once(tree: Tree, recipe: Recipe) -> None:
    """Five directories, five different obstacles, one message; the sixth is fine and not named."""
    for number in range(4):
        tree.add(number)
    tree.add(4, new=f"{run_id(5)}_{stamp(5)}")
    tree.add(5)
    tree.add(6)
    _remove(_source(tree, 0))
    _new_file(_source(tree, 1))
    (tree.root / f"{run_id(2)}_{stamp(2)}").mkdir()
    _file_instead(_source(tree, 3))
    problems = _refusal(tree, recipe)
    assert len(problems) == 5
    assert "gets the same new name as" in problems[0]
    assert uid(6) not in "".join(problems)


def test_an_entry_that_stands_twice(small: Tree, recipe: Recipe) -> None:
    small.entries.append(small.entries[0])
    assert any("stands twice" in problem for problem in _refusal(small, recipe))


def test_a_checkpoint_inside_another(small: Tree, recipe: Recipe) -> None:
    inner = _source(small) / f"{uid(9)}_{stamp(9)}"
    inner.mkdir()
    (inner / "model.pt").write_bytes(b"x")
    small.enter(inner, f"{run_id(9)}_{stamp(9)}")
    small.settle()
    small.refresh()
    problems = _refusal(small, recipe)
    assert problems == (
        f"{small.entries[3].checkpoint}: lies in {small.entries[0].checkpoint}, which is in the plan too",
    )


def test_a_path_that_leads_out_of_its_root(tree: Tree, recipe: Recipe) -> None:
    """Through a link or through `..`: neither is followed."""
    elsewhere = tree.folder / "elsewhere"
    elsewhere.mkdir()
    (tree.root / "way").symlink_to(elsewhere)
    tree.add(0, below="way")
    tree.add(1, below="../../elsewhere")
    problems = _refusal(tree, recipe)
    assert [problem.partition(": ")[2].partition(" /")[0] for problem in problems] == ["leads out of its root"] * 2


def test_a_root_that_is_a_link_is_fine(tmp_path: Path, recipe: Recipe) -> None:
    """Users link `checkpoints` to a large disk; what the manifests name is the path that the user knows."""
    disk = tmp_path / "disk"
    disk.mkdir()
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "checkpoints").symlink_to(disk)
    tree = make_tree(folder, "checkpoints/phase2")
    tree.add(0)
    result = apply_plan(tree.plan(), recipe)
    assert result.log is not None
    assert result.log.startswith(str(disk))
    text = (disk / "phase2" / f"{run_id(0)}_{stamp(0)}" / "MLFLOW_RUN_ID.txt").read_text()
    assert f"Checkpoint Dir: checkpoints/phase2/{run_id(0)}_{stamp(0)}\n" in text


def test_a_file_open_for_writing(small: Tree, recipe: Recipe) -> None:
    """A process that writes in it, however long ago it last did; one that only reads does no harm."""
    path = _source(small) / "lightning_checkpoints" / "last.ckpt"
    with path.open("rb"):
        apply_plan(small.plan(), recipe, is_dry_run=True)
    with path.open("ab"):
        problems = _refusal(small, recipe)
    assert len(problems) == 1
    assert f"lightning_checkpoints/last.ckpt by process {os.getpid()}" in problems[0]


def test_a_directory_written_to_a_moment_ago(small: Tree, recipe: Recipe) -> None:
    """The newest time in it is all that shows of a writer on another host; old enough is fine again."""
    path = _source(small) / "config.json"
    for age_s, is_fine in ((30, False), (299, False), (301, True)):
        set_time(path, time.time_ns() - age_s * 1_000_000_000)
        small.refresh()
        if is_fine:
            apply_plan(small.plan(), recipe, is_dry_run=True)
        else:
            (problem,) = _refusal(small, recipe)
            assert "was written to less than 5 minutes ago" in problem
            assert f"({age_s} s ago)" in problem or f"({age_s + 1} s ago)" in problem
            assert "; wait until it has ended, then apply again" in problem


def test_manifest_names_that_hold_something_else(tree: Tree, recipe: Recipe) -> None:
    """A directory, a pipe, a huge file, no text: nothing of that is replaced."""
    (tree.add(0) / "README.md").mkdir()
    os.mkfifo(tree.add(1) / "MLFLOW_RUN_ID.txt")
    with (tree.add(2) / "README.md").open("wb") as file:
        file.truncate(5 << 20)
    (tree.add(3) / "README.md").write_text("notes", encoding="utf-16")
    tree.settle()
    tree.refresh()
    problems = _refusal(tree, recipe)
    assert [problem.partition(": ")[2] for problem in problems] == [
        "README.md cannot be replaced: neither a file nor a link",
        "MLFLOW_RUN_ID.txt cannot be replaced: neither a file nor a link",
        "README.md cannot be replaced: larger than 4 MiB, so it is no manifest",
        "README.md cannot be written: it is no text file, so no section can be added to it",
    ]


def test_a_full_disk(small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    free = namedtuple("free", "f_blocks f_bavail f_frsize f_files f_favail f_flag")  # noqa: PYI024 - stands for the system's own
    monkeypatch.setattr(os, "statvfs", lambda _: free(9, 1, 4096, 1000, 3, 0))
    problems = _refusal(small, recipe)
    assert [problem.partition(": ")[2].partition(":")[0] for problem in problems] == [
        "too little free space for the log and the manifests",
        "too few free inodes for the manifests",
    ]


def test_a_disk_that_is_mounted_read_only(tree: Tree, recipe: Recipe, mounted: Path) -> None:
    """The superuser, too, is told before the first change, and told why."""
    tree.roots.append(mounted)
    tree.add(0, root=mounted)
    tree.settle()
    tree.refresh()
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    problems = _refusal(tree, recipe)
    assert f"{mounted}: its file system is mounted read-only" in problems


def test_a_state_directory_that_is_none(small: Tree, recipe: Recipe) -> None:
    (small.root / ".ckpt-migrate").symlink_to("nowhere")
    with pytest.raises(DriftError, match=r"cannot be applied") as caught:
        apply_plan(small.plan(), recipe)
    assert any("is no directory, so no log can be written" in problem for problem in caught.value.problems)


@pytest.fixture
def mounted(tree: Tree) -> Iterator[Path]:
    """Mount another file system on a folder below the root."""
    folder = tree.root / "other_disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], check=False, capture_output=True)
    if done.returncode != 0:
        pytest.skip("this user cannot mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_another_file_system_below_the_root(tree: Tree, recipe: Recipe, mounted: Path) -> None:
    """A log on one disk cannot be written ahead of changes on another."""
    tree.add(0, below=mounted.name)
    tree.add(1)
    problems = _refusal(tree, recipe)
    assert len(problems) == 1
    assert "lies on another file system than its root" in problems[0]


def test_a_file_system_of_another_kind(tree: Tree, recipe: Recipe, mounted: Path) -> None:
    """The same promises hold in memory: names, times, and back again."""
    tree.roots.append(mounted)
    tree.add(0, root=mounted)
    tree.add(1, root=mounted, files={"README.md": b"x", "m": b"y"})
    tree.settle()
    tree.refresh()
    before = tree.snapshot()
    result = apply_plan(tree.plan(), recipe)
    assert result.log is not None
    assert roll_back(result.log).is_complete
    assert tree.snapshot() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can take another user's part")
def test_missing_permissions_are_found_beforehand(tmp_path: Path) -> None:
    """As another user: parents, directories and manifests that are not his to change are all named."""
    tree = make_tree(tmp_path / "project")
    foreign = tree.add(0)
    manifested = tree.add(1, files={"README.md": b"x", "m.pt": b"w"})
    nobody = 65534
    for path in [tree.root, tree.add(2), manifested, manifested / "m.pt"]:
        os.chown(path, nobody, nobody)
    foreign.chmod(0o755)
    tree.settle()
    tree.refresh()
    for path in (tmp_path, *tmp_path.parents):
        if not path.stat().st_mode & stat.S_IXOTH and str(path).startswith("/tmp"):  # noqa: S108 - pytest's own folder
            path.chmod(path.stat().st_mode | stat.S_IXOTH)
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(nobody)
        os.setuid(nobody)
        try:
            from ckpt_migrate.recipe import load_recipe  # noqa: PLC0415 - in the child alone

            apply_plan(tree.plan(), load_recipe())
        except DriftError as error:
            text = "\n".join(error.problems)
            is_right = (
                "no permission to list it and write manifests in it" in text
                and "README.md has another owner" in text
                and uid(2) not in text
            )
            os._exit(0 if is_right else 3)
        except BaseException:  # noqa: BLE001 - the child must not go on with pytest
            os._exit(4)
        os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_immutable_directories_and_parents_are_found(small: Tree, recipe: Recipe) -> None:
    for path in (_source(small), small.root):
        done = subprocess.run(["chattr", "+i", str(path)], check=False, capture_output=True)
        if done.returncode != 0:
            pytest.skip("this file system or user cannot make a directory immutable")
        try:
            assert "no permission" in _refusal(small, recipe)[0]
        finally:
            subprocess.run(["chattr", "-i", str(path)], check=True)


@pytest.mark.parametrize("flag", ["i", "a"])
def test_frozen_manifests_and_append_only_parents_are_found(small: Tree, recipe: Recipe, flag: str) -> None:
    """The superuser has every permission for them, and the first rename or replacement would fail all the same."""
    readme = small.root / f"{uid(1)}_{stamp(1)}" / "README.md"
    frozen = [readme, small.root] if flag == "a" else [readme]
    if any(subprocess.run(["chattr", f"+{flag}", str(path)], check=False).returncode for path in frozen):
        pytest.skip("this file system or user cannot freeze anything")
    try:
        problems = "\n".join(_refusal(small, recipe))
    finally:
        for path in frozen:
            subprocess.run(["chattr", f"-{flag}", str(path)], check=True)
    assert "README.md cannot be replaced: it is immutable or append-only" in problems
    assert problems.count(f"cannot be renamed: {small.root} is immutable") == (3 if flag == "a" else 0)
