"""The fast way to read a plan: where it reads one at all, it reads what the strict way does."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate, cycle, takewhile
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
    from pathlib import Path

    from ckpt_migrate.plan.records import Plan

TEXT = render_plan(small_plan())
MARKS = st.sampled_from(
    [*"\n\t ,?ab01~[]{}:-&*!|>#'\"\\%@.", "\n  ", "\n- ", " #", "\u2028", "null", "...\n", "---\n", "\\n"]
)


def fast(text: str) -> Plan | None:
    """Return what the fast way reads, None when it leaves the text to the strict one."""
    try:
        return read._parse_written([text], FOLDER, find_recipe, with_evidence=True)[0]
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


@given(plan=wild_plans(), sizes=st.lists(st.integers(1, 400), min_size=1))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_text_in_chunks_is_read_like_the_whole_of_it(plan: Plan, sizes: list[int]) -> None:
    """Wherever it is cut: in a mark, in an entry, in the end of a line."""
    text = render_plan(plan)
    cuts = list(takewhile(lambda place: place < len(text), accumulate(cycle(sizes), initial=0)))
    chunks = [text[start:stop] for start, stop in zip(cuts, [*cuts[1:], len(text)], strict=True)]
    try:
        found: Plan | None = read._parse_written(chunks, FOLDER, find_recipe, with_evidence=True)[0]
    except OtherFormError:
        found = None
    assert found == fast(text)


def test_without_evidence_all_else_is_the_same_and_edited_entries_keep_theirs(tmp_path: Path) -> None:
    """What a person's choice is told with is kept; memory is not spent on what nobody asks for."""
    path = tmp_path / "plan.yaml"
    path.write_text(TEXT.replace("action: rename\n  run_id", "action: skip\n  run_id", 1), encoding="utf-8")
    whole, _ = read.load_plan(str(path), find_recipe)
    lean, _ = read.load_plan(str(path), find_recipe, with_evidence=False)
    edited = [entry for entry in whole.entries if entry.proposal is not None]
    assert edited
    assert [entry for entry in lean.entries if entry.evidence or entry.candidates] == edited
    assert lean == replace(
        whole,
        entries=tuple(
            entry if entry.proposal is not None else replace(entry, evidence=(), candidates=())
            for entry in whole.entries
        ),
    )


def test_a_written_plan_is_never_held_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is read in chunks, and comes to the same plan, digest and path included, as its bytes do."""
    path = tmp_path / "plan.yaml"
    path.write_text(TEXT, encoding="utf-8")
    from_bytes, _ = read.load_plan(str(path), find_recipe, data=path.read_bytes())
    monkeypatch.setattr(read, "_read_bytes", None)
    monkeypatch.setattr(read, "_CHUNK_BYTES", 7)
    assert read.load_plan(str(path), find_recipe)[0] == from_bytes
