"""Mounts: on which file systems a lock holds on this host alone, so that other hosts would not see it."""

from __future__ import annotations

import os

MOUNTS = "/proc/self/mountinfo"
_ALWAYS = frozenset({"fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "9p"})
"""Shared by hosts, and their locks are the kernel's own."""
_BY_OPTION = {
    "nfs": frozenset({"nolock", "local_lock=all", "local_lock=flock"}),
    "nfs4": frozenset({"nolock", "local_lock=all", "local_lock=flock"}),
    "lustre": frozenset({"localflock"}),
    "cifs": frozenset({"nobrl"}),
    "smb3": frozenset({"nobrl"}),
}
"""Their locks are the server's, unless a mount option says otherwise."""


def has_local_locks(path: str) -> bool:
    """Say whether the locks of a path's file system hold on this host alone; False where nobody can say."""
    try:
        device = os.stat(path).st_dev
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except OSError:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        try:
            mount, described = line.split(" - ", 1)
            _, _, number, _, _, options, *_ = mount.split()
            kind, _, more = described.split()[:3]
        except ValueError:
            continue
        if number == wanted:
            return kind in _ALWAYS or not _BY_OPTION.get(kind, frozenset()).isdisjoint(f"{options},{more}".split(","))
    return False
