"""Write the demo's checkpoint directories as the training scripts left them, times included."""

from __future__ import annotations

import array
import io
import json
import os
import pickle  # only written, never loaded
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt_migrate.demo.history import EXPERIMENT
from ckpt_migrate.demo.training import STEPS_PER_EPOCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.demo.history import Value
    from ckpt_migrate.demo.training import Replay

_PICKLE_PROTOCOL = 2
"""The protocol of torch.save."""
_WEIGHTS = 256
_NS_PER_MS = 1_000_000
_MS = 1000


@dataclass(frozen=True, slots=True)
class _Storage:
    """Stands for a tensor's numbers, which torch.save keeps outside the pickle."""

    size: int


class _TorchPickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        """Refer to the numbers by the name of their file in the archive."""
        return ("storage", "FloatStorage", "0", "cpu", obj.size) if isinstance(obj, _Storage) else None


def torch_file(content: Mapping[str, object], *, weight: float) -> bytes:
    """Return the bytes of a file of torch.save's shape: a zip archive that holds a pickle, and numbers beside it.

    Args:
        content: What the pickle holds; a `_Storage` in it refers to the numbers.
        weight: The value of each number.
    """
    pickled = io.BytesIO()
    _TorchPickler(pickled, protocol=_PICKLE_PROTOCOL).dump(dict(content))
    members = {
        "data.pkl": pickled.getvalue(),
        "byteorder": b"little",
        "data/0": array.array("f", [weight] * _WEIGHTS).tobytes(),
        "version": b"3\n",
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(f"archive/{name}"), data)  # ZipInfo's own date keeps the bytes repeatable
    return archive.getvalue()


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder being filled; what is written gets its time when `settle` is called.

    Attributes:
        folder: Absolute path.
        times: Path of each file and link to when it was written, milliseconds since 1970-01-01 UTC.
    """

    folder: str
    times: dict[str, int] = field(default_factory=dict)

    def write(self, path: str, data: bytes, time_utc_ms: int) -> None:
        """Write a new file, and make the directories above it."""
        full = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "xb") as file:
            file.write(data)
        self.times[path] = time_utc_ms

    def link(self, path: str, target: str, time_utc_ms: int) -> None:
        """Make a symbolic link."""
        os.symlink(target, os.path.join(self.folder, path))
        self.times[path] = time_utc_ms

    def settle(self) -> None:
        """Give everything its time; a directory has that at which its newest entry appeared in it."""
        born = dict(self.times)
        changed = dict(self.times)
        while born:
            deepest = max(born, key=lambda path: path.count("/"))
            folder = os.path.dirname(deepest)
            entries = [born.pop(path) for path in list(born) if os.path.dirname(path) == folder]
            if folder:
                born[folder] = min(entries)
                changed[folder] = max(entries)
        for path, time_utc_ms in changed.items():
            stamp_ns = time_utc_ms * _NS_PER_MS
            os.utime(os.path.join(self.folder, path), ns=(stamp_ns, stamp_ns), follow_symlinks=False)


def write_phase2(tree: Tree, directory: str, replayed: Replay) -> None:
    """Write a Phase 2 checkpoint directory; one that was not finished has its `.ckpt` files alone.

    Args:
        tree: Where to.
        directory: Its path.
        replayed: The training that wrote it.
    """
    best, last = replayed.best_epoch, len(replayed.losses) - 1
    name = f"best-epoch={best:02d}-train_loss={replayed.losses[best]:.4f}.ckpt"
    for file, epoch in ((name, best), ("last.ckpt", last)):
        content = {
            "epoch": epoch,
            "global_step": (epoch + 1) * STEPS_PER_EPOCH,
            "pytorch-lightning_version": "2.1.3",
            "state_dict": {"adapter.weight": _Storage(_WEIGHTS)},
            "hyper_parameters": dict(replayed.config),
        }
        data = torch_file(content, weight=replayed.losses[epoch])
        tree.write(f"{directory}/lightning_checkpoints/{file}", data, replayed.epoch_end_utc_ms(epoch) + 1 * _MS)
    if not replayed.is_complete:
        return
    content = {
        "model_state_dict": {"adapter.weight": _Storage(_WEIGHTS)},
        "config": dict(replayed.config),
        "run_id": os.path.basename(directory),
    }
    written = replayed.epoch_end_utc_ms(last)
    tree.write(f"{directory}/model.pt", torch_file(content, weight=replayed.losses[last]), written + 3 * _MS)
    tree.write(f"{directory}/config.json", config_file(replayed.config), written + 4 * _MS)


def write_alignment(tree: Tree, directory: str, replayed: Replay) -> None:
    """Write a Phase 1 directory, of which the arguments are as for `write_phase2`."""
    written = replayed.epoch_end_utc_ms(len(replayed.losses) - 1)
    content = {"aligner_state_dict": {"projection.weight": _Storage(_WEIGHTS)}, "config": dict(replayed.config)}
    tree.write(f"{directory}/aligner.pt", torch_file(content, weight=replayed.losses[-1]), written + 3 * _MS)
    tree.write(f"{directory}/config.json", config_file(replayed.config), written + 4 * _MS)


def write_manifests(tree: Tree, directory: str, *, run_id: str, named: str, replayed: Replay) -> None:
    """Write both manifests as today's training script does.

    Args:
        tree: Where to.
        directory: Path of the checkpoint directory.
        run_id: The run that the manifests name.
        named: Path of the directory that the manifests name; another one in a stale manifest.
        replayed: The training.
    """
    stamp, name = replayed.training.stamp, os.path.basename(named)
    head = f"MLflow Run ID: {run_id}\nCheckpoint Dir: {named}\nExperiment: {EXPERIMENT}\nTimestamp: {stamp}\n"
    note = f"\nNote: The checkpoint directory name includes the MLflow run_id:\n  {name} = {run_id}_{stamp}\n"
    finals = "\n".join(f"- {key}: {points[-1].value:.6g}" for key, points in replayed.metrics().items())
    settings = "\n".join(f"- {key}: {value}" for key, value in replayed.params().items())
    readme = _README.format(
        run_id=run_id, stamp=stamp, name=name, named=named, experiment=EXPERIMENT, finals=finals, settings=settings
    )
    written = replayed.epoch_end_utc_ms(len(replayed.losses) - 1) + 5 * _MS
    tree.write(f"{directory}/MLFLOW_RUN_ID.txt", (head + note).encode(), written)
    tree.write(f"{directory}/README.md", readme.encode(), written)


def config_file(config: Mapping[str, Value]) -> bytes:
    """Return the bytes of `config.json`."""
    return json.dumps(config, indent=2).encode()


_README = """\
# Phase 2 checkpoint

## Run Information

- **MLflow Run ID**: `{run_id}`
- **Timestamp**: {stamp}
- **Experiment**: {experiment}
- **Checkpoint Directory**: `{named}`

## Directory Structure

```
{name}/
├── lightning_checkpoints/
├── model.pt
└── config.json
```

## MLflow Artifacts

`mlruns/*/{run_id}/artifacts`

## Final Metrics

{finals}

## Configuration

{settings}

## Directory Naming Convention

The checkpoint directory name follows Phase 1 convention:
```
{name} = {{mlflow_run_id}}_{{timestamp}}
                     = {run_id}_{stamp}
```

This ensures the checkpoint directory and MLflow run are easily matched!
"""
