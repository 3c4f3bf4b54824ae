"""Writing a plan: every YAML reader reads what was meant, and the same plan is the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt_migrate.plan.fields import (
    candidate_data,
    clock_data,
    entry_data,
    link_data,
    reference_data,
    references_top,
    run_data,
)
from ckpt_migrate.plan.seal import is_untouched
from ckpt_migrate.plan.write import flow, render_plan, scalar
from plan.plans import NASTY, TEXTS, entry, parsed, small_plan, wild_plans

if TYPE_CHECKING:
    from ckpt_migrate.plan.records import Entry, Plan
    from ckpt_migrate.references.records import References

LOADERS: list[Any] = [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)]
PLAIN = st.recursive(
    TEXTS | st.booleans() | st.none() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def shown(plan: Plan) -> dict[str, Any]:
    """Return what the file says, seals aside."""
    return {
        "version": 1,
        "tool": plan.tool,
        "created": plan.created,
        "migration": plan.migration,
        "recipe_digest": plan.recipe_digest,
        "tracking_uri": plan.tracking_uri[0] if len(plan.tracking_uri) == 1 else list(plan.tracking_uri),
        "roots": list(plan.roots),
        "clock": {key: value for key, value in clock_data(plan.clock).items() if value not in (None, [])},
        "summary": {key: dict(value) for key, value in plan.summary.items()},
        **({"links": [link_data(link) for link in plan.links]} if plan.links else {}),
        **({} if plan.references is None else {"references": _references(plan.references)}),
        "entries": [_entry(each) for each in plan.entries],
        "runs": {
            run_id: {key: value for key, value in run_data(run).items() if value not in (None, {})}
            for run_id, run in plan.runs.items()
        },
    }


def _references(references: References) -> dict[str, Any]:
    files = [reference_data(reference) for reference in references.files]
    kept = [{key: value for key, value in file.items() if value is not None} for file in files]
    return {**references_top(references), "files": kept}


def _entry(each: Entry) -> dict[str, Any]:
    data = entry_data(each)
    data["candidates"] = [candidate_data(candidate) for candidate in each.candidates]
    return {key: value for key, value in data.items() if key != "root" and (value not in (None, []) or key == "run_id")}


def without_seals(data: dict[str, Any]) -> dict[str, Any]:
    """Return a file's data without its seals."""
    del data["seal"]
    files = data["references"]["files"] if "references" in data else []
    for part in (*data["entries"], *data["runs"].values(), *files):
        del part["seal"]
    return data


@given(plan=wild_plans())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_plan_survives_yaml(plan: Plan) -> None:
    """Both loaders of the library agree on it, and so does the tool's own reader."""
    text = render_plan(plan)
    for loader in LOADERS:
        assert without_seals(yaml.load(text, Loader=loader)) == shown(plan)  # noqa: S506 - both are safe
    assert parsed(text) == (plan, ())
    assert is_untouched(text.encode())


STYLES = st.fixed_dictionaries(
    {"sort_keys": st.booleans(), "width": st.sampled_from([20, 80, 10_000]), "default_flow_style": st.booleans()}
)


@given(plan=wild_plans(), style=STYLES)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_plan_written_anew_by_another_tool_is_the_same_plan(plan: Plan, style: dict[str, Any]) -> None:
    """Seals are over values: comments, order of keys, quotes and line breaks may change."""
    text = yaml.safe_dump(yaml.safe_load(render_plan(plan)), **style)
    assert parsed(text) == (plan, ())
    assert not is_untouched(text.encode())


@given(value=PLAIN)
def test_data_on_one_line_is_read_back(value: Any) -> None:
    for loader in LOADERS:
        assert yaml.load(f"key: {flow(value)}", Loader=loader) == {"key": value}  # noqa: S506 - both are safe
    assert "\n" not in flow(value)


@pytest.mark.parametrize("text", NASTY, ids=repr)
def test_a_nasty_text_stays_a_text_in_either_version_of_yaml(text: str) -> None:
    """YAML 1.2 readers see numbers where 1.1 ones see texts, and the other way round; quotes settle it."""
    written = scalar(text)
    assert yaml.safe_load(written) == text
    assert written.isprintable()
    is_plain = not written.startswith('"')
    assert not (is_plain and text.lower() in {"1e5", "0o17", "0x1f", "yes", "null", "~", "nan", ".inf"})


def test_nothing_that_moves_a_cursor_is_in_a_plan() -> None:
    plan = small_plan(tool="\x1b[2J\x9b31m\u2028", entries=(entry(1, reason="".join(NASTY)),))
    assert all(line.isprintable() for line in render_plan(plan).split("\n"))


def test_the_same_plan_is_the_same_bytes_whatever_the_order_of_hashes() -> None:
    script = "from plan.plans import small_plan; from ckpt_migrate.plan.write import render_plan\n"
    script += "import sys; sys.stdout.write(render_plan(small_plan()))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    }
    assert texts == {render_plan(small_plan())}


def test_two_plans_of_one_input_differ_in_the_line_of_their_creation_alone() -> None:
    one = render_plan(small_plan()).splitlines()
    other = render_plan(small_plan(created="2027-01-01T12:00:00Z")).splitlines()
    assert [line for line, twin in zip(one, other, strict=True) if line != twin] == ['created: "2026-02-02T00:00:00Z"']


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("plan.yaml", "apply plan.yaml"),
        ("my plan.yaml", "apply 'my plan.yaml'"),
        ("a\nversion: 2", r"apply 'a\nversion: 2'"),
    ],
)
def test_the_comment_on_top_has_commands_to_paste_and_cannot_be_broken_out_of(name: str, command: str) -> None:
    text = render_plan(small_plan(), name)
    assert command in text.partition("version:")[0] or command in text
    assert parsed(text) == (small_plan(), ())


def test_what_is_not_known_is_left_out_and_an_empty_plan_is_a_plan() -> None:
    plan = small_plan(entries=(), runs={}, links=(), tracking_uri=("mlruns",), references=None)
    text = render_plan(plan)
    assert "entries: []\n" in text
    assert "runs: {}\n" in text
    assert "links" not in text.partition("version:")[2]
    assert parsed(text) == (plan, ())


def test_every_change_of_a_plan_changes_its_seals() -> None:
    """A seal that forgets a field would let its edit pass."""
    plan = small_plan()
    seals = render_plan(plan).rpartition("seal: ")[2]
    changes: tuple[dict[str, Any], ...] = (
        {"tool": "x"}, {"migration": "x"}, {"recipe_digest": "x"}, {"tracking_uri": ("x",)}, {"roots": ("x",)},
        {"clock": replace(plan.clock, directories=23)}, {"summary": {**plan.summary, "action": {}}}, {"links": ()},
        {"entries": plan.entries[1:]}, {"runs": {}},
    )  # fmt: skip
    for change in changes:
        assert render_plan(replace(plan, **change)).rpartition("seal: ")[2] != seals, change
