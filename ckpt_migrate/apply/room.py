"""Room for the log and the manifests: free space, free inodes, and quotas as far as the system tells of them."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from ckpt_migrate import storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt_migrate.recipe import Recipe

_LOG_BYTES_PER_TASK = 4096
_BYTES_PER_MANIFEST = 8192
_SPARE_BYTES = 1 << 20
_SPARE_INODES = 16


def is_read_only(path: str) -> bool:
    """Say whether the file system of a path is mounted read-only, as far as that can be asked."""
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def room_problems(counts: Mapping[str, int], recipe: Recipe, *, is_dry_run: bool) -> Iterator[str]:
    """Yield a line for each root that lacks room for what `counts` directories in it need.

    A quota shows only when room is asked for; a dry run does not ask.
    """
    if not hasattr(os, "statvfs"):
        return
    for root, count in sorted(counts.items()):
        try:
            free = os.statvfs(root)
        except OSError:
            continue  # said already by the checks of the root
        files = count * len(recipe.manifests)
        needed_bytes = count * _LOG_BYTES_PER_TASK + files * _BYTES_PER_MANIFEST + _SPARE_BYTES
        free_bytes = free.f_bavail * free.f_frsize
        needed_inodes = files + _SPARE_INODES
        # Some file systems in user space do not say how large they are.
        if free.f_blocks and free_bytes < needed_bytes:
            yield (
                f"{root}: too little free space for the log and the manifests:"
                f" {free_bytes / 1e6:.1f} MB free, {needed_bytes / 1e6:.1f} MB needed"
            )
        elif not is_dry_run and (reason := _refusal(root, needed_bytes)) is not None:
            yield f"{root}: no room for the log and the manifests, {needed_bytes / 1e6:.1f} MB: {reason}"
        if free.f_files and free.f_favail < needed_inodes:
            yield f"{root}: too few free inodes for the manifests: {free.f_favail} free, {needed_inodes} needed"


def _refusal(root: str, size_bytes: int) -> str | None:
    """Return why there is no room in a root; None when there is, or when nobody knows."""
    try:
        storage.ask_for_room(root, size_bytes)
    except OSError as error:
        if error.errno in {errno.EDQUOT, errno.ENOSPC}:
            return error.strerror
    return None
