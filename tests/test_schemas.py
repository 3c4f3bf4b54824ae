"""The schemas accept what the tool reads and writes, refuse what it refuses, and explain what a person may edit."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from plan.plans import small_plan

from ckpt_migrate.plan.write import render_plan
from ckpt_migrate.recipe import MANIFEST_FIELDS

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema, which checks by a schema, is not installed")

RECIPES = sorted((Path(__file__).resolve().parents[1] / "migrations").glob("*.yaml"))
PLAN = yaml.safe_load(render_plan(small_plan()))
RECIPE = yaml.safe_load(RECIPES[0].read_text(encoding="utf-8"))


def schema(kind: str) -> Any:
    return json.loads((files("ckpt_migrate.schemas") / f"{kind}.json").read_text(encoding="utf-8"))


def problems(kind: str, data: object) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema(kind))
    return [error.message for error in validator.iter_errors(data)]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_of_the_schema(path: Path) -> None:
    assert problems("recipe", yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_a_plan_and_an_edited_plan_are_of_the_schema() -> None:
    assert problems("plan", PLAN) == []
    edited = copy.deepcopy(PLAN)
    edited["entries"][2] |= {"action": "rename", "run_id": "94525c6650a3407985928d7c2f83f9eb"}
    assert problems("plan", edited) == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("plan", ("version",), 2),
        ("plan", ("entries", 0, "action"), "renam"),
        ("plan", ("entries", 0, "run_id"), "94525C66"),
        ("plan", ("entries", 0, "run"), "x"),
        ("plan", ("extra",), 1),
        ("recipe", ("names", "legacy"), "no field"),
        ("recipe", ("names", "target"), "{stamp}"),
        ("recipe", ("evidence", "config"), ["config.json"]),
        ("recipe", ("manifests", "files", 0, "kind"), "folder"),
        ("recipe", ("manifests", "files", 0, "name"), "a/b"),
    ],
)
def test_what_the_reader_refuses_an_editor_underlines(kind: str, path: tuple[Any, ...], value: object) -> None:
    data = copy.deepcopy(PLAN if kind == "plan" else RECIPE)
    *above, last = path
    part = data
    for key in above:
        part = part[key]
    part[last] = value
    assert problems(kind, data) != []


def test_both_schemas_are_schemas_and_name_every_field_of_a_template() -> None:
    for kind in ("plan", "recipe"):
        jsonschema.Draft202012Validator.check_schema(schema(kind))
    text = json.dumps(schema("recipe"))
    assert all(f"${name}" in text for name in MANIFEST_FIELDS)
    entry = schema("plan")["$defs"]["entry"]["properties"]
    assert [key for key, value in entry.items() if "Yours" in value["description"]] == ["action", "run_id"]
