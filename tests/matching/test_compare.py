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
