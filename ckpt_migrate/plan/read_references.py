"""Reading the references of a plan: a person may edit each file's action, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.plan.fields import reference_data
from ckpt_migrate.plan.read_entry import choice
from ckpt_migrate.plan.seal import broken
from ckpt_migrate.references.records import (
    EditAction,
    LeftAlone,
    LeftKind,
    LineChange,
    MentionKind,
    Reference,
    References,
)

if TYPE_CHECKING:
    from ckpt_migrate.strict_yaml import Field

_TOP = ("paths", "searched", "ignored", "leave_links", "tag_runs", "files", "left")
_FILE = ("file", "action", "kind", "count", "lines", "encoding", "at", "digest", "seal")
_LINE = ("line", "before", "after")
_LEFT = ("kind", "what", "count", "where")
_ENCODING = re.compile(r"latin-1|utf-8|utf-(?:16|32)-[lb]e")
_NOTHING = Reference("", EditAction.SKIP, MentionKind.TEXT, (), (), "utf-8", "")


def read_references(item: Field) -> References:
    """Return the references; what is wrong is noted."""
    keys = item.mapping(required=_TOP)
    if len(keys) != len(_TOP):
        return References()
    return References(
        paths=keys["paths"].texts(),
        searched=keys["searched"].integer(),
        ignored=keys["ignored"].integer(),
        files=tuple(_read(file) for file in keys["files"].sequence()),
        left=tuple(_left(left) for left in keys["left"].sequence()),
        leave_links=keys["leave_links"].boolean(),
        tag_runs=keys["tag_runs"].boolean(),
    )


def _read(item: Field) -> Reference:
    keys = item.mapping(required=_FILE, optional=("note",))
    if any(key not in keys for key in _FILE):
        return _NOTHING
    reference = Reference(
        file=keys["file"].text(),
        action=choice(keys["action"], EditAction),
        kind=choice(keys["kind"], MentionKind),
        lines=tuple(_line(line) for line in keys["lines"].sequence()),
        at=tuple(offset.integer() for offset in keys["at"].sequence()),
        encoding=keys["encoding"].text(),
        digest=keys["digest"].text(),
        note=keys["note"].text_or_none() if "note" in keys else None,
        line=item.line,
    )
    if keys["count"].integer() != len(reference.at):
        keys["count"].refuse("count was edited, but belongs to the planner")
    if _ENCODING.fullmatch(reference.encoding) is None:
        keys["encoding"].refuse("is no encoding that names are edited in")
    edited = broken(keys["seal"].text(), reference_data(reference))
    if edited is None:
        keys["seal"].refuse("the seal is damaged")
    for name in edited or ():
        if name not in {"action", "count"}:
            keys.get(name, keys["file"]).refuse(f"{name} was edited, but belongs to the planner")
    if edited and "action" in edited:
        other = EditAction.SKIP if reference.action is EditAction.EDIT else EditAction.EDIT
        return replace(reference, proposed=other)
    return reference


def _line(item: Field) -> LineChange:
    keys = item.mapping(required=_LINE)
    if len(keys) != len(_LINE):
        return LineChange(0, "", "")
    return LineChange(keys["line"].integer(), keys["before"].text(), keys["after"].text())


def _left(item: Field) -> LeftAlone:
    keys = item.mapping(required=_LEFT)
    if len(keys) != len(_LEFT):
        return LeftAlone(LeftKind.UNREADABLE, "", 0, ())
    return LeftAlone(
        choice(keys["kind"], LeftKind), keys["what"].text(), keys["count"].integer(), keys["where"].texts()
    )
