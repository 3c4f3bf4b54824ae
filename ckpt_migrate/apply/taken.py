"""Which new names are taken: asked for one by one, or read from the listing of a folder in which there are many."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.apply.task import Task
    from ckpt_migrate.executor.spelling import Spelling

MANY = 100
"""New names in a folder from which on it is listed: to look for a name that is not there takes a file system some ten
times as long as to read one that is."""


class TakenNames:
    """What is at the new names of tasks, be it an empty directory or a dangling link."""

    def __init__(self, tasks: Sequence[Task], spelling: Spelling) -> None:
        """List the folders of many tasks.

        Where case may be ignored, or accents may be written in two ways, a listing does not tell: names are asked for.
        """
        counts = Counter([task.folder for task in tasks])
        wanted = {task.target for task in tasks if counts[task.folder] >= MANY}
        self._spelling = spelling
        self._listed: set[str] = set()
        self._taken: set[str] = set()
        for folder in (folder for folder, count in counts.items() if count >= MANY):
            start = os.path.join(folder, "")
            try:
                with os.scandir(folder) as entries:
                    self._taken.update([path for entry in entries if (path := start + entry.name) in wanted])
            except OSError:
                continue  # said by the checks of the directories in it
            self._listed.add(folder)

    def has(self, task: Task) -> bool:
        """Say whether something is at a task's new name."""
        if task.folder in self._listed and self._spelling.is_exact(task.target):
            return task.target in self._taken
        return os.path.lexists(task.target)
