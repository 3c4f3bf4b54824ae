"""Tables fit the terminal, whatever stands in them."""

from __future__ import annotations

import pytest
from project import uid

from ckpt_migrate.cli.rows import fitted
from ckpt_migrate.cli.terminal import columns

HEADER = ("", "STATUS", "ACTION", "CHECKPOINT", "CONFIDENCE", "RUN OR REASON")
ROWS = [
    HEADER,
    ("~", "matched", "rename", f"{uid('a')}_20260201_041227", "0.999981", f"run {uid('b')}"),
    ("+", "linked", "repair", f"{uid('c')}_20260201_041227", "1.000000", "README.md is missing; " * 20),
    ("!", "unreadable", "skip", "実験" * 40, "", "cannot be listed (Permission denied)"),
    ("*", "by hand", "rename", "e\u0301" * 30, "", f"run {uid('b')}, chosen by a person; the planner had " * 3),
]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200])
def test_no_line_is_wider_than_the_terminal_and_no_row_loses_its_reason(width: int) -> None:
    lines = fitted(ROWS, width)
    assert max(columns(line) for line in lines) <= width
    text = "\n".join(lines)
    for part in ("README.md is missing", "cannot be listed", "chosen by a person" if width > 60 else "run "):
        assert part in text
    assert uid("a")[:8] in text
    assert "20260201_041227" in text


def test_what_fits_is_not_touched() -> None:
    assert fitted(ROWS[:2], 200)[1].split() == [*ROWS[1][:-1], "run", uid("b")]


def test_a_narrow_terminal_shows_the_ends_of_names_and_all_other_columns() -> None:
    rows = [
        ("STATE", "CHECKPOINT", "SIZE", "WHY"),
        ("legacy", f"/data/{'long/' * 20}{uid('a')}_20260201_041227", "6 B", "x"),
    ]
    header, row = fitted(rows, 60)[:2]
    assert header.split() == ["STATE", "CHECKPOINT", "SIZE"]
    assert row.startswith("legacy  ...g/long/")
    assert row.endswith(f"{uid('a')[:8]}.._20260201_041227  6 B")


def test_what_is_to_be_copied_is_not_broken() -> None:
    """A path of a log stands whole below its row; the terminal itself breaks it where it is wider than that."""
    path = f"/data/{'long/' * 20}20260201.jsonl"
    for width in (60, 80, 130):
        lines = fitted([("STATE", "LOG"), ("rolled back", path)], width)
        assert path in [line.strip() for line in lines] or lines[1].endswith(path)
