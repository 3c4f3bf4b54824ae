"""Reading a plan: a person's edits are taken over, every other one is refused with its line, and nothing crashes."""

from __future__ import annotations

import copy
import gc
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_migrate.errors import EXIT_USAGE, PlanError, RecipeError
from ckpt_migrate.plan.read import load_plan
from ckpt_migrate.plan.records import Action, Plan, Proposal, Status
from ckpt_migrate.plan.write import render_plan
from ckpt_migrate.recipe import Recipe, load_recipe
from ckpt_migrate.strict_yaml import MOST_SHOWN
from plan.plans import RECIPE, ROOT, STAMP, entry, find_recipe, parsed, run, small_plan, uid

Path_ = tuple[Any, ...]
TEXT = render_plan(small_plan())
DATA: dict[str, Any] = yaml.safe_load(TEXT)
MATCHED, AMBIGUOUS, LINKED = 1, 2, 3
"""Places of the small plan's entries."""


def dump(data: Any) -> str:
    """Write data as another YAML tool would, one key a line."""
    return yaml.safe_dump(data, sort_keys=False, width=10_000)


def leaves(data: Any, path: Path_ = ()) -> list[Path_]:
    """Return the path of every value that is no container."""
    if isinstance(data, dict):
        return [leaf for key, value in data.items() for leaf in leaves(value, (*path, key))]
    if isinstance(data, list):
        return [leaf for place, value in enumerate(data) for leaf in leaves(value, (*path, place))]
    return [path]


def mappings(data: Any, path: Path_ = ()) -> list[Path_]:
    """Return the path of every mapping."""
    if isinstance(data, dict):
        return [path] + [found for key, value in data.items() for found in mappings(value, (*path, key))]
    if isinstance(data, list):
        return [found for place, value in enumerate(data) for found in mappings(value, (*path, place))]
    return []


def at(data: Any, path: Path_) -> Any:
    for key in path:
        data = data[key]
    return data


def line_of(text: str, path: Path_) -> int:
    """Return the line of a key, or of the item of a list."""
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 1
    for key in path:
        if isinstance(key, int):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            name, node = next(pair for pair in node.value if pair[0].value == str(key))
            line = name.start_mark.line + 1
    return line


def sealed_unit(path: Path_) -> Path_:
    """Return the key whose seal covers a value."""
    if path[:2] == ("references", "files"):
        return path[:4]
    depth = {"clock": 2, "summary": 2, "references": 2, "entries": 3, "runs": 3}.get(path[0], 1)
    return path[:depth]


def other(value: Any) -> Any:
    """Return a slightly other value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return f"{value[:-1]}{'1' if value[-1:] != '1' else '2'}" if value else "x"


def edited(path: Path_, value: Any) -> str:
    """Return the plan with one value changed, on the same line."""
    data = copy.deepcopy(DATA)
    at(data, path[:-1])[path[-1]] = value
    return dump(data)


def refused(text: str) -> tuple[str, ...]:
    """Return why a plan is refused."""
    _, problems = parsed(text)
    assert problems
    return problems


def accepted(text: str) -> Plan:
    """Return a plan that must be taken."""
    plan, problems = parsed(text)
    assert problems == ()
    assert plan is not None
    return plan


PLANNERS = [
    path
    for path in leaves(DATA)
    if path[-1] not in {"action", "created", "version"} and path != ("entries", path[1] if path[1:] else 0, "run_id")
]


@pytest.mark.parametrize("path", PLANNERS, ids=lambda path: ".".join(map(str, path)))
def test_every_edit_of_what_is_the_planners_is_refused_with_its_line(path: Path_) -> None:
    text = edited(path, other(at(DATA, path)))
    line = line_of(text, path if path[-1] == "seal" else sealed_unit(path))
    problems = refused(text)
    assert any(problem.startswith(f"line {line}: ") for problem in problems), problems
    assert len(problems) <= len(DATA["entries"]) + 2  # an edited root concerns all that lies below it


@pytest.mark.parametrize("path", [p for p in leaves(DATA) if p[-1] != "created"], ids=lambda p: ".".join(map(str, p)))
def test_a_key_that_is_gone_is_refused(path: Path_) -> None:
    data = copy.deepcopy(DATA)
    del at(data, path[:-1])[path[-1]]
    if path[0] == "entries" and path[-1] == "run_id" and at(DATA, path) is None:
        accepted(dump(data))  # says the same
    else:
        refused(dump(data))


@pytest.mark.parametrize("path", mappings(DATA), ids=lambda path: ".".join(map(str, path)) or "top")
def test_an_added_key_is_refused_with_its_line(path: Path_) -> None:
    text = edited((*path, "note"), "mine")
    is_open = path[:1] == ("summary",) or path[2:] in {("params",), ("metrics",)} or path == ("runs",)
    line = line_of(text, sealed_unit((*path, "note")) if is_open else (*path, "note"))
    assert any(problem.startswith(f"line {line}: ") for problem in refused(text)), refused(text)


@pytest.mark.parametrize("path", mappings(DATA), ids=lambda path: ".".join(map(str, path)) or "top")
@pytest.mark.parametrize("value", ["text", [], None, 3], ids=repr)
def test_a_value_of_another_type_is_refused(path: Path_, value: object) -> None:
    if path:
        refused(edited(path, value))
    else:
        refused(dump(value))


def test_the_time_of_creation_must_be_a_time() -> None:
    """It is the one key without a seal, so that two plans of the same input differ in it alone."""
    assert accepted(edited(("created",), "2027-01-01T00:00:00Z")).created == "2027-01-01T00:00:00Z"
    line = line_of(TEXT, ("created",)) - line_of(TEXT, ("version",)) + 1
    for value in ("yesterday", "2027-01-01", "2027-01-01T00:00:00+02:00", None, ["2027-01-01T00:00:00Z"]):
        assert refused(edited(("created",), value))[0].startswith(f"line {line}: created: must be ")


@pytest.mark.parametrize("version", [0, 2, "1.0", None, "x\x1b[2J", [1]], ids=repr)
def test_a_plan_of_another_version_is_refused_for_that_alone(version: object) -> None:
    (problem,) = refused(edited(("version",), version))
    assert problem.startswith("line 1: not a plan of this tool: it has ")
    assert problem.isprintable()


def test_a_file_that_is_no_plan_is_refused_for_that_alone() -> None:
    assert len(refused("name: train\nlr: 0.1\n")) == 1
    assert len(refused("just a sentence")) == 1


# What a person may edit.


def test_any_entry_may_be_left_out() -> None:
    data = copy.deepcopy(DATA)
    for each in data["entries"]:
        each["action"] = "skip"
    plan = accepted(dump(data))
    assert {each.action for each in plan.entries} == {Action.SKIP}
    assert [each.target for each in plan.entries] == [each.target for each in small_plan().entries]


def test_a_person_may_name_the_run_and_the_target_follows() -> None:
    run_id = "ABCDEF".lower() + "0" * 26
    data = copy.deepcopy(DATA)
    data["entries"][AMBIGUOUS] |= {"action": "rename", "run_id": run_id}
    data["entries"][MATCHED]["run_id"] = "1" * 32
    plan = accepted(dump(data))
    assert (plan.entries[AMBIGUOUS].run_id, plan.entries[AMBIGUOUS].target) == (run_id, f"{ROOT}/{run_id}_{STAMP}")
    assert plan.entries[MATCHED].target == f"{ROOT}/{'1' * 32}_{STAMP}"
    assert plan.entries[MATCHED].status is Status.MATCHED


def test_what_the_planner_had_written_is_told_beside_what_a_person_chose() -> None:
    """The planner's confidence and evidence are of its own run, and are never shown for another one."""
    data = copy.deepcopy(DATA)
    planned = small_plan().entries[MATCHED]
    chosen = small_plan().entries[AMBIGUOUS].candidates[1]
    data["entries"][MATCHED]["run_id"] = "1" * 32
    data["entries"][AMBIGUOUS] |= {"action": "rename", "run_id": chosen.run_id}
    plan = accepted(dump(data))
    matched, ambiguous = plan.entries[MATCHED], plan.entries[AMBIGUOUS]
    assert (matched.confidence, matched.evidence) == (None, ())
    assert matched.proposal == Proposal(
        Action.RENAME, planned.run_id, planned.confidence, planned.evidence, planned.target
    )
    assert (ambiguous.confidence, ambiguous.evidence) == (chosen.confidence, chosen.evidence)
    assert ambiguous.proposal == Proposal(Action.SKIP, None, None, ())
    assert [each for each in plan.entries if each.proposal is not None] == [matched, ambiguous]


def test_a_run_that_a_person_put_back_is_the_planners_again() -> None:
    data = copy.deepcopy(DATA)
    data["entries"][MATCHED]["action"] = "skip"
    skipped = accepted(dump(data)).entries[MATCHED]
    assert skipped.proposal is not None
    assert (skipped.proposal.action, skipped.proposal.run_id) == (Action.RENAME, skipped.run_id)
    data["entries"][MATCHED]["action"] = "rename"
    assert accepted(dump(data)).entries[MATCHED].proposal is None


def test_a_person_who_edits_the_target_too_must_get_it_right() -> None:
    data = copy.deepcopy(DATA)
    data["entries"][MATCHED] |= {"run_id": "1" * 32, "target": f"{ROOT}/{'1' * 32}_{STAMP}"}
    accepted(dump(data))
    for target in (f"{ROOT}/{'2' * 32}_{STAMP}", f"/etc/{'1' * 32}_{STAMP}", f"{ROOT}/../{'1' * 32}_{STAMP}", None):
        data["entries"][MATCHED]["target"] = target
        (problem,) = refused(dump(data))
        assert f"follows from run_id and must not be edited; it is {ROOT}/{'1' * 32}_{STAMP}" in problem
        assert problem.startswith(f"line {line_of(dump(data), ('entries', MATCHED, 'target'))}: ")


def test_a_directory_named_after_its_run_may_be_repaired_and_no_other() -> None:
    linked = entry(3, Status.LINKED, action=Action.SKIP, reason=None)
    text = render_plan(small_plan(entries=(linked,), references=None))
    assert accepted(text.replace("action: skip", "action: repair")).entries[0].action is Action.REPAIR
    (problem,) = refused(edited(("entries", MATCHED, "action"), "repair"))
    assert "repair is for directories that are named after their run already" in problem
    (problem,) = refused(edited(("entries", LINKED, "action"), "rename"))
    assert "the directory is named after this run already" in problem
    assert refused(edited(("entries", AMBIGUOUS, "action"), "repair"))[0].endswith("repair needs a run_id")
    assert refused(edited(("entries", AMBIGUOUS, "action"), "rename"))[0].endswith("rename needs a run_id")


def test_a_linked_directory_may_be_given_to_another_run() -> None:
    data = copy.deepcopy(DATA)
    data["entries"][LINKED] |= {"action": "rename", "run_id": "1" * 32}
    assert accepted(dump(data)).entries[LINKED].target == f"{ROOT}/{'1' * 32}_{STAMP}"


@pytest.mark.parametrize("action", ["delete", "Rename", "", None, ["skip"], True])
def test_an_unknown_action_is_refused_and_the_known_ones_are_named(action: object) -> None:
    problems = refused(edited(("entries", MATCHED, "action"), action))
    assert any("must be one of rename, repair, skip" in problem for problem in problems)


@pytest.mark.parametrize(
    "run_id", ["94525c66", "1" * 33, "A" * 32, "1" * 31 + "g", "..", "1" * 32 + "\n", "", "../" + "1" * 29, ["1" * 32]]
)
def test_a_run_id_that_is_none_is_refused_with_its_line(run_id: object) -> None:
    text = edited(("entries", MATCHED, "run_id"), run_id)
    problem = refused(text)[0]
    assert problem.startswith(f"line {line_of(text, ('entries', MATCHED, 'run_id'))}: entries[{MATCHED}].run_id: ")
    assert problem.isprintable()


def test_two_entries_with_one_target_are_refused_naming_both_lines() -> None:
    data = copy.deepcopy(DATA)
    data["entries"][AMBIGUOUS] |= {"action": "rename", "run_id": data["entries"][MATCHED]["run_id"]}
    text = dump(data)
    first, second = (line_of(text, ("entries", place)) for place in (MATCHED, AMBIGUOUS))
    assert refused(text) == (
        f"line {second}: {data['entries'][MATCHED]['target']}: the entry on line {first} has the same target",
    )
    data["entries"][MATCHED]["action"] = "skip"
    accepted(dump(data))


# What a person may not do to the list.


def test_an_entry_that_was_deleted_added_or_moved_is_noticed() -> None:
    for change in (lambda e: e[1:], lambda e: e[::-1], lambda e: [*e, copy.deepcopy(e[0])]):
        data = copy.deepcopy(DATA)
        data["entries"] = change(copy.deepcopy(data["entries"]))
        problems = refused(dump(data))
        line = line_of(dump(data), ("entries",))
        what = f"line {line}: entries: entries were added, removed or moved; to leave an entry out, set action: skip"
        assert what in problems


def test_an_entry_that_stands_twice_is_named() -> None:
    data = copy.deepcopy(DATA)
    data["entries"].append(copy.deepcopy(data["entries"][AMBIGUOUS]))
    text = dump(data)
    first, second = line_of(text, ("entries", AMBIGUOUS)), line_of(text, ("entries", 4))
    assert (
        f"line {second}: {ROOT}/{uid('old 2')}_{STAMP}: the entry on line {first} has the same checkpoint"
        in refused(text)
    )


@pytest.mark.parametrize(
    "checkpoint",
    [
        "../outside",
        "/etc/passwd",
        f"{ROOT}/../other/{uid('old 1')}_{STAMP}",
        f"{ROOT}-2/{uid('old 1')}_{STAMP}",
        ROOT,
        f"{ROOT}/",
        "",
        ".",
        "~/x",
        f"{ROOT}/a/../../../{uid('old 1')}_{STAMP}",
    ],
)
def test_a_path_that_leaves_the_roots_is_refused_with_its_line(checkpoint: str) -> None:
    text = edited(("entries", MATCHED, "checkpoint"), checkpoint)
    line = line_of(text, ("entries", MATCHED, "checkpoint"))
    assert f"line {line}: entries[{MATCHED}].checkpoint: leaves the roots of the plan" in refused(text)


def test_a_path_that_stays_within_the_roots_is_refused_all_the_same() -> None:
    text = edited(("entries", MATCHED, "checkpoint"), f"{ROOT}/{uid('another')}_{STAMP}")
    assert any("checkpoint was edited, but belongs to the planner" in problem for problem in refused(text))


@pytest.mark.parametrize("seal", ["", "0", "0" * 56, "zz" * 28, None, [1]], ids=repr)
def test_a_damaged_seal_is_refused_with_its_line(seal: object) -> None:
    for path in (("seal",), ("entries", MATCHED, "seal"), ("runs", uid("run 1"), "seal")):
        text = edited(path, seal)
        line = line_of(text, path)
        assert any(problem.startswith(f"line {line}: ") and "seal" in problem for problem in refused(text))


def test_many_problems_are_listed_up_to_a_limit_by_line() -> None:
    data = copy.deepcopy(DATA)
    data["entries"] = [copy.deepcopy(data["entries"][MATCHED]) | {"reason": f"{n}"} for n in range(200)]
    problems = refused(dump(data))
    assert len(problems) == MOST_SHOWN + 1
    assert problems[-1].startswith("and ")
    lines = [int(problem.split()[1].rstrip(":")) for problem in problems[:-1]]
    assert lines == sorted(lines)


@given(path=st.sampled_from(leaves(DATA)), value=st.text(max_size=8) | st.integers() | st.none() | st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_is_put_anywhere_is_taken_for_an_edit_or_refused(path: Path_, value: object) -> None:
    text = edited(path, value)
    plan, problems = parsed(text)
    assert all(problem.isprintable() for problem in problems)
    if plan is not None and not problems:
        editable = {"action", "run_id", "created"}
        assert (
            at(yaml.safe_load(text), path) == at(DATA, path)
            or path[-1] in editable
            or str(value) == str(at(DATA, path))
            or (isinstance(at(DATA, path), bool) and str(value).lower() == str(at(DATA, path)).lower())
        )


@given(text=st.text("[]{}:-&*!|>#'\"\n\t ,?ab01~", max_size=60))
@settings(max_examples=300)
def test_whatever_the_text_reading_ends_in_problems_and_not_in_an_exception(text: str) -> None:
    refused(text)


# The file.


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def load_error(path: Path | str) -> PlanError:
    with pytest.raises(PlanError) as caught:
        load_plan(str(path), find_recipe)
    assert caught.value.exit_code == EXIT_USAGE
    assert caught.value.where == str(path)
    assert caught.value.remedy
    return caught.value


def test_a_loaded_plan_knows_its_file_and_its_folder(plan_file: Path) -> None:
    plan, recipe = load_plan(str(plan_file), find_recipe)
    assert recipe is RECIPE
    assert (plan.path, plan.folder) == (str(plan_file), str(plan_file.parent.resolve()))
    assert len(plan.digest) == 64
    assert [each.line for each in plan.entries] == [line_of(TEXT, ("entries", place)) for place in range(4)]
    assert gc.isenabled()


def test_a_plan_named_by_its_bare_name_lies_here(plan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(plan_file.parent)
    assert load_plan("plan.yaml", find_recipe)[0].folder == str(plan_file.parent.resolve())


def test_paths_start_at_the_real_folder_of_a_plan(plan_file: Path, tmp_path: Path) -> None:
    """With `..` in a path, a link in the plan's own path would lead elsewhere."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "link").symlink_to(tmp_path)
    through_link = tmp_path / "deep" / "er" / "link" / plan_file.name
    assert load_plan(str(through_link), find_recipe)[0].folder == str(tmp_path.resolve())


def test_the_recipe_is_looked_for_by_the_name_in_the_plan_wherever_that_stands(tmp_path: Path) -> None:
    """Other tools sort keys: the name may come last, and be folded."""
    asked: list[str] = []

    def find(name: str) -> Recipe:
        asked.append(name)
        return RECIPE

    migration = "/a folder with a long name/" + "recipe " * 20 + ".yaml"
    text = yaml.safe_dump(yaml.safe_load(render_plan(small_plan(migration=migration))), sort_keys=True)
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
    load_plan(str(tmp_path / "plan.yaml"), find)
    assert asked == [migration]


def test_a_recipe_that_is_gone_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(render_plan(small_plan(migration="/gone/mine.yaml")), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"/gone/mine\.yaml: no such recipe"):
        load_plan(str(tmp_path / "plan.yaml"), load_recipe)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "cannot be used as it is"),
        (b"\n\n", "cannot be used as it is"),
        (TEXT.encode("utf-16"), "line 1: is not UTF-8 text"),
        (TEXT.replace("ckpt-migrate test", "Z\xfcrich").encode("latin-1"), "is not UTF-8 text"),
        (b"\x00" * 100, "cannot be used as it is"),
        (b"PK\x03\x04" + bytes(range(256)), "is not UTF-8 text"),
        (TEXT[: len(TEXT) // 2].encode(), "cannot be used as it is"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(content)
    assert what in load_error(path).what


def test_the_line_of_a_byte_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(TEXT.encode().replace(b"\nentries:", b"\n# \xff\nentries:"))
    assert load_error(path).what == f"line {line_of(TEXT, ('entries',))}: is not UTF-8 text"


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is no file" in load_error(tmp_path).what
    assert "is no file" in load_error(tmp_path / "pipe").what
    assert "No such file" in load_error(tmp_path / "gone.yaml").what
    assert "null byte" in load_error("a\0b").what


def test_a_file_far_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert "far too large" in load_error(path).what


def test_files_of_other_editors_are_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    plan, _ = load_plan(str(path), find_recipe)
    assert [replace(each, line=0, run_id_line=0) for each in plan.entries] == list(small_plan().entries)


def test_names_of_a_recipe_of_ones_own_are_understood(tmp_path: Path) -> None:
    """A legacy form that differs from the target form in more than the id."""
    recipe_text = (Path(RECIPE.source)).read_text(encoding="utf-8").replace('"{uuid}_{stamp}"', '"ckpt-{uuid}-{stamp}"')
    (tmp_path / "mine.yaml").write_text(recipe_text, encoding="utf-8")
    recipe = load_recipe(str(tmp_path / "mine.yaml"))
    legacy = entry(1, checkpoint=f"{ROOT}/ckpt-{uid('old 1')}-{STAMP}")
    (tmp_path / "plan.yaml").write_text(render_plan(small_plan(entries=(legacy,), links=())), encoding="utf-8")
    plan, _ = load_plan(str(tmp_path / "plan.yaml"), lambda _: recipe)
    assert plan.entries[0].target == f"{ROOT}/{uid('run 1')}_{STAMP}"


def test_a_plan_of_thousands_is_read_in_seconds() -> None:
    entries = tuple(sorted((entry(number) for number in range(2_000)), key=lambda each: each.checkpoint))
    runs = {run_id: run(run_id) for run_id in sorted(str(each.run_id) for each in entries)}
    text = render_plan(small_plan(entries=entries, runs=runs, links=()))
    started = time.process_time()
    assert len(accepted(text).entries) == 2_000
    assert time.process_time() - started < 5
