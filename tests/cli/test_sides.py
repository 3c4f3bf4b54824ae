"""A directory and its candidates beside one another: what differs is seen, at every width."""

from __future__ import annotations

import pytest

from ckpt_migrate.cli.sides import side_lines
from ckpt_migrate.cli.terminal import columns
from ckpt_migrate.review.sides import Side, weight_sides

START = Side("start", "2026-02-01 04:12:27", ("+1 s", "-3.0 days"), (False, False), differs=True)
RATE = Side("learning_rate", "0.001", ("0.001", "0.01"), (False, True), differs=True)
SEED = Side("seed", "1", ("1", "1"), (False, False), differs=False)


def test_what_differs_from_the_directory_is_marked() -> None:
    assert side_lines([START, RATE, SEED], 100) == [
        "                   directory            1      2",
        "    start          2026-02-01 04:12:27  +1 s   -3.0 days",
        "    learning_rate  0.001                0.001  0.01 *",
        "    * differs from the directory",
        "  Same everywhere: seed=1",
    ]


def test_of_long_values_the_part_that_differs_is_shown() -> None:
    """In columns from their first difference on; below one another where columns would be too narrow."""
    wide = Side(
        "data",
        "",
        tuple(f"{'/data/of/the/project' * 5}/{name}" for name in ("alpha", "beta")),
        (False,) * 2,
        differs=True,
    )
    for width in (60, 100):
        lines = side_lines([wide], width)
        assert max(map(columns, lines)) <= width
        assert "alpha" in "".join(lines)
        assert "beta" in "".join(lines)
    assert side_lines([wide], 100)[1].split()[2:] == ["...ect/alpha", "...ect/beta"]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("runs", [1, 2, 5, 10])
def test_no_line_is_wider_than_the_terminal(width: int, runs: int) -> None:
    """Where columns would be too narrow, sides stand below one another."""
    sides = [
        Side("実験", "実" * 50, tuple(f"{'実' * 50}{place}" for place in range(runs)), (True,) * runs, differs=True),
        Side("note", "", tuple("\x1b[31m" * place for place in range(runs)), (False,) * runs, differs=True),
    ]
    lines = side_lines(sides, width)
    assert max(map(columns, lines)) <= width
    assert "\x1b" not in "".join(lines)
    assert any(str(runs) in line.split() for line in lines)


def test_evidence_that_weighs_the_same_for_all_is_left_out_and_the_most_telling_comes_first() -> None:
    one = (
        "for 16.2 bits, time: near",
        "for 3.0 bits, params: 9 of 9",
        "against 2.4 bits, prior: one of 28",
        "a remark",
    )
    other = ("for 2.1 bits, time: far", "for 4.0 bits, params: 10 of 10", "against 2.4 bits, prior: one of 28")
    assert [(side.key, side.there) for side in weight_sides([one, other])] == [
        ("bits, time", ("+16.2", "+2.1")),
        ("bits, params", ("+3.0", "+4.0")),
    ]
    assert weight_sides([one]) == ()
