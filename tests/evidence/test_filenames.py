"""Values in file names: Lightning's pairs, plain counts, and what only looks like them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_migrate.evidence.filenames import FileNameReader, parse_name
from ckpt_migrate.evidence.records import FactKind
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import FileStat


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("best-epoch=00-train_loss=2.9476.ckpt", ["epoch 00", "train_loss 2.9476"]),
        ("lightning_checkpoints/best-epoch=00-train_loss=2.9476-v1.ckpt", ["epoch 00", "train_loss 2.9476"]),
        ("phase2-epoch=00-train_loss=2.9476.ckpt", ["epoch 00", "train_loss 2.9476"]),
        ("epoch=3-step=800.ckpt", ["epoch 3", "step 800"]),
        ("epoch=3-step=800-v12.ckpt", ["epoch 3", "step 800"]),
        ("epoch=1-reward=-3.50.ckpt", ["epoch 1", "reward -3.50"]),
        ("loss=-1e-05-epoch=2.ckpt", ["loss -1e-05", "epoch 2"]),
        ("epoch=1-val/loss=0.25.ckpt", ["epoch 1", "val/loss 0.25"]),
        ("model_epoch=3_val_loss=0.12.pt", ["model_epoch 3", "val_loss 0.12"]),
        ("epoch=03,acc=0.9100.pth", ["epoch 03", "acc 0.9100"]),
        ("epoch=2-loss=nan.ckpt", ["epoch 2", "loss nan"]),
        ("a=1.2.3.ckpt", []),
        ("a=1b-c=2.5x-d=4.ckpt", ["d 4"]),
        ("epoch=99999999999999999999.ckpt", ["epoch 99999999999999999999"]),
        ("checkpoint-500", ["step 500"]),
        ("checkpoint_500.pt", ["step 500"]),
        ("model_epoch_10.pth", ["epoch 10"]),
        ("step1000.pt", ["step 1000"]),
        ("ckpt-epoch3-steps20.pt", ["epoch 3", "step 20"]),
        ("epoch_99999999999999999999.pt", []),
        ("last.ckpt", []),
        ("last-v1.ckpt", []),
        ("model.pt", []),
        ("=.ckpt", []),
        ("20260201_041227.ckpt", []),
        ("epoch=5/model.pt", []),
    ],
)
def test_values_are_the_text_that_stands_there(path: str, values: list[str]) -> None:
    assert [f"{key} {text}" for _, key, text in parse_name(path)] == values


def test_epochs_and_steps_are_counts_and_all_else_is_a_metric() -> None:
    (epoch, loss) = FileNameReader(load_recipe()).read("/x", FileStat("a/epoch=07-train_loss=2.90.ckpt", "file", 0, 0))
    assert (epoch.kind, epoch.key, epoch.value) == (FactKind.COUNT, "epoch", 7)
    assert (loss.kind, loss.key, loss.value) == (FactKind.METRIC, "train_loss", "2.90")
    assert loss.source == "a/epoch=07-train_loss=2.90.ckpt"


def test_only_models_and_their_folders_are_looked_at() -> None:
    """A log or plot may carry another checkpoint's metric in its name."""
    reader = FileNameReader(load_recipe())
    assert reader.wants(FileStat("a/b.CKPT", "file", 0, 0))
    assert reader.wants(FileStat("checkpoint-500", "dir", 0, 0))
    assert not reader.wants(FileStat("loss=0.5.png", "file", 0, 0))
    assert not reader.wants(FileStat("epoch=1.ckpt", "link", 0, 0))
    assert not reader.wants(FileStat("plots", "dir", 0, 0))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([*"abe=-+.0129_/ ", "epoch", "nan", "\n", "\udcff"]), max_size=30).map("".join))
def test_any_name_is_parsed(path: str) -> None:
    """Nothing is raised, keys are never empty, metrics are numbers."""
    for kind, key, text in parse_name(path + ".ckpt"):
        assert key
        if kind is FactKind.METRIC:
            float(text)
