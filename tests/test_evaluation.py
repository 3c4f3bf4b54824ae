"""The measurement itself: counts, bounds, peers, and a command that gives the same figures every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from worlds import SCENARIOS

from evaluation.__main__ import main
from evaluation.matchers import measure
from evaluation.outcomes import Answer, score, upper_bound
from evaluation.peers import nearest_start, nearest_with_params

if TYPE_CHECKING:
    from worlds import World

SMALL = 24


def truthful(world: World) -> list[Answer]:
    """Return the answers of somebody who knows the truth."""
    return [Answer(path, run_id, 1.0) for path, run_id in world.truth.items()]


@pytest.mark.parametrize(
    ("wrong", "total", "bound"),
    [
        (0, 3000, 0.000998),  # the rule of three
        (1, 100, 0.046559),  # tabulated
        (10, 100, 0.163718),
        (7, 7, 1.0),
        (0, 0, 1.0),
    ],
)
def test_the_bound_on_wrong_renames_is_that_of_clopper_and_pearson(wrong: int, total: int, bound: float) -> None:
    assert upper_bound(wrong, total) == pytest.approx(bound, rel=2e-3)


def test_truthful_answers_score_full_recall_and_nothing_wrong() -> None:
    world = SCENARIOS["ghosts"](0, SMALL)
    found = score(world, truthful(world))
    assert found.recall == 1.0
    assert (found.wrong, found.orphans_renamed) == (0, 0)
    assert found.orphans == len(world.orphans) > 0


def test_a_renamed_orphan_and_a_wrong_run_count_as_wrong() -> None:
    world = SCENARIOS["orphans"](2, SMALL)
    orphan = min(world.orphans)
    decided = min(world.identifiable)
    other = next(run.run_id for run in world.store.runs() if run.run_id != world.truth[decided])
    found = score(world, [Answer(orphan, other, 0.9995), Answer(decided, other, 0.95)])
    assert (found.right, found.wrong, found.orphans_renamed) == (0, 2, 1)
    assert [each.count for each in found.renames if each.count] == [1, 1]
    assert sum(each.right for each in found.renames) == 0
    assert len(found.mistakes) == 2


def test_hopeless_twins_that_are_renamed_are_counted_even_when_luck_was_on_their_side() -> None:
    world = SCENARIOS["hopeless_twins"](0, SMALL)
    found = score(world, truthful(world))
    assert found.wrong == 0
    assert found.hopeless_renamed == found.hopeless == len(world.hopeless) > 0


def test_scores_add_up() -> None:
    worlds = [SCENARIOS["clean"](seed, SMALL) for seed in range(2)]
    first, second = (score(world, truthful(world)) for world in worlds)
    both = first + second
    assert both.worlds == 2
    assert both.right == first.right + second.right
    assert [each.count for each in both.renames] == [
        a.count + b.count for a, b in zip(first.renames, second.renames, strict=True)
    ]


def test_the_nearest_start_is_right_where_runs_are_far_apart_and_wrong_in_a_sweep() -> None:
    clean, sweeps = (SCENARIOS[name](0, SMALL) for name in ("clean", "sweeps"))
    assert score(clean, nearest_start(clean)).recall == 1.0
    assert score(sweeps, nearest_start(sweeps)).wrong > 0
    assert score(sweeps, nearest_with_params(sweeps)).wrong < score(sweeps, nearest_start(sweeps)).wrong


def test_the_matcher_renames_no_hopeless_twin_and_most_of_a_clean_project() -> None:
    assert measure(SCENARIOS["hopeless_twins"](0, SMALL), "ckpt-migrate").hopeless_renamed == 0
    recall = measure(SCENARIOS["clean"](0, SMALL), "ckpt-migrate").recall
    assert recall is not None
    assert recall > 0.5


def test_the_command_gives_the_same_tables_with_one_process_and_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    call = ["--seeds", "2", "--size", "10", "--scenario", "clean", "--scenario", "hopeless_twins"]
    call += ["--matcher", "nearest", "--matcher", "nearest+params", "--mistakes", "--processes"]
    assert main([*call, "1"]) == 0
    alone = capsys.readouterr().out
    assert main([*call, "2"]) == 0
    assert capsys.readouterr().out == alone
    assert "hopeless_twins  nearest+params" in alone
    assert "Clopper-Pearson" in alone


def test_splink_is_a_fair_peer() -> None:
    """With enough to learn from, Splink finds some of the plain pairs, and states how sure it is."""
    pytest.importorskip("splink", reason="Splink comes with the extra `eval`")
    found = measure(SCENARIOS["moved_to_utc"](0, 60), "splink 0.95")
    assert found.right > 0
    assert found.renames[-1].count + found.renames[-2].count > 0
