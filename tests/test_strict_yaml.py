"""Strict YAML: plain data with its lines, every other feature of YAML refused with its line, and nothing crashes."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ckpt_migrate import strict_yaml
from ckpt_migrate.strict_yaml import DEEPEST, MOST_SHOWN, Field, Problems, compose

LOADERS = ["CSafeLoader", "SafeLoader"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(params=LOADERS, autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run everything with the C parser and with the one in Python, which is used where there is no other."""
    name: str = request.param
    monkeypatch.setattr(strict_yaml, "_Loader", getattr(yaml, name))
    return name


def refused(text: str) -> tuple[str, ...]:
    """Return the problems of a document, those of its top mapping included."""
    problems = Problems()
    top = compose(text, problems)
    if top is not None:
        top.mapping(optional=None)
    return problems.lines()


def accepted(text: str) -> tuple[Field, Problems]:
    """Return a document without problems so far."""
    problems = Problems()
    top = compose(text, problems)
    assert top is not None, problems.lines()
    return top, problems


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb: &x 1\n", 2, "the anchor &x is not allowed"),
        ("a: &x [1]\nb: *x\n", 2, "the alias *x is not allowed"),
        ("a: &x {b: 1}\n", 1, "the anchor &x is not allowed"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "the tag !!python/object/apply:os.system"),
        ("a: !env HOME\n", 1, "the tag !env is not allowed"),
        ("a: !!binary aGk=\n", 1, "the tag !!binary is not allowed"),
        ("!!set {a: null}\n", 1, "the tag !!set is not allowed"),
        ("a:\n  <<: {b: 1}\n", 2, "merge keys (<<) are not allowed"),
        ("a: 1\nb: 2\na: 3\n", 3, "a: the key stands twice"),
        ("a: 1\n\tb: 2\n", 2, "a tab is used for indentation"),
        ("a:\n\tb: 2\n", 2, "a tab is used for indentation"),
        ("a: 1\n---\nb: 2\n", 2, "a second document starts here"),
        ("a: [1, 2\nb: 3\n", 2, ""),
        ("a: 'never closed\n\n", 3, "found unexpected end of stream"),
        ("a: 1\n\nb: \x07\n", 3, "characters are not allowed"),
        ("é: é\nb: \x1b[31m\n", 2, "characters are not allowed"),
        ("? [a, b]\n: 1\n", 1, "keys must be plain text"),
        ("", 1, "the file is empty"),
        ("# only a comment\n", 1, "the file is empty"),
        ("- 1\n", 1, "must be a mapping"),
        ("plain", 1, "must be a mapping"),
        ("%YAML 9.1\n---\na: 1\n", 1, "incompatible YAML document"),
        ("a: @b\n", 1, "cannot start any token"),
    ],
)
def test_what_is_not_plain_data_is_refused_with_its_line(text: str, line: int, what: str) -> None:
    problems = refused(text)
    assert any(problem.startswith(f"line {line}: ") and what in problem for problem in problems), problems


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: "])
def test_deep_nesting_is_refused_at_once(opening: str) -> None:
    started = time.process_time()
    (problem,) = refused(opening * 20_000)
    assert problem == f"line 1: nested more than {DEEPEST} levels deep"
    assert time.process_time() - started < 5


def test_deep_nesting_by_indentation_is_refused_with_its_line() -> None:
    text = "\n".join(f"{' ' * depth}a:" for depth in range(200))
    assert refused(text) == (f"line {DEEPEST + 1}: nested more than {DEEPEST} levels deep",)


def test_as_deep_as_any_file_of_ours_is_read() -> None:
    accepted("[" * (DEEPEST - 1) + "1" + "]" * (DEEPEST - 1))


def test_two_hundred_megabytes_of_brackets_end_in_an_error_and_not_in_a_crash() -> None:
    """In a process of its own: what this is about ends processes."""
    script = """
import sys
from ckpt_migrate.strict_yaml import Problems, compose
problems = Problems()
assert compose("[" * 200_000_000, problems) is None
print(problems.lines())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "nested more than" in done.stdout


def test_an_alias_bomb_is_refused_without_being_unfolded() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 300)]
    problems = Problems()
    assert compose("\n".join(lines), problems) is None
    assert len(problems.lines()) == MOST_SHOWN + 1
    assert problems.lines()[-1] == f"and {300 + 2 * 299 - MOST_SHOWN} more"


def test_problems_are_shown_by_line_and_their_number_is_not_lost() -> None:
    problems = Problems()
    for line in reversed(range(1, 101)):
        problems.add(line, "wrong")
    shown = problems.lines()
    assert shown[0] == "line 1: wrong"
    assert shown[-1] == "and 50 more"


@given(data=st.dictionaries(TEXTS, DATA, max_size=5), flow=st.booleans())
def test_what_a_yaml_tool_writes_is_read_as_it_reads_it(data: dict[str, Any], flow: bool) -> None:  # noqa: FBT001 - drawn
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    expected = yaml.safe_load(text)  # not always what was written: the library loses U+0085
    top, problems = accepted(text)
    assert _plain(top, expected) == expected
    assert problems.lines() == ()


def _plain(field: Field, like: Any) -> Any:
    """Read a field by the shape that it should have."""
    if isinstance(like, dict):
        return {key: _plain(member, like[key]) for key, member in field.mapping(optional=None).items()}
    if isinstance(like, list):
        return [_plain(item, part) for item, part in zip(field.sequence(), like, strict=True)]
    if isinstance(like, bool):
        return field.boolean()
    if isinstance(like, int):
        return field.integer()
    if isinstance(like, float):
        return field.number()
    return field.text_or_none()


def test_keys_of_other_types_are_their_text() -> None:
    top, _ = accepted("1: a\ntrue: b\n2026-02-01: c\n")
    assert list(top.mapping(optional=None)) == ["1", "true", "2026-02-01"]


@pytest.mark.parametrize("text", ["a: 1\r\nb: [x, y]\r\n", "\ufeffa: 1\nb: [x, y]\n", "a: 1\nb: [x, y]"])
def test_files_of_other_editors_are_read(text: str) -> None:
    """Line ends of Windows, a byte order mark, no newline at the end."""
    top, problems = accepted(text)
    members = top.mapping(required=("a", "b"))
    assert (members["a"].integer(), members["b"].texts(), problems.count) == (1, ("x", "y"), 0)


def test_a_value_says_where_it_stands() -> None:
    top, problems = accepted("a:\n- b: 1\n  c:\n  - x\n  - y: 2\n")
    item = top.mapping(optional=None)["a"].sequence()[0]
    members = item.mapping(optional=None)
    assert (item.path, item.line) == ("a[0]", 2)
    assert (members["c"].path, members["c"].line) == ("a[0].c", 3)
    second = members["c"].sequence()[1].mapping(optional=None)["y"]
    assert (second.path, second.line) == ("a[0].c[1].y", 5)
    second.refuse("no")
    assert problems.lines() == ("line 5: a[0].c[1].y: no",)


@pytest.mark.parametrize(
    ("call", "empty", "what"),
    [
        (Field.text, "", "must be text"),
        (Field.number, 0.0, "must be a number, not 'one'"),
        (Field.integer, 0, "must be a whole number, not 'one'"),
        (Field.boolean, False, "must be true or false"),
        (Field.sequence, [], "must be a list"),
        (Field.texts, (), "must be a list"),
        (Field.mapping, {}, "must be a mapping"),
    ],
)
def test_a_value_of_the_wrong_type_is_noted_and_read_as_empty(call: Any, empty: object, what: str) -> None:
    top, problems = accepted("a: {x: 1}\n" if call is Field.text else "a: one\n")
    assert call(top.mapping(optional=None)["a"]) == empty
    assert problems.lines() == (f"line 1: a: {what}",)


def test_null_is_null_only_where_it_is_plain() -> None:
    top, problems = accepted("a: null\nb: ~\nc:\nd: 'null'\ne: !!null ''\nf: nil\n")
    members = top.mapping(optional=None)
    assert [field.text_or_none() for field in members.values()] == [None, None, None, "null", None, "nil"]
    assert members["a"].number_or_none() is None
    assert members["a"].text() == ""
    assert problems.lines() == ("line 1: a: must be text",)


def test_missing_and_unknown_keys_are_noted_together() -> None:
    top, problems = accepted("a: 1\nz: 2\n")
    assert list(top.mapping(required=("a", "b"), optional=("c",))) == ["a"]
    assert problems.lines() == ("line 1: the key 'b' is missing", "line 2: z: unknown key")


def test_peeking_notes_nothing() -> None:
    top, problems = accepted("version: 1\nversion: 2\nlist: []\n")
    assert (top.peek("version"), top.peek("list"), top.peek("other")) == ("1", None, None)
    assert problems.count == 0
