"""Error campaign: let every system call that changes something fail once, in each way that disks and servers fail.

    PYTHONPATH=.:tests python -m trees.faults [STEP]

For each call of an apply, of its continuation and of a rollback and each error, strace lets that one call fail. The
process must end without a traceback, and say what the system said unless it did its work all the same; then the apply
is continued (and must give the finished state) or rolled back (and must give the original one), in turn, names, bytes,
modes and times compared.
STEP 1 (the default) takes every call, STEP n every n-th one. Needs strace.

As a child, `-m trees.faults run WHAT FILE` does what is to fail.
"""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt_migrate.errors import CkptMigrateError
from trees import crash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trees.tree import Tree

ERRORS = ("EIO", "ENOSPC", "EACCES", "EROFS", "EINTR", "ESTALE")
SCENARIOS = ("apply", "continue", "rollback")


def run_child(what: str, file: str) -> int:
    """Do what is to fail; say the error as the command line does."""
    try:
        crash.run_child(what, file)
    except CkptMigrateError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def fail_at(what: str, folder: Path, point: crash.Point, error: str) -> str:
    """Run it with one call failing; return what is wrong with how it ended, an empty text when nothing is."""
    inject = f"inject={point.call}:error={error}:when={point.number}"
    call = crash.command(what, folder, ["-o", os.devnull, "-e", f"trace={point.call}", "-e", inject])
    done = subprocess.run(
        [part.replace("trees.crash", "trees.faults") for part in call],
        check=False,
        capture_output=True,
        env=crash.child_environment(),
    )
    said = done.stderr.decode(errors="replace")
    if "Traceback" in said or done.returncode not in {0, 1}:
        return f"  ended with {done.returncode}: {said[-1000:]}"
    if done.returncode == 1 and os.strerror(getattr(errno, error)) not in said:
        return f"  does not say what failed: {said}"
    return ""


def campaign(
    folder: Path,
    *,
    step: int,
    errors: tuple[str, ...] = ERRORS,
    scenarios: tuple[str, ...] = SCENARIOS,
    make: Callable[[Path], Tree] = crash.make_world,
) -> Iterator[tuple[str, crash.Point, str]]:
    """Yield every call that failed, with an empty text or what was wrong afterwards."""
    tree = crash.start(folder, make)
    original = tree.snapshot(with_inodes=False)
    points = crash.count_calls("apply", folder)
    middle = points[len(points) * 2 // 3]
    finished = tree.snapshot(with_inodes=False)
    turns = itertools.count()
    for scenario in scenarios:
        _, what = crash.prepare(scenario, folder, middle, make)
        for point in itertools.islice(crash.count_calls(what, folder), step // 2, None, step):
            for error in errors:
                tree, _ = crash.prepare(scenario, folder, middle, make)
                difference = fail_at(what, folder, point, error)
                is_odd = sum(divmod(next(turns), len(errors))) % 2  # so that each error meets both endings
                ending = "continue" if what == "apply" and is_odd else "rollback"
                try:
                    difference = difference or crash.end(tree, ending, original, finished)
                except CkptMigrateError as refusal:
                    difference = f"  {type(refusal).__name__}: {refusal}"
                root = os.path.relpath(tree.root, tree.folder)
                if point.call == "utimensat" and difference.startswith(f"  {root}: ") and "\n" not in difference:
                    difference = ""  # the root's own time, when not even that could be set: see docs/safety.md
                yield f"{scenario} with {error}, then {ending}", point, difference


def main() -> int:
    """Run the campaign and print what went wrong."""
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as base:
        made = (crash.make_world, crash.make_referring_world)
        worlds = (campaign(Path(base) / "faults", step=step, make=make) for make in made)
        return crash.report("failing calls", "failed", itertools.chain.from_iterable(worlds))


if __name__ == "__main__":
    sys.exit(run_child(sys.argv[2], sys.argv[3]) if sys.argv[1:2] == ["run"] else main())
