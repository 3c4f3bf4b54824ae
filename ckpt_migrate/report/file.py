"""The file of a report: what may be written over."""

from __future__ import annotations

import os

from ckpt_migrate.errors import ReportError
from ckpt_migrate.report.html import MARK
from ckpt_migrate.storage import replace_file

_LONGEST_HEAD = 200


def save(path: str, text: str) -> None:
    """Write a report as a whole; only a report is ever written over.

    Raises:
        ReportError: It cannot be written, or something else is there.
    """
    remedy = "Name another file with -o."
    try:
        if os.path.lexists(path) and not _is_ours(path):
            raise ReportError("is there, and is no report", where=path, remedy=remedy)
        replace_file(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise ReportError(f"cannot be written ({error.strerror})", where=path, remedy=remedy) from error


def _is_ours(path: str) -> bool:
    with open(path, "rb") as file:
        return MARK.encode() in file.read(_LONGEST_HEAD)
