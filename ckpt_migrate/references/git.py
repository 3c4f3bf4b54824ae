"""What git says of files: whether a tracked one has changes that are not committed."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING

from ckpt_migrate.references.walk import git_top

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIMEOUT_S = 120.0


def uncommitted(paths: Iterable[str]) -> frozenset[str]:
    """Return those of these absolute paths that git tracks and that differ from the last commit.

    Where there is no git, or it does not answer, none: it is a remark for people, and nothing depends on it. The
    index is not refreshed, so nothing is written, and a watcher that the work tree's settings name is not started.
    """
    by_top: defaultdict[str, set[str]] = defaultdict(set)
    tops: dict[str, str | None] = {}
    for path in paths:
        folder = os.path.dirname(path)
        if folder not in tops:
            tops[folder] = git_top(folder)
        top = tops[folder]
        if top is not None:
            by_top[top].add(path)
    return frozenset(path for top, inside in by_top.items() for path in _changed(top) & inside)


def _changed(top: str) -> set[str]:
    command = ["git", "-C", top, "-c", "core.fsmonitor=false", "status", "--porcelain", "-z"]
    command += ["--untracked-files=no", "--no-renames", "--ignore-submodules"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, env=environment, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return set()
    lines = os.fsdecode(done.stdout).split("\0") if done.returncode == 0 else []
    return {os.path.join(top, line[3:]) for line in lines if line}
