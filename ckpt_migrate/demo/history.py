"""What was trained in the demo's world, when, and what became of it: data and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Value: TypeAlias = "str | int | float | bool | list[float] | dict[str, Value] | None"

ZONE = "Europe/Berlin"
"""Where the training machine stands. Its clocks went forward on 2026-03-29, between the first and last runs."""

EXPERIMENT = "phase2_training_with_pretrained_aligner"
ALIGNMENT_EXPERIMENT = "phase1_alignment"

BASE_CONFIG: Mapping[str, Value] = {
    "learning_rate": 2e-4,
    "batch_size": 16,
    "max_epochs": 3,
    "seed": 42,
    "optimizer": {"name": "adamw", "weight_decay": 0.01, "betas": [0.9, 0.999]},
    "scheduler": {"name": "cosine", "warmup_steps": 100},
    "model_name": "bloom-560m",
    "lora_rank": 16,
    "dropout": 0.1,
    "max_length": 512,
    "gradient_checkpointing": True,
    "phase1_checkpoint_path": None,
    "resume_from": None,
}


class Kind(str, Enum):
    """What a person would call a checkpoint directory of the demo; see `STORIES`."""

    PLAIN = "plain"
    SWEEP = "sweep"
    CRASHED = "crashed"
    RESUMED = "resumed"
    TWIN = "twin"
    ORPHAN = "orphan"
    DELETED = "deleted"
    DASHED = "dashed"
    STALE = "stale manifest"
    CURRENT = "current"
    ALIGNMENT = "phase 1"


STORIES: Mapping[Kind, str] = {
    Kind.PLAIN: "an ordinary run",
    Kind.SWEEP: "one of six started in one minute, with six learning rates",
    Kind.CRASHED: "its run failed; there is no config.json and no model.pt",
    Kind.RESUMED: "one run in two directories: stopped in the evening, resumed in the morning",
    Kind.TWIN: "one of two started in the same second with the same settings and the same loss",
    Kind.ORPHAN: "MLflow could not be reached when it was trained: there is no run",
    Kind.DELETED: "somebody deleted its run in MLflow",
    Kind.DASHED: "its name was made by hand, with dashes in the uuid",
    Kind.STALE: "named after its run by hand, but its manifest still names something old",
    Kind.CURRENT: "as today's training script writes it",
    Kind.ALIGNMENT: "a Phase 1 directory, which Phase 2 configs name",
}


@dataclass(frozen=True, slots=True)
class Training:
    """One training as it happened.

    Attributes:
        kind: What became of it.
        stamp: Local time in `ZONE` at which its directory was made.
        run_name: As MLflow shows it; `{directory}` and `{stamp}` are filled in. None when there is no run.
        changes: Its config's differences from `BASE_CONFIG`.
        lag_ms: From the stamp to the run's start, milliseconds.
        epoch_s: How long an epoch takes, seconds.
        epochs: Epochs that were finished.
        status: FINISHED, FAILED or KILLED.
        artifacts: What its run keeps: `config` and `model`, or less.
        has_directory: False when the checkpoint was thrown away.
        resumes: Stamp of the training that this one carries on, in the same run; None for all but one.
        luck: Two trainings with equal luck and equal config have the same losses.
    """

    kind: Kind
    stamp: str
    run_name: str | None
    changes: Mapping[str, Value] = field(default_factory=dict)
    lag_ms: int = 900
    epoch_s: int = 2400
    epochs: int = 3
    status: str = "FINISHED"
    artifacts: tuple[str, ...] = ("config", "model")
    has_directory: bool = True
    resumes: str | None = None
    luck: int = 0


_BY_DIRECTORY = "phase2_{directory}"
_BY_STAMP = "phase2_{stamp}"

ALIGNMENT = Training(Kind.ALIGNMENT, "20260125_143000", "phase1_{stamp}", lag_ms=-1200, artifacts=("config",))

_PLAIN = (
    Training(Kind.PLAIN, "20260201_041227", _BY_DIRECTORY, lag_ms=640),
    Training(Kind.PLAIN, "20260202_183005", _BY_DIRECTORY, {"learning_rate": 1e-4}, 1130),
    Training(Kind.PLAIN, "20260204_091511", "phase2_20260204_091512", {"batch_size": 32, "learning_rate": 1e-4}, 980),
    Training(Kind.PLAIN, "20260206_224840", _BY_STAMP, {"learning_rate": 5e-5, "seed": 7}, 710),
    Training(Kind.PLAIN, "20260210_101733", "bold-crane-412", {"lora_rank": 32, "seed": 7}, 1460),
    Training(Kind.PLAIN, "20260213_160902", "wistful-shrike-87", {"dropout": 0.0, "batch_size": 8}, 850, artifacts=()),
    Training(Kind.PLAIN, "20260218_073344", _BY_DIRECTORY, {"batch_size": 64, "learning_rate": 4e-4}, 2050),
    Training(Kind.PLAIN, "20260303_123019", "phase2_20260303_123020", {"seed": 1234, "lora_rank": 8}, 930),
    Training(
        Kind.PLAIN,
        "20260330_210156",
        "able-finch-530",
        {"learning_rate": 3e-4, "batch_size": 32, "seed": 2026},
        1210,
        artifacts=(),
    ),
    Training(Kind.PLAIN, "20260331_083012", "rare-heron-9", {"max_length": 1024, "batch_size": 8}, 770),
)

_SWEEP = tuple(
    Training(Kind.SWEEP, stamp, name, {"learning_rate": rate, "seed": 99}, lag, epoch_s=3000, artifacts=("config",))
    for stamp, name, rate, lag in (
        ("20260215_140003", "gaudy-newt-301", 1e-5, 880),
        ("20260215_140011", "calm-lynx-302", 2e-5, 1240),
        ("20260215_140018", "polite-wren-417", 5e-5, 790),
        ("20260215_140026", "smiling-carp-56", 1e-4, 1010),
        ("20260215_140034", "nervous-mule-771", 2e-4, 1330),
        ("20260215_140041", "upbeat-goose-12", 5e-4, 940),
    )
)

_TWINS = tuple(
    Training(
        Kind.TWIN,
        "20260312_110730",
        name,
        {"learning_rate": 2.5e-4, "seed": 5},
        lag_ms=1100,
        epochs=2,
        status="KILLED",
        artifacts=(),
        luck=5,
    )
    for name in ("placid-otter-220", "placid-otter-221")
)

_SPECIAL = (
    Training(Kind.DASHED, "20260131_190455", "traveling-bass-640", {"seed": 3}),
    Training(
        Kind.CRASHED,
        "20260220_032218",
        "intrigued-ape-73",
        {"learning_rate": 8e-4, "seed": 21},
        epochs=1,
        status="FAILED",
        artifacts=(),
    ),
    Training(
        Kind.RESUMED, "20260226_200431", _BY_DIRECTORY, {"max_epochs": 4, "seed": 11}, 680, epochs=2, artifacts=()
    ),
    Training(Kind.RESUMED, "20260227_081502", None, {"max_epochs": 4, "seed": 11}, epochs=4, resumes="20260226_200431"),
    Training(Kind.ORPHAN, "20260309_174420", None, {"learning_rate": 1.5e-4, "seed": 17, "batch_size": 24}),
    Training(Kind.DELETED, "20260316_092655", "hushed-koi-118", {"seed": 8, "dropout": 0.2}, 1010),
    Training(Kind.STALE, "20260402_150312", _BY_STAMP, {"seed": 31, "lora_rank": 64}, -1480),
    Training(Kind.CURRENT, "20260407_101500", _BY_STAMP, {"seed": 32, "lora_rank": 64}, -1350),
)

_THROWN_AWAY = tuple(
    Training(Kind.PLAIN, stamp, name, {"seed": seed}, artifacts=(), has_directory=False)
    for stamp, name, seed in (
        ("20260203_070809", "spiffy-ray-14", 1),
        ("20260221_111213", "merciful-bug-905", 2),
        ("20260320_160748", "thundering-sow-33", 4),
    )
)

TRAININGS = tuple(sorted((*_PLAIN, *_SWEEP, *_TWINS, *_SPECIAL, *_THROWN_AWAY), key=lambda training: training.stamp))
"""Every Phase 2 training, oldest first."""
