"""The API: what notebooks call takes texts, paths and lists, documents itself, and raises its own errors alone."""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ckpt_migrate import api
from ckpt_migrate.errors import CkptMigrateError, PlanError, RootError, StoreNotFoundError, UsageError
from ckpt_migrate.plan.records import Action

if TYPE_CHECKING:
    from project import Project

VERBS = [
    "scan", "evidence", "plan", "read", "load", "doubts", "report", "apply", "apply_loaded", "recheck", "rollback",
    "links", "remove_links",
    "find_log", "logs", "verify", "find",
]  # fmt: skip


def example() -> str:
    """Return the example of the module's documentation."""
    block = re.search(r"\n\n((?:    .*\n|\n)+)", api.__doc__ or "")
    assert block is not None
    return textwrap.dedent(block[1]).replace("sqlite:///mlflow.db", "mlruns")


def test_the_example_of_the_documentation_runs(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Its store is another one here, which is made faster."""
    before = project.snapshot()
    names: dict[str, Any] = {}
    exec(compile(example(), "example", "exec"), names)  # noqa: S102 - it is ours
    assert {entry.action for entry in names["undecided"]} == {Action.SKIP}
    assert "~ rename " in capsys.readouterr().out
    assert (names["result"].renamed, names["result"].repaired) == (3, 1)
    assert names["verified"].verification.agreeing == 4
    assert names["undone"].is_complete
    (project.folder / "plan.yaml").unlink()
    assert project.snapshot() == before


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_typed_and_documented(verb: str) -> None:
    function = getattr(api, verb)
    parameters = inspect.signature(function).parameters
    assert function.__doc__
    assert set(function.__annotations__) == {*parameters, "return"}
    assert "Raises:" in function.__doc__ or "raises what" in function.__doc__


def test_the_list_of_verbs_is_whole() -> None:
    assert {name for name in api.__all__ if inspect.isfunction(getattr(api, name))} == set(VERBS)


def test_roots_and_files_may_be_texts_paths_or_lists_of_them(project: Project) -> None:
    forms: list[Any] = ["checkpoints", Path("checkpoints"), ["checkpoints"], (Path("checkpoints"),)]
    assert len({api.scan(form).checkpoints for form in forms}) == 1
    store: list[Any] = ["mlruns", Path("mlruns"), [project.store], (Path("mlruns"), "mlruns")]
    assert len({api.plan(Path("checkpoints"), tracking_uri=form).plan.entries for form in store}) == 1
    api.plan("checkpoints", tracking_uri=Path("mlruns"), output=Path("plan.yaml"))
    assert api.read(Path("plan.yaml")).entries
    log = api.apply(Path("plan.yaml")).log
    assert log is not None
    assert [found.path for found in api.logs(Path("checkpoints"))] == [log]
    assert api.find_log("latest", root=Path()) == log
    assert api.rollback(Path(log)).is_complete
    assert api.find(project.training(0).uid, "checkpoints", tracking_uri="mlruns")[0].checkpoints


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: api.scan([]), RootError),
        (lambda: api.scan(""), RootError),
        (lambda: api.scan("a\0b"), RootError),
        (lambda: api.scan("checkpoints", migration="no"), UsageError),
        (lambda: api.plan([], tracking_uri="mlruns"), RootError),
        (lambda: api.plan("checkpoints", tracking_uri="gone"), StoreNotFoundError),
        (lambda: api.plan("checkpoints", tracking_uri="mlruns", timezone="Mars/Olympus"), UsageError),
        (lambda: api.plan("checkpoints", tracking_uri="mlruns", output="no/plan.yaml"), PlanError),
        (lambda: api.read("gone.yaml"), PlanError),
        (lambda: api.read("a\0b"), PlanError),
        (lambda: api.load("checkpoints"), PlanError),
        (lambda: api.apply("gone.yaml"), PlanError),
        (lambda: api.rollback("gone.jsonl"), UsageError),
        (lambda: api.rollback("latest"), UsageError),
        (lambda: api.logs("gone"), RootError),
        (lambda: api.verify([], tracking_uri="mlruns"), RootError),
        (lambda: api.find("x", [], tracking_uri="mlruns"), RootError),
    ],
)
def test_bad_input_raises_an_error_of_the_tool_with_a_next_step(
    project: Project, call: Any, error: type[CkptMigrateError]
) -> None:
    assert project.root.is_dir()
    with pytest.raises(error) as caught:
        call()
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def test_nothing_is_written_without_an_output(project: Project) -> None:
    before = project.snapshot()
    planned = api.plan("checkpoints", tracking_uri="mlruns")
    assert (planned.run_total, planned.warnings, planned.problems) == (6, (), ())
    assert planned.text.startswith("# A migration plan.")
    assert project.snapshot() == before


def test_the_store_of_the_environment_and_the_one_lying_here_are_found(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = api.plan("checkpoints").plan
    assert here.tracking_uri == (project.store,)
    monkeypatch.chdir(project.root)
    with pytest.raises(StoreNotFoundError):
        api.plan(".")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.store)
    assert [entry.run_id for entry in api.plan(".").plan.entries] == [entry.run_id for entry in here.entries]


def test_a_plan_edited_by_hand_is_not_written_over_unless_asked(project: Project) -> None:
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    path = project.folder / "plan.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    with pytest.raises(PlanError, match="was edited"):
        api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml", overwrite=True)
    assert "# mine" not in path.read_text(encoding="utf-8")


def test_what_a_plan_that_cannot_be_written_would_need_is_not_computed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of matching must not end in a typing error."""
    from ckpt_migrate import planning  # noqa: PLC0415 - to see that it is not called

    monkeypatch.setattr(planning, "scan_roots", pytest.fail)
    for wrong in ({"output": "no/plan.yaml"}, {"timezone": "no"}, {"tracking_uri": "no"}, {"migration": "no"}):
        with pytest.raises(CkptMigrateError):
            api.plan("checkpoints", **{"tracking_uri": "mlruns", **wrong})  # type: ignore[arg-type] # texts, all of them
    assert sorted(os.listdir(project.folder)) == ["checkpoints", "mlruns"]
