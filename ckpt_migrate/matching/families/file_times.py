"""File times: when the files of directories were written, and which of these times can be trusted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock.zones import local_seconds

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint

EARLIEST_S = 1_104_537_600.0
"""2005: archives and reproducible images write times before it (1970, 1980) that are of nothing."""
COPY_BIN_S = 3600
"""A copy of a tree writes many directories within each such stretch, whatever their stamps."""
FEWEST_COPIED = 3
COPY_PAUSE_S, COPY_BYTES_PER_S = 1.5, 2e7
"""A single directory is copied within a second or two, and at this rate at the slowest."""
LARGEST_STAMP_SPAN_S = 1.5 * 86400.0
"""Directories stamped longer before than this (in whatever zone) are rarely finished together by training."""


@dataclass(frozen=True, slots=True)
class FileTimes:
    """When files were written.

    Attributes:
        newest_s: The newest own file of each directory, UTC seconds, by path; without those that cannot be trusted.
        shift_s: By how much all times on disk are later than this; None where that cannot be told.
    """

    newest_s: Mapping[str, float]
    shift_s: float | None = 0.0


def newest_own_files(checkpoints: Sequence[Checkpoint], recipe: Recipe) -> dict[str, float]:
    """Return when each directory's newest file (manifests aside) was written, UTC seconds since 1970, by path.

    Directories that were copied are left out: a copy finishes, within an hour, several directories whose stamps lie
    days back.
    """
    manifests = frozenset(manifest.name for manifest in recipe.manifests)
    newest: dict[str, float] = {}
    stretches: defaultdict[int, list[Checkpoint]] = defaultdict(list)
    for checkpoint in checkpoints:
        times_s = own_times_s(checkpoint, manifests)
        if times_s and checkpoint.name is not None:
            newest_s = newest[checkpoint.path] = max(times_s)
            stretches[int(newest_s // COPY_BIN_S)].append(checkpoint)
    for found in stretches.values():
        stamped = [(c.path, c.name.local_time) for c in found if c.name is not None and c.name.local_time is not None]
        far = sum(newest[path] - local_seconds(local) > LARGEST_STAMP_SPAN_S for path, local in stamped)
        if far >= FEWEST_COPIED or (not stamped and _came_together(found)):
            for checkpoint in found:
                del newest[checkpoint.path]
    return newest


def own_times_s(checkpoint: Checkpoint, manifests: frozenset[str]) -> list[float]:
    """Return when the files of a directory, manifests aside, were written, UTC seconds since 1970."""
    return [file.mtime_ns / 1e9 for file in checkpoint.files if file.kind == "file" and file.path not in manifests]


def newest_weights_s(checkpoint: Checkpoint, weights: re.Pattern[str]) -> float | None:
    """Return when a directory's newest weights were written, UTC seconds since 1970; None for no credible time."""
    times_s = [file.mtime_ns / 1e9 for file in checkpoint.files if file.kind == "file" and weights.fullmatch(file.path)]
    newest_s = max(times_s, default=0.0)
    return newest_s if newest_s >= EARLIEST_S else None


def weights_times_s(checkpoint: Checkpoint, weights: re.Pattern[str]) -> tuple[float, float] | None:
    """Return when a directory's oldest and newest weights were written, UTC seconds since 1970.

    None without weights or credible times, and where all files of the directory were written as fast as a copy is made:
    then the times are those of the copy.
    """
    files = [file for file in checkpoint.files if file.kind == "file"]
    if not files:
        return None
    every_s = [file.mtime_ns / 1e9 for file in files]
    copy_s = COPY_PAUSE_S + sum(file.size_bytes for file in files) / COPY_BYTES_PER_S
    times_s = [file.mtime_ns / 1e9 for file in files if weights.fullmatch(file.path)]
    if not times_s or min(times_s) < EARLIEST_S or (len(files) > 1 and max(every_s) - min(every_s) <= copy_s):
        return None
    return min(times_s), max(times_s)


def _came_together(checkpoints: Sequence[Checkpoint]) -> bool:
    """Say whether several directories without stamps have no file older than an hour before the newest of all.

    Trainings that short would lose a witness by it, copies a false one.
    """
    times = [file.mtime_ns for checkpoint in checkpoints for file in checkpoint.files if file.kind == "file"]
    return len(checkpoints) > 1 and max(times) - min(times) < COPY_BIN_S * 1e9


def copied_note(checkpoints: Sequence[Checkpoint], newest_s: Mapping[str, float]) -> tuple[str, ...]:
    """Return a sentence for people about the directories that `newest_own_files` took for copied; none when none is.

    Args:
        checkpoints: As given to `newest_own_files`.
        newest_s: What it returned.
    """
    timed = [c for c in checkpoints if c.name is not None and any(file.kind == "file" for file in c.files)]
    copied = sum(checkpoint.path not in newest_s for checkpoint in timed)
    if not copied:
        return ()
    is_stamped = any(c.name is not None and c.name.local_time is not None for c in timed)
    when = "together, more than a day after their stamps" if is_stamped else "within one hour"
    words = (
        f"modification times were lost, as by a copy: the newest files of {copied:,} of {len(timed):,} directories "
        f"were written {when}. These times are not used; where the tree can still be copied with its times (cp -a, "
        "rsync -a), a plan of that copy decides more"
    )
    return (words,)
