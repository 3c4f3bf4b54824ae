"""What can be read in a directory: the content of its torch files, and the facts that readers find in all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.evidence.records import Evidence, Fact, FactKind

from .formats import nest
from .traces import FOLDER, LAST, POINTER
from .trainings import ConfigPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .traces import Directory
    from .trainings import Habits


def torch_content(directory: Directory, habits: Habits, path: str) -> dict[str, object]:
    """Return what a torch file of a directory holds beside tensors."""
    if path == "model.pt":
        return {"config": nest(directory.config or {}), "run_id": _name(directory)}
    epoch = directory.epoch if path == LAST else directory.best_epoch
    made_as = directory.training.directory_path(directory.part)
    content: dict[str, object] = {
        "epoch": epoch,
        "global_step": _step(habits, epoch),
        "callbacks": {
            "ModelCheckpoint": {
                "monitor": habits.loss,
                "best_model_path": f"{made_as}/{directory.best_name}",
                "dirpath": f"{made_as}/{FOLDER}",
            }
        },
    }
    if _saves_hyper_parameters(directory):
        content["hyper_parameters"] = nest(directory.config or {})
    return content


def evidence(directory: Directory, habits: Habits) -> Evidence:
    """Return the facts that readers find in a directory, in their order."""
    facts = [fact for fact in _facts(directory, habits) if habits.has_torch or fact.reader != "torch"]
    facts.sort(key=lambda fact: (fact.source, fact.key))
    return Evidence(tuple(facts))


def _facts(directory: Directory, habits: Habits) -> Iterator[Fact]:
    best, name = directory.best_name, "file name"
    made_as = directory.training.directory_path(directory.part)
    yield Fact(FactKind.COUNT, "epoch", directory.best_epoch, best, name)
    if directory.loss_text:
        yield Fact(FactKind.METRIC, habits.loss, directory.loss_text, best, name)
    for source, epoch in ((best, directory.best_epoch), (LAST, directory.epoch)):
        if _saves_hyper_parameters(directory):
            yield from _params(directory, source, "torch")
        yield Fact(FactKind.COUNT, "epoch", epoch, source, "torch")
        yield Fact(FactKind.COUNT, "step", _step(habits, epoch), source, "torch")
        yield Fact(FactKind.MENTION, "best_model_path", f"{made_as}/{best}", source, "torch")
        yield Fact(FactKind.MENTION, "dirpath", f"{made_as}/{FOLDER}", source, "torch")
    if directory.is_complete:
        yield from _params(directory, "config.json", "config")
        yield from _params(directory, "model.pt", "torch")
        yield Fact(FactKind.MENTION, "run_id", _name(directory), "model.pt", "torch")
    if directory.training.pointer is not None:
        yield Fact(FactKind.MENTION, "MLflow Run ID", directory.training.pointer, POINTER, "pointer")


def _params(directory: Directory, source: str, reader: str) -> Iterator[Fact]:
    for key, value in (directory.config or {}).items():
        if not (isinstance(value, str) and "${" in value):
            yield Fact(FactKind.PARAM, key, value, source, reader)


def _saves_hyper_parameters(directory: Directory) -> bool:
    return directory.training.config_place is ConfigPlace.CHECKPOINT


def _step(habits: Habits, epoch: int) -> int:
    return (epoch + 1) * habits.epoch_step


def _name(directory: Directory) -> str:
    """Return the directory's own name, which scripts call its run id."""
    return directory.training.directory_name(directory.part)
