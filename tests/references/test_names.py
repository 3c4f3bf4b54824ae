"""Many names at once: every occurrence, and whether it stands alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees.tree import stamp, uid

from ckpt_migrate.references.names import Names

NAMES = [f"{uid(number)}_{stamp(number)}" for number in range(40)]
ONE = NAMES[0]


@given(
    st.lists(st.sampled_from(NAMES) | st.text("\n _2026/abc09é—", max_size=30), max_size=12).map("".join),
    st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32-le"]),
)
@settings(max_examples=50)
def test_every_occurrence_is_found_as_by_looking_for_each_name(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    wanted = set()
    for name in NAMES:
        start = data.find(name.encode(encoding))
        while start >= 0:
            wanted.add((start, name))
            start = data.find(name.encode(encoding), start + 1)
    assert {(one.offset, one.name) for one in Names(NAMES, encoding).find(data)} == wanted


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=8, unique=True), st.text("abc", max_size=9))
@settings(max_examples=50)
def test_names_of_no_common_form_are_found_too(names: list[str], text: str) -> None:
    """Nothing in the search relies on the form of the names but its speed."""
    found = {(one.offset, one.name) for one in Names(names).find(text.encode())}
    assert found == {(at, name) for name in names for at in range(len(text)) if text.startswith(name, at)}


@pytest.mark.parametrize(
    "text",
    [
        "{0}", "a/{0}/b", '"{0}"', "x={0}", "({0})", "{0}.", "see {0}.\n", "{0},{0}", "./{0}", "${{HOME}}/{0}", "*{0}*",
        "\\n{0}", '["a\\n{0}\\n"]', "x%2F{0}%2Fy", "目录{0}中", "“{0}”", "{0}:", "~/{0}", "a\\{0}\\b",
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_name_between_signs_stands_alone(text: str, encoding: str) -> None:
    data = text.format(ONE).encode(encoding)
    assert all(found.is_whole for found in Names([ONE], encoding).find(data))


@pytest.mark.parametrize(
    "text",
    [
        "phase2_{0}", "{0}_backup", "{0}2", "a{0}", "{0}.tar.gz", "{0}-copy", "old-{0}", "cfg.{0}", "é{0}", "{0}é",
        "0{0}", "{0}{0}", "{0}.json",
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-be"])
def test_a_name_in_a_longer_word_does_not(text: str, encoding: str) -> None:
    """`phase2_` and the old name is what MLflow calls the run; `.tar.gz` makes it the name of another file."""
    data = text.format(ONE).encode(encoding)
    found = Names([ONE], encoding).find(data)
    assert found
    assert not any(one.is_whole for one in found)
