"""Recipes: the shipped ones are right, a wrong one is refused with all its mistakes, and wild ones never crash."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_migrate.errors import EXIT_USAGE, RecipeError
from ckpt_migrate.recipe import DEFAULT_RECIPE, load_recipe, recipe_names

SHIPPED = Path(__file__).parents[1] / "migrations"
SMALLEST = """\
version: 1
name: mine
description: Mine.
names: {legacy: "ckpt-{uuid}-{stamp}", target: "{run_id}_{stamp}"}
evidence: {}
manifests: {files: []}
"""


def refused(tmp_path: Path, text: str) -> RecipeError:
    """Load a recipe that must be refused."""
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert caught.value.where == str(path)
    assert caught.value.remedy
    assert caught.value.exit_code == EXIT_USAGE
    return caught.value


def test_the_shipped_recipe_says_what_the_legacy_layout_is() -> None:
    recipe = load_recipe()
    assert (recipe.name, recipe.is_link, recipe.marks) == (DEFAULT_RECIPE, False, ())
    assert recipe_names() == tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))
    assert recipe.legacy.parse("ac7c134d5a5a44c4ac38fbc83f650af0_20260201_041227") is not None
    assert recipe.target.id_field == "run_id"
    assert [(manifest.name, manifest.is_section) for manifest in recipe.manifests] == [
        ("MLFLOW_RUN_ID.txt", False),
        ("README.md", True),
    ]
    assert recipe.digest == hashlib.sha256((SHIPPED / f"{DEFAULT_RECIPE}.yaml").read_bytes()).hexdigest()


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: str(path.stem))
def test_every_shipped_recipe_loads_by_name_and_by_path(path: Path) -> None:
    assert load_recipe(path.stem).digest == load_recipe(str(path)).digest
    assert load_recipe(path.stem).name == path.stem


def test_a_file_that_has_a_shipped_recipes_name_does_not_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (DEFAULT_RECIPE, "mine"):
        (tmp_path / name).write_text(SMALLEST, encoding="utf-8")
    assert load_recipe(DEFAULT_RECIPE).name == DEFAULT_RECIPE
    assert load_recipe("mine").name == "mine"


def test_a_recipe_of_ones_own_needs_little(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SMALLEST, encoding="utf-8")
    recipe = load_recipe(str(path))
    assert recipe.legacy.format(uid="0" * 32, stamp="20260201_041227") == f"ckpt-{'0' * 32}-20260201_041227"
    assert (recipe.weights, recipe.experiments, recipe.manifests, recipe.path_from) == ((), (), (), "")


def test_all_mistakes_are_named_at_once_with_their_lines(tmp_path: Path) -> None:
    error = refused(
        tmp_path,
        """\
version: 2
name: 3
description: null
names:
  legacy: "{uuid}"
  target: "{run_id}/{stamp}"
  old: x
evidence:
  weights: "*.ckpt"
  pointers: [ok.txt, /etc/passwd, ../up.txt, null]
params:
  ignored: []
manifests:
  files:
  - {name: a/b, kind: file, template: x}
  - {name: OK.txt, kind: whole, template: "$run_id $wrong $ $$"}
  - {name: OK.txt, kind: section, template: ""}
  - {name: LATER.txt}
  - plain
  extra: 1
surprise: 1
""",
    )
    assert error.problems == (
        "line 1: version: this version of the tool reads recipes of version 1",
        "line 3: description: must be text",
        "line 6: names.target: must be one directory name, without /",
        "line 7: names.old: unknown key",
        "line 9: evidence.weights: must be a list",
        "line 10: evidence.pointers[1]: must be a path inside the checkpoint directory",
        "line 10: evidence.pointers[2]: must be a path inside the checkpoint directory",
        "line 10: evidence.pointers[3]: must be text",
        "line 12: params.ignored: unknown key",
        "line 15: manifests.files[0].name: must be a file name, without /",
        (
            "line 16: manifests.files[1].kind: "
            "must be `file` (wholly ours) or `section` (our part of a file of the user's)"
        ),
        "line 16: manifests.files[1].template: a lone $ stands in the template; write $$ for a dollar sign",
        error.problems[12],
        "line 17: manifests.files[2].name: stands twice",
        "line 18: manifests.files[3]: the key 'kind' is missing",
        "line 18: manifests.files[3]: the key 'template' is missing",
        "line 19: manifests.files[4]: must be a mapping",
        "line 20: manifests.extra: unknown key",
        "line 21: surprise: unknown key",
    )
    assert error.problems[12].startswith("line 16: manifests.files[1].template: unknown field $wrong; known: ")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, "version: 1\n")
    assert error.problems == tuple(
        f"line 1: the key {key!r} is missing" for key in ("description", "evidence", "manifests", "name", "names")
    )


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("phase3", "no such recipe (No such file or directory)"),
        ("", "no such recipe (No such file or directory)"),
        ("nowhere/mine.yaml", "no such recipe (No such file or directory)"),
        ("phase2_run_id/", "no such recipe (No such file or directory)"),
        ("a\0b", "no such recipe (embedded null byte)"),
    ],
)
def test_an_unknown_recipe_is_refused_and_the_known_ones_are_named(name: str, what: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(name)
    assert (caught.value.what, caught.value.where) == (what, name)
    assert DEFAULT_RECIPE in (caught.value.remedy or "")


def test_a_folder_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "latin.yaml").write_bytes(SMALLEST.replace("Mine", "Über").encode("latin-1"))
    with pytest.raises(RecipeError, match="Is a directory"):
        load_recipe(str(tmp_path / "folder.yaml"))
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(str(tmp_path / "latin.yaml"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            ("action: link", "action: move"),
            "action: must be `rename` or `link` (names are left, manifests name the run)",
        ),
        (('legacy: ["{date}/{time}"]', "legacy: []"), "names.legacy: must have at least one form"),
        (('legacy: ["{date}/{time}"]', 'legacy: ["{day}"]'), "names.legacy[0]: unknown field {day}"),
        (('legacy: ["{date}/{time}"]', 'legacy: "{date}"'), "names.legacy: needs {date} and {time} together"),
        (('"]\n', '"]\n  target: "{run_id}"\n'), "names.target: unknown key"),
        (("marks: [.hydra]", "marks: [../x]"), "evidence.marks[0]: must be a path inside the checkpoint directory"),
        (("action: link\n", ""), "names: the key 'target' is missing"),
    ],
)
def test_mistakes_of_a_recipe_that_links_are_named(tmp_path: Path, change: tuple[str, str], problem: str) -> None:
    text = (
        "version: 1\nname: x\ndescription: y\naction: link\n"
        'names:\n  legacy: ["{date}/{time}"]\nevidence: {marks: [.hydra]}\nmanifests: {files: []}\n'
    )
    (tmp_path / "right.yaml").write_text(text)
    recipe = load_recipe(str(tmp_path / "right.yaml"))
    assert recipe.is_link
    assert recipe.target_of("out/2026-02-01/04-12-27", "9" * 32) == "out/2026-02-01/04-12-27"
    assert problem in {line.partition(": ")[2] for line in refused(tmp_path, text.replace(*change)).problems}


def test_a_renaming_that_would_lose_a_part_of_the_name_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, SMALLEST.replace('target: "', 'target: "x-{name}-'))
    assert any("has {name}, which legacy has not" in problem for problem in error.problems)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_or_too_large_is_refused_without_reading_on(tmp_path: Path) -> None:
    """A device that never ends, a pipe that nobody writes to, and a file of gigabytes are no recipes."""
    os.mkfifo(tmp_path / "pipe.yaml")
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(50 << 30)
    for path, what in (("/dev/zero", "is no regular file"), ("pipe.yaml", "is no regular file"), ("large.yaml", "KiB")):
        with pytest.raises(RecipeError, match=what):
            load_recipe(os.path.join(tmp_path, path))
    (tmp_path / "link.yaml").symlink_to(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text(SMALLEST, encoding="utf-8")
    assert load_recipe(str(tmp_path / "link.yaml")).name == "mine"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc$/.", max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(section=st.sampled_from(sorted(yaml.safe_load(SMALLEST))), value=VALUES)
@settings(max_examples=200)
def test_whatever_stands_in_a_section_a_recipe_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, section: str, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "wild.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(SMALLEST), section: value}), encoding="utf-8")
    problems: tuple[str, ...] = ()
    try:
        load_recipe(str(path))
    except RecipeError as error:
        problems = error.problems
    assert all(problem.startswith("line ") for problem in problems)


def test_every_shipped_recipe_is_in_the_guide() -> None:
    guide = (SHIPPED.parent / "docs" / "how-to" / "recipes.md").read_text(encoding="utf-8")
    assert [name for name in recipe_names() if f"`{name}`" not in guide] == []
