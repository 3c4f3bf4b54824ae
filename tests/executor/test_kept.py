"""Files with further names: never written through, and one file with them again after an undo, or said not to be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from trees import run_id, stamp, uid
from trees.references import edited_throughout, planned, put, references

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.executor.kept import EDITED_ELSEWHERE, SEPARATE
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.journal.logs import find_logs, latest_log
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from pathlib import Path

    from trees import Tree

    from ckpt_migrate.recipe import Recipe

OLD, NEW = f"{uid(2)}_{stamp(2)}", f"{run_id(2)}_{stamp(2)}"


@pytest.fixture
def shared(tree: Tree) -> Path:
    """Make a file that is the README.md of two directories as well, of which one is renamed; return its first name."""
    shared = tree.folder / "shared.md"
    shared.write_bytes(b"shared\n")
    for number in (2, 3):
        os.link(shared, tree.add(number) / "README.md")
    del tree.entries[1]
    tree.settle()
    tree.refresh()
    return shared


def test_an_undo_makes_it_one_file_again(tree: Tree, recipe: Recipe, shared: Path) -> None:
    """Meanwhile the name in the directory is a file of its own, the others are untouched; nothing extra is left."""
    before = tree.snapshot()
    apply_plan(tree.plan(), recipe)
    assert shared.read_bytes() == b"shared\n"
    assert (tree.root / NEW / "README.md").stat().st_nlink == 1
    result = roll_back(latest_log(str(tree.folder)))
    assert result.is_complete
    assert tree.snapshot() == before
    assert os.path.samefile(shared, tree.root / OLD / "README.md")


@pytest.mark.parametrize("can_exchange", [True, False])
def test_an_undo_without_the_manifest_or_an_exchange_does_so_too(
    tree: Tree, recipe: Recipe, shared: Path, monkeypatch: pytest.MonkeyPatch, *, can_exchange: bool
) -> None:
    before = tree.snapshot()
    if can_exchange:
        apply_plan(tree.plan(), recipe)
        (tree.root / NEW / "README.md").unlink()
    else:
        monkeypatch.setattr(storage, "_rename_with", lambda *_: False)
        apply_plan(tree.plan(), recipe)
    assert roll_back(latest_log(str(tree.folder))).is_complete
    assert tree.snapshot() == {**before, **({} if not can_exchange else _time_of(tree, OLD))}
    assert os.path.samefile(shared, tree.root / OLD / "README.md")


def _time_of(tree: Tree, name: str) -> dict[str, object]:
    """Return what a snapshot says of a directory whose later time stays, since somebody removed a file from it."""
    path = os.path.relpath(tree.root / name, tree.folder)
    return {path: tree.snapshot()[path]}


@pytest.mark.parametrize("why", ["no links", "tidied up"])
def test_what_stays_a_file_of_its_own_is_said(
    tree: Tree, recipe: Recipe, shared: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """The bytes are back all the same; the exit code says that a person must look, and does so again the next time."""
    with monkeypatch.context() as patch:
        if why == "no links":
            patch.setattr(storage, "link_file", lambda *_: False)
        log = apply_plan(tree.plan(), recipe).log
    assert log is not None
    for kept in (tree.root / ".ckpt-migrate").glob("kept-*"):
        kept.unlink()
    readme = tree.root / OLD / "README.md"
    for _ in range(2):
        result = roll_back(log)
        assert result.edited == (f"{readme}: {SEPARATE}",)
        assert not result.is_complete
        assert readme.read_bytes() == b"shared\n"
        assert not os.path.samefile(shared, readme)
    assert find_logs(str(tree.root))[0].state is LogState.PARTLY_ROLLED_BACK


def test_an_edit_under_another_name_comes_with_it(tree: Tree, recipe: Recipe, shared: Path) -> None:
    """Somebody wrote into the shared file meanwhile: it is one file again, with his words, and he is told."""
    log = apply_plan(tree.plan(), recipe).log
    assert log is not None
    shared.write_bytes(b"shared, and edited\n")
    result = roll_back(log)
    readme = tree.root / OLD / "README.md"
    assert result.edited == (f"{readme}: {EDITED_ELSEWHERE}",)
    assert os.path.samefile(shared, readme)
    assert readme.read_bytes() == b"shared, and edited\n"


@pytest.mark.parametrize("is_tidied", [False, True])
def test_so_it_is_with_files_that_name_directories(tree: Tree, recipe: Recipe, *, is_tidied: bool) -> None:
    """A config under two names: the one that is edited gets a file of its own, and an undo joins them again."""
    tree.add(2)
    config = put(tree, "configs/a.yaml", f"a: checkpoints/phase2/{OLD}/model.pt\n".encode())
    os.link(config, tree.folder / "b.yaml")
    tree.settle()
    plan = edited_throughout(planned(tree))
    assert len(references(plan).files) == 2
    before = tree.snapshot()
    log = apply_plan(plan, recipe).log
    assert log is not None
    assert NEW in config.read_text()
    assert not os.path.samefile(config, tree.folder / "b.yaml")
    for kept in (tree.root / ".ckpt-migrate").glob("kept-*") if is_tidied else ():
        kept.unlink()
    result = roll_back(log)
    if is_tidied:
        assert result.edited == (f"{config}: {SEPARATE}", f"{tree.folder / 'b.yaml'}: {SEPARATE}")
        assert config.read_bytes() == f"a: checkpoints/phase2/{OLD}/model.pt\n".encode()
    else:
        assert result.is_complete
        assert tree.snapshot() == before
