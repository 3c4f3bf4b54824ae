"""Find: any id or name, old or new, leads to the directory and to the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from ckpt_migrate import api
from ckpt_migrate.recipe import DEFAULT_RECIPE, load_recipe

if TYPE_CHECKING:
    from project import Project, Training

    from ckpt_migrate.find import Found


def look_up(*queries: str, root: str = "checkpoints") -> tuple[Found, ...]:
    return api.find(queries, root, tracking_uri="mlruns", on_problem=pytest.fail)


def sides(found: Found) -> tuple[list[str], list[str]]:
    """Return the names of the directories and the ids of the runs."""
    return [os.path.basename(place.path) for place in found.checkpoints], [run.run_id for run in found.runs]


def old_ids(training: Training) -> list[str]:
    return [training.uid, training.uid[:6], training.legacy, f"checkpoints/phase2/{training.legacy}/"]


@pytest.fixture
def migrated(project: Project) -> Project:
    """The project after its migration."""
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    api.apply("plan.yaml")
    return project


def test_after_a_migration_old_and_new_names_lead_to_both_sides(migrated: Project) -> None:
    training = migrated.training(0)
    new = [training.run_id, training.run_id[:8], training.target, f"/elsewhere/{training.target}"]
    for query in (*old_ids(training), *new, f"phase2_{training.legacy}"):
        (found,) = look_up(query)
        assert sides(found) == ([training.target], [training.run_id]), query
        (place,) = found.checkpoints
        assert place.former == (str(migrated.root / training.legacy),)
        assert place.run_id == training.run_id


def test_before_a_migration_the_runs_own_name_leads_from_one_to_the_other(project: Project) -> None:
    training = project.training(0)
    for query in (*old_ids(training), training.run_id, f"phase2_{training.legacy}"):
        (found,) = look_up(query)
        assert sides(found) == ([training.legacy], [training.run_id]), query
        (place,) = found.checkpoints
        assert (place.run_id, place.named_by, place.former) == (None, (training.run_id,), ())


def test_what_is_one_sided_is_shown_one_sided(project: Project) -> None:
    project.add_run(project.training(8))
    orphan, lone = look_up(project.training(4).uid, project.training(8).run_id)
    assert sides(orphan) == ([project.training(4).legacy], [])
    assert sides(lone) == ([], [project.training(8).run_id])


def test_after_a_rollback_the_new_name_leads_nowhere_and_the_old_one_home(migrated: Project) -> None:
    api.rollback("latest")
    training = migrated.training(0)
    old, new = look_up(training.uid, training.target)
    assert (sides(old), sides(new)) == (([training.legacy], [training.run_id]), ([], []))


def test_the_logs_of_a_root_above_or_below_count(migrated: Project) -> None:
    """The log lies in `checkpoints`; the question may be asked of any folder."""
    training = migrated.training(0)
    for root in (".", "checkpoints", "checkpoints/phase2"):
        (found,) = look_up(training.uid, root=root)
        assert sides(found)[0] == [training.target], root


@pytest.mark.parametrize("query", ["", "/", "abc", "zzzzzz", "0" * 33, "*", "phase2_", "\x1b[2J", "-e1680d"])
def test_what_is_nobodys_name_leads_nowhere(project: Project, query: str) -> None:
    assert project.root.is_dir()
    (found,) = look_up(query)
    assert (found.query, sides(found)) == (query, ([], []))


def test_dashes_and_upper_case_do_not_matter(project: Project) -> None:
    """Other tools write the same id so; a directory whose name is written so is found as well."""
    training = project.training(0)
    dashed = str(UUID(training.uid))
    other = project.add_directory(project.training(7), f"{str(UUID(project.training(7).uid)).upper()}_20260301_000000")
    for query in (dashed, dashed.upper(), training.uid.upper(), f"{dashed}_{training.stamp}", dashed[:9], dashed[:14]):
        (found,) = look_up(query)
        assert sides(found) == ([training.legacy], [training.run_id]), query
    assert other.is_dir()
    (found,) = look_up(project.training(7).uid)
    assert sides(found) == ([other.name], [])


@pytest.mark.parametrize(("query", "is_short"), [("ac7c1", True), ("A-7", True), ("zz", False), ("fox", False)])
def test_a_beginning_that_is_too_short_is_told_so(project: Project, query: str, is_short: bool) -> None:  # noqa: FBT001 - a case of a table
    assert project.root.is_dir()
    (found,) = look_up(query)
    assert found.hint == ("too short: give at least 6 digits of an id" if is_short else None)


def test_a_log_that_cannot_be_read_is_told(migrated: Project) -> None:
    """Its renames are not known, so an old name may lead nowhere."""
    (log,) = (migrated.folder / "checkpoints" / ".ckpt-migrate").glob("*.jsonl")
    log.write_bytes(b"not a log\n")
    problems: list[str] = []
    (found,) = api.find(migrated.training(0).uid, "checkpoints", tracking_uri="mlruns", on_problem=problems.append)
    assert sides(found) == ([migrated.training(0).target], [migrated.training(0).run_id])  # by the run's own name
    assert found.checkpoints[0].former == ()
    (problem,) = problems
    assert str(log) in problem
    assert problem.endswith("renames recorded there are not known")


def test_chains_of_migrations_keep_every_former_name(empty_project: Project) -> None:
    first = empty_project.add(0)
    other = empty_project.training(8)
    empty_project.add_run(other)
    for run_id in (first.run_id, other.run_id):
        api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml", with_linked=True)
        plan = empty_project.folder / "plan.yaml"
        text = plan.read_text(encoding="utf-8")
        if run_id == other.run_id:
            text = text.replace("\n  action: skip\n", "\n  action: rename\n")
            text = text.replace(f"\n  run_id: {first.run_id}\n", f"\n  run_id: {run_id}\n")
        plan.write_text(text, encoding="utf-8")
        assert api.apply(plan).renamed == 1
        plan.unlink()
    for query in (first.legacy, first.target, f"{other.run_id}_{first.stamp}"):
        (found,) = look_up(query)
        (place,) = found.checkpoints
        assert os.path.basename(place.path) == f"{other.run_id}_{first.stamp}"
        assert [os.path.basename(path) for path in place.former] == [first.target, first.legacy]


def test_a_path_leads_to_the_directory_that_holds_it_and_never_to_a_file_of_its_name(migrated: Project) -> None:
    """Every directory has its `last.ckpt`, and a lone one may be a checkpoint by itself."""
    training = migrated.training(0)
    inner = migrated.root / training.target / "lightning_checkpoints"
    inner.mkdir(exist_ok=True)
    (inner / "last.ckpt").write_bytes(b"")
    lone = migrated.folder / "checkpoints" / "loose" / "last.ckpt"
    lone.parent.mkdir()
    lone.write_bytes(b"weights")
    (migrated.folder / "checkpoints" / "latest").symlink_to(migrated.root / training.target)
    for name in (training.target, training.legacy):
        for folder in ("checkpoints/phase2", "phase2", "/elsewhere", str(migrated.root)):
            (found,) = look_up(f"{folder}/{name}/lightning_checkpoints/last.ckpt")
            assert sides(found) == ([training.target], [training.run_id]), (folder, name)
    for query in ("latest", "checkpoints/latest/last.ckpt"):
        (found,) = look_up(query)
        assert sides(found) == ([training.target], [training.run_id]), query
    (found,) = look_up("/somewhere/else/last.ckpt")
    assert sides(found) == ([], [])
    assert found.hint == "no known checkpoint directory has this path, or had it before a migration"


def test_names_of_another_recipe_tell_which_it_was(empty_project: Project) -> None:
    """The default recipe does not know the new names as checkpoints; the log knows who does."""
    project, training = empty_project, empty_project.add(0)
    text = Path(load_recipe(DEFAULT_RECIPE).source).read_text(encoding="utf-8")
    mine = project.folder / "mine.yaml"
    mine.write_text(text.replace('"{run_id}_{stamp}"', '"exp42-{run_id}_{stamp}"'), encoding="utf-8")
    api.plan("checkpoints", tracking_uri="mlruns", migration=mine, output="plan.yaml")
    assert api.apply("plan.yaml").renamed == 1
    for query in (f"exp42-{training.target}", training.legacy, f"checkpoints/phase2/{training.legacy}/last.ckpt"):
        (found,) = look_up(query)
        assert all(place.run_id is None for place in found.checkpoints)
        assert (found.hint or "").endswith(f"was migrated with {mine}; give --migration {mine}")
        (found,) = api.find(query, "checkpoints", tracking_uri="mlruns", migration=mine)
        assert sides(found) == ([f"exp42-{training.target}"], [training.run_id])
    hint = f"a log tells of directories that were migrated with another recipe; give --migration {mine}"
    assert hint in api.verify("checkpoints", tracking_uri="mlruns").notes
    assert hint not in api.verify("checkpoints", tracking_uri="mlruns", migration=mine).notes
