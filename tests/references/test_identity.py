"""Plan, apply, rollback is the identity, whatever the files around the checkpoints hold."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees.crash import campaign, make_referring_world
from trees.references import RECIPE, edited_throughout, planned, put
from trees.tree import make_tree, run_id, stamp, uid

from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.journal.logs import latest_log
from ckpt_migrate.references.recheck import recheck
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from trees.tree import Tree

OLD = [f"{uid(number)}_{stamp(number)}" for number in range(3)]
NEW = [f"{run_id(number)}_{stamp(number)}" for number in range(2)]
PIECES = st.sampled_from([*OLD, *OLD, *NEW, "checkpoints/phase2/", "\r\n", "\n", "é", "_", " ", "目录", "\t", "=", '"'])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-32"])
CONTENTS = st.tuples(st.lists(PIECES, max_size=12).map("".join), ENCODINGS).map(
    lambda given: given[0].encode(given[1], "replace")
) | st.binary(max_size=40)
PLACES = ["a.txt", "configs/b.yaml", f"checkpoints/phase2/{OLD[0]}/notes.md", f"checkpoints/phase2/{OLD[1]}/sub/c.txt"]


def make(folder: Path, files: dict[str, bytes], modes: list[int]) -> Tree:
    """Make a tree of two directories to be renamed, one that is not, and files around and in them."""
    tree = make_tree(folder)
    for number in range(3):
        tree.add(number)
    del tree.entries[2]
    for (path, data), mode in zip(files.items(), modes, strict=False):
        put(tree, path, data).chmod(mode)
    (tree.root / "latest").symlink_to(OLD[0])
    tree.settle()
    return tree


@given(
    st.dictionaries(st.sampled_from(PLACES), CONTENTS, max_size=4),
    st.lists(st.sampled_from([0o644, 0o600, 0o755, 0o444]), min_size=4, max_size=4),
    st.booleans(),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_plan_apply_rollback_is_the_identity(files: dict[str, bytes], modes: list[int], leave_links: bool) -> None:  # noqa: FBT001 - drawn
    """Names, bytes, modes, times; and in between nothing but the names differs, and no mention is left."""
    base = Path(tempfile.mkdtemp(prefix="identity-"))
    try:
        tree = make(base / "project", files, modes)
        plan = edited_throughout(planned(tree, leave_links=leave_links))
        before = tree.snapshot()
        apply_plan(plan, RECIPE)
        assert recheck(plan, RECIPE) == ()
        for path in PLACES[:2]:
            if path in files:
                found = (tree.folder / path).read_bytes()
                assert len(found) == len(files[path])
                assert _neutral(found) == _neutral(files[path])
        assert roll_back(latest_log(str(tree.folder))).is_complete
        assert tree.snapshot() == before
    finally:
        shutil.rmtree(base)


def _neutral(data: bytes) -> bytes:
    """Return bytes with old and new names alike."""
    for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
        for old, new in zip(OLD, NEW, strict=False):
            data = data.replace(old.encode(encoding), new.encode(encoding))
    return data


has_strace = shutil.which("strace") is not None and (
    subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], check=False, capture_output=True).returncode == 0
)


@pytest.mark.skipif(not has_strace, reason="strace is missing or may not trace here")
@pytest.mark.parametrize("scenario", ["apply", "rollback"])
def test_a_kill_at_any_call_is_recovered_exactly(tmp_path: Path, scenario: str) -> None:
    """A slice of the campaign on a tree with references: `make crash` takes every call."""
    kills = 0
    for label, point, difference in campaign(
        tmp_path / "crash", step=71, scenarios=(scenario,), make=make_referring_world
    ):
        kills += 1
        assert not difference, f"{label}, killed at {point}:\n{difference}"
    assert kills >= 1
