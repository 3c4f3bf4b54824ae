"""Verify: every way in which directories, manifests and the store can disagree is found, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate import api
from ckpt_migrate.verify import Finding, FindingKind

if TYPE_CHECKING:
    from project import Project

    from ckpt_migrate.verify import Verification


def verified(*roots: str) -> Verification:
    return api.verify(roots or ["checkpoints"], tracking_uri="mlruns").verification


def kinds(verification: Verification) -> list[tuple[str, FindingKind]]:
    """Return the names and kinds of what was found."""
    return [(os.path.basename(finding.path), finding.kind) for finding in verification.findings]


@pytest.fixture
def migrated(empty_project: Project) -> Project:
    """Two trainings, migrated, whose runs say where their checkpoints lie."""
    for number in range(2):
        training = empty_project.training(number)
        empty_project.add_directory(training)
        tags = {"checkpoint_dir": f"checkpoints/phase2/{training.target}"}
        empty_project.add_run(training, name=f"phase2_{training.legacy}", tags=tags)
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    assert api.apply("plan.yaml").renamed == 2
    return empty_project


def test_a_migrated_tree_agrees(migrated: Project) -> None:
    before = migrated.snapshot()
    verification = verified()
    assert (verification.directories, verification.agreeing, verification.findings) == (2, 2, ())
    assert migrated.snapshot() == before


def test_a_legacy_directory_names_no_run(project: Project) -> None:
    verification = verified()
    assert (verification.directories, verification.agreeing) == (7, 0)
    assert kinds(verification) == sorted(
        [(project.training(number).legacy, FindingKind.NO_RUN) for number in range(6)]
        + [(project.training(6).target, FindingKind.MANIFEST)] * 2
    )
    assert f"{project.training(4).uid} is no run of the store" in {finding.what for finding in verification.findings}


@pytest.mark.parametrize(
    ("name", "edit", "what"),
    [
        ("MLFLOW_RUN_ID.txt", lambda _: None, "MLFLOW_RUN_ID.txt is missing"),
        (
            "MLFLOW_RUN_ID.txt",
            lambda text: text.replace("Run ID: ", "Run ID: 0"),
            "MLFLOW_RUN_ID.txt says MLflow Run ID",
        ),
        ("MLFLOW_RUN_ID.txt", lambda _: "", "MLFLOW_RUN_ID.txt"),
        ("README.md", lambda _: None, "README.md is missing"),
        ("README.md", lambda _: "# My notes\n", "README.md"),
    ],
)
def test_a_manifest_that_is_missing_or_wrong(migrated: Project, name: str, edit: object, what: str) -> None:
    training = migrated.training(0)
    path = migrated.root / training.target / name
    assert callable(edit)
    text = edit(path.read_text(encoding="utf-8"))
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    verification = verified()
    assert verification.agreeing == 1
    assert set(kinds(verification)) == {(training.target, FindingKind.MANIFEST)}
    assert all(finding.what.startswith(what) for finding in verification.findings)
    assert {finding.run_id for finding in verification.findings} == {training.run_id}


def test_notes_that_people_add_to_a_readme_are_no_mismatch(migrated: Project) -> None:
    path = migrated.root / migrated.training(0).target / "README.md"
    path.write_text("# Mine\n\n" + path.read_text(encoding="utf-8") + "\nthe best one\n", encoding="utf-8")
    assert verified().findings == ()


def test_a_deleted_run_is_told_while_it_can_still_be_restored(migrated: Project) -> None:
    training = migrated.training(0)
    migrated.add_run(training, name=f"phase2_{training.legacy}", is_deleted=True)
    verification = verified()
    assert kinds(verification) == [(training.target, FindingKind.DELETED_RUN)]
    assert "restore it before it is removed for good" in verification.findings[0].what


def test_a_directory_that_its_run_names_and_that_is_not_there(migrated: Project) -> None:
    training = migrated.training(0)
    (migrated.root / training.target).rename(migrated.folder / "elsewhere")
    said = f"checkpoints/phase2/{training.target}"
    what = "the run's tag checkpoint_dir names this directory, which is not there"
    assert verified().findings == (Finding(said, FindingKind.MISSING_DIRECTORY, what, training.run_id),)


def test_a_run_of_other_folders_is_not_missed(migrated: Project) -> None:
    """Its directory never was below these roots."""
    training = migrated.training(8)
    migrated.add_run(training, tags={"checkpoint_dir": f"checkpoints/phase3/{training.target}"})
    assert verified().findings == ()


def test_what_cannot_be_looked_into_is_a_finding(migrated: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be said of it, which is not the same as all is well."""
    (migrated.root / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if os.path.basename(path) == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (finding,) = verified().findings
    assert (os.path.basename(finding.path), finding.kind, finding.what) == (
        "locked",
        FindingKind.UNREADABLE,
        "Permission denied",
    )


def test_findings_are_sorted_whatever_the_order_of_the_roots(project: Project) -> None:
    project.add_directory(project.training(7), below="more")
    assert verified("more", "checkpoints") == verified("checkpoints", "more")
    paths = [finding.path for finding in verified("more", "checkpoints").findings]
    assert paths == sorted(paths)
