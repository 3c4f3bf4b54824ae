"""Seals and checksums: what was edited is named, damage is told from edits, and a file is known as it was written."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ckpt_migrate.plan.seal import broken, checksum_line, is_untouched, seal

VALUES = st.dictionaries(st.text(max_size=4), st.text(max_size=4) | st.floats(allow_nan=False) | st.none(), min_size=1)
FILE = 'version: 1\ncreated: "2026-02-02T00:00:00Z"\nroots: [a]\n'


@given(values=VALUES, data=st.data())
def test_exactly_the_changed_fields_are_named(values: dict[str, object], data: st.DataObject) -> None:
    changed = data.draw(st.sets(st.sampled_from(sorted(values))))
    now = {name: ["changed"] if name in changed else value for name, value in values.items()}
    assume(all(seal({name: values[name]}) != seal({name: now[name]}) for name in changed))  # 16 bits a field collide
    assert broken(seal(values), values) == ()
    assert set(broken(seal(values), now) or ()) == changed


@given(values=VALUES, data=st.data())
def test_a_seal_with_any_digit_changed_is_damaged(values: dict[str, object], data: st.DataObject) -> None:
    sealed = seal(values)
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = "0" if sealed[place] != "0" else "1"
    assert broken(sealed[:place] + other + sealed[place + 1 :], values) is None
    assert broken(sealed[1:], values) is None
    assert broken(sealed + "0", values) is None


def test_the_order_of_a_mappings_keys_means_nothing_and_that_of_a_list_does() -> None:
    sealed = seal({"a": {"x": 1, "y": 2}, "b": [1, 2]})
    assert broken(sealed, {"a": {"y": 2, "x": 1}, "b": [1, 2]}) == ()
    assert broken(sealed, {"a": {"x": 1, "y": 2}, "b": [2, 1]}) == ("b",)


def test_a_file_is_untouched_to_the_last_byte_but_for_the_time_of_its_creation() -> None:
    whole = FILE + checksum_line(FILE)
    assert is_untouched(whole.encode())
    assert checksum_line(FILE.replace("2026", "2027")) == checksum_line(FILE)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("roots: [a]", "roots: [b]"),
        lambda text: text.replace("roots", "# my note\nroots"),
        lambda text: text + "\n",
        lambda text: text[:-1],
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rpartition("# checksum")[0],
        lambda _: "",
        lambda _: "print('hello')\n",
    ],
)
def test_every_touch_is_noticed(edit: object) -> None:
    whole = FILE + checksum_line(FILE)
    assert callable(edit)
    assert not is_untouched(edit(whole).encode())
    assert not is_untouched(b"\xff\xfe")
