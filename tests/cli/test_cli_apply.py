"""`apply` and `rollback` on the command line: they ask, refuse what has drifted, and say what they did."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from project import set_time

from ckpt_migrate.cli import output
from ckpt_migrate.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNDECIDED, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from project import Project

    from cli.conftest import Ended

    Call = Callable[..., Ended]

STORE = ("--tracking-uri", "mlruns")


@pytest.fixture
def plan(ckpt: Call, project: Project) -> Path:
    """The project's plan."""
    assert ckpt("plan", "checkpoints/phase2", *STORE).code == EXIT_UNDECIDED
    return project.folder / "plan.yaml"


class Terminal:
    """A person at a terminal, who answers this."""

    closed = False

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.asked = 0

    def isatty(self) -> bool:
        """Say that it is one."""
        return True

    def readline(self) -> str:
        """Return the answer."""
        self.asked += 1
        return self.answer


# The question.


@pytest.mark.parametrize("answer", ["y\n", "YES\n", "no\n", "\n", "", "yes please\n", "yes\x00\n"])
def test_anything_but_yes_changes_nothing(
    ckpt: Call, project: Project, plan: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    before = project.snapshot()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    ended = ckpt("apply", plan)
    assert (ended.code, ended.out) == (EXIT_FAILED, "")
    assert "Plan: 3 to rename, 1 to repair, 3 to decide, 0 unchanged. Do it?" in ended.err
    assert "Only 'yes' is accepted: " in ended.err
    assert ended.err.endswith("Nothing was changed.\n")
    assert project.snapshot() == before
    assert not (project.root / ".ckpt-migrate").exists()


@pytest.mark.parametrize("answer", ["yes\n", " yes \n", "yes"])
def test_yes_is_a_yes_for_apply_and_for_rollback(
    ckpt: Call, project: Project, plan: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    before = project.snapshot()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert ckpt("apply", plan).code == EXIT_DONE
    assert (project.root / project.training(0).target).is_dir()
    ended = ckpt("rollback", "latest")
    assert ended.code == EXIT_DONE
    assert "Roll back " in ended.err
    assert project.snapshot() == before


def test_what_was_shown_is_what_is_done_even_if_the_file_changes_at_the_question(
    ckpt: Call, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Editor(Terminal):
        def readline(self) -> str:
            text = plan.read_text(encoding="utf-8")
            plan.write_text(text.replace("action: rename", "action: skip"), encoding="utf-8")
            return super().readline()

    monkeypatch.setattr("sys.stdin", Editor("yes\n"))
    assert ckpt("apply", plan, "--format", "json").data["renamed"] == 3


@pytest.mark.parametrize("stdin", [None, "closed"])
def test_without_a_terminal_both_refuse_unless_told_yes(
    ckpt: Call, project: Project, plan: Path, monkeypatch: pytest.MonkeyPatch, stdin: str | None
) -> None:
    before = project.snapshot()
    if stdin == "closed":
        monkeypatch.setattr("sys.stdin", None)
    ended = ckpt("apply", plan)
    assert (ended.code, ended.out) == (EXIT_USAGE, "")
    assert "there is no terminal to confirm on\n  Look at --dry-run first, then give --yes." in ended.err
    assert project.snapshot() == before
    assert ckpt("apply", plan, "--yes").code == EXIT_DONE
    assert ckpt("rollback", "latest").code == EXIT_USAGE
    assert ckpt("rollback", "latest", "--yes").code == EXIT_DONE
    assert project.snapshot() == before


def test_rollback_asks_nothing_about_a_file_that_is_no_log(
    ckpt: Call, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal("yes\n")
    monkeypatch.setattr("sys.stdin", terminal)
    ended = ckpt("rollback", plan)
    assert (ended.code, ended.out, terminal.asked) == (EXIT_FAILED, "", 0)
    assert ended.err.startswith(f"Error: {plan}: ")


def test_a_plan_with_nothing_to_do_asks_nothing(ckpt: Call, project: Project, plan: Path) -> None:
    text = (
        plan.read_text(encoding="utf-8")
        .replace("action: rename", "action: skip")
        .replace("action: repair", "action: skip")
    )
    plan.write_text(text, encoding="utf-8")
    before = project.snapshot()
    ended = ckpt("apply", plan)
    assert (ended.code, ended.err) == (EXIT_DONE, "")
    assert "0 renamed, 0 repaired, 7 skipped" in ended.out
    assert project.snapshot() == before


# What is said.


def test_a_dry_run_prints_every_operation_and_changes_nothing(ckpt: Call, project: Project, plan: Path) -> None:
    before = project.snapshot()
    ended = ckpt("apply", plan, "--dry-run")
    assert ended.code == EXIT_DONE
    for number in (0, 1, 5):
        training = project.training(number)
        assert f"~ rename {project.root}/{training.legacy} -> {training.target}\n" in ended.out
    assert f"+ write {project.root}/{project.training(6).target}/MLFLOW_RUN_ID.txt\n" in ended.out
    assert ended.out.endswith(
        f"Dry run: 3 renamed, 1 repaired, 3 skipped. Nothing was changed.\nDo it:\n  ckpt-migrate apply {plan}\n"
    )
    assert project.snapshot() == before
    assert not (project.root / ".ckpt-migrate").exists()
    data = ckpt("apply", plan, "--dry-run", "--format", "json").data
    assert (data["is_dry_run"], data["renamed"], data["log"]) == (True, 3, None)
    assert f"\n{len(data['operations'])} operations in this order: ~ changed, + new, = kept.\n" in ended.out
    assert len(data["operations"]) == ended.out.count("\n") - 5


def test_apply_says_how_to_undo_and_the_commands_can_be_pasted(ckpt: Call, project: Project, plan: Path) -> None:
    before = project.snapshot()
    ended = ckpt("apply", plan, "--yes")
    done, undo, command = ended.out.splitlines()
    assert (done, undo) == ("Done: 3 renamed, 1 repaired, 3 skipped.", "Undo it:")
    ended = ckpt(*command.split()[1:], "--yes")
    assert ended.code == EXIT_DONE
    assert ended.out.startswith("Everything is as it was before: 4 restored")
    assert project.snapshot() == before


def test_links_that_will_lead_nowhere_are_named_before_the_question(ckpt: Call, project: Project, plan: Path) -> None:
    training = project.training(1)
    link = {
        "path": "checkpoints/phase2/latest",
        "text": training.legacy,
        "checkpoint": f"checkpoints/phase2/{training.legacy}",
        "target": f"checkpoints/phase2/{training.target}",
    }
    warning = f"Warning: the link checkpoints/phase2/latest -> {training.legacy} will lead nowhere"
    for arguments in (["plan", "checkpoints/phase2", *STORE], ["apply", plan, "--dry-run"], ["apply", plan, "--yes"]):
        ended = ckpt(*arguments, "--format", "json")
        assert ended.data["dangling_links"] == [link]
        assert warning in ended.err
        assert "plan with --references PATH; to leave a link at each old name, with --leave-links" in ended.err
    assert os.readlink(project.root / "latest") == training.legacy


def test_links_to_what_stays_are_not_named(ckpt: Call, project: Project, plan: Path) -> None:
    name = f"{project.training(1).legacy}\n  status: matched\n  action: "
    text = plan.read_text(encoding="utf-8")
    plan.write_text(text.replace(f"{name}rename", f"{name}skip"), encoding="utf-8")
    ended = ckpt("apply", plan, "--dry-run", "--format", "json")
    assert (ended.data["dangling_links"], ended.err) == ([], "")


def test_many_links_are_named_up_to_a_limit(ckpt: Call, project: Project) -> None:
    for number in range(output.MOST_LINKS + 5):
        project.link(f"checkpoints/phase2/link-{number:02}", project.training(0).legacy)
    ended = ckpt("plan", "checkpoints/phase2", *STORE)
    assert ended.err.count("will lead nowhere") == output.MOST_LINKS
    assert "Warning: and 6 more such links; the plan lists them all under `links`" in ended.err


def test_a_plan_is_not_applied_twice_and_can_be_continued_by_name(ckpt: Call, project: Project, plan: Path) -> None:
    log = ckpt("apply", plan, "--yes", "--format", "json").data["log"]
    after = project.snapshot()
    ended = ckpt("apply", plan, "--yes")
    assert (ended.code, ended.out) == (EXIT_FAILED, "")
    assert "this plan was applied already" in ended.err
    assert f"ckpt-migrate rollback {log}" in ended.err
    assert project.snapshot() == after


# Drift.


def drifts(ckpt: Call, project: Project, plan: Path, *parts: str) -> None:
    """Check that nothing is applied, and why."""
    before = project.snapshot()
    for arguments in (["--yes"], ["--dry-run"]):
        ended = ckpt("apply", plan, *arguments)
        assert (ended.code, ended.out) == (EXIT_UNDECIDED, "")
        assert f"Error: {plan}: the plan cannot be applied as it stands; nothing was changed\n" in ended.err
        for part in parts:
            assert part in ended.err
        assert "Make a new plan" in ended.err
    assert project.snapshot() == before
    assert not (project.root / ".ckpt-migrate").exists()


@pytest.mark.parametrize("kind", ["file", "folder", "empty folder", "dangling link"])
def test_a_target_that_is_taken(ckpt: Call, project: Project, plan: Path, kind: str) -> None:
    target = project.root / project.training(0).target
    if kind == "file":
        target.touch()
    elif kind == "dangling link":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
        if kind == "folder":
            (target / "mine.txt").touch()
    drifts(ckpt, project, plan, f"{project.training(0).legacy}: its new name is taken: something is at {target}")


def test_sources_that_are_gone_changed_or_replaced_are_all_named(ckpt: Call, project: Project, plan: Path) -> None:
    gone, changed, replaced = (project.root / project.training(number).legacy for number in (0, 1, 5))
    gone.rename(project.folder / "elsewhere")
    (changed / "extra.ckpt").write_bytes(b"x")
    set_time(changed / "extra.ckpt", 1_770_000_000 * 10**9)
    set_time(changed, 1_770_000_000 * 10**9)
    replaced.rename(project.folder / "aside")
    replaced.symlink_to(project.folder / "aside")
    drifts(
        ckpt,
        project,
        plan,
        f"{gone.name}: is not there any more",
        f"{changed.name}: was changed since it was planned",
        f"{replaced.name}: is no directory any more, but a symbolic link",
    )


def test_a_link_put_in_the_place_of_a_folder_above_leads_nowhere_else(ckpt: Call, project: Project) -> None:
    project.add_directory(project.training(7), below="checkpoints/phase2/more")
    project.add_run(project.training(7))
    ckpt("plan", "checkpoints/phase2", *STORE)
    outside = project.folder / "outside"
    (project.root / "more").rename(outside)
    (project.root / "more").symlink_to(outside)
    drifts(ckpt, project, project.folder / "plan.yaml", f"leads out of its root {project.root}")


def test_a_directory_that_is_being_written_to(ckpt: Call, project: Project, plan: Path) -> None:
    path = project.root / project.training(0).legacy / "config.json"
    status = path.stat()
    with path.open("r+b"):
        drifts(ckpt, project, plan, "a file in it is open for writing (config.json by process")
    set_time(path, time.time_ns())
    drifts(ckpt, project, plan, "was changed since it was planned")
    set_time(path, status.st_mtime_ns)
    assert ckpt("apply", plan, "--yes").code == EXIT_DONE


def test_a_changed_recipe_makes_a_plan_stale(ckpt: Call, project: Project) -> None:
    from ckpt_migrate.recipe import load_recipe  # noqa: PLC0415 - for its path alone

    mine = project.folder / "mine.yaml"
    with open(load_recipe().source, encoding="utf-8") as file:
        text = file.read()
    mine.write_text(text, encoding="utf-8")
    ckpt("plan", "checkpoints", *STORE, "--migration", "mine.yaml")
    mine.write_text(text + "# changed\n", encoding="utf-8")
    ended = ckpt("apply", "plan.yaml", "--yes")
    assert (ended.code, ended.out) == (EXIT_USAGE, "")
    assert f"plan.yaml: stale: its recipe {mine} is not as it was when this was planned" in ended.err
    assert ckpt("show", "plan.yaml").code == EXIT_DONE
    mine.unlink()
    ended = ckpt("apply", "plan.yaml", "--yes")
    assert (ended.code, "no such recipe" in ended.err) == (EXIT_USAGE, True)


# Rollback.


def test_rollback_restores_what_it_can_and_says_what_it_cannot(ckpt: Call, project: Project, plan: Path) -> None:
    ckpt("apply", plan, "--yes")
    (project.root / project.training(0).legacy).mkdir()
    dry = ckpt("rollback", "latest", "--dry-run")
    assert dry.code == EXIT_UNDECIDED
    ended = ckpt("rollback", "latest", "--yes")
    assert ended.code == EXIT_UNDECIDED
    assert f"! {project.root}/{project.training(0).legacy}" in ended.out
    assert "Mend what is listed, then go on:\n  ckpt-migrate rollback " in ended.out
    (project.root / project.training(0).legacy).rmdir()
    assert ckpt("rollback", "latest", "--yes").code == EXIT_DONE


def test_latest_never_means_an_older_one(ckpt: Call, project: Project, plan: Path) -> None:
    """The newest log cannot be read: it is named, and nothing is undone by the one before it."""
    log = ckpt("apply", plan, "--yes", "--format", "json").data["log"]
    newest = project.root / ".ckpt-migrate" / "99990101T000000Z-00000000.jsonl"
    for make in (lambda: newest.write_bytes(b"no log\n"), lambda: os.mkfifo(newest)):
        make()
        before = project.snapshot()
        ended = ckpt("rollback", "latest", "--yes")
        assert ended.code == EXIT_FAILED
        assert f"Error: {newest}: the newest log cannot be used: " in ended.err
        assert "An older log is rolled back only when it is named" in ended.err
        assert project.snapshot() == before
        assert ckpt("log").code == EXIT_UNDECIDED
        newest.unlink()
    assert ckpt("rollback", "latest", "--yes").out.count(log) == 0


def test_latest_says_what_is_still_in_force(ckpt: Call, plan: Path) -> None:
    """The newest apply is undone, the one before it is not: whoever asks again is told, with the command."""
    plan.write_text(plan.read_text().replace("\n  action: rename", "\n  action: skip", 1))
    older = ckpt("apply", plan, "--yes", "--format", "json").data["log"]
    assert ckpt("plan", "checkpoints/phase2", *STORE, "-o", "second.yaml").code == EXIT_UNDECIDED
    assert ckpt("apply", "second.yaml", "--yes").code == EXIT_DONE
    assert ckpt("rollback", "latest", "--yes").code == EXIT_DONE
    for again in (ckpt("rollback", "latest", "--yes"), ckpt("rollback", "latest", "--dry-run")):
        assert again.code == EXIT_UNDECIDED
        assert f"Still in force (finished); to undo it, name it:\n  ckpt-migrate rollback {older}" in again.out
    assert ckpt("rollback", "latest", "--dry-run", "--format", "json").data["in_force"] == [older]
    assert ckpt("rollback", older, "--yes").code == EXIT_DONE
    assert ckpt("rollback", "latest", "--yes").code == EXIT_DONE


def test_a_log_that_was_emptied_is_never_said_to_be_undone(ckpt: Call, project: Project, plan: Path) -> None:
    log = ckpt("apply", plan, "--yes", "--format", "json").data["log"]
    os.truncate(log, 0)
    listed = ckpt("log")
    assert (listed.code, "incomplete log" in listed.out) == (EXIT_UNDECIDED, True)
    assert "0 records are left of" in listed.err
    ended = ckpt("rollback", "latest", "--yes")
    assert ended.code == EXIT_FAILED
    assert "nothing that is left of it says what was changed" in ended.err
    found = ckpt("find", project.training(0).uid, "--root", "checkpoints", *STORE)
    assert "renames recorded there are not known" in found.err
    assert found.code == EXIT_DONE  # the run says the id in its own name
    (project.root / project.training(0).target).rename(project.folder / "elsewhere")
    found = ckpt("find", project.training(0).run_id, "--root", "checkpoints", *STORE)
    assert (found.code, "no checkpoint directory below the roots" in found.out) == (EXIT_UNDECIDED, True)


def test_a_root_that_was_moved_is_said_to_be_gone(ckpt: Call, project: Project, plan: Path) -> None:
    project.root.rename(project.folder / "elsewhere")
    ended = ckpt("apply", plan, "--yes")
    assert ended.code == EXIT_UNDECIDED
    assert f"{project.root}: the root is not there any more; it was moved, deleted or not mounted" in ended.err
    assert ".ckpt-migrate" not in ended.err


def test_the_log_lists_what_was_done_and_how_it_stands(ckpt: Call, project: Project, plan: Path) -> None:
    assert ckpt("log").out == "No apply has been logged here.\n"
    log = ckpt("apply", plan, "--yes", "--format", "json").data["log"]
    (logged,) = ckpt("log", "checkpoints", "--format", "json").data
    assert (logged["path"], logged["state"], logged["renamed"]) == (log, "finished", 3)
    assert log in ckpt("log").out
    ckpt("rollback", log, "--yes")
    assert ckpt("log", "--format", "json").data[0]["state"] == "rolled back"
    assert project.root.is_dir()


def test_a_plan_whose_apply_was_cut_short_is_not_written_over(
    ckpt: Call, project: Project, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is needed to go on."""
    from ckpt_migrate import storage  # noqa: PLC0415 - to fail one call of it

    rename: Any = storage.rename_noreplace

    def fail(source: str, target: str) -> None:
        if project.training(5).legacy in source:
            raise OSError(5, "Input/output error", source)
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "rename_noreplace", fail)
        ended = ckpt("apply", plan, "--yes")
    assert ended.code == EXIT_FAILED
    assert f"To go on: ckpt-migrate apply {plan}" in ended.err
    text = plan.read_text(encoding="utf-8")
    ended = ckpt("plan", "checkpoints/phase2", *STORE)
    assert (ended.code, ended.out) == (EXIT_USAGE, "")
    assert "its apply was cut short and cannot go on without it" in ended.err
    assert plan.read_text(encoding="utf-8") == text
    assert ckpt("apply", plan, "--yes").out.startswith("Done (continued): 3 renamed, 1 repaired, 3 skipped.")


def test_a_plan_that_was_copied_says_where_its_paths_start(ckpt: Call, project: Project, plan: Path) -> None:
    other = project.folder / "elsewhere"
    other.mkdir()
    (other / "plan.yaml").write_bytes(plan.read_bytes())
    ended = ckpt("apply", "elsewhere/plan.yaml", "--dry-run")
    assert ended.code == EXIT_UNDECIDED
    assert ended.err.count(f"Paths start from the plan's folder, {other}: one that was copied or moved") == 1
