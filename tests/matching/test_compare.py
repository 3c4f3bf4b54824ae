"""Values of params: what is equal after formats, in bounded time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.matching.families.values import Value

if TYPE_CHECKING:
    from ckpt_migrate.evidence.records import Scalar


@pytest.mark.parametrize(
    ("config", "logged"),
    [
        (2e-4, "0.0002"),
        (True, "true"),
        (None, "None"),
        ([1, 2], "(1, 2)"),
        ([1, [2.0]], "[1.0, [2]]"),
        ("{2, 1}", "{1, 2}"),
        ("{'a': {2, 1}}", "{'a': {1, 2}}"),
    ],
)
def test_equal_values_in_two_formats_agree(config: Scalar, logged: str) -> None:
    assert Value.of(config).agrees(Value.of(logged))


@pytest.mark.parametrize(
    "text",
    [
        "[" + ",".join(["{1}"] * 1400) + "]",
        "[" + ",".join(['"{1}"'] * 900) + "]",
        "[" * 2000 + "]" * 2000,
        "{" + ",".join(f"{number}:{{1}}" for number in range(600)) + "}",
    ],
)
def test_a_value_made_of_thousands_of_values_takes_no_time(text: str) -> None:
    began = time.process_time()
    assert Value.of(text).agrees(Value.of(text))
    assert time.process_time() - began < 1


@pytest.mark.parametrize("length", [250, 500, 6000])
def test_a_value_cut_at_a_limit_of_mlflow_agrees_with_the_whole(length: int) -> None:
    """Cut anywhere else, or of another beginning, it is another value."""
    whole = ", ".join(f"item {number}" for number in range(2000))
    assert Value.of(whole).agrees(Value.of(whole[:length]))
    assert not Value.of(whole).agrees(Value.of(whole[: length - 1]))
    assert not Value.of(whole).agrees(Value.of("x" + whole[1:length]))
