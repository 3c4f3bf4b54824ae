# ruff: noqa: INP001 - a script, no package
"""Time the search for old names beside `grep -rF -f` and `rg -F -f`, compare their hits, then apply and undo the edits.

    python -m benchmarks.bench_references [FILES] [NAMES] [FOLDER]

makes FILES text files of 21 KiB (50,000: 1 GiB) of which every tenth mentions some of NAMES directories (10,000), and
those directories. The search is timed as a whole process, with all that a plan says of each hit; the others as they are
called from a shell. What is not installed is left out.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.bench_apply import make_tree
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.references.build import SearchInput, build_references
from ckpt_migrate.references.renamings import renamings_of
from ckpt_migrate.rollback import roll_back
from ckpt_migrate.scan.walk import scan_roots

if TYPE_CHECKING:
    from ckpt_migrate.plan.records import Plan

ROUNDS = 2
LINES_PER_FILE = 260
FOLDERS = 500
PLAN, NAMES, TEXTS = "plan.pickle", "names", "texts"


def main() -> None:
    """Make a tree, search it with each tool in turns, compare hits, then apply and roll back."""
    files, names = (int(sys.argv[place]) if len(sys.argv) > place else default for place, default in LIMITS)
    base = tempfile.mkdtemp(prefix="bench_references_", dir=sys.argv[3] if len(sys.argv) > len(LIMITS) + 1 else None)
    try:
        size = make_world(base, files, names)
        sys.stdout.write(f"{files:,} files, {size / 2**30:.2f} GiB, {names:,} names\n")
        hits = compare(base)
        sys.stdout.write(f"same hits: {len(hits):,} lines\n")
        prove_identity(base)
    finally:
        shutil.rmtree(base)


LIMITS = ((1, 50_000), (2, 10_000))


def make_world(base: str, files: int, names: int) -> int:
    """Make directories with their plan, and texts around them; return the bytes of the texts."""
    plan = make_tree(base, names)
    with open(os.path.join(base, PLAN), "wb") as stream:
        pickle.dump(plan, stream)
    old = [entry.checkpoint.rpartition("/")[2] for entry in plan.entries]
    with open(os.path.join(base, NAMES), "w", encoding="utf-8") as stream:
        stream.writelines(f"{name}\n" for name in old)
    rng = random.Random(1)  # noqa: S311 - reproducible, not secret
    letters = "abcdefghijklmnopqrstuvwxyz_0123456789"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 12))) for _ in range(5000)]
    lines = [" ".join(rng.choices(words, k=10)) + "\n" for _ in range(20_000)]
    size = 0
    for number in range(files):
        folder = os.path.join(base, TEXTS, f"{number % FOLDERS:03d}")
        os.makedirs(folder, exist_ok=True)
        chosen = rng.choices(lines, k=LINES_PER_FILE)
        for _ in range(0 if number % 10 else rng.randint(1, 3)):
            mentions = ", ".join(f"checkpoints/{name}/model.pt" for name in rng.choices(old, k=rng.randint(1, 2)))
            chosen[rng.randrange(LINES_PER_FILE)] = f"paths: {mentions}\n"
        with open(os.path.join(folder, f"{number}.txt"), "w", encoding="utf-8") as stream:
            size += stream.write("".join(chosen))
    return size


def compare(base: str) -> set[tuple[str, int]]:
    """Time the tools in turns, print a table, and return the hits, which must be the same."""
    texts, names = os.path.join(base, TEXTS), os.path.join(base, NAMES)
    commands = {
        "ckpt-migrate": [sys.executable, "-m", "benchmarks.bench_references", "search", base],
        "grep -rF -f": ["grep", "-rnF", "-f", names, texts],
        "rg -F -f": ["rg", "-nF", "--no-heading", "--no-ignore", "-f", names, texts],
    }
    commands = {label: command for label, command in commands.items() if shutil.which(command[0]) is not None}
    seconds = {label: float("inf") for label in commands}
    hits: dict[str, set[tuple[str, int]]] = {}
    memory = 0
    for _ in range(ROUNDS):
        for label, command in commands.items():
            start_s = time.perf_counter()
            done = subprocess.run(
                command, capture_output=True, check=True, text=True, env={**os.environ, "LC_ALL": "C"}
            )
            seconds[label] = min(seconds[label], time.perf_counter() - start_s)
            hits[label] = {_hit(line, texts) for line in done.stdout.splitlines()}
            if label == "ckpt-migrate":
                memory = int(done.stderr)
    for label, taken_s in seconds.items():
        sys.stdout.write(f"{label:<16}{taken_s:8.2f} s\n")
    sys.stdout.write(f"peak memory of ckpt-migrate: {memory / 1024:.0f} MiB\n")
    first, *others = hits.values()
    if not all(other == first for other in others):
        raise SystemExit("the tools do not find the same lines")
    return first


def _hit(line: str, texts: str) -> tuple[str, int]:
    path, number, _ = line.removeprefix(f"{texts}/").split(":", 2)
    return path, int(number)


def search(base: str) -> None:
    """Search as planning does, print each line as grep does, and the peak memory in KiB to standard error."""
    with open(os.path.join(base, PLAN), "rb") as stream:
        plan: Plan = pickle.load(stream)  # noqa: S301 - made by this very script
    planned = with_references(plan, base)
    with open(os.path.join(base, f"referring-{PLAN}"), "wb") as stream:
        pickle.dump(planned, stream)
    if planned.references is not None:
        for file in planned.references.files:
            sys.stdout.writelines(f"{planned.absolute(file.file)}:{line.line}:{line.before}\n" for line in file.lines)
    sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def with_references(plan: Plan, base: str) -> Plan:
    """Return the plan with what mentions its directories in the texts."""
    recipe = load_recipe()
    given = SearchInput(
        paths=(os.path.join(base, TEXTS),),
        checkpoints=scan_roots([os.path.join(base, "checkpoints")], recipe).checkpoints,
        renamings=renamings_of(plan, recipe),
        recipe=recipe,
        folder=base,
    )
    return replace(plan, references=build_references(given))


def prove_identity(base: str) -> None:
    """Apply the plan that was searched for, roll it back, and compare every name, byte, mode and time."""
    with open(os.path.join(base, f"referring-{PLAN}"), "rb") as stream:
        plan: Plan = pickle.load(stream)  # noqa: S301 - made by this very script
    before = snapshot(base)
    start_s = time.perf_counter()
    result = apply_plan(plan, load_recipe())
    applied_s = time.perf_counter()
    undone = roll_back(str(result.log))
    sys.stdout.write(
        f"apply: {result.renamed:,} renamed, {result.edited:,} files edited in {applied_s - start_s:.2f} s; "
        f"rollback in {time.perf_counter() - applied_s:.2f} s\n"
    )
    if not undone.is_complete or snapshot(base) != before:
        raise SystemExit("the rollback did not restore everything")
    sys.stdout.write(f"plan, apply, rollback is the identity on {len(before):,} files and folders\n")


def snapshot(base: str) -> dict[str, tuple[int, int, str]]:
    """Return mode, modification time (ns) and digest of all but logs."""
    found = {}
    for folder, folders, files in os.walk(base):
        folders[:] = [name for name in folders if name != ".ckpt-migrate"]
        for path in [folder, *(os.path.join(folder, name) for name in files)]:
            status = os.lstat(path)
            digest = ""
            if path != folder:
                with open(path, "rb") as stream:
                    digest = hashlib.sha256(stream.read()).hexdigest()
            found[path] = (status.st_mode, status.st_mtime_ns, digest)
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["search"]:
        search(sys.argv[2])
    else:
        main()
