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
        self._blind: dict[str, bool] = {}
        for path in known:
            folder, name = os.path.split(path)
            if folder not in self._blind and name != name.swapcase() and os.path.lexists(path):
                self._blind[folder] = ignores_case(folder, name)

    def key(self, path: str) -> str:
        """Return what is equal for all spellings of a path's last part; the path itself where case counts."""
        folder, name = os.path.split(path)
        return os.path.join(folder, folded(name)) if self._blind.get(folder) else path


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
