"""Audits: matching tried with evidence hidden, runs hidden and rivals added, and what a fault does to a plan."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from worlds import SCENARIOS

from ckpt_migrate import audit as audit_module
from ckpt_migrate.audit import Audit, audit
from ckpt_migrate.cli import run
from ckpt_migrate.demo import build_demo
from ckpt_migrate.errors import EXIT_FAILED, EXIT_UNDECIDED, AuditError
from ckpt_migrate.matching.link import link
from ckpt_migrate.plan.records import Status
from ckpt_migrate.recipe import load_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from worlds import World

    from ckpt_migrate.matching.records import Matching

PLAN = ("plan", "checkpoints/phase2", "--tracking-uri", "sqlite:///mlflow.db", "--audit")


def tried(world: World, matching: Matching | None = None) -> Audit:
    """Audit a world's matching."""
    recipe = load_recipe()
    if matching is None:
        matching = link(world.checkpoints, world.evidence, world.store, recipe)
    return audit(matching, world.evidence, world.store, recipe)


@pytest.mark.parametrize("scenario", ["references", "sweeps", "already_current"])
def test_sound_matching_passes(scenario: str) -> None:
    """Without references most are found again by other evidence; without its run no directory goes elsewhere."""
    world = SCENARIOS[scenario](0, 40)
    found = tried(world)
    found.checked()
    by_name = {trial.name: trial for trial in found.trials}
    assert by_name["runs hidden"].left_alone == by_name["runs hidden"].directories > 0
    assert by_name["rivals added"].found_again > by_name["rivals added"].directories // 2
    if scenario == "references":
        assert by_name["references hidden"].found_again > 0
    else:
        assert by_name["references hidden"].directories == 0


def test_no_directory_of_a_child_goes_to_the_parent_when_the_child_is_gone() -> None:
    """A parent has its children's params and starts with its first one; its end tells them apart, if little else."""
    world = SCENARIOS["nested"](1, 60)
    found = tried(world)
    assert found.hits == ()


def test_a_false_match_is_caught() -> None:
    """Two matches swapped by hand: each directory goes back to its own run in the trial, which contradicts the plan."""
    world = SCENARIOS["clean"](0, 40)
    matching = link(world.checkpoints, world.evidence, world.store, load_recipe())
    matched = [i for i, verdict in enumerate(matching.verdicts) if verdict.status is Status.MATCHED]
    first, second = matching.verdicts[matched[0]], matching.verdicts[matched[1]]
    verdicts = list(matching.verdicts)
    verdicts[matched[0]] = dataclasses.replace(first, run_id=second.run_id)
    verdicts[matched[1]] = dataclasses.replace(second, run_id=first.run_id)
    found = tried(world, dataclasses.replace(matching, verdicts=tuple(verdicts)))
    assert {hit.path for hit in found.hits} >= {first.checkpoint.path, second.checkpoint.path}
    with pytest.raises(AuditError, match=str(len(found.hits))) as caught:
        found.checked()
    assert first.checkpoint.path in str(caught.value)


def test_a_persons_answers_stand_in_every_trial_and_their_runs_are_hidden_too() -> None:
    """A person told equal twins apart: that holds while rivals are added.

    Where the run of an answer is hidden, its directory does not go to its twin's, or to any other.
    """
    world = SCENARIOS["hopeless_twins"](3, 40)
    recipe = load_recipe()
    refused = link(world.checkpoints, world.evidence, world.store, recipe).verdicts
    open_ones = [v.checkpoint for v in refused if v.checkpoint.path in world.hopeless]
    answered = [(checkpoint, world.truth[checkpoint.path] or "") for checkpoint in open_ones]
    answers = {checkpoint.path: run_id for checkpoint, run_id in answered}
    matching = link(world.checkpoints, world.evidence, world.store, recipe, answers=answers)
    assert not any(v.checkpoint.path in answers for v in matching.verdicts)
    found = audit(matching, world.evidence, world.store, recipe, answered=answered)
    assert found.checked() is found
    without = audit(matching, world.evidence, world.store, recipe)
    hidden, fewer = ({trial.name: trial for trial in one.trials}["runs hidden"] for one in (found, without))
    assert hidden.directories == fewer.directories + len(answered)
    assert hidden.left_alone == hidden.directories
    rivals, alone = ({trial.name: trial for trial in one.trials}["rivals added"] for one in (found, without))
    assert rivals.directories == alone.directories > 0
    assert rivals.found_again >= alone.found_again


def test_plan_says_what_its_audit_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the demo's real store, through the command line; a hit fails the plan, and none is written."""
    monkeypatch.chdir(build_demo(str(tmp_path / "demo")).folder)
    assert run([*PLAN, "-o", "plan.yaml"]) == EXIT_UNDECIDED
    out = capsys.readouterr().out
    assert "Audit, runs hidden: " in out
    assert "runs were hidden, in 5 turns, and what names them. Of " in out
    assert "Audit, rivals added: " in out

    def hit(*_: object) -> audit_module.Trial:
        return audit_module.Trial("runs hidden", "", 1, 0, 0, (audit_module.Hit("a", "0" * 32, "1" * 32),))

    monkeypatch.setattr(audit_module, "_hide_runs", hit)
    assert run([*PLAN, "-o", "other.yaml"]) == EXIT_FAILED
    assert f"went to {'1' * 32}" in capsys.readouterr().err
    assert not (tmp_path / "demo" / "other.yaml").exists()
