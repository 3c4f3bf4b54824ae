"""The search: what is found where, what is left alone and why, and which files are looked at."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from trees.references import RECIPE, left, new_name, old_name, planned, put, references
from trees.tree import make_tree

from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import UsageError
from ckpt_migrate.journal.logs import latest_log
from ckpt_migrate.plan.write import HEADER
from ckpt_migrate.references.paths import Leads
from ckpt_migrate.references.recheck import Remaining, recheck
from ckpt_migrate.references.records import EditAction, LeftKind, MentionKind
from ckpt_migrate.references.search import BLOCK_BYTES, LARGEST_EDITED_BYTES, OWN_MARKS
from ckpt_migrate.references.walk import Walk, check_paths
from ckpt_migrate.report.html import MARK
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from pathlib import Path

    from trees.tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Two directories to be renamed."""
    tree = make_tree(tmp_path / "project")
    tree.add(0)
    tree.add(1)
    return tree


def files(tree: Tree, *paths: str) -> dict[str, int]:
    """Return what a plan would edit, with the number of mentions."""
    listed = references(planned(tree, *paths)).files
    return {os.path.relpath(tree.folder / file.file, tree.folder): len(file.at) for file in listed}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_only_the_bytes_of_the_names_change_in_any_encoding(tree: Tree, encoding: str, newline: str) -> None:
    one, other = old_name(tree, 0), old_name(tree, 1)
    text = newline.join(["größe: 3", f"  - ckpt/{one}/x, ckpt/{other}/y", "", f"ende {one}"])
    data = (b"\xfe\xff" if encoding == "utf-16-be" else b"") + text.encode(encoding)
    path = put(tree, "a.yaml", data)
    tree.settle()
    plan = planned(tree)
    (file,) = references(plan).files
    assert [line.line for line in file.lines] == ([1] if newline == "\r" else [2, 4])
    apply_plan(plan, RECIPE)
    wanted = text.replace(one, new_name(tree, 0)).replace(other, new_name(tree, 1)).encode(encoding)
    assert path.read_bytes().removeprefix(b"\xfe\xff") == wanted.removeprefix(b"\xfe\xff")
    roll_back(latest_log(str(tree.folder)))
    assert path.read_bytes() == data


def test_names_at_the_borders_of_blocks_and_in_one_long_line_are_found(tree: Tree) -> None:
    """A file is read in blocks; a name may begin in one and end in the next, and a line may be as long as the file."""
    name = old_name(tree, 0).encode()
    for shift in (0, 1, 20, 47, 48):
        put(tree, f"border{shift}.txt", b"x" * (BLOCK_BYTES - shift - 1) + b" " + name)
    put(tree, "long.json", b" ".join([b"y" * (5 << 20), name, b"z" * 500, name, b"w" * (5 << 20)]))
    assert files(tree) == {**{f"border{shift}.txt": 1 for shift in (0, 1, 20, 47, 48)}, "long.json": 2}
    *_, long = references(planned(tree)).files
    assert [line.line for line in long.lines] == [1, 1]
    assert all(line.before.startswith("…") and line.before.endswith("…") for line in long.lines)
    assert max(len(line.before) for line in long.lines) < 300


def test_the_plan_shows_each_line_before_and_after(tree: Tree) -> None:
    one, other = old_name(tree, 0), old_name(tree, 1)
    put(tree, "a.py", f"# head\nA = '{one}'; B = '{other}'\n\nC = '{one}'\n".encode())
    (file,) = references(planned(tree)).files
    assert [(line.line, line.before, line.after) for line in file.lines] == [
        (2, f"A = '{one}'; B = '{other}'", f"A = '{new_name(tree, 0)}'; B = '{new_name(tree, 1)}'"),
        (4, f"C = '{one}'", f"C = '{new_name(tree, 0)}'"),
    ]


def test_what_is_no_text_or_too_large_is_listed_apart(tree: Tree) -> None:
    """Bytes with a NUL are no text, the name in UTF-16 in them included; a sparse file stands for a huge one."""
    name = old_name(tree, 0)
    put(tree, "mlflow.bin", b"\0\1" + name.encode())
    put(tree, "wide.bin", b"\0" + name.encode("utf-16-le"))
    large = put(tree, "large.log", name.encode())
    os.truncate(large, LARGEST_EDITED_BYTES + 1)
    huge = put(tree, "huge.log", b"")
    os.truncate(huge, 1 << 41)
    assert files(tree) == {}
    assert left(tree, planned(tree)) == {
        LeftKind.BINARY: ["mlflow.bin", "wide.bin"],
        LeftKind.LARGE: ["huge.log", "large.log"],
    }


def test_names_in_longer_words_and_of_other_things_are_left_alone_and_said(tree: Tree) -> None:
    """A copy of the directory elsewhere, a bucket, another machine and the run's name are not what is renamed."""
    name = old_name(tree, 0)
    copy = tree.folder / "backup" / name
    copy.mkdir(parents=True)
    put(tree, "word.txt", f"run: phase2_{name}\n".encode())
    put(tree, "absolute.txt", f"{copy}/model.pt\n".encode())
    put(tree, "relative.txt", f"x: backup/{name}/model.pt\n".encode())
    put(tree, "bucket.txt", f"s3://bucket/phase2/{name}\n".encode())
    put(tree, "host.txt", f"me@gpu1:/data/{name}\n".encode())
    put(tree, "own.txt", f"{tree.root}/{name} ../checkpoints/phase2/{name} file://{tree.root}/{name}".encode())
    put(tree, "container.txt", f"/workspace/checkpoints/{name}".encode())
    (tree.folder / "other").symlink_to(copy)
    put(tree, f"logs/{name}.log", b"")
    assert files(tree) == {"own.txt": 3, "container.txt": 1}
    assert left(tree, planned(tree)) == {
        LeftKind.WORD: ["word.txt"],
        LeftKind.ELSEWHERE: ["absolute.txt", "bucket.txt", "host.txt", "other", "relative.txt"],
        LeftKind.NAME: [f"logs/{name}.log"],
    }


def test_a_name_without_an_id_is_edited_in_a_path_to_its_directory_alone(tmp_path: Path) -> None:
    """Names of other recipes may be a time or a word that stands in many texts and means something else there."""
    leads = Leads({"20260201_041227": {str(tmp_path / "runs/20260201_041227")}}, str(tmp_path))
    (tmp_path / "runs").mkdir()
    assert leads.elsewhere("see runs/", "20260201_041227", str(tmp_path)) is None
    assert leads.elsewhere(f"see {tmp_path}/runs/", "20260201_041227", "/") is None
    assert leads.elsewhere("started at ", "20260201_041227", str(tmp_path)) is not None
    assert leads.elsewhere("other/", "20260201_041227", str(tmp_path)) is not None


def test_a_name_that_two_directories_bear_is_edited_only_when_both_get_the_same(tmp_path: Path) -> None:
    """A copy in another root that stays as it is makes a bare name ambiguous: better left than wrong."""
    tree = make_tree(tmp_path / "project", "a", "b")
    tree.add(0)
    tree.add(0, root=tree.roots[1])
    put(tree, "x.txt", old_name(tree, 0).encode())
    assert references(planned(tree)).files[0].lines[0].after == new_name(tree, 0)
    tree.enter(tree.roots[1] / old_name(tree, 1), f"{'0' * 32}_{old_name(tree, 1)[33:]}", root=tree.roots[1])
    del tree.entries[1]
    assert references(planned(tree)).files[0].lines[0].after == old_name(tree, 0)


def test_gitignore_is_honoured_but_not_for_what_is_named_or_holds_checkpoints(tree: Tree) -> None:
    """Nested files, negations, the exclude file of the repository; `.git` itself is never looked into."""
    name = old_name(tree, 0).encode()
    subprocess.run(["git", "init", "-q", str(tree.folder)], check=True)
    put(tree, ".gitignore", b"*.log\nbuild/\n/checkpoints/\n!keep.log\n")
    put(tree, "sub/.gitignore", b"secret.*\n!x.log\n")
    put(tree, ".git/info/exclude", b"excluded.txt\n")
    for path in (
        "a.log",
        "keep.log",
        "build/b.txt",
        "sub/secret.txt",
        "sub/x.log",
        "excluded.txt",
        ".git/c.txt",
        "d.txt",
    ):
        put(tree, path, name)
    put(tree, f"checkpoints/phase2/{old_name(tree, 1)}/README.md", name)
    readme = f"checkpoints/phase2/{old_name(tree, 1)}/README.md"
    assert files(tree) == {"keep.log": 1, "sub/x.log": 1, "d.txt": 1, readme: 1}
    assert files(tree, "sub") == {"sub/x.log": 1, readme: 1}
    assert files(tree, "build", "a.log") == {"build/b.txt": 1, "a.log": 1, readme: 1}
    assert references(planned(tree)).ignored == 5


def test_stores_states_plans_and_devices_are_passed_over(tree: Tree) -> None:
    name = old_name(tree, 0).encode()
    put(tree, "mlruns/1/meta.yaml", b"experiment_id: '1'\n")
    put(tree, "mlruns/1/abc/params/resume_from", name)
    put(tree, f"artifacts/2/{old_name(tree, 0)[:32]}/artifacts/config.json", name)
    put(tree, "checkpoints/phase2/.ckpt-migrate/x.jsonl", name)
    put(tree, "old-plan.yaml", b"# A migration plan. Nothing has been changed yet.\n" + name)
    put(tree, "report.html", f"<!DOCTYPE html>\n{MARK} -->\n".encode() + name)
    assert HEADER.encode().startswith(OWN_MARKS[0])
    os.mkfifo(tree.folder / "pipe")
    assert files(tree) == {}
    assert left(tree, planned(tree)) == {LeftKind.STORE: ["artifacts/2", "mlruns/1"]}


def test_each_file_is_searched_once_however_often_it_is_named(tree: Tree) -> None:
    put(tree, "a/b/c.txt", old_name(tree, 0).encode())
    (tree.folder / "again").symlink_to("a")
    assert files(tree, "a/b", "a", "again", "a/b/c.txt", "again/b") == {"a/b/c.txt": 1}


def test_a_folder_that_is_mounted_in_two_places_is_searched_once(tree: Tree) -> None:
    """Hard links in it are names of their own still; what lies in a checkpoint is met there alone."""
    put(tree, "a/c.txt", old_name(tree, 0).encode())
    put(tree, "a/d.txt", old_name(tree, 0).encode())
    os.link(tree.folder / "a/d.txt", tree.folder / "a/hard.txt")
    put(tree, f"checkpoints/phase2/{old_name(tree, 0)}/notes.txt", old_name(tree, 1).encode())
    put(tree, "single.txt", old_name(tree, 1).encode())
    put(tree, "twice/single.txt", b"")
    (tree.folder / "b").mkdir()
    (tree.folder / "roots").mkdir()
    pairs = [("a", "b"), ("checkpoints", "roots"), ("single.txt", "twice/single.txt")]
    mounted: list[Path] = []
    try:
        for one, other in pairs:
            call = ["mount", "--bind", str(tree.folder / one), str(tree.folder / other)]
            if shutil.which("mount") is None or subprocess.run(call, capture_output=True, check=False).returncode:
                pytest.skip("this user may not mount a folder in a second place")
            mounted.append(tree.folder / other)
        found = files(tree, "a", "b", "roots", "single.txt", "twice")
    finally:
        for path in mounted:
            subprocess.run(["umount", str(path)], check=True)
    notes = f"checkpoints/phase2/{old_name(tree, 0)}/notes.txt"
    assert found == {"a/c.txt": 1, "a/d.txt": 1, "a/hard.txt": 1, notes: 1, "single.txt": 1}


def test_a_path_where_nothing_is_is_refused(tree: Tree) -> None:
    with pytest.raises(UsageError, match="no file or folder"):
        check_paths([str(tree.folder / "nothing")])


def test_a_folder_that_cannot_be_listed_is_named(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tree.folder / "locked"
    folder.mkdir()

    def scandir(path: str) -> object:
        if path == str(folder):
            raise PermissionError(13, "Permission denied", path)
        return found(path)

    found = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    walk = Walk()
    assert list(walk.walk([str(folder)])) == []
    assert walk.problems == [(str(folder), "Permission denied")]


def test_links_that_lead_through_an_old_name_are_edited_and_no_others(tree: Tree) -> None:
    name = old_name(tree, 0)
    for path, text in {
        "latest": f"checkpoints/phase2/{name}",
        "deep": f"./checkpoints/../checkpoints/phase2/{name}/lightning_checkpoints/last.ckpt",
        "over": "latest/config.json",
        "absolute": f"{tree.root}/{name}",
        "gone": f"nowhere/{name}",
    }.items():
        (tree.folder / path).symlink_to(text)
    found = references(planned(tree)).files
    assert {os.path.basename(file.file) for file in found} == {"latest", "deep", "absolute"}
    assert {file.kind for file in found} == {MentionKind.LINK}
    apply_plan(planned(tree), RECIPE)
    assert all(os.path.exists(tree.folder / path) for path in ("latest", "deep", "over", "absolute"))


def test_uncommitted_changes_of_tracked_files_are_said(tree: Tree) -> None:
    """Whoever has open changes in a file can tell them from the tool's only before it edits that file."""
    for path in ("clean.txt", "staged.txt", "dirty.txt", "untracked.txt"):
        put(tree, path, old_name(tree, 0).encode())
    git = ["git", "-C", str(tree.folder), "-c", "user.name=n", "-c", "user.email=e@x"]
    for arguments in (["init", "-q"], ["add", "clean.txt", "staged.txt", "dirty.txt"], ["commit", "-q", "-m", "m"]):
        subprocess.run([*git, *arguments], check=True)
    for path in ("staged.txt", "dirty.txt"):
        put(tree, path, old_name(tree, 1).encode())
    subprocess.run([*git, "add", "staged.txt"], check=True)
    index = (tree.folder / ".git/index").stat().st_mtime_ns
    notes = {os.path.basename(file.file): file.note for file in references(planned(tree)).files}
    what = "tracked by git, with changes that are not committed"
    assert notes == {"clean.txt": None, "untracked.txt": None, "staged.txt": what, "dirty.txt": what}
    assert (tree.folder / ".git/index").stat().st_mtime_ns == index


def test_a_file_with_several_names_of_its_own_waits_for_a_person(tree: Tree) -> None:
    put(tree, "a.txt", old_name(tree, 0).encode())
    os.link(tree.folder / "a.txt", tree.folder / "b.txt")
    found = references(planned(tree)).files
    assert {file.action for file in found} == {EditAction.SKIP}
    assert all("has 2 hard links" in str(file.note) for file in found)


def test_after_apply_the_search_finds_nothing_but_what_was_skipped_or_came_since(tree: Tree) -> None:
    put(tree, "a.txt", old_name(tree, 0).encode())
    inside = f"checkpoints/phase2/{old_name(tree, 0)}/config.json"
    put(tree, inside, old_name(tree, 1).encode())
    tree.settle()
    plan = planned(tree)
    apply_plan(plan, RECIPE)
    kept = tree.root / new_name(tree, 0) / "config.json"
    assert recheck(plan, RECIPE) == (Remaining(str(kept), 1, is_on_purpose=True),)
    late = put(tree, "late.txt", f"{old_name(tree, 0)} {old_name(tree, 1)}".encode())
    assert Remaining(str(late), 2, is_on_purpose=False) in recheck(plan, RECIPE)
