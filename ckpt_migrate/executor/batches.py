"""Batches: many changes cut into the groups in which they are logged and made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from ckpt_migrate.executor.moves import order_moves, unit_renames
from ckpt_migrate.executor.operations import Change, Group, Phase, Rename, SetTimes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckpt_migrate.journal.history import History

T = TypeVar("T")
GROUP_SIZE = 256
"""Directories whose intents are synced at once when something in them changes: each of them is synced for itself, so
larger groups gain little, and make a first Ctrl-C wait longer."""
NAMES_ONLY = 16
"""How many times larger a group is whose directories get other names and nothing else: only the log and the folders
that hold them wait for the disk then, and 4,096 renames take a tenth of a second."""


def batches(units: Iterable[tuple[T, ...]], *, is_names_only: bool) -> Iterator[list[tuple[T, ...]]]:
    """Yield units in lists of at least as many members as a group has, the last one shorter; a unit is never split."""
    group_size = GROUP_SIZE * NAMES_ONLY if is_names_only else GROUP_SIZE
    batch: list[tuple[T, ...]] = []
    size = 0
    for unit in units:
        batch.append(unit)
        size += len(unit)
        if size >= group_size:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def make_group(
    number: int,
    phase: Phase,
    units: Sequence[Sequence[Change]],
    *,
    tag: str,
    folders: Mapping[str, int] | None = None,
) -> Group:
    """Return a group of these units; `tag` makes its temporary names unique.

    `folders` holds times (ns) known from the log of directories whose own time a crash may have changed.

    Raises:
        OSError: A holding directory is gone.
    """
    changes = tuple([change for unit in units for change in unit])
    renames: list[Rename] = []
    for position, unit in enumerate(units):
        if len(unit) == 1:  # nearly all are
            item, source, target, identity = unit[0][:4]
            if source != target:
                renames.append(Rename(item, source, target, identity.inode))
        else:
            renames += unit_renames(unit, f"{tag}-{number}-{position}")
    known = {} if folders is None else folders
    # With the separator: the name of a file system's top is nothing but that.
    above = dict.fromkeys([change.target[: change.target.rfind(os.sep) + 1] for change in changes])
    holding = [os.path.dirname(path) for path in above]
    times = [SetTimes(None, path, known[path] if path in known else os.stat(path).st_mtime_ns) for path in holding]
    return Group(number, phase, changes, tuple(renames), tuple(times))


def remaining_groups(
    changes: Sequence[Change], history: History, phase: Phase, *, tag: str, first: int | None = None
) -> Iterator[Group]:
    """Yield the groups that bring directories of a log to where they shall be.

    The last one puts back the times of holding directories in which a crash left nothing else to do.
    `first` is the number of the first one, when others go before.
    """
    number = history.next_group if first is None else first
    left = dict(history.folders)
    is_names_only = not any(change.is_inside for change in changes)
    for batch in batches(order_moves(changes), is_names_only=is_names_only):
        group = make_group(number, phase, batch, tag=tag, folders=left)
        yield group
        for folder in group.folders:
            left.pop(folder.path, None)
        number += 1
    times = tuple(SetTimes(None, path, mtime_ns) for path, mtime_ns in left.items() if os.path.isdir(path))
    if times:
        yield Group(number, phase, (), (), times)
