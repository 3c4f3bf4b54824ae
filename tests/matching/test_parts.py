"""Weights at the top of a directory and in its folders: written together, or by two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.matching.families.parts import find_mixed
from ckpt_migrate.naming import DirectoryName, parse_stamp
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import Checkpoint, FileStat, State

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_S = 86_400.0


def directory(number: int, gap_s: float | None) -> Checkpoint:
    """Return a directory whose final weights were saved so long after its last checkpoint; None for never."""
    saved_s = 1_750_000_000.0 + number * DAY_S
    times = {"lightning_checkpoints/best-epoch=01.ckpt": -900.0, "lightning_checkpoints/last.ckpt": 0.0}
    if gap_s is not None:
        times |= {"model.pt": gap_s, "config.json": gap_s + 0.2}
    files = tuple(FileStat(path, "file", 10, int((saved_s + each_s) * 1e9)) for path, each_s in sorted(times.items()))
    name = DirectoryName(f"{number:032x}", "20260201_000000", parse_stamp("20260201_000000"))
    return Checkpoint(f"/c/{number}", "/c", State.LEGACY, None, name, files, 0, "", ())


def found(gaps_s: Sequence[float | None]) -> dict[str, float]:
    """Return what `find_mixed` says of directories with these gaps, by the last part of their paths."""
    checkpoints = [directory(number, gap_s) for number, gap_s in enumerate(gaps_s)]
    mixed = find_mixed(checkpoints, {checkpoint.path for checkpoint in checkpoints}, load_recipe())
    return {path.rpartition("/")[2]: gap_s for path, gap_s in mixed.items()}


@pytest.mark.parametrize("gap_s", [9_000.0, -9_000.0, -150.0])
def test_what_others_have_together_and_one_has_apart_is_of_two_runs(gap_s: float) -> None:
    """A folder of an earlier or a later training was put there."""
    assert found([1.3, 1.1, 2.0, gap_s, None, 1.3, 1.2, 1.3, 1.4]) == {"3": pytest.approx(abs(gap_s))}


def test_half_a_minute_is_a_slow_disk() -> None:
    assert not found([1.3] * 9 + [31.0])


def test_several_exchanged_at_once_do_not_make_a_habit() -> None:
    assert sorted(found([1.3] * 14 + [9e3, -9e3, 5e5, -5e5, 700.0, -700.0])) == ["14", "15", "16", "17", "18", "19"]


def test_a_project_that_saves_its_last_weights_at_any_time_has_no_habit() -> None:
    """Where only the best epoch is kept, the final weights follow minutes or hours later."""
    assert not found([40.0, 4_000.0, 900.0, 300.0, 2_000.0, 7_000.0, 1_500.0, 600.0, 50_000.0])


def test_few_directories_show_no_habit() -> None:
    assert not found([1.3] * 6 + [9e3])


def test_times_of_a_copy_say_nothing() -> None:
    checkpoints = [directory(number, 1.3) for number in range(9)] + [directory(9, 9e3)]
    timed = {checkpoint.path for checkpoint in checkpoints[:9]}
    assert not find_mixed(checkpoints, timed, load_recipe())
