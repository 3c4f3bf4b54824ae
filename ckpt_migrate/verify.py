"""Verify: does every directory name its run, and does every manifest agree?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from ckpt_migrate.manifest import check
from ckpt_migrate.matching.families.references import ID_PATTERN
from ckpt_migrate.plan.build import run_facts
from ckpt_migrate.records import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.scan.walk import ScanResult
    from ckpt_migrate.tracking.records import Run, RunStore


class FindingKind(str, Enum):
    """What is wrong.

    NO_RUN: the id in the directory's name is no run of the stores.
    DELETED_RUN: it is, but the run is deleted there.
    MANIFEST: a manifest is missing, stale, or names something else.
    MISSING_DIRECTORY: a run says that its checkpoint lies below the roots, and it does not.
    UNREADABLE: a directory could not be read, so nothing can be said of it.
    """

    NO_RUN = "no-run"
    DELETED_RUN = "deleted-run"
    MANIFEST = "manifest"
    MISSING_DIRECTORY = "missing-directory"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One mismatch; `path` is the directory, or for MISSING_DIRECTORY what the run says."""

    path: str
    kind: FindingKind
    what: str
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification.

    Attributes:
        directories: How many checkpoint directories were looked at.
        agreeing: How many name their run and have manifests that agree.
        findings: The mismatches, sorted by path.
    """

    directories: int
    agreeing: int
    findings: tuple[Finding, ...]


def verify(scan: ScanResult, store: RunStore, recipe: Recipe) -> Verification:
    """Hold every checkpoint directory against the store, and the store's own words against the directories.

    Links, loose files and directories of neither name form make no claim and are not looked at.

    Raises:
        StoreError: The store could not be read to its end.
    """
    runs = {run.run_id: run for run in store.runs()}
    judged = {State.LEGACY, State.TARGET, State.UNREADABLE}
    claiming = [c for c in scan.checkpoints if c.state in judged]
    facts = run_facts({c.uid for c in claiming}, runs, store, recipe)
    findings: list[Finding] = []
    agreeing = 0
    for checkpoint in claiming:
        found = _judge(checkpoint, runs)
        if not found and checkpoint.name is not None:
            wrong = check(checkpoint.path, checkpoint.name, facts[checkpoint.uid], recipe)
            found = [Finding(checkpoint.path, FindingKind.MANIFEST, what, checkpoint.uid) for what in wrong]
        agreeing += not found
        findings += found
    findings += [Finding(path, FindingKind.UNREADABLE, what) for path, what in scan.problems]
    findings += _missing_directories(scan, store, recipe)
    return Verification(len(claiming), agreeing, tuple(sorted(findings, key=lambda f: (f.path, f.kind.value, f.what))))


def _judge(checkpoint: Checkpoint, runs: Mapping[str, Run]) -> list[Finding]:
    if checkpoint.state is State.UNREADABLE:
        return [Finding(checkpoint.path, FindingKind.UNREADABLE, checkpoint.reason or "could not be read")]
    run = runs.get(checkpoint.uid)
    if run is None:
        what = f"{checkpoint.uid} is no run of the store" if checkpoint.uid else "nothing in it names its run"
        return [Finding(checkpoint.path, FindingKind.NO_RUN, what)]
    if run.is_deleted:
        what = "its run is deleted in MLflow (restore it before it is removed for good)"
        return [Finding(checkpoint.path, FindingKind.DELETED_RUN, what, run.run_id)]
    return []


def _missing_directories(scan: ScanResult, store: RunStore, recipe: Recipe) -> list[Finding]:
    """Find runs whose `checkpoint_dir` tag names a directory of their own in a scanned folder that is not there."""
    folders = {checkpoint.path.rpartition("/")[0] for checkpoint in scan.checkpoints}
    present = {checkpoint.path for checkpoint in scan.checkpoints}
    findings = []
    for mention in store.mentions(ID_PATTERN):
        if mention.place not in {f"tag {tag}" for tag in recipe.reference_tags}:
            continue
        said = mention.text.rstrip("/")
        name = recipe.target.parse(said)
        if name is None or name.uid != mention.run_id:
            continue
        places = [f"{folder}/{said.rpartition('/')[2]}" for folder in folders if _ends_alike(folder, said)]
        if places and not any(place in present for place in places):
            what = f"the run's {mention.place} names this directory, which is not there"
            findings.append(Finding(said, FindingKind.MISSING_DIRECTORY, what, mention.run_id))
    return findings


def _ends_alike(folder: str, said: str) -> bool:
    """Say whether a path that a run logged may lie in a folder: their last folder names agree."""
    parent = said.rpartition("/")[0]
    return bool(parent) and folder.rpartition("/")[2] == parent.rpartition("/")[2]
