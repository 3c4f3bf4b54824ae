"""Apply edits what names the directories, rollback puts every byte back, and neither touches what somebody changed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from trees.references import RECIPE, edited_throughout, new_name, old_name, planned, put, references
from trees.tree import LONG_AGO_NS, make_tree, run_id, stamp, uid

from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import DriftError
from ckpt_migrate.journal.logs import latest_log
from ckpt_migrate.plan.records import Action
from ckpt_migrate.references.records import EditAction
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from trees.tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Two directories to be renamed, and one that keeps its name."""
    tree = make_tree(tmp_path / "project")
    tree.add(0)
    tree.add(1)
    tree.repair(2)
    return tree


def kept(snapshot: dict[str, object], path: str) -> tuple[object, ...]:
    """Return what an edit keeps of a path: mode, owner, group and time."""
    mode, user, group, _, _, time_ns = cast("tuple[object, ...]", snapshot[path])
    return mode, user, group, time_ns


def undo(tree: Tree) -> None:
    """Roll the newest apply back, and see that it says that all is back."""
    assert roll_back(latest_log(str(tree.folder))).is_complete


def test_configs_scripts_and_links_follow_the_rename_and_come_back(tree: Tree) -> None:
    """Bytes, modes, times and links: after a rollback the tree is what it was; in between only names differ."""
    one, other = old_name(tree, 0), old_name(tree, 1)
    put(tree, "configs/a.yaml", f"a: checkpoints/phase2/{one}/model.pt\r\nb: [{other}, {one}]".encode())
    script = put(tree, "run.sh", f"#!/bin/sh\npython eval.py --resume=checkpoints/phase2/{other}\n".encode())
    script.chmod(0o751)
    (tree.root / "latest").symlink_to(other)
    (tree.folder / "newest").symlink_to(tree.root / one / "config.json")
    tree.settle()
    plan = planned(tree)
    before = tree.snapshot()
    result = apply_plan(plan, RECIPE)
    assert result.edited == 4
    config = (tree.folder / "configs/a.yaml").read_bytes()
    assert config == (
        f"a: checkpoints/phase2/{new_name(tree, 0)}/model.pt\r\nb: [{new_name(tree, 1)}, {new_name(tree, 0)}]".encode()
    )
    assert os.readlink(tree.root / "latest") == new_name(tree, 1)
    assert (tree.folder / "newest").is_file()
    found = tree.snapshot()
    for path in ("configs/a.yaml", "run.sh", "configs", "newest", "checkpoints/phase2/latest"):
        assert kept(found, path) == kept(before, path), path
    undo(tree)
    assert tree.snapshot() == before


def test_a_dry_run_prints_the_edits_and_changes_nothing(tree: Tree) -> None:
    put(tree, "a.yaml", old_name(tree, 0).encode())
    put(tree, f"checkpoints/phase2/{old_name(tree, 0)}/lightning_checkpoints/notes.md", old_name(tree, 1).encode())
    tree.settle()
    plan = edited_throughout(planned(tree))
    before = tree.snapshot()
    steps = [step.describe() for step in apply_plan(plan, RECIPE, is_dry_run=True).operations]
    assert f"edit 1 mention in {tree.folder}/a.yaml" in steps
    assert f"edit 1 mention in {tree.root}/{new_name(tree, 0)}/lightning_checkpoints/notes.md" in steps
    assert tree.snapshot() == before


def test_a_manifest_of_a_renamed_directory_gets_its_section_and_its_mentions_in_one_step(tree: Tree) -> None:
    """Notes in a README.md name another directory; the rest of the file is what the manifest writer makes."""
    notes = f"# Notes\nTrained from checkpoints/phase2/{old_name(tree, 1)}/model.pt\n".encode()
    put(tree, f"checkpoints/phase2/{old_name(tree, 0)}/README.md", notes)
    tree.settle()
    plan = planned(tree)
    assert [file.file for file in references(plan).files] == [f"{tree.root}/{old_name(tree, 0)}/README.md"]
    before = tree.snapshot()
    apply_plan(plan, RECIPE)
    written = (tree.root / new_name(tree, 0) / "README.md").read_text()
    assert f"# Notes\nTrained from checkpoints/phase2/{new_name(tree, 1)}/model.pt\n" in written
    assert "## Directory Naming Convention" in written
    undo(tree)
    assert tree.snapshot() == before


def test_manifests_of_other_checkpoints_are_edited(tree: Tree) -> None:
    """A checkpoint that keeps its name tells in its README.md and MLFLOW_RUN_ID.txt what it was trained from."""
    del tree.entries[2]
    other = f"checkpoints/phase2/{run_id(2)}_{stamp(2)}"
    for name in ("README.md", "MLFLOW_RUN_ID.txt"):
        put(tree, f"{other}/{name}", f"from checkpoints/phase2/{old_name(tree, 0)}\n".encode())
    tree.settle()
    plan = planned(tree)
    before = tree.snapshot()
    apply_plan(plan, RECIPE)
    for name in ("README.md", "MLFLOW_RUN_ID.txt"):
        assert (tree.folder / other / name).read_text() == f"from checkpoints/phase2/{new_name(tree, 0)}\n"
    undo(tree)
    assert tree.snapshot() == before


def test_files_of_a_checkpoint_are_left_as_training_wrote_them_unless_a_person_says_so(tree: Tree) -> None:
    """Then they are edited where the rename has brought them, nested folders too, and come back with it."""
    inside = f"checkpoints/phase2/{old_name(tree, 0)}"
    put(tree, f"{inside}/config.json", f'{{"resume_from": "checkpoints/phase2/{old_name(tree, 1)}"}}'.encode())
    put(tree, f"{inside}/plots/deep/notes.txt", old_name(tree, 0).encode())
    tree.settle()
    plan = planned(tree)
    assert {file.action for file in references(plan).files} == {EditAction.SKIP}
    assert all("left as training wrote it" in (file.note or "") for file in references(plan).files)
    before = tree.snapshot()
    apply_plan(edited_throughout(plan), RECIPE)
    target = tree.root / new_name(tree, 0)
    assert new_name(tree, 1) in (target / "config.json").read_text()
    assert (target / "plots/deep/notes.txt").read_text() == new_name(tree, 0)
    assert kept(tree.snapshot(), f"checkpoints/phase2/{target.name}/plots/deep") == kept(before, f"{inside}/plots/deep")
    undo(tree)
    assert tree.snapshot() == before


def test_a_plan_with_one_file_under_two_paths_is_refused_before_anything_is_changed(tree: Tree) -> None:
    put(tree, "configs/a.yaml", f"{old_name(tree, 0)}".encode())
    (tree.folder / "again").symlink_to("configs")
    tree.settle()
    plan = planned(tree)
    (file,) = references(plan).files
    twice = replace(references(plan), files=(replace(file, file="again/a.yaml"), file))
    before = tree.snapshot()
    with pytest.raises(DriftError) as refused:
        apply_plan(replace(plan, references=twice), RECIPE)
    assert "configs/a.yaml: is the same file as" in str(refused.value)
    assert tree.snapshot() == before


def test_what_a_person_skips_stays_as_it_is(tree: Tree) -> None:
    """A file set to skip, and in a file that is edited the names of directories that keep theirs."""
    text = f"{old_name(tree, 0)} {old_name(tree, 1)}\n".encode()
    put(tree, "a.txt", text)
    put(tree, "b.txt", text)
    tree.settle()
    plan = planned(tree)
    first, second = references(plan).files
    plan = replace(plan, references=replace(references(plan), files=(first, replace(second, action=EditAction.SKIP))))
    kept = replace(plan.entries[1], action=Action.SKIP)
    plan = replace(plan, entries=(plan.entries[0], kept, plan.entries[2]))
    apply_plan(plan, RECIPE)
    assert (tree.folder / "a.txt").read_text() == f"{new_name(tree, 0)} {old_name(tree, 1)}\n"
    assert (tree.folder / "b.txt").read_bytes() == text


def test_a_directory_that_a_person_decides_on_later_takes_its_mentions_along(tree: Tree) -> None:
    """The search is for all names that may change: `after` is as planned, what is written follows from the entries."""
    path = put(tree, "a.txt", old_name(tree, 1).encode())
    tree.settle()
    decided = tree.entries[1]
    tree.entries[1] = replace(decided, action=Action.SKIP, run_id=None, target=None)
    plan = planned(tree)
    (line,) = references(plan).files[0].lines
    assert line.before == line.after
    assert apply_plan(plan, RECIPE, is_dry_run=True).edited == 0
    entries = (plan.entries[0], replace(plan.entries[1], action=Action.RENAME, run_id=decided.run_id), plan.entries[2])
    entries = (entries[0], replace(entries[1], target=decided.target), entries[2])
    apply_plan(replace(plan, entries=entries), RECIPE)
    assert path.read_text() == os.path.basename(str(decided.target))


def test_chains_are_edited_by_what_each_name_was_before(tree: Tree) -> None:
    """Two directories swap their names; a text that names both names them the other way round afterwards."""
    tree.entries.clear()
    one, other = f"{uid(8)}_{stamp(8)}", f"{uid(9)}_{stamp(9)}"
    tree.add(8, old=one, new=other)
    tree.add(9, old=other, new=one)
    put(tree, "a.txt", f"{one} {other} {one}".encode())
    (tree.root / "latest").symlink_to(one)
    tree.settle()
    before = tree.snapshot()
    apply_plan(planned(tree), RECIPE)
    assert (tree.folder / "a.txt").read_text() == f"{other} {one} {other}"
    assert os.readlink(tree.root / "latest") == other
    undo(tree)
    assert tree.snapshot() == before


def _edit(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"# a person's line\n")


def _turn_into_link(path: Path) -> None:
    os.rename(path, path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("harm", [_edit, Path.unlink, _turn_into_link])
def test_a_file_that_changed_since_planning_is_refused_before_anything_is_changed(
    tree: Tree, harm: Callable[[Path], None]
) -> None:
    path = put(tree, "a.yaml", old_name(tree, 0).encode())
    tree.settle()
    plan = planned(tree)
    harm(path)
    before = tree.snapshot()
    with pytest.raises(DriftError) as refused:
        apply_plan(plan, RECIPE)
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith(f"{path}: ")
    assert tree.snapshot() == before


@pytest.mark.parametrize("harm", [_edit, Path.unlink, _turn_into_link])
def test_a_file_that_changed_since_apply_is_listed_by_rollback_and_the_rest_comes_back(
    tree: Tree, harm: Callable[[Path], None]
) -> None:
    path = put(tree, "a.yaml", old_name(tree, 0).encode())
    other = put(tree, "b.yaml", old_name(tree, 0).encode())
    tree.settle()
    apply_plan(planned(tree), RECIPE)
    harm(path)
    left = os.lstat(path) if os.path.lexists(path) else None
    result = roll_back(latest_log(str(tree.folder)))
    assert not result.is_complete
    assert [line.partition(": ")[0] for line in result.edited] == [str(path)]
    assert other.read_text() == old_name(tree, 0)
    assert (tree.root / old_name(tree, 0)).is_dir()
    assert (os.lstat(path) if os.path.lexists(path) else None) == left


def test_a_file_that_names_a_directory_that_cannot_come_back_stays_until_it_can(tree: Tree) -> None:
    """Otherwise it would name something that is not there; a second rollback brings both back."""
    both = put(tree, "both.yaml", f"{old_name(tree, 0)} {old_name(tree, 1)}".encode())
    one = put(tree, "one.yaml", old_name(tree, 1).encode("utf-16"))
    tree.settle()
    before = tree.snapshot()
    apply_plan(planned(tree), RECIPE)
    squatter = tree.root / old_name(tree, 0)
    squatter.mkdir()
    result = roll_back(latest_log(str(tree.folder)))
    assert len(result.occupied) == 1
    assert [line.partition(": ")[0] for line in result.edited] == [str(both)]
    assert both.read_text() == f"{new_name(tree, 0)} {new_name(tree, 1)}"
    assert one.read_bytes() == old_name(tree, 1).encode("utf-16")
    squatter.rmdir()
    os.utime(tree.root, ns=(LONG_AGO_NS, LONG_AGO_NS))
    undo(tree)
    assert tree.snapshot() == before
