"""Where a path in a text leads: to the directory that is meant, or to another of the same name."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_PATH = re.compile(r"[^\s\"'`=,;()\[\]{}<>|]*")
_ID = re.compile(r"[0-9a-f]{32}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"[\w.-]+@[\w.-]+:")
LONGEST_PATH = 4096
"""Letters before a name that are taken for its path at most."""


class Leads:
    """Tells mentions of the directories that are meant from others of the same name.

    Args:
        directories: Real paths of the directories that are meant, by name.
        folder: Where relative paths start, too; absolute.
    """

    def __init__(self, directories: Mapping[str, Collection[str]], folder: str) -> None:
        self._directories = directories
        self._folder = folder
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def elsewhere(self, before: str, name: str, file_folder: str) -> str | None:
        """Return in words what else a mention in a text leads to; None when nothing says that it leads elsewhere.

        A path that leads nowhere from here may be that of a container or another machine's mount, and is taken for
        the directory that is meant.

        Args:
            before: What stands before the name in the text.
            name: The name.
            file_folder: Absolute folder of the file.
        """
        backwards = _PATH.match(before[::-1])  # from the name on: a search from the left would try every start
        path = "" if backwards is None else backwards[0][::-1]
        prefix = path.replace("\\/", "/").replace("%2F", "/").replace("%2f", "/")
        scheme = next(iter(_SCHEME.finditer(prefix)), None)
        if scheme is not None and scheme[1] != "file":
            return f"another place: {prefix[scheme.start() :][:200]}"
        if scheme is not None:
            prefix = prefix[scheme.end() :]
        elif _HOST.match(prefix):
            return f"another machine: {prefix[:200]}"
        is_known = _ID.search(name) is not None
        if "/" not in prefix:
            return None if is_known else "anything, for it is no path and the name holds no id"
        others = []
        key = (prefix[: prefix.rindex("/") + 1], file_folder)
        if key not in self._known:
            self._known[key] = tuple(self._folders(*key))
        for folder in self._known[key]:
            if any(os.path.join(folder, name) == path for path in self._directories.get(name, ())):
                return None
            if os.path.lexists(os.path.join(folder, name)):
                others.append(os.path.join(folder, name))
        if others:
            return f"another directory of the same name: {others[0]}"
        return None if is_known else "nothing here, and the name holds no id"

    def _folders(self, path: str, file_folder: str) -> Iterator[str]:
        """Yield the real folders that a path may mean: from the file's folder, and all above it."""
        if path.startswith("/"):
            yield os.path.realpath(path)
            return
        above = file_folder
        while True:
            yield os.path.realpath(os.path.join(above, path))
            parent = os.path.dirname(above)
            if parent == above:
                break
            above = parent
        yield os.path.realpath(os.path.join(self._folder, path))

    def through_link(self, path: str, text: str) -> tuple[tuple[int, str], ...]:
        """Return where in a link's text, in letters, the name of a directory that is meant is looked up, and which."""
        found = []
        place = 0
        for part in text.split("/"):
            if part in self._directories:
                folder = os.path.realpath(os.path.join(os.path.dirname(path), text[:place] or "."))
                if os.path.join(folder, part) in self._directories[part]:
                    found.append((place, part))
            place += len(part) + 1
        return tuple(found)
