"""What people do to a tree by hand, and what searches and archives leave: none of it becomes a wrong rename."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from project import FIRST
from worlds import SCENARIOS
from worlds.launches import below, by_hand, parent_of
from worlds.scenarios.plain import draw_project, draw_world_rng
from worlds.scenarios.sweeps import draw_sweep
from worlds.trainings import Record
from worlds.world import Project as Trainings
from worlds.world import assemble

from ckpt_migrate.cli import run
from ckpt_migrate.errors import EXIT_UNDECIDED
from ckpt_migrate.matching.families.references import is_chosen
from ckpt_migrate.matching.families.shifts import shift_of
from ckpt_migrate.matching.link import link
from ckpt_migrate.plan.records import Status
from ckpt_migrate.recipe import load_recipe

if TYPE_CHECKING:
    from project import Project
    from worlds import World

    from ckpt_migrate.matching.records import Matching


def matched(world: World) -> tuple[Matching, int]:
    """Return what matching says of a world, in which it must have renamed nothing wrongly, and how much it renamed."""
    matching = link(world.checkpoints, world.evidence, world.store, load_recipe())
    renamed = [verdict for verdict in matching.verdicts if verdict.status is Status.MATCHED]
    for verdict in renamed:
        assert verdict.run_id == world.truth[verdict.checkpoint.path], verdict
    return matching, len(renamed)


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("mixed_swaps", 0),  # weights of one run beside the config of another
        ("mixed_swaps", 8),
        ("mixed_swaps", 650),  # and config and final weights of one run beside a folder with another's, under its tag
        ("reused", 2),  # a copied tree: the losses are the second training's
        ("reused", 9),  # files a day younger than the run
        ("reused", 409),  # weights ten minutes younger than the end of the run whose name and params they have
        ("next_day", 308),  # reruns an hour later, some beside the first: they are no second zone either
        ("next_day", 10),  # reruns an hour later look like a second time zone
        ("zipped", 4),  # and so do jobs on the hour in an archive of another zone
        ("two_machines", 5),  # half of the directories have no run
        ("kept_best", 10),
        ("kept_best", 600),  # files 24 s before the end of the best run of its sweep, where others lie within two
        ("best_tags", 4),
        ("everything", 739),  # an orphan of the same second as the directory of a run
        ("everything", 812),
        ("swapped", 655),  # half a directory under the name, and the reference, of a run that came to its end
        ("crashed", 749),  # a rerun five minutes later, whose run is gone, with the same seeds and losses
        ("renamed_by_hand", 640),  # a stamp put ahead by an hour, in the time of another run with the same params
        ("teammates", 516),  # half a training whose run is gone, beside a whole one of a colleague
        ("teammates", 634),  # four in a copied tree, whose runs are gone, with a colleague's started at the same time
    ],
)
def test_what_hands_have_done_is_not_taken_for_another_run(name: str, seed: int) -> None:
    """Each of these worlds had wrong renames, at a stated 0.999 and more, before what it shows was weighed."""
    world = SCENARIOS[name](seed, 60)
    _, renamed = matched(world)
    assert renamed > len(world.identifiable) // 2


@pytest.mark.parametrize("is_logged", [True, False])
def test_a_search_does_not_take_the_directory_of_its_best_child(*, is_logged: bool) -> None:
    """The parent has the best child's config, losses, start and end, and a tag that names the child's directory."""
    rng = draw_world_rng("search", 0)
    habits, host = draw_project(rng, zone="Europe/Berlin")
    trainings = [replace(each, has_directory=True) for each in by_hand(rng, habits, (host,), 20)]
    children = draw_sweep(rng, habits, host, start_s=habits.first_day_s - 9_000, count=4)
    best = min(range(4), key=lambda i: children[i].losses[-1])
    parent = parent_of(rng, habits, children, children[best].config)
    shown = f"checkpoints/phase2/{children[best].directory_name()}"
    parent = replace(parent, tags=dict(parent.tags) | {"best_checkpoint": shown})
    children[best] = replace(children[best], record=Record.LOGGED if is_logged else Record.GONE)
    world = assemble("search", 0, [Trainings(habits, (*trainings, parent, *below(parent, children)))])
    matching, _ = matched(world)
    verdict = next(one for one in matching.verdicts if one.checkpoint.path == children[best].directory_path())
    assert verdict.run_id == (children[best].run_id if is_logged else None)


def test_a_key_that_says_best_is_one_of_a_choice() -> None:
    assert is_chosen("tag best_checkpoint")
    assert is_chosen("param trial/selected_model_dir")
    assert not is_chosen("tag checkpoint_dir")


def test_a_whole_archive_of_another_zone_is_read_with_its_shift() -> None:
    """Every file is hours younger than it was; a plan says so, and decides as much as without."""
    world = SCENARIOS["zipped"](1, 60)
    matching, renamed = matched(world)
    assert renamed >= len(world.identifiable) * 0.95
    assert any("5 h earlier than the files were written" in warning for warning in matching.warnings)


def test_a_shift_is_told_by_many_ends_and_not_by_chance() -> None:
    ends = [1_700_000_000.0 + 7_919 * i for i in range(40)]
    written = {str(i): end - 2 + 7200 for i, end in enumerate(ends)}
    assert shift_of(written, ends) == 7200
    assert shift_of({path: time_s - 7200 for path, time_s in written.items()}, ends) == 0
    assert shift_of({path: time_s + 1234 for path, time_s in written.items()}, ends) == 0
    few = {path: written[path] + 7200 for path in sorted(written)[:5]}
    assert shift_of(few, ends) is None
    assert shift_of({}, ends) == 0


def test_a_folder_that_a_later_training_overwrote_is_not_linked_by_its_path(
    empty_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copied Hugging Face tree: times are gone, paths and settings agree, and one folder tells another loss."""
    for number in range(7):
        training = empty_project.training(number)
        folder = f"out/bert-{number}"
        loss = 2.9476 + number / 7 + (0.1234 if number == 6 else 0.0)
        state = {"global_step": 10, "log_history": [{"step": 10, "loss": loss}]}
        for name, text in {"config.json": training.config, "checkpoint-10/trainer_state.json": state}.items():
            path = empty_project.folder / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(text))
        empty_project.age(empty_project.folder / folder, FIRST + timedelta(days=90))
        metrics = {} if number == 5 else {"loss": 2.9476 + number / 7}
        empty_project.add_run(training, params={**training.config, "output_dir": f"./{folder}"}, metrics=metrics)
    assert run(["plan", "out", "--tracking-uri", "mlruns", "--migration", "hf_trainer"]) == EXIT_UNDECIDED
    plan = yaml.safe_load(Path("plan.yaml").read_text(encoding="utf-8"))
    found = {entry["checkpoint"]: entry for entry in plan["entries"]}
    assert [found[f"out/bert-{number}"]["action"] for number in range(5)] == ["repair"] * 5
    assert "a path names the run, and nothing says" in found["out/bert-5"]["reason"]
    assert "a metric contradicts it" in found["out/bert-6"]["reason"]
    capsys.readouterr()
