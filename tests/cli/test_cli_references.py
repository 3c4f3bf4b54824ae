"""References on the command line: searched, shown, edited, searched again, left links listed and removed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from project import Project

    from cli.conftest import Ended


def write(project: Project, path: str, text: str) -> None:
    """Write a file of the project."""
    file = project.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_the_story_of_references(project: Project, ckpt: Callable[..., Ended]) -> None:
    """Planned with each line before and after, edited with the renames, none left, all of it undone."""
    old, new = project.training(0).legacy, project.training(0).target
    write(project, "configs/a.yaml", f"adapter_path: checkpoints/phase2/{old}/model.pt\n")
    before = project.snapshot()
    planned = ckpt("plan", "checkpoints", "--tracking-uri", "mlruns", "--references", ".", "--leave-links")
    assert planned.code == 3
    assert "References: 2 mentions in 2 files to edit, 0 files to skip" in planned.out
    assert "At each old name a link to the new one is left." in planned.out
    assert "MLflow's own folder: never searched" in planned.out
    assert "will lead nowhere" not in planned.err
    shown = ckpt("show", "plan.yaml")
    assert f"  1: - adapter_path: checkpoints/phase2/{old}/model.pt" in shown.out
    assert f"  1: + adapter_path: checkpoints/phase2/{new}/model.pt" in shown.out
    dry = ckpt("apply", "plan.yaml", "--dry-run")
    assert f"~ edit 1 mention in {project.folder}/configs/a.yaml\n" in dry.out
    assert f"+ link {project.root}/{old} -> {new}\n" in dry.out
    applied = ckpt("apply", "plan.yaml", "--yes")
    assert applied.code == 0
    assert "3 renamed, 1 repaired, 3 skipped, 5 files and links edited." in applied.out
    assert "Searched again: no mention of an old name is left." in applied.out
    assert (project.folder / "configs/a.yaml").read_text() == f"adapter_path: checkpoints/phase2/{new}/model.pt\n"
    assert os.readlink(project.root / "latest") == project.training(1).target
    verified = ckpt("verify", "checkpoints", "--tracking-uri", "mlruns")
    assert "3 links stand at old names" in verified.err
    undone = ckpt("rollback", "latest", "--yes")
    assert undone.code == 0
    assert "5 files and links have their old names back" in undone.out
    (project.folder / "plan.yaml").unlink()
    assert project.snapshot() == before


def test_what_came_after_planning_is_said_and_the_exit_code_is_3(project: Project, ckpt: Callable[..., Ended]) -> None:
    ckpt("plan", "checkpoints", "--tracking-uri", "mlruns", "--references", ".")
    write(project, "late.sh", f"eval checkpoints/phase2/{project.training(0).legacy}\n")
    applied = ckpt("apply", "plan.yaml", "--yes", "--format", "json")
    assert applied.code == 3
    assert "late.sh still mentions old names (1); not in the plan" in applied.err
    path = str(project.folder / "late.sh")
    assert applied.data["remaining_mentions"] == [{"path": path, "count": 1, "is_on_purpose": False}]


def test_a_person_may_skip_a_file_and_edit_nothing_else_of_it(project: Project, ckpt: Callable[..., Ended]) -> None:
    old = project.training(0).legacy
    write(project, "a.txt", f"{old}\n")
    ckpt("plan", "checkpoints", "--tracking-uri", "mlruns", "--references", ".")
    plan = project.folder / "plan.yaml"
    text = plan.read_text()
    plan.write_text(text.replace("- file: a.txt\n    action: edit", "- file: a.txt\n    action: skip"))
    applied = ckpt("apply", "plan.yaml", "--yes")
    assert (applied.code, (project.folder / "a.txt").read_text()) == (0, f"{old}\n")
    assert "1 file still mentions old names, 1 of them as the plan says: " in applied.out
    assert f"{project.folder / 'a.txt'}\n" in applied.out
    plan.write_text(text.replace("- file: a.txt", "- file: b.txt"))
    refused = ckpt("apply", "plan.yaml", "--yes")
    assert refused.code == 2
    assert "file was edited, but belongs to the planner" in refused.err


def test_what_waits_for_a_decision_is_counted_apart_and_what_is_left_alone_is_named(
    project: Project, ckpt: Callable[..., Ended]
) -> None:
    """A file that names an undecided directory alone is no edit yet; apply makes as many as were announced."""
    write(project, "a.txt", f"{project.training(0).legacy}\n")
    for number in range(7):
        write(project, f"blob{number}.bin", f"\0{project.training(0).legacy}\0")
    for path in project.root.iterdir():
        if path.is_dir() and not path.is_symlink():
            write(project, f"each/{path.name[:8]}.txt", f"checkpoints/phase2/{path.name}\n")
    planned = ckpt("plan", "checkpoints", "--tracking-uri", "mlruns", "--references", ".")
    files = yaml.safe_load((project.folder / "plan.yaml").read_text())["references"]["files"]
    later = [file["file"] for file in files if all(line["before"] == line["after"] for line in file["lines"])]
    edited = len(files) - len(later)
    assert later
    assert f"mentions in {edited} files to edit, 0 files to skip" in planned.out
    assert f"{len(later)} more, each of which follows when its directory is decided: {later[0]}" in planned.out
    assert "blob0.bin, blob1.bin, blob2.bin, blob3.bin, blob4.bin and 2 more\n" in planned.out
    shown = ckpt("show", "plan.yaml")
    assert f"later {later[0]} (follows when its directory is decided)\n  1: = checkpoints/phase2/" in shown.out
    assert f"{edited} files and links edited" in ckpt("apply", "plan.yaml", "--yes").out


def test_what_a_person_said_of_a_file_is_kept_in_a_new_plan(project: Project, ckpt: Callable[..., Ended]) -> None:
    """And in one made from that: what the planner would do, and what a person wants, stay apart."""
    for name in ("a.txt", "b.txt"):
        write(project, name, project.training(0).legacy)
    call = ("plan", "checkpoints", "--tracking-uri", "mlruns", "--references", ".")
    ckpt(*call)
    plan = project.folder / "plan.yaml"
    plan.write_text(plan.read_text().replace("- file: a.txt\n    action: edit", "- file: a.txt\n    action: skip"))
    for output in ("second.yaml", "third.yaml"):
        kept = "plan.yaml" if output == "second.yaml" else "second.yaml"
        ckpt(*call, "--keep", kept, "-o", output)
        files = yaml.safe_load((project.folder / output).read_text())["references"]["files"]
        assert {file["file"]: file["action"] for file in files if file["kind"] == "text"} == {
            "a.txt": "skip",
            "b.txt": "edit",
        }


def test_links_are_listed_and_removed(project: Project, ckpt: Callable[..., Ended]) -> None:
    ckpt("plan", "checkpoints", "--tracking-uri", "mlruns", "--leave-links")
    ckpt("apply", "plan.yaml", "--yes")
    listed = ckpt("links", "checkpoints", "--format", "json")
    assert len(listed.data["links"]) == 3
    assert ckpt("links", "checkpoints", "--remove").code == 2  # no terminal to ask on
    assert os.path.islink(project.root / project.training(0).legacy)
    removed = ckpt("links", "checkpoints", "--remove", "--yes")
    assert removed.out.endswith("3 links at old names removed.\n")
    assert ckpt("links", "checkpoints").out == "0 links at old names.\n"


def test_a_plan_of_the_same_files_is_the_same_plan(project: Project, ckpt: Callable[..., Ended]) -> None:
    """The plan itself mentions every old name, and is no reference."""
    write(project, "a.txt", project.training(0).legacy)
    texts = []
    for _ in range(2):
        ckpt("plan", "checkpoints", "--tracking-uri", "mlruns", "--references", ".")
        data = yaml.safe_load((project.folder / "plan.yaml").read_text())
        del data["created"]
        texts.append(data)
    assert texts[0] == texts[1]


def test_a_path_where_nothing_is_ends_with_2(project: Project, ckpt: Callable[..., Ended]) -> None:
    ended = ckpt("plan", "checkpoints", "--tracking-uri", "mlruns", "--references", "configz")
    assert ended.code == 2
    assert "configz: there is no file or folder to search for references" in ended.err
    assert project.folder.is_dir()
