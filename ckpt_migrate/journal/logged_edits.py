"""Edits of files outside the manifests, as a log has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ckpt_migrate.executor.edits import Content, EditFile, Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOSSLESS = "latin-1"
"""Stands for the bytes of a name whatever they are, and leaves them readable."""


@dataclass(slots=True)
class LoggedEdit:
    """An edit in the log.

    Attributes:
        number: Counted from 0 over the edits of the plan.
        path: Absolute path when it was made.
        item: The entry of the plan whose directory it lies in; None for one that lies outside.
        inside: Its path in that directory.
        before: What was there; None for nothing.
        after: What is there afterwards; None for nothing.
        patches: What becomes of a text.
        time_ns: Both times of a link that is made anew, nanoseconds since 1970-01-01 UTC.
        staged: The temporary names that were used for it.
        kept: Absolute path of the extra name of the old file, empty where that had no further names.
        is_pending: Whether a group with it was begun and not finished.
        is_applied: Whether its share of the apply was finished.
    """

    number: int
    path: str
    item: int | None
    inside: str
    before: Content | None
    after: Content | None
    patches: tuple[Patch, ...]
    time_ns: int = 0
    staged: list[str] = field(default_factory=list)
    kept: str = ""
    is_pending: bool = True
    is_applied: bool = False


@dataclass(frozen=True, slots=True)
class Located:
    """An edit about to be made, and the plan's entry whose directory its file lies in, with its path there."""

    edit: EditFile
    item: int | None = None
    inside: str = ""


def to_record(located: Located, relative: Callable[[str], str], *, is_first: bool) -> dict[str, Any]:
    """Return the record of an edit; later stretches of a log repeat only what the first has not said."""
    edit = located.edit
    record: dict[str, Any] = {"kind": "edit", "edit": edit.number, "staged": edit.staged}
    if is_first:
        record |= {
            "path": relative(edit.path),
            "item": located.item,
            "inside": located.inside,
            "before": None if edit.before is None else edit.before.to_json(),
            "after": None if edit.after is None else edit.after.to_json(),
            "patches": [[p.offset, p.old.decode(_LOSSLESS), p.new.decode(_LOSSLESS)] for p in edit.patches],
            "time_ns": edit.time_ns,
        }
        if edit.kept:
            record["kept"] = relative(edit.kept)
    return record


def take_record(record: Mapping[str, Any], known: dict[int, LoggedEdit], absolute: Callable[[str], str]) -> None:
    """Fold a record into what is known of its edit."""
    logged = known.get(record["edit"])
    if logged is None:
        if "path" not in record:
            return  # the record of its apply was lost, so nothing says what it was
        before, after = record["before"], record["after"]
        logged = known[record["edit"]] = LoggedEdit(
            number=record["edit"],
            path=absolute(record["path"]),
            item=record["item"],
            inside=record["inside"],
            before=None if before is None else Content.from_json(before),
            after=None if after is None else Content.from_json(after),
            patches=tuple(
                Patch(offset, old.encode(_LOSSLESS), new.encode(_LOSSLESS)) for offset, old, new in record["patches"]
            ),
            time_ns=record["time_ns"],
            kept=absolute(record["kept"]) if "kept" in record else "",
        )
    logged.is_pending = True
    if record["staged"] not in logged.staged:
        logged.staged.append(record["staged"])
