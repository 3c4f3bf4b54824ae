"""`trainer_state.json`, in which the Hugging Face trainer keeps how far it came and what it logged."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError, read_whole
from ckpt_migrate.evidence.flatten import flatten, text_of
from ckpt_migrate.evidence.records import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckpt_migrate.evidence.records import Scalar
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

MAX_STATE_BYTES = 16 << 20
"""Largest file read, bytes. It grows by some hundred with each logging."""

_NAME = "trainer_state.json"
_SETTINGS = ("num_train_epochs", "max_steps", "logging_steps", "eval_steps", "save_steps")
# Stand in each entry of the history and are no metrics.
_AXES = frozenset({"step", "epoch"})
_COUNT_END = 10**15


class TrainerStateReader:
    """Reads the last step, the last value of each metric, and which checkpoint was the best."""

    name = "trainer state"

    def __init__(self, _: Recipe) -> None:
        pass

    def wants(self, file: FileStat) -> bool:
        """Say whether it is the trainer's file by its name."""
        return file.kind == "file" and file.path.rpartition("/")[2] == _NAME

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Yield counts, settings, metrics and the best checkpoint's path."""
        try:
            state = json.loads(read_whole(path, MAX_STATE_BYTES))
        except (ValueError, RecursionError) as error:
            raise ReaderError(f"no JSON: {error}") from error
        if not isinstance(state, dict):
            raise ReaderError("holds no mapping of keys to values")
        for kind, key, value in _facts(state):
            yield Fact(kind, key, value, file.path, self.name)


def _facts(state: dict[str, object]) -> Iterator[tuple[FactKind, str, Scalar]]:
    step, epoch = state.get("global_step"), state.get("epoch")
    if isinstance(step, int) and not isinstance(step, bool) and 0 <= step < _COUNT_END:
        yield FactKind.COUNT, "step", step
    # A fraction of an epoch is no count of them.
    if isinstance(epoch, (int, float)) and 0 <= epoch < _COUNT_END and epoch == int(epoch):
        yield FactKind.COUNT, "epoch", int(epoch)
    best = state.get("best_model_checkpoint")
    if isinstance(best, str) and best:
        yield FactKind.MENTION, "best_model_checkpoint", text_of(best)
    for key, value in flatten({key: state[key] for key in _SETTINGS if key in state}):
        yield FactKind.PARAM, key, value
    for key, number in _last_logged(state.get("log_history")).items():
        yield FactKind.METRIC, key, repr(number)


def _last_logged(history: object) -> dict[str, float]:
    """Return the last value of each metric in a history, in the order in which they first appear."""
    found: dict[str, float] = {}
    for entry in history if isinstance(history, list) else ():
        for key, value in entry.items() if isinstance(entry, dict) else ():
            if key not in _AXES and _is_number(value):
                found[text_of(key)] = value
    return found


def _is_number(value: object) -> bool:
    """Say whether a value is a number that a run could have logged."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < _COUNT_END
