# ruff: noqa: INP001 - a script, no package
"""Measure apply and rollback against a bare loop of renames in the same tree.

    python benchmarks/bench_apply.py [DIRECTORIES] [FOLDER]

FOLDER should lie on the file system in question; the default is the system's folder for temporary files. Each figure
is the best of three runs, seconds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.apply import carry_out as apply_module
from ckpt_migrate.plan.records import Action, Clock, Entry, Plan, RunFacts, Status
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.rollback import roll_back
from ckpt_migrate.scan.listing import current_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ckpt_migrate.recipe import Recipe

ROUNDS = 3
AGE_S = 86_400


def main() -> None:
    """Make a tree, time each part, print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    base = tempfile.mkdtemp(prefix="bench_apply_", dir=sys.argv[2] if len(sys.argv) > 2 else None)  # noqa: PLR2004 - the second argument
    try:
        plan = make_tree(base, count)
        recipe = load_recipe()
        bare = replace(recipe, manifests=())
        rows = [("bare loop of os.rename", best(lambda: rename_loop(plan)))]
        rows += timed_apply("apply, names only", plan, bare)
        rows += timed_apply("apply, with two manifests each", plan, recipe)
        floor = rows[0][1]
        sys.stdout.write(f"{count:,} directories in one parent, in {base}\n")
        for label, seconds in rows:
            sys.stdout.write(f"{label:<52}{seconds:8.2f} s  {seconds / floor:6.1f} x\n")
    finally:
        shutil.rmtree(base)


def make_tree(base: str, count: int) -> Plan:
    """Make legacy directories of three files each, a day old, and the plan that renames them."""
    root = os.path.join(base, "checkpoints")
    os.mkdir(root)
    old_s = time.time() - AGE_S
    entries: list[Entry] = []
    runs: dict[str, RunFacts] = {}
    for number in range(count):
        old, run = (
            hashlib.md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest() for kind in ("old", "run")
        )
        stamp = "20260201_000000"
        source = os.path.join(root, f"{old}_{stamp}")
        os.makedirs(os.path.join(source, "lightning_checkpoints"))
        for name in ("config.json", "model.pt", "lightning_checkpoints/last.ckpt"):
            path = os.path.join(source, name)
            with open(path, "wb") as file:
                file.write(name.encode())
            os.utime(path, (old_s, old_s))
        os.utime(os.path.join(source, "lightning_checkpoints"), (old_s, old_s))
        os.utime(source, (old_s, old_s))
        runs[run] = RunFacts(run, "a run", "phase2", "1", "FINISHED", is_deleted=False, start=None, artifact_uri=None)
        entries.append(
            Entry(
                checkpoint=os.path.relpath(source, base),
                root="checkpoints",
                status=Status.MATCHED,
                action=Action.RENAME,
                run_id=run,
                target=f"checkpoints/{run}_{stamp}",
                fingerprint=current_fingerprint(source),
            )
        )
    os.sync()
    clock = Clock(None, (), "none", None, None, 0, None, is_decisive=False)
    return Plan("", "", "phase2_run_id", "", (), ("checkpoints",), clock, {}, runs, tuple(entries), base, "0" * 64)


def best(work: Callable[[], float]) -> float:
    """Return the shortest of several runs, seconds."""
    return min(work() for _ in range(ROUNDS))


def rename_loop(plan: Plan) -> float:
    """Return how long a bare loop takes; renames back afterwards."""
    pairs = [(plan.absolute(entry.checkpoint), plan.absolute(entry.target or "")) for entry in plan.entries]
    start_s = time.perf_counter()
    for source, target in pairs:
        os.rename(source, target)
    taken_s = time.perf_counter() - start_s
    for source, target in pairs:
        os.rename(target, source)
    return taken_s


class Watch:
    """A progress that notes when a loop begins, so that the checks before it can be told from it."""

    def __init__(self) -> None:
        self.started_s: dict[str, float] = {}

    def track(self, items: Iterable[object], *, label: str, total: int | None = None) -> Iterable[object]:  # noqa: ARG002 - the protocol's signature
        """Return the items as they are."""
        self.started_s[label] = time.perf_counter()
        return items


def timed_apply(label: str, plan: Plan, recipe: Recipe) -> list[tuple[str, float]]:
    """Return rows for the checks, the changes and the undo, each the best of its rounds."""
    rounds: list[tuple[float, float, float]] = []
    for _ in range(ROUNDS):
        watch = Watch()
        start_s = time.perf_counter()
        result = apply_module.apply_plan(plan, recipe, progress=watch)  # type: ignore[arg-type] # a narrower Progress
        end_s = time.perf_counter()
        changing_s = watch.started_s["Applying"]
        assert sum(step.verb == "rename" for step in result.operations) == len(plan.entries)  # noqa: S101
        undo_s = time.perf_counter()
        assert result.log is not None and roll_back(result.log).is_complete  # noqa: S101, PT018
        rounds.append((changing_s - start_s, end_s - changing_s, time.perf_counter() - undo_s))
    checks, changes, undo = (min(column) for column in zip(*rounds, strict=True))
    return [(f"{label}: checks", checks), (f"{label}: changes", changes), (f"{label}: rollback, all of it", undo)]


if __name__ == "__main__":
    main()
