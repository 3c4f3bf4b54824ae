"""Equal bytes: they find the run of a directory that nothing else tells anything of, where one run alone has them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from project import Project

from ckpt_migrate import api
from ckpt_migrate.evidence.files import open_file
from ckpt_migrate.matching.families import content
from ckpt_migrate.plan.records import Status

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt_migrate.plan.records import Entry

RECIPE = """\
version: 1
name: own
description: Folders of these names.
action: link
names: {legacy: ["models", "copy", "start"]}
evidence: {weights: ["*.zip"]}
manifests: {files: [{name: MLFLOW_RUN_ID.txt, kind: file, template: "MLflow Run ID: $run_id\\n"}]}
"""
RUNS = 5
COPIED = 12
SIZE = 5000


def weights(number: int) -> bytes:
    """Return weights: all of one size, and different in the middle alone."""
    return bytes(SIZE) + number.to_bytes(4, "big") + bytes(SIZE)


class World:
    """Runs with weights among their artifacts, and directories without any name, config or time that tells."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder / "data")
        self.recipe = folder / "own.yaml"
        self.recipe.write_text(RECIPE)
        self.runs = [self.project.add_run(self.project.training(number)) for number in range(RUNS)]
        for number in range(RUNS):
            self.give(number, weights(number))
        # A tree that was copied: all files are of one time, which so tells nothing.
        for number in range(COPIED):
            self.put(f"others/{number}/copy/dqn.zip", weights(1000 + number))

    def give(self, number: int, data: bytes, name: str = "dqn.zip") -> None:
        """Log an artifact."""
        artifacts = self.project.folder / "mlruns" / "1" / self.runs[number] / "artifacts"
        artifacts.mkdir(exist_ok=True)
        (artifacts / name).write_bytes(data)

    def put(self, path: str, data: bytes) -> Path:
        """Write a file of a directory, copied together with all others."""
        file = self.project.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        self.project.age(file.parent, self.project.training(200).start)
        return file

    def entry(self, path: str = "models") -> Entry:
        """Return what is planned for a directory."""
        plan = api.plan(self.project.folder, tracking_uri=self.project.store, migration=self.recipe).plan
        (found,) = (entry for entry in plan.entries if entry.checkpoint.endswith(f"/data/{path}"))
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Five runs, and nothing yet to match."""
    return World(tmp_path)


def test_the_run_that_alone_has_the_bytes_is_found(world: World) -> None:
    """By another name, too: what is in a file counts."""
    world.put("models/policy.zip", weights(3))
    entry = world.entry()
    assert (entry.status, entry.run_id) == (Status.MATCHED, world.runs[3])
    assert "policy.zip has the same bytes as its artifact dqn.zip" in entry.evidence[0]


def test_bytes_of_several_runs_tell_nothing(world: World) -> None:
    """A fixed seed makes equal weights."""
    world.give(2, weights(3))
    world.put("models/dqn.zip", weights(3))
    entry = world.entry()
    assert (entry.status, entry.run_id) == (Status.UNMATCHED, None)


def test_bytes_of_no_run_tell_nothing(world: World) -> None:
    """Equal size and equal ends are not enough."""
    world.put("models/dqn.zip", weights(RUNS))
    assert world.entry().run_id is None


def test_bytes_of_two_directories_are_left_to_a_person(world: World) -> None:
    """One of them was copied, and nothing says which."""
    for name in ("models", "copy"):
        world.put(f"{name}/dqn.zip", weights(3))
    assert [world.entry(name).run_id for name in ("models", "copy")] == [None, None]


def test_a_start_that_was_copied_there_does_not_tell_who_went_on(world: World) -> None:
    """Weights beside newer or equally old ones that the run does not have may be what a training began with."""
    world.put("start/trained.zip", weights(100))
    world.put("start/pretrained.zip", weights(3))
    entry = world.entry("start")
    assert entry.run_id is None
    assert entry.candidates[0].run_id == world.runs[3]


def test_a_run_that_logged_weights_of_its_own_may_have_begun_with_these(world: World) -> None:
    """A fine-tune logs what it was started from beside what it made; who made the start is not told."""
    world.give(3, weights(77), "tuned.zip")
    world.put("models/dqn.zip", weights(3))
    entry = world.entry()
    assert (entry.status, entry.run_id) == (Status.AMBIGUOUS, None)
    world.put("models/best.zip", weights(77))
    assert world.entry().run_id == world.runs[3]


def test_what_is_no_weights_does_not_decide(world: World) -> None:
    """A table or a picture may lie anywhere; the run is shown for a person to judge."""
    world.give(3, weights(50), "table.csv")
    world.put("models/dqn.zip", weights(100))
    world.put("models/table.csv", weights(50))
    entry = world.entry()
    assert entry.run_id is None
    assert entry.candidates[0].run_id == world.runs[3]


def test_the_run_deleted_for_good_is_given_to_no_other(world: World) -> None:
    """Its siblings have other weights."""
    world.put("models/dqn.zip", weights(3))
    shutil.rmtree(world.project.folder / "mlruns" / "1" / world.runs[3])
    assert world.entry().run_id is None


def test_of_a_huge_store_only_candidates_are_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing all artifacts would take too long: nothing is found by bytes alone."""
    monkeypatch.setattr(content, "MOST_LISTED", RUNS - 1)
    world.put("models/dqn.zip", weights(3))
    assert world.entry().run_id is None


def test_a_server_with_nothing_here_is_soon_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each listing is a request."""
    for run in world.runs:
        shutil.rmtree(world.project.folder / "mlruns" / "1" / run / "artifacts")
    monkeypatch.setattr(content, "MOST_MISSED", 2)
    asked: list[str] = []
    files_of = content.Contents.files_of

    def count(self: content.Contents, run_id: str) -> object:
        asked.append(run_id)
        return files_of(self, run_id)

    monkeypatch.setattr(content.Contents, "files_of", count)
    world.put("models/dqn.zip", weights(3))
    assert world.entry().run_id is None
    assert len(set(asked)) == 2


def test_a_file_that_cannot_be_read_is_equal_to_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gone, or turned into a link since the scan."""
    place = world.put("models/dqn.zip", weights(3))

    def refuse(path: str) -> int:
        if path == str(place):
            raise PermissionError(13, "Permission denied", path)
        return open_file(path)

    monkeypatch.setattr(content, "open_file", refuse)
    assert world.entry().run_id is None
