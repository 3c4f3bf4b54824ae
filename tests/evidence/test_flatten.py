"""Flattening: nested configs become what a logger would have logged, within limits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.flatten import MAX_DEPTH, MAX_VALUES, flatten


def test_values_keep_their_kind() -> None:
    """Keys are joined, lists stay lists, empty and missing values stay, mappings in lists become their text."""
    config = {
        "lr": 2e-4,
        "model": {"layers": [1, [2, 3]], "dropout": None, "extra": {}, "flag": True},
        "callbacks": [{"name": "stop", "patience": 3}],
        "none": [],
        5: {"six": (7,)},
    }
    assert flatten(config) == [
        ("lr", 2e-4),
        ("model/layers", [1, [2, 3]]),
        ("model/dropout", None),
        ("model/extra", "{}"),
        ("model/flag", True),
        ("callbacks", "[{'name': 'stop', 'patience': 3}]"),
        ("none", []),
        ("5/six", [7]),
    ]


def test_what_hydra_has_not_resolved_says_nothing() -> None:
    config = {"a": "${b}", "c": ["x", "${oc.env:HOME}/y"], "d": [{"e": "${f}"}], "g": "???", "h": "cost: $5"}
    assert flatten(config) == [("h", "cost: $5")]


@pytest.mark.parametrize("top", [None, 5, "text", [1, 2], []])
def test_what_is_no_mapping_has_no_params(top: object) -> None:
    assert flatten(top) == []


def test_limits_are_errors() -> None:
    """Too many values and too many levels are refused, at the limit exactly they are not."""
    assert len(flatten({str(i): i for i in range(MAX_VALUES)})) == MAX_VALUES
    with pytest.raises(ReaderError, match="values"):
        flatten({str(i): i for i in range(MAX_VALUES + 1)})
    deep: object = 1
    for _ in range(MAX_DEPTH):
        deep = {"a": deep}
    assert len(flatten(deep)) == 1
    with pytest.raises(ReaderError, match="levels"):
        flatten({"a": deep})
    nested: object = 1
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    with pytest.raises(ReaderError, match="levels"):
        flatten({"a": nested})


def test_long_integers_become_hexadecimal() -> None:
    """Python refuses to print them as decimals."""
    assert flatten({"a": 1 << 20_000, "b": -5}) == [("a", hex(1 << 20_000)), ("b", -5)]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    )
)
def test_every_key_and_value_can_be_written(top: object) -> None:
    """Whatever the config, facts are UTF-8."""
    for key, value in flatten({"top": top}):
        f"{key}{value}".encode()
