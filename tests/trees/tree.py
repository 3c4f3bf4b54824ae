"""A folder of checkpoint directories and the plan that migrates them."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt_migrate.plan.records import Action, Clock, Entry, Plan, RunFacts, Status
from ckpt_migrate.records import STATE_DIRECTORY
from ckpt_migrate.scan.listing import current_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.references.records import References

LONG_AGO_NS = 1_770_000_000_123_456_789
"""A time in February 2026, with nanoseconds that a careless restore would lose."""
CLOCK = Clock(None, (), "none", None, None, 0, None, is_decisive=False)


def uid(number: int) -> str:
    """Return the made-up id of a legacy directory."""
    return hashlib.md5(f"old {number}".encode(), usedforsecurity=False).hexdigest()


def run_id(number: int) -> str:
    """Return the id of a run."""
    return hashlib.md5(f"run {number}".encode(), usedforsecurity=False).hexdigest()


def stamp(number: int) -> str:
    """Return a stamp of the first days of February 2026."""
    return f"202602{number // 24 % 28 + 1:02d}_{number % 24:02d}0000"


def facts(run: str, *, name: str = "a run") -> RunFacts:
    """Return a run as a plan carries it."""
    return RunFacts(
        run_id=run,
        name=name,
        experiment="phase2_training_with_pretrained_aligner",
        experiment_id="1",
        status="FINISHED",
        is_deleted=False,
        start="2026-02-01T04:12:27Z",
        artifact_uri=f"mlflow-artifacts:/1/{run}/artifacts",
        params={"learning_rate": "0.0003", "batch_size": "16"},
        metrics={"train_loss": 2.9476},
    )


@dataclass
class Tree:
    """A folder with a root of checkpoint directories in it."""

    folder: Path
    roots: list[Path]
    entries: list[Entry] = field(default_factory=list)
    runs: dict[str, RunFacts] = field(default_factory=dict)
    references: References | None = None

    @property
    def root(self) -> Path:
        """The first root."""
        return self.roots[0]

    def add(
        self,
        number: int,
        *,
        root: Path | None = None,
        below: str = "",
        files: Mapping[str, bytes] | None = None,
        old: str | None = None,
        new: str | None = None,
        action: Action = Action.RENAME,
    ) -> Path:
        """Make a legacy directory (or one under `old`) and an entry that renames it after its run (or to `new`)."""
        parent = (root or self.root) / below
        source = parent / (old or f"{uid(number)}_{stamp(number)}")
        contents = {"config.json": b'{"lr": 1}', "lightning_checkpoints/last.ckpt": f"weights {number}".encode()}
        source.mkdir(parents=True)
        for name, data in (contents if files is None else files).items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        age(source, number)
        self.enter(source, new or f"{run_id(number)}_{stamp(number)}", root=root, action=action)
        return source

    def enter(self, source: Path, new: str, *, root: Path | None = None, action: Action = Action.RENAME) -> None:
        """Add an entry for a directory that is there."""
        run = new[:32]
        self.runs[run] = facts(run)
        self.entries.append(
            Entry(
                checkpoint=os.path.relpath(source, self.folder),
                root=os.path.relpath(root or self.root, self.folder),
                status=Status.MATCHED,
                action=action,
                run_id=run,
                target=os.path.relpath(source.with_name(new), self.folder),
                confidence=0.999,
                fingerprint=current_fingerprint(str(source)),
            )
        )

    def repair(self, number: int) -> Path:
        """Make a directory that is named after its run, with a stale manifest and none for people, and its entry."""
        name = f"{run_id(number)}_{stamp(number)}"
        files = {"model.pt": b"w", "MLFLOW_RUN_ID.txt": f"MLflow Run ID: {uid(number)}\n".encode()}
        return self.add(number, old=name, new=name, files=files, action=Action.REPAIR)

    def plan(self, entries: Sequence[Entry] | None = None) -> Plan:
        """Return the plan of all entries."""
        listed = tuple(self.entries if entries is None else entries)
        return Plan(
            created="2026-02-02T00:00:00Z",
            tool="ckpt-migrate test",
            migration="phase2_run_id",
            recipe_digest="",
            tracking_uri=("mlruns",),
            roots=tuple(os.path.relpath(root, self.folder) for root in self.roots),
            clock=CLOCK,
            summary={},
            runs=dict(self.runs),
            entries=listed,
            folder=str(self.folder),
            digest=hashlib.sha256(repr((listed, self.references)).encode()).hexdigest(),
            path=str(self.folder / "plan.yaml"),
            references=self.references,
        )

    def refresh(self) -> None:
        """Take the fingerprints again, after a test has changed what it wants planned."""
        for number, entry in enumerate(self.entries):
            path = self.folder / entry.checkpoint
            values = {name: getattr(entry, name) for name in entry.__slots__}
            self.entries[number] = Entry(**{**values, "fingerprint": current_fingerprint(str(path))})

    def settle(self) -> None:
        """Give everything in the folder a time long ago, deepest first; links too."""
        paths = sorted(self.folder.rglob("*"), key=lambda path: len(path.parts), reverse=True)
        for path in [*paths, self.folder]:
            if STATE_DIRECTORY not in path.parts:
                set_time(path, LONG_AGO_NS)

    def snapshot(self, *, with_inodes: bool = True) -> dict[str, object]:
        """Return all that must be the same again: names, kinds, bytes, modes, times; not the state directories.

        Inodes are those of directories: a file that was replaced and restored may have another one. Of files it is the
        number of their names (hard links).
        """
        found: dict[str, object] = {}
        for base, folders, files in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if name != STATE_DIRECTORY)
            for path in [base, *(os.path.join(base, name) for name in files + folders)]:
                relative = os.path.relpath(path, self.folder)
                found[relative] = _describe(path, with_inodes=with_inodes)
        return found


def age(directory: Path, number: int) -> None:
    """Give a directory and all in it distinct times long ago."""
    for position, path in enumerate(sorted(directory.rglob("*"), reverse=True)):
        set_time(path, LONG_AGO_NS + number * 1_000_000_007 + position)
    set_time(directory, LONG_AGO_NS + number * 1_000_000_007)


def set_time(path: Path, time_ns: int) -> None:
    """Set both times of a path, of a link itself."""
    os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)


def _describe(path: str, *, with_inodes: bool) -> tuple[object, ...]:
    status = os.lstat(path)
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        content: object = os.readlink(path)
    elif stat.S_ISREG(mode):
        content = Path(path).read_bytes()
    else:
        content = None
    inode = status.st_ino if with_inodes and stat.S_ISDIR(mode) else None
    if stat.S_ISREG(mode):
        inode = status.st_nlink
    return (oct(mode), status.st_uid, status.st_gid, content, inode, status.st_mtime_ns)


def make_tree(folder: Path, *roots: str) -> Tree:
    """Make an empty tree of roots, `checkpoints/phase2` unless others are named."""
    made = [folder / root for root in roots or ("checkpoints/phase2",)]
    for root in made:
        root.mkdir(parents=True)
    tree = Tree(folder, made)
    tree.settle()
    return tree
