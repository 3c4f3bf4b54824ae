# ruff: noqa: INP001 - a script, no package
"""Measure apply and rollback against a bare loop, and against mmv and perl's rename, in the same tree and run.

    python benchmarks/bench_apply.py [DIRECTORIES] [FOLDER]

FOLDER should lie on the file system in question; the default is the system's folder for temporary files. Each figure
is the best of three runs, seconds. The part with manifests takes 1,000 of the directories. The bare loops check
nothing and log nothing; that with manifests writes the same files and syncs each of them and each directory, as apply
does. mmv and rename are Debian's; they sync nothing.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
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
WITH_MANIFESTS = 1_000
"""Directories of the part with manifests: its bare loop waits for the disk three times for each."""
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
        rows += [(name, best(partial(timed_peer, plan, commands))) for name, commands in peers()]
        rows.append(("dry run, names only", best(lambda: timed_dry_run(plan, bare))))
        rows += timed_apply("apply, names only", plan, bare)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        few = replace(plan, entries=plan.entries[:WITH_MANIFESTS])
        written = [(f"bare loop with two manifests, synced ({len(few.entries):,})", best(lambda: manifest_loop(few)))]
        written += timed_apply("apply, with two manifests each", few, recipe)
        sys.stdout.write(f"{count:,} directories in one parent, in {base}\n")
        for each in (rows, written):
            for label, seconds in each:
                sys.stdout.write(f"{label:<52}{seconds:8.2f} s  {seconds / each[0][1]:6.1f} x\n")
        sys.stdout.write(f"peak memory with names only, the plan included: {peak_mib:.0f} MiB\n")
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
        stamp = f"202602{number % 28 + 1:02d}_{number % 24:02d}{number % 60:02d}00"
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


def manifest_loop(plan: Plan) -> float:
    """Return how long a bare loop takes that renames and writes two files in each, synced; undoes it afterwards."""
    pairs = [(plan.absolute(entry.checkpoint), plan.absolute(entry.target or "")) for entry in plan.entries]
    names = ("MLFLOW_RUN_ID.txt", "README.md")
    start_s = time.perf_counter()
    for source, target in pairs:
        os.rename(source, target)
        for name in names:
            staged = os.path.join(target, f".{name}")
            with open(staged, "wb") as file:
                file.write(target.encode() * 8)
                file.flush()
                os.fsync(file.fileno())
            os.rename(staged, os.path.join(target, name))
        handle = os.open(target, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    taken_s = time.perf_counter() - start_s
    for source, target in pairs:
        found = os.stat(os.path.join(target, "lightning_checkpoints"))
        for name in names:
            os.unlink(os.path.join(target, name))
        os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))
        os.rename(target, source)
    return taken_s


def peers() -> list[tuple[str, tuple[list[str], list[str]]]]:
    """Return those of the peers that are here, each with its command and the one that undoes it."""
    found: list[tuple[str, tuple[list[str], list[str]]]] = []
    if shutil.which("mmv"):
        found.append(("mmv", (["mmv", "-r", "*", "x#1"], ["mmv", "-r", "x*", "#1"])))
    if shutil.which("file-rename"):
        found.append(("perl rename", (["file-rename", "s/^/x/"], ["file-rename", "s/^x//"])))
    return found


def timed_peer(plan: Plan, commands: tuple[list[str], list[str]]) -> float:
    """Return how long a peer takes to rename all directories; renames back afterwards."""
    root = plan.absolute(plan.roots[0])
    taken_s = 0.0
    for position, command in enumerate(commands):
        names = "\n".join(sorted(os.listdir(root))) + "\n"
        start_s = time.perf_counter()
        subprocess.run(command, input=names if command[0] == "file-rename" else None, cwd=root, text=True, check=True)
        taken_s += 0 if position else time.perf_counter() - start_s
    return taken_s


def timed_dry_run(plan: Plan, recipe: Recipe) -> float:
    """Return how long a dry run takes."""
    start_s = time.perf_counter()
    apply_module.apply_plan(plan, recipe, is_dry_run=True)
    return time.perf_counter() - start_s


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
