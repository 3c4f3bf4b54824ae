"""The state that the Hugging Face trainer keeps: how far it came and what it logged last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.trainer_state import TrainerStateReader
from evidence.files_read import read, wants

if TYPE_CHECKING:
    from pathlib import Path

# As transformers 4.4x writes it, shortened.
STATE = {
    "best_metric": 0.41,
    "best_model_checkpoint": "out/bert/checkpoint-500",
    "epoch": 2.0,
    "eval_steps": 500,
    "global_step": 1000,
    "is_hyper_param_search": False,
    "log_history": [
        {"epoch": 1.0, "grad_norm": 1.5, "learning_rate": 2.5e-05, "loss": 0.7, "step": 500},
        {"epoch": 1.0, "eval_loss": 0.41, "eval_runtime": 3.25, "step": 500},
        {"epoch": 2.0, "grad_norm": float("nan"), "learning_rate": 0.0, "loss": 0.3125, "step": 1000},
        {"epoch": 2.0, "eval_loss": 0.5, "eval_runtime": 3.0, "step": 1000},
    ],
    "max_steps": 1000,
    "num_train_epochs": 2,
    "trial_name": None,
}


def test_the_last_of_everything_is_told(tmp_path: Path) -> None:
    """Values that are no number leave the last one that was."""
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps(STATE))
    assert read(TrainerStateReader, path, "checkpoint-1000/trainer_state.json") == [
        ("count", "step", 1000),
        ("count", "epoch", 2),
        ("mention", "best_model_checkpoint", "out/bert/checkpoint-500"),
        ("param", "num_train_epochs", 2),
        ("param", "max_steps", 1000),
        ("param", "eval_steps", 500),
        ("metric", "grad_norm", "1.5"),
        ("metric", "learning_rate", "0.0"),
        ("metric", "loss", "0.3125"),
        ("metric", "eval_loss", "0.5"),
        ("metric", "eval_runtime", "3.0"),
    ]


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"global_step": True, "epoch": 0.5, "log_history": None, "best_model_checkpoint": None},
        {"global_step": 10**400, "epoch": float("inf"), "log_history": [1, {"loss": True, "x": "y"}, {"z": 10**400}]},
        {"global_step": -1, "epoch": float("nan"), "log_history": {"loss": 1}},
    ],
)
def test_what_is_no_number_or_count_is_left_out(tmp_path: Path, state: dict[str, object]) -> None:
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    assert read(TrainerStateReader, tmp_path / "trainer_state.json") == []


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\ud800"])
def test_what_is_no_state_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "trainer_state.json").write_text(text, errors="surrogatepass")
    with pytest.raises(ReaderError):
        read(TrainerStateReader, tmp_path / "trainer_state.json")


def test_the_file_is_known_by_its_name() -> None:
    assert wants(TrainerStateReader, "checkpoint-5/trainer_state.json")
    assert not wants(TrainerStateReader, "my_trainer_state.json")
    assert not wants(TrainerStateReader, "trainer_state.json", "link")
