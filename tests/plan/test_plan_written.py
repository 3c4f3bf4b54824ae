"""The fast way to read a plan: where it reads one at all, it reads what the strict way does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt_migrate.errors import RecipeError
from ckpt_migrate.plan import read
from ckpt_migrate.plan.write import render_plan
from ckpt_migrate.plan.written import OtherFormError
from ckpt_migrate.strict_yaml import Problems
from plan.plans import FOLDER, find_recipe, small_plan, wild_plans

if TYPE_CHECKING:
    from ckpt_migrate.plan.records import Plan

TEXT = render_plan(small_plan())
MARKS = st.sampled_from(
    [*"\n\t ,?ab01~[]{}:-&*!|>#'\"\\%@.", "\n  ", "\n- ", " #", "\u2028", "null", "...\n", "---\n", "\\n"]
)


def fast(text: str) -> Plan | None:
    """Return what the fast way reads, None when it leaves the text to the strict one."""
    try:
        return read._parse_written(text, FOLDER, find_recipe)[0]
    except (OtherFormError, RecipeError):
        return None


def strict(text: str) -> tuple[Plan | None, tuple[str, ...]]:
    """Return what the strict way reads, and what it finds wrong."""
    problems = Problems()
    found = read._parse_strictly(text, FOLDER, find_recipe, problems)
    return None if found is None else found[0], problems.lines()


def agree(text: str) -> bool:
    """Hold both against each other; return whether the fast one read it."""
    plan = fast(text)
    assert plan is None or (plan, ()) == strict(text)
    return plan is not None


@given(plan=wild_plans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_every_plan_is_read_fast_as_it_is_written(plan: Plan) -> None:
    """Names in all scripts, quotes, colons, control characters, no entries at all but then there is no haste."""
    assert agree(render_plan(plan)) or not plan.entries or not plan.runs


@given(place=st.floats(0, 1), cut=st.integers(0, 3), mark=MARKS)
@settings(max_examples=150, deadline=None)
def test_whatever_is_put_into_a_plan_both_ways_agree(place: float, cut: int, mark: str) -> None:
    """A character more, fewer or another one anywhere: no text is read fast that is refused or another plan."""
    at = int(place * len(TEXT))
    agree(TEXT[:at] + mark + TEXT[at + cut :])


@pytest.mark.parametrize(
    ("old", "new", "is_fast"),
    [
        ("action: rename\n  run_id", "action: skip\n  run_id", True),
        ("action: rename\n  run_id", "action: skip  # not this one\n  run_id", True),
        ("  status: ", "  # looked at by me\n  status: ", True),
        ("created: ", "#\ncreated: ", True),
        ("\nruns:", "\n\nruns:", True),
        ("\n- checkpoint", "\n\n- checkpoint", False),
        ("status: FINISHED", "status: RUNNING", False),
        ("version: 1", "version: 2", False),
        ("\nentries:\n", "\nentries:  # all of them\n", False),
        ("\n- checkpoint", "\n...\n- checkpoint", False),
        ("\n  seal", '\n  reason: "a\n- checkpoint: b"\n  seal', False),
        ("\nruns:", "\nentries: []\nruns:", False),
    ],
)
def test_an_edited_entry_is_read_strictly_by_itself(old: str, new: str, *, is_fast: bool) -> None:
    """A person's edits cost the time of their own entries alone; whatever is odd costs that of the whole plan."""
    text = re.sub(r"(?s)(?<=\nentries:\n)(.*?)" + re.escape(old), lambda m: m[1] + new, TEXT, count=1)
    text = text if text != TEXT else TEXT.replace(old, new)
    assert text != TEXT
    assert agree(text) is is_fast


def test_lines_are_those_of_the_file() -> None:
    """Of entries that were edited, too: messages and `review` point at them."""
    lines = TEXT.split("\n")
    edited = TEXT.replace("action: rename", "action: skip")
    for text in (TEXT, edited):
        plan = fast(text)
        assert plan is not None
        for entry in plan.entries:
            assert lines[entry.line - 1] == f"- checkpoint: {entry.checkpoint}"
            assert lines[entry.run_id_line - 1].startswith("  run_id: ")
