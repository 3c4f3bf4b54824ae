"""Sides in words: a directory and its candidates, column beside column, or below one another where it is narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.cli.output import shown
from ckpt_migrate.cli.terminal import ELLIPSIS, columns, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.review.sides import Side

OTHER = " *"
LEGEND = "    * differs from the directory"
MOST_SAME = 6
"""Params named of those that are the same everywhere."""
LEAST_COLUMN = 16
"""Columns that a value needs to be of any use beside the others."""
_KEPT = 4
"""Letters kept before the first one that differs."""


def side_lines(sides: Sequence[Side], columns_wide: int) -> list[str]:
    """Return what differs, a key a line with a column for each side; a key a block where columns would be too narrow.

    Args:
        sides: What is compared; those that are the same everywhere are named in one line.
        columns_wide: Columns of the terminal.
    """
    lines = []
    told = [side for side in sides if side.differs or side.key == "start"]
    if told:
        heads = ["directory", *(str(place) for place in range(1, len(told[0].there) + 1))]
        share = (columns_wide - 4) // (len(heads) + 1) - 2
        table = _table(heads, told, columns_wide)
        if any(columns(line) > columns_wide for line in table):
            table = _table(heads, told, share) if share >= LEAST_COLUMN else _blocks(heads, told, columns_wide)
        lines += [cut(line, columns_wide) for line in table]
        if any(any(side.is_other) for side in told):
            lines.append(LEGEND)
    same = [shown(f"{side.key}={side.here or side.there[0]}") for side in sides if side not in told]
    if same:
        more = f" and {len(same) - MOST_SAME:,} more" if len(same) > MOST_SAME else ""
        lines.append(cut(f"  Same everywhere: {', '.join(same[:MOST_SAME])}{more}", columns_wide))
    return lines


def _table(heads: Sequence[str], sides: Sequence[Side], room: int) -> list[str]:
    rows = [["", *heads], *([cut(shown(side.key), room), *_values(side, room)] for side in sides)]
    sizes = [max(columns(row[place]) for row in rows) for place in range(len(heads) + 1)]
    padded = [[cell + " " * (size - columns(cell)) for cell, size in zip(row, sizes, strict=True)] for row in rows]
    return [f"    {'  '.join(row)}".rstrip() for row in padded]


def _blocks(heads: Sequence[str], sides: Sequence[Side], columns_wide: int) -> list[str]:
    lines = []
    for side in sides:
        values = _values(side, columns_wide - 18)
        lines.append(f"    {shown(side.key)}")
        lines += [f"      {head:9}  {value}" for head, value in zip(heads, values, strict=True) if value]
    return lines


def _values(side: Side, room: int) -> list[str]:
    """Return a side's values in this many columns: of long ones, the part where they begin to differ."""
    values = [shown(value) for value in (side.here, *side.there)]
    letters = room - len(OTHER)
    start = _first_difference([value for value in values if value]) - _KEPT
    if side.differs and start > 0 and any(columns(value) > letters for value in values):
        values = [ELLIPSIS + value[start:] if value else value for value in values]
    marks = ["", *(OTHER if is_other else "" for is_other in side.is_other)]
    return [cut(value or "-", letters) + mark for value, mark in zip(values, marks, strict=True)]


def _first_difference(values: Sequence[str]) -> int:
    """Return the place of the first letter that is not the same in all."""
    places = enumerate(zip(*values, strict=False))
    return next((place for place, letters in places if len(set(letters)) > 1), min(map(len, values), default=0))
