"""Crash campaign: kill apply, its continuation and rollback at every system call that changes something.

    PYTHONPATH=.:tests python -m trees.crash [STEP]

For each call of a run, the process is killed by SIGKILL at its entry; then the apply is continued (and must give the
finished state), or rolled back (and must give the original one), names, bytes, modes and times compared. STEP 1 (the
default) takes every call, STEP n every n-th one. Needs strace. `test_crash.py` runs a slice of it.

As a child, `-m trees.crash run WHAT FILE` does what is to be killed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import CkptMigrateError, PlanAppliedError, UsageError
from ckpt_migrate.executor import groups
from ckpt_migrate.journal.logs import latest_log
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.rollback import roll_back
from trees.references import edited_throughout, planned, put, references
from trees.tree import Tree, make_tree, run_id, stamp, uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

HERE = Path(__file__).resolve()
IMPORT_FROM = os.pathsep.join([str(HERE.parents[2]), str(HERE.parents[1])])

CALLS = (
    "mkdir", "mkdirat", "rmdir", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink",
    "unlinkat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "utimensat", "fchmod", "fchown", "fsetxattr",
)  # fmt: skip
"""Calls that change something. Opening with O_CREAT is not among them: the state that it leaves is the one before the
next of these calls."""
SCENARIOS = ("apply", "continue", "rollback", "rollback of a crashed apply")
KILLED = -9


@dataclass(frozen=True)
class Point:
    """The N-th call of a name, counted from 1."""

    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.call} {self.number}"


def make_world(folder: Path) -> Tree:
    """Make a small tree with one of each: plain, others' manifests, linked manifests, a chain, a swap, a repair."""
    tree = make_tree(folder)
    tree.add(0)
    tree.add(1, files={"README.md": b"notes\n", "MLFLOW_RUN_ID.txt": b"MLflow Run ID: none\n", "model.pt": b"w"})
    linked = tree.add(2, files={"model.pt": b"w2"})
    (folder / "shared.md").write_bytes(b"shared notes\n")
    (linked / "README.md").symlink_to(folder / "shared.md")
    os.link(folder / "shared.md", linked / "MLFLOW_RUN_ID.txt")
    one, other = f"{uid(8)}_{stamp(8)}", f"{uid(9)}_{stamp(9)}"
    tree.add(8, old=one, new=other)
    tree.add(9, old=other, new=one)
    tree.add(3, old=f"{uid(3)}_{stamp(3)}", new=f"{uid(4)}_{stamp(3)}")
    tree.add(4, old=f"{uid(4)}_{stamp(3)}", new=f"{run_id(4)}_{stamp(3)}")
    tree.repair(5)
    tree.settle()
    tree.refresh()
    return tree


def make_referring_world(folder: Path) -> Tree:
    """Make a tree with a swap, and around it all kinds of references to be edited; old names keep a link."""
    tree = make_tree(folder)
    one, other = f"{uid(8)}_{stamp(8)}", f"{uid(9)}_{stamp(9)}"
    tree.add(8, old=one, new=other, files={"model.pt": b"w8"})
    tree.add(9, old=other, new=one, files={"model.pt": b"w9"})
    name = f"{uid(0)}_{stamp(0)}"
    tree.add(0, files={"sub/notes.txt": f"as {one}\n".encode(), "README.md": f"from {other}\n".encode()})
    put(tree, "configs/a.yaml", f"a: checkpoints/phase2/{name}/model.pt # {one}\r\n".encode())
    put(tree, "configs/b.txt", f"{other}, {name}".encode("utf-16"))
    (tree.root / "latest").symlink_to(name)
    tree.settle()
    tree.references = references(edited_throughout(planned(tree, leave_links=True)))
    return tree


def run_child(what: str, file: str) -> None:
    """Do what is to be killed, in one thread: strace counts the calls of each thread by itself."""
    groups.SYNC_THREADS = sys.maxsize
    with open(file, "rb") as stream:
        plan = pickle.load(stream)  # noqa: S301 - made by this very script
    if what == "apply":
        apply_plan(plan, load_recipe())
    else:
        roll_back(latest_log(plan.folder))


def command(what: str, folder: Path, tracing: list[str]) -> list[str]:
    """Return the command that does it under strace."""
    return [
        "strace",
        "-f",
        "-qq",
        *tracing,
        sys.executable,
        "-m",
        "trees.crash",
        "run",
        what,
        str(folder / "plan.pickle"),
    ]


def child_environment() -> dict[str, str]:
    """Return the environment in which a child finds the package and this one."""
    return {**os.environ, "PYTHONPATH": IMPORT_FROM}


def start(folder: Path, make: Callable[[Path], Tree] = make_world) -> Tree:
    """Make a fresh world and leave its plan for the child."""
    shutil.rmtree(folder, ignore_errors=True)
    tree = make(folder / "project")
    with open(folder / "plan.pickle", "wb") as stream:
        pickle.dump(tree.plan(), stream)
    return tree


def count_calls(what: str, folder: Path) -> list[Point]:
    """Run it unharmed and return every call that it makes, sorted."""
    trace = folder / "trace"
    subprocess.run(
        command(what, folder, ["-o", str(trace), "-e", f"trace={','.join(CALLS)}"]), check=True, env=child_environment()
    )
    seen: dict[str, int] = {}
    points: list[Point] = []
    for line in trace.read_text(errors="replace").splitlines():
        match = re.match(r"(?:\d+ +)?(\w+)\(", line)
        if match is not None:
            seen[match[1]] = seen.get(match[1], 0) + 1
            points.append(Point(match[1], seen[match[1]]))
    return points


def kill_at(what: str, folder: Path, point: Point) -> None:
    """Run it and kill it at the entry of one call."""
    inject = f"inject={point.call}:signal=KILL:when={point.number}"
    done = subprocess.run(
        command(what, folder, ["-o", os.devnull, "-e", f"trace={point.call}", "-e", inject]),
        check=False,
        capture_output=True,
        env=child_environment(),
    )
    if done.returncode != KILLED:
        raise AssertionError(f"{what} was not killed at {point}: {done.returncode} {done.stderr.decode()[-2000:]}")


def prepare(
    scenario: str, folder: Path, middle: Point | None, make: Callable[[Path], Tree] = make_world
) -> tuple[Tree, str]:
    """Bring a fresh world to where the scenario begins; return it and what is to be killed."""
    tree = start(folder, make)
    if scenario == "rollback":
        apply_plan(tree.plan(), load_recipe())
    elif middle is not None and scenario != "apply":
        kill_at("apply", folder, middle)
    return tree, "rollback" if scenario.startswith("rollback") else "apply"


def campaign(
    folder: Path,
    *,
    step: int,
    scenarios: tuple[str, ...] = SCENARIOS,
    make: Callable[[Path], Tree] = make_world,
) -> Iterator[tuple[str, Point, str]]:
    """Yield every point killed at, with an empty text or what differed afterwards."""
    tree = start(folder, make)
    original = tree.snapshot(with_inodes=False)
    points = count_calls("apply", folder)
    finished = tree.snapshot(with_inodes=False)
    middle = points[len(points) * 2 // 3]
    for scenario in scenarios:
        prepare(scenario, folder, middle, make)
        what = "rollback" if scenario.startswith("rollback") else "apply"
        for point in itertools.islice(count_calls(what, folder), step // 2, None, step):
            for ending in ("continue", "rollback"):
                if what == "rollback" and ending == "continue":
                    continue
                tree, _ = prepare(scenario, folder, middle, make)
                kill_at(what, folder, point)
                try:
                    difference = end(tree, ending, original, finished)
                except CkptMigrateError as error:
                    difference = f"  {type(error).__name__}: {error}"
                yield f"{scenario}, then {ending}", point, difference


def end(tree: Tree, ending: str, original: dict[str, object], finished: dict[str, object]) -> str:
    """Continue or undo, and say what differs from what must be."""
    try:
        log = latest_log(str(tree.folder))
    except UsageError:  # killed before there was a log
        log = None
    if log is None and ending == "rollback":
        wanted = original
    elif ending == "continue":
        with contextlib.suppress(PlanAppliedError):  # killed after the last record
            apply_plan(tree.plan(), load_recipe())
        wanted = finished
    else:
        result = roll_back(str(log))
        wanted = original
        if not result.is_complete:
            return f"not complete: {result}"
    found = tree.snapshot(with_inodes=False)
    wrong = [key for key in sorted(found.keys() | wanted.keys()) if found.get(key) != wanted.get(key)]
    if log is None and wrong == [os.path.relpath(tree.root, tree.folder)]:
        return ""  # the root's own time, killed before it could be put back: the exception named in docs/safety.md
    return "\n".join(f"  {key}: {found.get(key)} instead of {wanted.get(key)}" for key in wrong)


def main() -> int:
    """Run the campaign on both worlds and print what went wrong."""
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as base:
        worlds = (campaign(Path(base) / "crash", step=step, make=make) for make in (make_world, make_referring_world))
        return report("kills", "killed at", itertools.chain.from_iterable(worlds))


def report(what: str, happened: str, states: Iterable[tuple[str, object, str]]) -> int:
    """Print the states that were lost, and how many were tried; return the exit code."""
    tried = lost = 0
    for label, point, difference in states:
        tried += 1
        if difference:
            lost += 1
            sys.stdout.write(f"{label}, {happened} {point}:\n{difference}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{what}: {tried:,} states tried, {lost} lost\n")
    return 1 if lost else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run_child(sys.argv[2], sys.argv[3])
    else:
        sys.exit(main())
