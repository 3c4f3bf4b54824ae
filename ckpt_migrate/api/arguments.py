"""What the verbs take: texts or path objects, one or several."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

from ckpt_migrate.errors import RootError

if TYPE_CHECKING:
    from collections.abc import Sequence

StrPath: TypeAlias = "str | os.PathLike[str]"
Roots: TypeAlias = "StrPath | Sequence[StrPath]"


def paths(given: Roots) -> tuple[str, ...]:
    """Return one path or several as texts."""
    if isinstance(given, (str, os.PathLike)):
        return (os.fspath(given),)
    return tuple(os.fspath(path) for path in given)


def roots_of(given: Roots) -> tuple[str, ...]:
    """Return roots as texts.

    Raises:
        RootError: There is none.
    """
    roots = paths(given)
    if not roots:
        raise RootError("no root is given", remedy="Give directories that hold checkpoint directories.")
    return roots


def folder_of(root: StrPath) -> str:
    """Return the path of a folder as text.

    Raises:
        RootError: There is no such folder.
    """
    if not os.path.isdir(root):
        raise RootError("no such directory", where=os.fspath(root), remedy="Name a root, or a folder above roots.")
    return os.fspath(root)
