"""Edits in groups, as the executor takes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckpt_migrate.executor.batches import GROUP_SIZE
from ckpt_migrate.executor.operations import Group, Phase, SetTimes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ckpt_migrate.executor.operations import Sweep
    from ckpt_migrate.journal.logged_edits import Located


def edit_groups(
    edits: Sequence[Located],
    sweeps: Sequence[Sweep],
    number: int,
    phase: Phase,
    *,
    folders: Mapping[str, int],
    now_at: Callable[[str], str] = str,
    late: Collection[str] = (),
) -> Iterator[Group]:
    """Yield the groups of some edits, what a crash left behind of them swept in the first.

    Args:
        edits: In their order.
        sweeps: What is swept.
        number: Of the first group.
        phase: What they belong to.
        folders: Times (ns) known from the log of directories whose own time a crash may have changed.
        now_at: Where a directory is now: a dry run has not renamed it.
        late: Directories of `folders` whose time is put back even where no edit is left to do in them.

    Raises:
        OSError: A folder is gone.
    """
    for start in range(0, max(len(edits), min(len(sweeps) + len(late), 1)), GROUP_SIZE):
        batch = tuple(edits[start : start + GROUP_SIZE])
        swept = tuple(sweeps) if start == 0 else ()
        paths = [*(each.edit.path for each in batch), *(sweep.path for sweep in swept)]
        holding = dict.fromkeys([*map(os.path.dirname, paths), *(late if start == 0 else ())])
        times = (
            SetTimes(None, path, folders[path] if path in folders else os.stat(now_at(path)).st_mtime_ns)
            for path in holding
        )
        yield Group(number + start // GROUP_SIZE, phase, (), (), tuple(times), batch, swept)
