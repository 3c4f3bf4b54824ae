"""Tables of metrics: the last value of each column, however long the table is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.metric_tables import MAX_HEAD_BYTES, MAX_TAIL_BYTES, MetricTableReader
from evidence.files_read import read, wants

if TYPE_CHECKING:
    from pathlib import Path


def test_the_last_line_of_ultralytics_is_told_under_the_names_that_mlflow_has(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(
        "                  epoch,         train/box_loss,   metrics/precision(B)\n"
        "                      0,                 2.0331,                0.00152\n"
        "                      1,                 1.9871,                0.01012\n"
    )
    assert read(MetricTableReader, tmp_path / "results.csv") == [
        ("count", "epoch", 1),
        ("metric", "train/box_loss", "1.9871"),
        ("metric", "metrics/precisionB", "0.01012"),
    ]


def test_the_metrics_of_lightning_lie_on_several_lines(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,lr,step,train_loss,val_loss\n0,,49,0.5,\n0,,49,,0.75\n1,,99,nan,\n")
    assert read(MetricTableReader, tmp_path / "metrics.csv", "version_0/metrics.csv") == [
        ("count", "epoch", 1),
        ("count", "step", 99),
        ("metric", "train_loss", "0.5"),
        ("metric", "val_loss", "0.75"),
    ]


def test_of_a_long_table_only_the_end_is_read(tmp_path: Path) -> None:
    """The value that only the middle has is not told; a part of a line is not taken for one."""
    lines = [f"{step},{step / 7:.6f}," for step in range(100_000)]
    lines[50_000] = "50000,1,0.25"
    text = "step,loss,rare\n" + "\n".join(lines) + "\n"
    assert len(text) > 4 * MAX_TAIL_BYTES
    (tmp_path / "metrics.csv").write_text(text)
    assert read(MetricTableReader, tmp_path / "metrics.csv") == [
        ("count", "step", 99_999),
        ("metric", "loss", "14285.571429"),
    ]


@pytest.mark.parametrize("data", [b"", b"epoch,loss", b"x" * (MAX_HEAD_BYTES + 1), b'epoch\n"' + b"y" * 200_000])
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "results.csv").write_bytes(data)
    with pytest.raises(ReaderError, match="no table"):
        read(MetricTableReader, tmp_path / "results.csv")


@pytest.mark.parametrize("text", ["epoch,loss\n", "epoch,loss\n1\n", "epoch,loss\n-1,x\n\n", "a,b\n\0,\ud800\n"])
def test_lines_that_tell_nothing_are_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.csv").write_text(text, errors="surrogatepass")
    assert read(MetricTableReader, tmp_path / "results.csv") == []


def test_the_files_are_known_by_their_names() -> None:
    assert wants(MetricTableReader, "lightning_logs/version_0/metrics.csv")
    assert not wants(MetricTableReader, "data.csv")
