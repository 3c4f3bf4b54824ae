"""Kept names: a file that has further names (hard links) is never written through, and an undo puts back the very file.

The name of it that is replaced becomes a file of its own. Before that, the old file gets one more name, in the state
directory; an undo links that back, so that all names are one file again, and takes the extra name away.
"""

from __future__ import annotations

import os
import stat

from ckpt_migrate import storage

_PREFIX = "kept-"
SEPARATE = "is a file of its own now, with the bytes of old; it was one file with other names (hard links)"
"""Said of a file whose old file was not kept: the file system has no links, or its extra name was removed."""
EDITED_ELSEWHERE = "is one file with its other names (hard links) again, and was edited under one of them since"


def kept_path(path: str, folder: str, label: str) -> str:
    """Return the extra name, in `folder`, that the file at `path` gets; empty when it has no further names already.

    The inode in it tells later whether it is that file. `label` makes it unique among the names of one file.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink == 1:
        return ""
    return os.path.join(folder, f"{_PREFIX}{found.st_ino}-{label}")


def keep(path: str, kept: str) -> None:
    """Give a file its extra name; where the file system cannot, nothing is kept, and an undo says so.

    Raises:
        OSError: The system refused for another reason.
    """
    try:
        storage.link_file(path, kept)
    except FileExistsError:
        return  # by a run that was cut short


def is_original(path: str, kept: str) -> bool:
    """Say whether the file at `path` is the old file that was given the extra name `kept`."""
    if not kept:
        return False
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and os.path.basename(kept).split("-")[1] == str(found.st_ino)


def is_restored(path: str, kept: str) -> bool:
    """Say whether the old file is at `path` again, or still, so that its extra name is of no more use."""
    return is_original(kept, kept) and is_original(path, kept)
