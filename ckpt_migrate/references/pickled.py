"""Old names in what torch wrote and in what MLflow keeps: listed with what follows from them, never edited."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.records import FactKind
from ckpt_migrate.evidence.torch_facts import SUFFIXES
from ckpt_migrate.matching.families.references import ID_PATTERN
from ckpt_migrate.references.records import LeftKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt_migrate.evidence.records import Evidence
    from ckpt_migrate.references.names import Names
    from ckpt_migrate.tracking.records import RunStore

_CONSEQUENCES = {
    "best_model_path": (
        "Lightning takes it back when training is resumed; until it saves a better one,"
        " trainer.test(ckpt_path='best') looks at the old path and fails: give it the path"
    ),
    "dirpath": (
        "when training is resumed into another folder, Lightning warns that dirpath has changed and starts its list"
        " of best checkpoints anew; best_model_path alone is taken back"
    ),
    "last_model_path": "Lightning takes it back only when dirpath is the same, and loads nothing from it",
    "kth_best_model_path": "Lightning takes it back only when dirpath is the same, and loads nothing from it",
    "run_id": "the training script's note of its own directory; nothing reads it back",
}
_CONFIG = "a setting of the training, handed to the model as it is when the checkpoint is loaded"
_MLFLOW = {
    "run name": "is the run's history; `find` answers for it",
    "param": "cannot be changed: MLflow's params are immutable; `find` answers for it",
    "tag": "is left as it is; --tag-runs adds tags of where the checkpoint is and was",
}


def is_torch(path: str) -> bool:
    """Say whether a file is one that torch wrote, by its name."""
    return path.lower().endswith(SUFFIXES)


def pickled_paths(evidence: Mapping[str, Evidence], names: Names) -> Iterator[tuple[LeftKind, str, str]]:
    """Yield kind, consequence and file of every old name in what torch wrote; `evidence` is by directory."""
    for directory in sorted(evidence):
        for fact in evidence[directory].facts:
            if not isinstance(fact.value, str) or not is_torch(fact.source):
                continue
            data = fact.value.encode("utf-8", "surrogateescape")
            if names.has_any(data, len(data)):
                known = _CONSEQUENCES.get(fact.key) if fact.kind is FactKind.MENTION else None
                what = f"{fact.key}: {known}" if known is not None else f"a config value: {_CONFIG}"
                yield LeftKind.PICKLED, what, os.path.join(directory, fact.source)


def mlflow_texts(store: RunStore, names: Names) -> Iterator[tuple[LeftKind, str, str]]:
    """Yield kind, consequence and place of every old name in a run's name, params and tags.

    Raises:
        StoreError: The store could not be read to its end.
    """
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for mention in store.mentions(ID_PATTERN):
        data = mention.text.encode("utf-8", "surrogateescape")
        kind = next((kind for kind in _MLFLOW if mention.place.startswith(kind)), None)
        if kind is None or mention.place in seen[mention.run_id] or not names.has_any(data, len(data)):
            continue
        if mention.place.startswith("tag mlflow.runName"):
            continue  # the run's name a second time
        seen[mention.run_id].add(mention.place)
        yield LeftKind.MLFLOW, f"{kind} {_MLFLOW[kind]}", f"run {mention.run_id}, {mention.place}"
