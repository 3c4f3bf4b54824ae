# ruff: noqa: INP001 - a script, no package
"""Measure apply and rollback against a bare loop, and against mmv and perl's rename, in the same tree and run.

    python benchmarks/bench_apply.py [DIRECTORIES] [FOLDER]

FOLDER should lie on the file system in question; the default is the system's folder for temporary files. All parts take
turns, three times over. Of each the shortest time is told, seconds, and the least processor time: what the system does
for it counts, waiting for the disk or for a machine that others use as well does not. The bare loops check nothing and
log nothing; that of names alone syncs nothing, that with manifests writes the same files as apply and syncs each of
them and each directory, as apply does, in 1,000 of the directories. mmv and rename are Debian's; they sync nothing.
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
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.apply import carry_out as apply_module
from ckpt_migrate.cli import run
from ckpt_migrate.plan.records import Action, Clock, Entry, Plan, RunFacts, Status
from ckpt_migrate.plan.write import render_plan
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.rollback import roll_back
from ckpt_migrate.scan.listing import current_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckpt_migrate.recipe import Recipe

ROUNDS = 3
WITH_MANIFESTS = 1_000
"""Directories of the part with manifests: its bare loop waits for the disk three times for each."""
AGE_S = 86_400


def main() -> None:
    """Make a tree, time each part, print a table."""
    if sys.argv[1:2] == ["command"]:
        run_command(sys.argv[2:])
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    base = tempfile.mkdtemp(prefix="bench_apply_", dir=sys.argv[2] if len(sys.argv) > 2 else None)  # noqa: PLR2004 - the second argument
    try:
        plan = make_tree(base, count)
        recipe = load_recipe()
        bare = replace(recipe, manifests=())
        names = Table()
        for _ in range(ROUNDS):
            rename_loop(plan, names)
            for name, commands in peers():
                run_peer(name, plan, commands, names)
            with names.timed("dry run, names only"):
                apply_module.apply_plan(plan, bare, is_dry_run=True)
            run_apply("apply, names only", plan, bare, names)
        few = replace(plan, entries=plan.entries[:WITH_MANIFESTS])
        written = Table()
        for _ in range(ROUNDS):
            manifest_loop(few, written)
            run_apply("apply, with two manifests each", few, recipe, written)
        sys.stdout.write(f"{count:,} directories in one parent, in {base}\n")
        sys.stdout.write(names.text() + written.text())
        sys.stdout.write(time_commands(plan))
    finally:
        shutil.rmtree(base)


class Table:
    """The shortest wall time and the least processor time of each part, seconds; the first part is the floor."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[float, float]] = {}

    @contextmanager
    def timed(self, label: str) -> Iterator[None]:
        """Time a part."""
        start = clocks()
        yield
        self.note(label, start, clocks())

    def note(self, label: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Take a part's times, given the clocks before and after it."""
        taken = (end[0] - start[0], end[1] - start[1])
        known = self.rows.get(label, taken)
        self.rows[label] = (min(taken[0], known[0]), min(taken[1], known[1]))

    def text(self) -> str:
        """Return the rows, each beside the floor."""
        floor_s, floor_cpu_s = next(iter(self.rows.values()))
        return "".join(
            f"{label:<52}{wall_s:8.2f} s{wall_s / floor_s:7.1f} x"
            f"{cpu_s:8.2f} s of processor{cpu_s / floor_cpu_s:7.1f} x\n"
            for label, (wall_s, cpu_s) in self.rows.items()
        )


def clocks() -> tuple[float, float]:
    """Return the time, and the processor time of this process, of the system for it and of what it has run, seconds."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def time_commands(plan: Plan) -> str:
    """Return how long the commands take from start to end, names only, and how much memory they hold."""
    recipe_path, plan_path = os.path.join(plan.folder, "names_only.yaml"), os.path.join(plan.folder, "plan.yaml")
    with open(load_recipe().source, encoding="utf-8") as file:
        text = file.read().partition("\nmanifests:")[0]
    with open(recipe_path, "w", encoding="utf-8") as file:
        file.write(f"{text}\nmanifests:\n  files: []\n")
    plan = replace(
        plan,
        created="2026-03-01T00:00:00Z",
        migration=recipe_path,
        recipe_digest=load_recipe(recipe_path).digest,
        summary={
            "status": {"matched": len(plan.entries), "linked": 0},
            "action": {"rename": len(plan.entries), "repair": 0, "skip": 0},
            "directories": {"legacy": len(plan.entries)},
        },
    )
    with open(plan_path, "w", encoding="utf-8") as file:
        file.write(render_plan(plan))
    lines = []
    for label, words in (
        ("apply --dry-run", ["apply", plan_path, "--dry-run"]),
        ("apply", ["apply", plan_path, "--yes"]),
        ("rollback", ["rollback", "latest", "--root", plan.folder, "--yes"]),
    ):
        command = [sys.executable, __file__, "command", *words]
        start = clocks()
        done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        end = clocks()
        times = f"{end[0] - start[0]:8.2f} s{end[1] - start[1]:17.2f} s of processor"
        lines.append(f"{'the command ' + label + ', plan or log read':<52}{times}{done.stderr.split()[-1]:>8} MiB\n")
    return "".join(lines)


def run_command(words: list[str]) -> None:
    """Run a command of the tool in this process, and end its standard error with the most memory it held, MiB."""
    try:
        sys.exit(run(words))
    finally:
        # Not `getrusage`: that counts what the parent held, too.
        with open("/proc/self/status", encoding="ascii") as file:
            peak_kib = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
        sys.stderr.write(f" {peak_kib // 1024}\n")


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


def rename_loop(plan: Plan, table: Table) -> None:
    """Time a bare loop; rename back afterwards."""
    pairs = [(plan.absolute(entry.checkpoint), plan.absolute(entry.target or "")) for entry in plan.entries]
    with table.timed("bare loop of os.rename"):
        for source, target in pairs:
            os.rename(source, target)
    for source, target in pairs:
        os.rename(target, source)


def manifest_loop(plan: Plan, table: Table) -> None:
    """Time a bare loop that renames and writes two files in each, synced; undo it afterwards."""
    pairs = [(plan.absolute(entry.checkpoint), plan.absolute(entry.target or "")) for entry in plan.entries]
    names = ("MLFLOW_RUN_ID.txt", "README.md")
    with table.timed(f"bare loop with two manifests, synced ({len(plan.entries):,})"):
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
    for source, target in pairs:
        found = os.stat(os.path.join(target, "lightning_checkpoints"))
        for name in names:
            os.unlink(os.path.join(target, name))
        os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))
        os.rename(target, source)


def peers() -> list[tuple[str, tuple[list[str], list[str]]]]:
    """Return those of the peers that are here, each with its command and the one that undoes it."""
    found: list[tuple[str, tuple[list[str], list[str]]]] = []
    if shutil.which("mmv"):
        found.append(("mmv", (["mmv", "-r", "*", "x#1"], ["mmv", "-r", "x*", "#1"])))
    if shutil.which("file-rename"):
        found.append(("perl rename", (["file-rename", "s/^/x/"], ["file-rename", "s/^x//"])))
    return found


def run_peer(name: str, plan: Plan, commands: tuple[list[str], list[str]], table: Table) -> None:
    """Time a peer that renames all directories; rename back afterwards."""
    root = plan.absolute(plan.roots[0])
    for position, command in enumerate(commands):
        names = "\n".join(sorted(os.listdir(root))) + "\n"
        start = clocks()
        subprocess.run(command, input=names if command[0] == "file-rename" else None, cwd=root, text=True, check=True)
        if not position:
            table.note(name, start, clocks())


class Watch:
    """A progress that notes when a loop begins, so that the checks before it can be told from it."""

    def __init__(self) -> None:
        self.started: dict[str, tuple[float, float]] = {}

    def track(self, items: Iterable[object], *, label: str, total: int | None = None) -> Iterable[object]:  # noqa: ARG002 - the protocol's signature
        """Return the items as they are."""
        self.started[label] = clocks()
        return items


def run_apply(label: str, plan: Plan, recipe: Recipe, table: Table) -> None:
    """Time the checks, the changes and the undo."""
    watch = Watch()
    start = clocks()
    result = apply_module.apply_plan(plan, recipe, progress=watch)  # type: ignore[arg-type] # a narrower Progress
    end = clocks()
    assert sum(step.verb == "rename" for step in result.operations) == len(plan.entries)  # noqa: S101
    table.note(f"{label}: checks", start, watch.started["Applying"])
    table.note(f"{label}: changes", watch.started["Applying"], end)
    table.note(f"{label}: both", start, end)
    with table.timed(f"{label}: rollback, all of it"):
        assert result.log is not None and roll_back(result.log).is_complete  # noqa: S101, PT018


if __name__ == "__main__":
    main()
