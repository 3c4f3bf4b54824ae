"""Symbolic links that stop leading anywhere when a directory gets another name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckpt_migrate.records import State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ckpt_migrate.records import Checkpoint

_MOST_STEPS = 1_000
"""Parts of a link's text that are followed; a system gives up on longer paths."""


def find_links(checkpoints: Sequence[Checkpoint], directories: Collection[str]) -> list[tuple[str, str, str]]:
    """Return the links that go through one of these directories by its name.

    A link from one place in a directory to another of the same directory moves along, and is none of them.

    Args:
        checkpoints: What a scan found, links in directories and beside them.
        directories: Absolute paths, links resolved, of directories that may get another name.

    Returns:
        Path, text and directory of each link, sorted.
    """
    found = []
    for path in _links(checkpoints):
        try:
            text = os.readlink(path)
        except OSError:
            continue
        directory = _entered(os.path.dirname(path), text, directories)
        if directory is not None:
            found.append((path, text, directory))
    return sorted(found)


def _links(checkpoints: Sequence[Checkpoint]) -> Iterator[str]:
    for checkpoint in checkpoints:
        if checkpoint.state is State.LINK:
            yield checkpoint.path
        for file in checkpoint.files:
            if file.kind == "link":
                yield os.path.join(checkpoint.path, file.path)


def _entered(folder: str, text: str, directories: Collection[str]) -> str | None:
    """Return the directory whose name is looked up on the way along a link's text; None when there is none."""
    position = os.path.realpath(folder)
    pending = _parts(text)
    if text.startswith(os.sep):
        position = os.sep
    for _ in range(_MOST_STEPS):
        if not pending:
            return None
        part = pending.pop()
        if part == os.pardir:
            position = os.path.dirname(position)
            continue
        position = os.path.join(position, part)
        if position in directories:
            return position
        try:
            further = os.readlink(position)
        except OSError:
            continue
        pending += _parts(further)
        position = os.sep if further.startswith(os.sep) else os.path.dirname(position)
    return None


def _parts(text: str) -> list[str]:
    """Return the parts of a path, last first."""
    return [part for part in reversed(text.split(os.sep)) if part not in {"", os.curdir}]
