"""Power cuts: copy the disk image under a mounted file system at any moment, mount the copy, recover there.

    sudo PYTHONPATH=.:tests python -m trees.power [STEP [PRIMITIVE...]]

The image is copied without syncing anything, so the copy holds what had reached the disk, as after a real cut: what was
not synced is gone, and mounting it replays the file system's own journal. The moments are the calls of the primitives
of `storage`, before each of them (STEP 1, the default) or every STEP-th, and the moment when all is said to be done.
Tried are ext4 with either way of ordering data and names, XFS and Btrfs, each where its tools and the kernel are there.
Primitives that are named do nothing at all: without a sync, states must be lost. Needs root and loop devices.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import CkptMigrateError, PlanAppliedError
from ckpt_migrate.executor import groups
from ckpt_migrate.journal.logs import find_logs
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.rollback import roll_back
from trees.crash import make_referring_world, make_world, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trees.tree import Tree

PRIMITIVES = (
    "rename_noreplace", "exchange", "make_directory", "stage_file", "sync_file", "remove_file", "set_times",
    "sync_directory", "open_log", "append", "sync_log", "write_record", "write_over",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of file system: how an image of so many bytes is formatted, and how it is mounted."""

    name: str
    size_bytes: int
    formatting: tuple[str, ...]
    options: str = "loop"


_EXT4 = ("mkfs.ext4", "-q", "-I", "256", "-b", "4096")
ORDERED = Kind("ext4, data=ordered", 24 << 20, _EXT4, "loop,data=ordered")
WRITEBACK = Kind("ext4, data=writeback", 24 << 20, _EXT4, "loop,data=writeback")
KINDS = (
    ORDERED,
    WRITEBACK,
    Kind("XFS", 320 << 20, ("mkfs.xfs", "-q")),
    Kind("Btrfs", 130 << 20, ("mkfs.btrfs", "-q")),
)


def make_image(path: Path, kind: Kind) -> None:
    """Make an empty image."""
    with path.open("wb") as file:
        file.truncate(kind.size_bytes)
    subprocess.run([*kind.formatting, str(path)], check=True, capture_output=True)


@contextmanager
def mounted(image: Path, folder: Path, kind: Kind) -> Iterator[None]:
    """Mount an image while the block runs."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", kind.options, str(image), str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def lack(base: Path, kind: Kind) -> str:
    """Return why a kind cannot be tried here; empty when it can."""
    try:
        make_image(base / "probe", kind)
        with mounted(base / "probe", base / "disk", kind):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no {kind.name} can be made and mounted here ({error})"


@contextmanager
def called_before(hook: Callable[[], None]) -> Iterator[None]:
    """Call a hook before each call of a primitive."""
    real: dict[str, Callable[..., Any]] = {name: getattr(storage, name) for name in PRIMITIVES}

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            hook()
            return function(*args, **kwargs)

        return call

    threads, groups.SYNC_THREADS = groups.SYNC_THREADS, sys.maxsize
    try:
        for name, function in real.items():
            setattr(storage, name, wrap(function))
        yield
    finally:
        groups.SYNC_THREADS = threads
        for name, function in real.items():
            setattr(storage, name, function)


@dataclass
class Camera:
    """Copies the image now and then; `calls` counts the primitives of one phase, `cuts` holds all copies."""

    base: Path
    image: Path
    step: int
    phase: str = ""
    calls: int = 0
    cuts: list[tuple[str, int, Path]] = field(default_factory=list)

    def call(self) -> None:
        """Note a call, and copy before every `step`-th."""
        self.calls += 1
        if self.calls % self.step == self.step // 2:
            self.shoot()

    def shoot(self) -> None:
        """Copy the image as it is on the disk now."""
        copy = self.base / f"{self.phase}-{self.calls}"
        subprocess.run(["cp", "--sparse=always", str(self.image), str(copy)], check=True)
        self.cuts.append((self.phase, self.calls, copy))


def campaign(
    base: Path, *, step: int, kind: Kind = ORDERED, make: Callable[[Path], Tree] = make_world
) -> Iterator[tuple[str, int, str]]:
    """Yield phase, number of the call, and what differed after recovery (an empty text when nothing did)."""
    disk, image = base / "disk", base / "image"
    make_image(image, kind)
    camera = Camera(base, image, step)
    with mounted(image, disk, kind):
        tree = make(disk / "project")
        os.sync()
        original = tree.snapshot()
        _film(camera, "apply", lambda: apply_plan(tree.plan(), load_recipe()))
        finished = tree.snapshot()
        calls = camera.calls
        _film(camera, "rollback", lambda: roll_back(find_logs(str(tree.root))[0].path))
        _cut_short(calls * 2 // 3, lambda: apply_plan(tree.plan(), load_recipe()))
        _film(camera, "continue", lambda: apply_plan(tree.plan(), load_recipe()))
    for phase, number, copy in camera.cuts:
        endings = ("rollback",) if phase == "rollback" else ("continue", "rollback")
        for ending in endings:
            used = base / "used"
            shutil.copy(copy, used)
            with mounted(used, disk, kind):
                difference = _recover(tree, ending, original, finished)
            yield f"{kind.name}: {phase}, then {ending}", number, difference
        copy.unlink()


class CutShortError(BaseException):
    """Ends a run where it stands."""


def _cut_short(at: int, work: Callable[[], object]) -> None:
    calls = itertools.count(1)

    def hook() -> None:
        if next(calls) == at:
            raise CutShortError

    with called_before(hook), contextlib.suppress(CutShortError):
        work()


def _film(camera: Camera, phase: str, work: Callable[[], object]) -> None:
    camera.phase, camera.calls = phase, 0
    with called_before(camera.call):
        work()
    camera.calls += 1
    camera.shoot()  # what is said to be finished must be on the disk


def _recover(tree: Tree, ending: str, original: dict[str, object], finished: dict[str, object]) -> str:
    logs = find_logs(str(tree.root))
    try:
        if ending == "continue":
            with contextlib.suppress(PlanAppliedError):
                apply_plan(tree.plan(), load_recipe())
            wanted = finished
        else:
            wanted = original
            for log in reversed(logs):  # what was cut short stands in the way of older ones
                if not roll_back(log.path).is_complete:
                    return "  not complete"
    except CkptMigrateError as error:
        return f"  {type(error).__name__}: {error}"
    found = tree.snapshot()
    wrong = {key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)}
    if not logs and wrong == {os.path.relpath(tree.root, tree.folder)}:
        return ""  # the root's own time, cut before it could be put back: the exception named in docs/safety.md
    return "\n".join(f"  {key}: {found.get(key)} instead of {wanted.get(key)}" for key in sorted(wrong))


def main() -> int:
    """Run the campaign and print what went wrong."""
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for name in sys.argv[2:]:
        setattr(storage, name, lambda *_: None)
    with tempfile.TemporaryDirectory() as base:
        lacks = {kind: lack(Path(base), kind) for kind in KINDS}
        for reason in filter(None, lacks.values()):
            sys.stdout.write(f"power cuts: skipped, {reason}\n")
        tried = (
            campaign(Path(base), step=step, kind=kind, make=make)
            for kind in KINDS
            if not lacks[kind]
            for make in (make_world, make_referring_world)
        )
        return report("power cuts", "cut before call", itertools.chain.from_iterable(tried))


if __name__ == "__main__":
    sys.exit(main())
