"""A choice changes the bytes of two values and no other byte, however the plan is laid out."""

from __future__ import annotations

import pytest
import yaml
from plan.plans import FOLDER, NASTY, entry, find_recipe, small_plan, uid

from ckpt_migrate.plan.read import parse_plan
from ckpt_migrate.plan.records import Action, Status
from ckpt_migrate.plan.write import render_plan
from ckpt_migrate.review.edits import Choice, find_places, splice
from ckpt_migrate.strict_yaml import Problems

PLAN = small_plan(
    entries=(entry(1, reason="".join(NASTY)), entry(2, Status.AMBIGUOUS), entry(3, Status.UNMATCHED)),
    links=(),
    runs={},
)
AMBIGUOUS = 1
LAYOUTS = {
    "ours": render_plan(PLAN),
    "with a byte order mark": "\ufeff" + render_plan(PLAN),
    "of Windows": render_plan(PLAN).replace("\n", "\r\n"),
    "sorted": yaml.safe_dump(yaml.safe_load(render_plan(PLAN)), sort_keys=True),
    "on one line each": yaml.safe_dump(yaml.safe_load(render_plan(PLAN)), default_flow_style=True, width=9999),
    "with other letters in comments": render_plan(PLAN).replace("# status", "# 実験🦊 status"),
    "with quotes and comments": render_plan(PLAN).replace("action: skip\n", "action: 'skip'  # later\n"),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("run_id", [uid("run 2"), "1" * 32, "1" * 30 + "e5"])
def test_two_values_change_and_nothing_else(name: str, run_id: str) -> None:
    text = LAYOUTS[name]
    chosen = splice(text, find_places(text), {AMBIGUOUS: Choice(Action.RENAME, run_id)})
    problems = Problems()
    found = parse_plan(chosen.removeprefix("\ufeff"), FOLDER, find_recipe, problems)
    assert (found is not None, problems.lines()) == (True, ())
    assert found is not None
    entries = found[0].entries
    assert (entries[AMBIGUOUS].action, entries[AMBIGUOUS].run_id) == (Action.RENAME, run_id)
    assert [one.proposal is None for one in entries] == [True, False, True]
    start, end = find_places(text)[AMBIGUOUS].action or (0, 0)
    first, last = find_places(text)[AMBIGUOUS].run_id or (0, 0)
    kept = [text[: min(start, first)], text[min(end, last) : max(start, first)], text[max(end, last) :]]
    assert chosen.startswith(kept[0])
    assert chosen.endswith(kept[2])
    assert kept[1] in chosen


def test_no_choice_is_no_change_and_an_entry_without_the_keys_is_refused() -> None:
    text = render_plan(PLAN)
    assert splice(text, find_places(text), {}) == text
    bare = "entries:\n- {checkpoint: a, nested: {action: skip, run_id: x}}\n"
    with pytest.raises(ValueError, match="0"):
        splice(bare, find_places(bare), {0: Choice(Action.RENAME, "1" * 32)})
