"""Files by what they are, not by their paths: a bind mount or a linked folder gives one file two paths."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field


def folder_key(path: str) -> tuple[int, int] | None:
    """Return what tells a folder from all others, whatever path leads to it; None where it cannot be asked."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@dataclass(slots=True)
class Reached:
    """The files that were reached so far, each with the path that led to it first.

    Two names in two places are one file when they have one inode and the file counts one name, or when they are one
    name of one folder. Hard links are names of their own: an edit of one leaves the others as they are.
    """

    _paths: dict[tuple[int, int, str], str] = field(default_factory=dict)
    _folders: dict[str, tuple[int, int] | None] = field(default_factory=dict)

    def before(self, path: str) -> str | None:
        """Return the path that led to this very file before; None for a file reached for the first time.

        A file that cannot be asked is nobody's twin.
        """
        folder, name = os.path.split(path)
        try:
            found = os.lstat(path)
        except OSError:
            return None
        if folder not in self._folders:
            self._folders[folder] = folder_key(folder)
        above = self._folders[folder]
        keys = [] if above is None else [(*above, name)]
        if stat.S_ISLNK(found.st_mode) or found.st_nlink == 1:
            keys.append((found.st_dev, found.st_ino, ""))
        first = next((self._paths[key] for key in keys if key in self._paths), None)
        for key in keys:
            self._paths.setdefault(key, path)
        return first
