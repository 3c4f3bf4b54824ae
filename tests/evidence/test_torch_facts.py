"""What checkpoints of torch and Lightning say: configs, counts, scores, mentions; and never anything twice as long."""

from __future__ import annotations

import argparse
import pathlib
import time
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.flatten import OPAQUE, flatten
from ckpt_migrate.evidence.inert import Inert
from ckpt_migrate.evidence.pickles import load_pickle
from ckpt_migrate.evidence.records import FactKind
from ckpt_migrate.evidence.torch_facts import TorchReader, reveal
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import FileStat
from evidence.torch_format import Call, dumps, legacy_file, lightning, named, tensor, zip_file

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt_migrate.evidence.records import Fact, Scalar


def read(tmp_path: Path, data: bytes, name: str = "last.ckpt") -> list[Fact]:
    path = tmp_path / name
    path.write_bytes(data)
    return list(TorchReader(load_recipe()).read(str(path), FileStat(name, "file", len(data), 0)))


def of_kind(facts: list[Fact], kind: FactKind) -> dict[str, Scalar]:
    return {fact.key: fact.value for fact in facts if fact.kind is kind}


@pytest.mark.parametrize("make", [zip_file, legacy_file])
def test_a_lightning_checkpoint_tells_its_config_counts_and_paths(tmp_path: Path, make: object) -> None:
    """And a score that is a tensor stays unread, since tensors do."""
    assert callable(make)
    facts = read(tmp_path, make(lightning({"learning_rate": 2e-4, "model": {"layers": 4, "sizes": (1, 2)}})))
    assert of_kind(facts, FactKind.PARAM) == {"learning_rate": 2e-4, "model/layers": 4, "model/sizes": [1, 2]}
    assert of_kind(facts, FactKind.COUNT) == {"epoch": 3, "step": 800}
    assert of_kind(facts, FactKind.METRIC) == {}
    assert of_kind(facts, FactKind.MENTION) == {
        "best_model_path": "/data/checkpoints/phase2/old/lightning_checkpoints/best.ckpt",
        "dirpath": "/data/checkpoints/phase2/old/lightning_checkpoints",
    }
    assert {(fact.source, fact.reader) for fact in facts} == {("last.ckpt", "torch")}


def test_a_final_model_tells_its_config_and_the_name_it_was_given(tmp_path: Path) -> None:
    model = {
        "model_state_dict": {"w": tensor("0")},
        "config": {"seed": 7, "tags": []},
        "run_id": "ac7c_20260201_041227",
    }
    facts = read(tmp_path, zip_file(model), "model.pt")
    assert of_kind(facts, FactKind.PARAM) == {"seed": 7, "tags": []}
    assert of_kind(facts, FactKind.MENTION) == {"run_id": "ac7c_20260201_041227"}


def test_a_score_that_is_a_number_is_a_metric(tmp_path: Path) -> None:
    """Under the name of what was monitored, as the shortest text of the number."""
    states = {
        "checkpoint": {"monitor": "val/loss", "best_model_score": 0.1 + 0.2},
        named("lightning", "ModelCheckpoint"): {"monitor": None, "best_model_score": 3},
        "stopping": {"monitor": "x", "best_model_score": True},
        "broken": 5,
    }
    facts = read(tmp_path, zip_file({"callbacks": states}))
    assert of_kind(facts, FactKind.METRIC) == {"val/loss": "0.30000000000000004", "best_model_score": "3"}


def numpy_scalar(kind: str, data: bytes, order: str = "<") -> Call:
    """Return a number of numpy as numpy pickles it."""
    state = (3, order, None, None, None, -1, -1, 0)
    dtype = Call(named("numpy", "dtype"), kind, False, True, state=state)  # noqa: FBT003 - as numpy
    return Call(named("numpy.core.multiarray", "scalar"), dtype, data)


def test_objects_of_known_libraries_are_plain_values(tmp_path: Path) -> None:
    """Paths, devices, types, sizes, numbers of numpy, OmegaConf, namespaces; anything else is left out."""
    node = Call(named("omegaconf.nodes", "AnyNode"), state={"_val": "x"})
    omega = Call(named("omegaconf.dictconfig", "DictConfig"), state={"_content": {"name": node}, "_parent": None})
    config = {
        "path": pathlib.PurePosixPath("/data/x"),
        "relative": pathlib.PurePosixPath("a/b"),
        "windows": pathlib.PureWindowsPath("C:\\data\\x"),
        "device": Call(named("torch", "device"), "cuda", 1),
        "type": named("torch", "bfloat16"),
        "size": Call(named("torch", "Size"), (3, 4)),
        "f4": numpy_scalar("f4", b"\xcd\xcc\xcc\x3d"),
        "f8": numpy_scalar("f8", b"\x3f\xd0" + bytes(6), ">"),
        "i8": numpy_scalar("i8", (7).to_bytes(8, "little")),
        "wrong": numpy_scalar("f8", b"\0"),
        "space": argparse.Namespace(lr=0.1, inner=argparse.Namespace(b=None)),
        "attributes": Call(named("lightning", "AttributeDict"), width=3),
        "omega": omega,
        "weight": tensor("0"),
        "activation": named("torch.nn", "ReLU"),
        "mixed": [1, tensor("0")],
        "bytes": b"\x00",
    }
    assert of_kind(read(tmp_path, zip_file({"config": config})), FactKind.PARAM) == {
        "path": "/data/x",
        "relative": "a/b",
        "windows": "C:\\data\\x",
        "device": "cuda:1",
        "type": "torch.bfloat16",
        "size": [3, 4],
        "f4": 0.1,
        "f8": 0.25,
        "i8": 7,
        "space/lr": 0.1,
        "space/inner/b": None,
        "attributes/width": 3,
        "omega/name": "x",
    }


def test_training_arguments_of_hugging_face_are_a_config(tmp_path: Path) -> None:
    arguments = Call(named("transformers.training_args", "TrainingArguments"), state={"lr": 0.1, "_hidden": 1})
    assert of_kind(read(tmp_path, zip_file(arguments), "training_args.bin"), FactKind.PARAM) == {"lr": 0.1}
    assert read(tmp_path, zip_file(arguments), "model.pt") == []


@pytest.mark.parametrize(
    "content", [[1], "text", None, 5, {"config": 5}, {"epoch": -1}, {"epoch": True}, {"run_id": 7}]
)
def test_content_without_meaning_gives_no_facts(tmp_path: Path, content: object) -> None:
    assert read(tmp_path, zip_file(content)) == []


def test_shared_content_ends_at_the_limit(tmp_path: Path) -> None:
    """A billion laughs, a config within itself and a hundred levels are refused within a second."""
    laugh: object = ["ha"]
    for _ in range(60):
        laugh = [laugh, laugh]
    loop: dict[str, object] = {}
    loop["again"] = loop
    deep: dict[str, object] = {}
    for _ in range(100):
        deep = {"a": deep}
    started = time.perf_counter()
    for config in ({"x": laugh}, loop, deep, {f"k{i}": loop for i in range(3)}):
        with pytest.raises(ReaderError, match="over"):
            read(tmp_path, zip_file({"config": config}))
    assert time.perf_counter() - started < 5


def test_endless_wrappers_are_opaque() -> None:
    """A record whose content is itself is given up."""
    record = Inert("omegaconf.nodes.AnyNode", ())
    record.state = {"_val": record}
    assert reveal(record) is OPAQUE
    assert flatten({"a": record}, reveal) == []


def test_values_that_cannot_be_written_are_made_so() -> None:
    """Half a surrogate pair and an integer of ten thousand digits become text that a plan can hold."""
    content, _ = load_pickle(dumps({"config": {"half": "\ud800", "\udc80": 1}, "run_id": "\udcff"}))
    assert isinstance(content, dict)
    for key, value in flatten(content["config"], reveal):
        f"{key}{value}".encode()
