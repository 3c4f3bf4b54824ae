"""Spelling: where a file system ignores case (macOS, Windows, some servers), two spellings are one name."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Spelling:
    """Tells which paths are one, as far as the folders that hold them ignore case."""

    def __init__(self, known: Iterable[str]) -> None:
        """Look at each folder once, by one of the paths known to be in it."""
        self._blind: dict[str, bool] = {}  # by the beginning of a path, up to its last separator and with it
        for path in known:
            start = path[: path.rfind(os.sep) + 1]
            if start in self._blind:
                continue
            name = path[len(start) :]
            if name != name.swapcase() and os.path.lexists(path):
                self._blind[start] = ignores_case(start, name)

    def key(self, path: str) -> str:
        """Return what is equal for all spellings of a path's last part; the path itself where case counts."""
        start = path[: path.rfind(os.sep) + 1]
        return start + folded(path[len(start) :]) if self._blind.get(start) else path

    def is_exact(self, path: str) -> bool:
        """Say whether a path's last part surely has one spelling: case counts there, and it has no accents."""
        start = path[: path.rfind(os.sep) + 1]
        return self._blind.get(start) is False and path[len(start) :].isascii()


def ignores_case(folder: str, name: str) -> bool:
    """Say whether a folder ignores case, judged by a name that is in it and has letters."""
    try:
        return os.path.samestat(os.lstat(os.path.join(folder, name)), os.lstat(os.path.join(folder, name.swapcase())))
    except OSError:
        return False


def folded(name: str) -> str:
    """Return a name without case, and its accents composed, as such file systems compare it.

    >>> folded("ReadMe.md") == folded("README.MD")
    True
    """
    return unicodedata.normalize("NFC", name).casefold()


def spelling_among(names: Iterable[str], name: str) -> str:
    """Return how a file that was found under a name is really called, given all names there; the name if in doubt.

    >>> spelling_among(["model.pt", "readme.md"], "README.md")
    'readme.md'
    """
    other = name
    for each in names:
        if each == name:
            return name
        if len(each) == len(name) and folded(each) == folded(name):
            other = each
    return other
