"""What a process may do to others' directories: asked before anything is changed, no dead end where it shows late."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from trees.crash import child_environment

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import ExecutionError
from ckpt_migrate.journal.logs import find_logs, latest_log
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from pathlib import Path

    from trees import Tree

    from ckpt_migrate.recipe import Recipe

NOBODY = 65534
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="takes rights away from the superuser"
)


@pytest.fixture
def shared(small: Tree) -> Tree:
    """Return directories that belong to somebody else, and may be written to by everybody."""
    for base, folders, files in os.walk(small.root):
        for path in (os.path.join(base, name) for name in folders + files):
            os.chown(path, NOBODY, NOBODY)
    small.settle()
    small.refresh()
    return small


def _without_rights(tree: Tree, what: str) -> str:
    """Apply or roll back as a superuser of a container: he may not act for other owners. Return what he is told."""
    file = tree.folder.parent / "plan.pickle"
    file.write_bytes(pickle.dumps(tree.plan()))
    drop = "--bounding-set=-fowner,-chown"
    call = ["setpriv", drop, "--inh-caps=-all", sys.executable, "-m", "trees.crash", "run", what, str(file)]
    done = subprocess.run(call, env=child_environment(), capture_output=True, text=True, check=False)
    if done.returncode and "setpriv" in done.stderr:
        pytest.skip("rights cannot be taken away here")
    return done.stderr


def test_times_that_could_not_be_kept_are_found_beforehand(shared: Tree) -> None:
    before = shared.snapshot()
    told = _without_rights(shared, "apply")
    assert told.count("belongs to another user, so its modification time could not be kept") == 3
    assert told.count("has another owner and could not be restored exactly") == 1
    assert shared.snapshot() == before
    assert not (shared.root / ".ckpt-migrate").exists()


def test_a_time_that_cannot_be_put_back_ends_no_rollback(shared: Tree, recipe: Recipe, tmp_path: Path) -> None:
    """All else goes back and the times are listed; whoever may set them does so with the same command later."""
    os.chown(shared.root / shared.entries[1].checkpoint.rpartition("/")[2] / "README.md", 0, 0)
    shared.refresh()
    before = shared.snapshot()
    apply_plan(shared.plan(), recipe)
    assert _without_rights(shared, "rollback") == ""
    assert find_logs(str(shared.root))[0].state.value == "partly rolled back"
    now = shared.snapshot()
    late = {entry.checkpoint for entry in shared.entries}
    assert {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)} == late
    result = roll_back(latest_log(str(tmp_path)))
    assert result.is_complete
    assert len(result.operations) >= 3
    assert shared.snapshot() == before


def test_a_log_that_cannot_be_made_or_written_says_what_makes_it_possible(
    small: Tree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before an apply's first change, in its lock and in its log, and before an undo's."""

    def refuse(path: str, **_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system", path)

    log = apply_plan(small.plan(small.entries[:1]), recipe).log
    assert log is not None
    before = small.snapshot()
    for call in ("open_log", "open_small"):
        with monkeypatch.context() as context:
            context.setattr(storage, call, refuse)
            for work in (lambda: apply_plan(small.plan(small.entries[1:]), recipe), lambda: roll_back(log)):
                with pytest.raises(ExecutionError, match="Read-only file system") as caught:
                    work()
                assert "mounted to be written and not full" in str(caught.value.remedy)
        assert small.snapshot() == before
