"""Tags of runs: set where asked, through MLflow's own client, undone by rollback, never at the price of an upgrade."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from commands import call
from trees.references import RECIPE
from trees.tree import make_tree, stamp, uid

from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.apply.tags import PREVIOUS
from ckpt_migrate.errors import EXIT_DONE, EXIT_UNDECIDED, DriftError, StoreError
from ckpt_migrate.journal.logs import latest_log
from ckpt_migrate.references.records import References
from ckpt_migrate.rollback import roll_back
from ckpt_migrate.tracking.run_tags import RunTags

if TYPE_CHECKING:
    from pathlib import Path

    from trees.tree import Tree

    from ckpt_migrate.apply.carry_out import ApplyResult
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.rollback import RollbackResult

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow, SQLAlchemy and alembic warn of each other


@dataclass
class World:
    """A tree of two directories, and a database with their runs, the first of which has a tag of ours already."""

    tree: Tree
    database: Path
    runs: list[str]

    @property
    def store(self) -> RunTags:
        """The database."""
        return RunTags(f"sqlite:///{self.database}")

    @property
    def plan(self) -> Plan:
        """The plan, which asks for tags."""
        return replace(self.tree.plan(), references=References(tag_runs=True))

    def apply(self) -> ApplyResult:
        """Carry it out."""
        return apply_plan(self.plan, RECIPE, tag_store=self.store)

    def undo(self) -> RollbackResult:
        """Roll it back, the store opened by the address in the log."""
        return roll_back(latest_log(str(self.tree.folder)), open_tags=RunTags)

    def tags(self) -> list[dict[str, str]]:
        """Return the tags of both runs, MLflow's own left out, as the database has them."""
        found: list[dict[str, str]] = [{} for _ in self.runs]
        with closing(sqlite3.connect(self.database)) as connection:
            for run_id, key, value in connection.execute("SELECT run_uuid, key, value FROM tags"):
                if run_id in self.runs and not key.startswith("mlflow."):
                    found[self.runs.index(run_id)][key] = value
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A database of the installed MLflow with two runs: made once, for it takes seconds."""
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - takes seconds to import

    logging.getLogger("alembic").setLevel(logging.WARNING)
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    client: Any = MlflowClient(tracking_uri=f"sqlite:///{path}")
    experiment = client.create_experiment("phase2", artifact_location=str(path.parent))
    runs = [client.create_run(experiment).info.run_id for _ in range(2)]
    client.set_tag(runs[0], "checkpoint_dir", "somewhere/else")
    return path, runs


@pytest.fixture
def world(tmp_path: Path, made: tuple[Path, list[str]]) -> World:
    database, runs = made
    copied = tmp_path / "mlflow.db"
    shutil.copy(database, copied)
    tree = make_tree(tmp_path / "project")
    for number, run in enumerate(runs):
        tree.add(number, new=f"{run}_{stamp(number)}")
    tree.settle()
    tree.refresh()
    return World(tree, copied, runs)


def test_runs_say_where_their_checkpoints_are_and_were_and_forget_it_again(world: World) -> None:
    """A tag that was not there is removed by rollback, one that was gets its old value back."""
    before = world.tags()
    steps = [
        step.describe() for step in apply_plan(world.plan, RECIPE, tag_store=world.store, is_dry_run=True).operations
    ]
    assert f"set run {world.runs[0]}, tag timestamp = {stamp(0)}" in steps
    assert world.tags() == before == [{"checkpoint_dir": "somewhere/else"}, {}]
    world.apply()
    assert world.tags() == [
        {
            "checkpoint_dir": f"checkpoints/phase2/{run}_{stamp(number)}",
            "timestamp": stamp(number),
            PREVIOUS: f"checkpoints/phase2/{uid(number)}_{stamp(number)}",
        }
        for number, run in enumerate(world.runs)
    ]
    assert world.undo().is_complete
    assert world.tags() == before


def test_a_tag_that_somebody_set_since_stays_and_is_listed(world: World) -> None:
    world.apply()
    world.store.set(world.runs[1], "timestamp", "mine")
    result = world.undo()
    assert list(result.edited) == [f"run {world.runs[1]}, tag timestamp: was set to 'mine' since"]
    assert world.tags() == [{"checkpoint_dir": "somewhere/else"}, {"timestamp": "mine"}]
    assert len(result.restored) == 2


def test_a_rollback_that_only_had_tags_left_says_what_it_did(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The store was away at the first: the directories came back, and the tags do at the second."""
    before = world.tags()
    world.apply()
    log = latest_log(str(world.tree.folder))
    away = world.database.rename(world.database.with_suffix(".away"))
    first = call(capsys, "rollback", log, "--yes")
    assert first.code == EXIT_UNDECIDED
    assert "the tags of" not in first.out
    away.rename(world.database)
    second = call(capsys, "rollback", log, "--yes")
    assert second.code == EXIT_DONE, second.err
    assert "Everything is as it was before: 0 restored, 2 were as before already, 0 left" in second.out
    assert "the tags of 2 runs are what they were" in second.out
    assert world.tags() == before
    assert "Nothing to do" in call(capsys, "rollback", log, "--yes").out


def test_an_apply_that_was_cut_short_among_the_tags_is_continued_and_undone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.tags()
    calls = []

    def fail(store: RunTags, run_id: str, key: str, value: str | None) -> None:
        calls.append(key)
        if len(calls) == 3:
            raise OSError(5, "the server is gone")
        real(store, run_id, key, value)

    real = RunTags.set
    monkeypatch.setattr(RunTags, "set", fail)
    with pytest.raises(Exception, match="the server is gone"):
        world.apply()
    monkeypatch.undo()
    assert world.apply().was_continued
    assert [len(tags) for tags in world.tags()] == [3, 3]
    assert world.undo().is_complete
    assert world.tags() == before


def test_a_database_that_mlflow_would_upgrade_is_refused_with_the_command(world: World) -> None:
    """And is not touched by asking; a rollback of what was tagged before still brings the directories back."""
    world.apply()
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        connection.commit()
    data = world.database.read_bytes()
    with pytest.raises(StoreError) as refused:
        world.store.check()
    assert f"mlflow db upgrade sqlite:///{world.database}" in str(refused.value)

    def checked(uri: str) -> RunTags:
        store = RunTags(uri)
        store.check()
        return store

    result = roll_back(latest_log(str(world.tree.folder)), open_tags=checked)
    assert len(result.restored) == 2
    assert len(result.edited) == 6
    assert world.database.read_bytes() == data


def test_a_store_that_cannot_be_read_stops_apply_before_anything_is_changed(world: World) -> None:
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("DELETE FROM runs")
        connection.commit()
    before = world.tree.snapshot()
    with pytest.raises(DriftError, match="cannot be applied") as refused:
        world.apply()
    assert "reading the tags of run" in refused.value.problems[0]
    assert world.tree.snapshot() == before
