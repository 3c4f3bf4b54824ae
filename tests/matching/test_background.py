"""Counting runs that agree with a config: by tables and by search, always what comparing each run gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_migrate.matching.families import background
from ckpt_migrate.matching.families.background import SHORTEST_TRUNCATION, ParamIndex
from ckpt_migrate.matching.families.compare import apart, compare
from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.matching.families.values import Params, comparable

if TYPE_CHECKING:
    from collections.abc import Mapping

LONG = "x" * SHORTEST_TRUNCATION
PARAMS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2", LONG + "1", LONG + "2"]), max_size=4)


def params(values: Mapping[str, str]) -> Params:
    return comparable(values, KeyPatterns(()))


@pytest.mark.parametrize("most_tables", [background.MOST_TABLES, 0], ids=["by tables", "by search"])
@settings(max_examples=100)
@given(logged=st.lists(PARAMS, min_size=1, max_size=8), configs=st.lists(PARAMS, min_size=1, max_size=4))
def test_the_runs_that_agree_are_those_that_a_comparison_of_each_finds(
    most_tables: int, logged: list[dict[str, str]], configs: list[dict[str, str]]
) -> None:
    """A run agrees that shares a key, differs in none but values that may have been cut, and is of no other kind."""
    runs = {f"{number:02}": params(some) for number, some in enumerate(logged)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(background, "MOST_TABLES", most_tables)
        index = ParamIndex(runs, {key for config in configs for key in config})
        for config in map(params, configs):
            short = {key for key, value in config.items() if len(value.raw) < SHORTEST_TRUNCATION}
            agreeing = []
            for run_id, some in runs.items():
                found = compare(config, some, index.telling)
                if config.keys() & some.keys() and not short.intersection(found.differing) and not found.unlike:
                    agreeing.append(run_id)
            assert index.agreeing(config, len(runs)) == agreeing
            assert index.agreeing(config, 1) == agreeing[:1]
            assert index.count_agreeing(config) == len(agreeing)


@settings(max_examples=100)
@given(logged=st.lists(PARAMS, min_size=1, max_size=8), configs=st.lists(PARAMS, min_size=1, max_size=4))
def test_no_run_is_counted_further_apart_than_it_is(
    logged: list[dict[str, str]], configs: list[dict[str, str]]
) -> None:
    """In how many keys all runs differ from all configs, counted at once: as compared one by one, but for logs cut."""
    runs = {f"{number:02}": params(some) for number, some in enumerate(logged)}
    both = [params(config) for config in configs]
    index = ParamIndex(runs, {key for config in configs for key in config})
    row, run = np.repeat(np.arange(len(both)), len(runs)), np.tile(np.arange(len(runs)), len(both))
    apart, is_throughout = index.count_apart(both, row, run)
    pairs = [(config, some) for config in both for some in runs.values()]
    for (config, some), count, is_known in zip(pairs, apart.tolist(), is_throughout.tolist(), strict=True):
        found = compare(config, some)
        assert count == (0 if some.may_be_cut else len(found.differing))
        assert is_known == (bool(config) and found.is_throughout and not some.may_be_cut)


@settings(max_examples=100)
@given(logged=st.lists(PARAMS, min_size=1, max_size=8), config=PARAMS)
def test_runs_differ_in_what_a_comparison_of_each_two_finds(
    logged: list[dict[str, str]], config: dict[str, str]
) -> None:
    """Which keys of configs either of two runs logged, and in which they differ: counted at once, as for each two."""
    runs = {f"{number:02}": params(some).only(frozenset(config)) for number, some in enumerate(logged)}
    index = ParamIndex(runs, config)
    one, other = np.repeat(np.arange(len(runs)), len(runs)), np.tile(np.arange(len(runs)), len(runs))
    numbers, looks = index.find_differing(one, other)
    pairs = [(mine, theirs) for mine in runs.values() for theirs in runs.values()]
    for (mine, theirs), number in zip(pairs, numbers.tolist(), strict=True):
        assert looks[number] == (mine.names | theirs.names, apart(mine, theirs))
