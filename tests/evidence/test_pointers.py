"""Pointers: a directory's own word for which run it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.pointers import MAX_POINTER_BYTES, PointerReader, named_runs, read_pointer
from ckpt_migrate.evidence.records import Fact, FactKind
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import FileStat

if TYPE_CHECKING:
    from pathlib import Path

RUN = "94525c6650a3407985928d7c2f83f9eb"
OTHER = "ac7c134d5a5a44c4ac38fbc83f650af0"
MANIFEST = f"""MLflow Run ID: {RUN}
Checkpoint Dir: checkpoints/phase2/{OTHER}_20260201_044652
Experiment: phase2_training_with_pretrained_aligner
Timestamp: 20260201_044652

Note: The checkpoint directory name includes the MLflow run_id:
  {OTHER}_20260201_044652 = {OTHER}_20260201_044652
"""


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        (MANIFEST, (RUN,)),
        (MANIFEST.replace("\n", "\r\n"), (RUN,)),
        (RUN, (RUN,)),
        (f"  {RUN}  \n{OTHER}\n{RUN}", (RUN, OTHER)),
        (f"mlflow_run_id={RUN}", (RUN,)),
        (f"MLflow Run ID: http://host/#/experiments/1/runs/{RUN}", (RUN,)),
        (f"MLflow Run ID: {RUN}, then {OTHER}", (RUN, OTHER)),
        (f"MLflow Run ID: {RUN}0", ()),
        (f"MLflow Run ID: {RUN.upper()}", ()),
        (f"see {RUN}", ()),
        ("MLflow Run ID: unknown", ()),
        ("", ()),
    ],
)
def test_labelled_and_lone_ids_count(text: str, runs: tuple[str, ...]) -> None:
    assert named_runs(text) == runs


def test_files_are_read_whatever_their_encoding(tmp_path: Path) -> None:
    path = tmp_path / "MLFLOW_RUN_ID.txt"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text(MANIFEST, encoding=encoding)
        assert read_pointer(str(path)) == (RUN,)
    path.write_bytes(b"\xff\x00 MLflow\nMLflow Run ID: " + RUN.encode())
    assert read_pointer(str(path)) == (RUN,)


def test_large_files_are_no_pointers(tmp_path: Path) -> None:
    path = tmp_path / "MLFLOW_RUN_ID.txt"
    path.write_bytes(b" " * (MAX_POINTER_BYTES + 1))
    with pytest.raises(ReaderError, match="larger"):
        read_pointer(str(path))


def test_the_recipe_says_which_files_are_pointers(tmp_path: Path) -> None:
    reader = PointerReader(load_recipe())
    assert reader.wants(FileStat("mlflow_run_id.TXT", "file", 0, 0))
    assert not reader.wants(FileStat("a/MLFLOW_RUN_ID.txt", "file", 0, 0))
    assert not reader.wants(FileStat("MLFLOW_RUN_ID.txt", "link", 0, 0))
    path = tmp_path / "MLFLOW_RUN_ID.txt"
    path.write_text(MANIFEST)
    facts = reader.read(str(path), FileStat("MLFLOW_RUN_ID.txt", "file", 0, 0))
    assert list(facts) == [Fact(FactKind.MENTION, "MLflow Run ID", RUN, "MLFLOW_RUN_ID.txt", "pointer")]
