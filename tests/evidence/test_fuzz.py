"""Whatever stands in a file, a reader tells facts or raises its own error, within its bounds; `make fuzz` goes on."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.corpus import broken, read_in_place, read_with_all, whole_files

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = whole_files()
MOST_MEMORY_BYTES = 64 << 20


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_tell_something(tmp_path: Path, name: str) -> None:
    assert read_with_all(tmp_path, name, WHOLE[name]) > 0


@pytest.mark.parametrize("name", WHOLE)
def test_broken_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    """Forty of each kind, always the same ones."""
    rng = random.Random(name)  # noqa: S311 - reproducible, not secret
    for _ in range(40):
        read_with_all(tmp_path, name, broken(WHOLE[name], rng))


@given(name=st.sampled_from(sorted(WHOLE)), data=st.binary(max_size=2000))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_under_any_name_are_read_or_refused(tmp_path: Path, name: str, data: bytes) -> None:
    read_with_all(tmp_path, name, data)


@pytest.mark.parametrize("name", WHOLE)
def test_a_huge_file_of_any_kind_costs_little_memory(tmp_path: Path, name: str) -> None:
    """Each begins as it should, and goes on for fifty gigabytes of zeros."""
    path = tmp_path / "file"
    path.write_bytes(WHOLE[name])
    with path.open("r+b") as file:
        file.truncate(50 << 30)
    tracemalloc.start()
    try:
        read_in_place(path, name)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY_BYTES
    finally:
        tracemalloc.stop()
