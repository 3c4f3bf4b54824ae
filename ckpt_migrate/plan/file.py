"""The file of a plan: what may be written over, and what must not be lost."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from typing import TYPE_CHECKING

from ckpt_migrate.errors import PlanError
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.journal.logs import find_logs, state_directories
from ckpt_migrate.plan.records import LARGEST_PLAN_BYTES
from ckpt_migrate.plan.seal import is_untouched
from ckpt_migrate.plan.write import HEADER
from ckpt_migrate.storage import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable

_BEGINNING = HEADER.partition("\n")[0].encode()
_BEGINNING_BYTES = 1 << 16
_KEYS = tuple(re.compile(rb"^[\"']?" + key + rb"[\"']?\s*:", re.MULTILINE) for key in (b"version", b"entries", b"seal"))
_OTHER = "name another file with -o"


def check_place(path: str, roots: Iterable[str], *, overwrite: bool = False) -> None:
    """Refuse, before any long work, a place where a plan cannot be written or would destroy something.

    Args:
        path: Where the plan will go.
        roots: The roots that it will be of: a plan whose apply was cut short there is needed to go on with it.
        overwrite: Whether a plan that a person has edited may be replaced; what is no plan never is.

    Raises:
        PlanError: There is no such folder, it cannot be written to, or something is there that would be lost.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise PlanError(f"there is no folder {folder}", where=path, remedy=f"Make it, or {_OTHER}.")
    if os.path.lexists(target) and not os.path.isfile(target):
        what = "is a folder" if os.path.isdir(target) else "is no regular file; use -o - for standard output"
        raise PlanError(what, where=path, remedy=f"{_OTHER.capitalize()}.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PlanError(f"no permission to write in {folder}", where=path, remedy=f"{_OTHER.capitalize()}.")
    if not os.path.lexists(target):
        return
    try:
        data = _read_plan(target)
    except OSError as error:
        raise PlanError(
            f"is there, and cannot be read ({error.strerror})", where=path, remedy=f"{_OTHER.capitalize()}."
        ) from error
    if data is None:
        what = "is there, and is no plan that this tool wrote"
        raise PlanError(what, where=path, remedy=f"{_OTHER.capitalize()}; only a plan is ever replaced.")
    if data and not overwrite and not is_untouched(data):
        remedy = (
            f"Give --keep {shlex.quote(path)} to plan anew with these answers, or {_OTHER}; "
            "--overwrite replaces it, and what was edited is lost then."
        )
        raise PlanError("was edited since it was planned", where=path, remedy=remedy)
    log = log_that_needs(hashlib.sha256(data).hexdigest(), roots)
    if log is not None:
        what = f"its apply was cut short and cannot go on without it (log {log})"
        raise PlanError(what, where=path, remedy=f"Apply it again or roll it back first, or {_OTHER}.")


def _read_plan(path: str) -> bytes | None:
    """Return the bytes of a plan, edited or not, or of an empty file; None when it is something else.

    The comment on top may be gone, and the keys in another order: other YAML tools write a plan so.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > LARGEST_PLAN_BYTES:
            return None
        data = file.read(_BEGINNING_BYTES)
        if b"\0" in data:  # weights, a database
            return None
        data += file.read()
    is_plan = not data or data.startswith(_BEGINNING) or all(key.search(data) for key in _KEYS)
    return data if is_plan else None


def log_that_needs(digest: str, roots: Iterable[str]) -> str | None:
    """Return the log of an apply that was cut short and needs the plan of this digest to go on; None for none."""
    for root in roots:
        for state in state_directories(root):
            for log in find_logs(os.path.dirname(state)):
                if log.plan_digest == digest and log.state is LogState.UNFINISHED:
                    return log.path
    return None


def save(path: str, text: str) -> None:
    """Write a plan as a whole: the file is the old one or the new one, never a part.

    Raises:
        PlanError: It cannot be written.
    """
    try:
        replace_file(path, text.encode("utf-8"))
    except OSError as error:
        raise PlanError(
            f"cannot be written ({error.strerror})", where=path, remedy=f"{_OTHER.capitalize()}."
        ) from error
