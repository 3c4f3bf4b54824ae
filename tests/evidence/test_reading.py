"""Reading all evidence: every reader on its files, in a fixed order, and nothing ends it."""

from __future__ import annotations

import json
import sys
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any, cast

import pytest

from ckpt_migrate.evidence import read_all, read_evidence, reading, strangers
from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.records import Evidence, Fact, FactKind, Problem
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.scan.walk import scan_roots
from evidence.torch_format import lightning, zip_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint, FileStat

RECIPE = load_recipe()
UID = "ac7c134d5a5a44c4ac38fbc83f650af0"
OLD = f"{UID}_20260201_041227"


def scanned(root: Path) -> tuple[Checkpoint, ...]:
    return scan_roots([str(root)], RECIPE).checkpoints


def make_phase2(root: Path, name: str = OLD) -> Path:
    """Make a directory as the Phase 2 training leaves it."""
    directory = root / name
    inner = directory / "lightning_checkpoints"
    inner.mkdir(parents=True)
    config = {"lr": 2e-4, "seed": 7}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "model.pt").write_bytes(zip_file({"config": config, "run_id": name}))
    for checkpoint in ("best-epoch=03-train_loss=2.9476.ckpt", "last.ckpt"):
        (inner / checkpoint).write_bytes(zip_file(lightning({"lr": 2e-4})))
    return directory


def test_every_source_is_kept(tmp_path: Path) -> None:
    """The same key from several files is several facts, sorted by file, then key."""
    make_phase2(tmp_path)
    (checkpoint,) = scanned(tmp_path)
    evidence = read_evidence(checkpoint, RECIPE)
    assert evidence.problems == ()
    inner = "lightning_checkpoints"
    assert [(fact.source, fact.key, fact.value) for fact in evidence.facts if fact.key != "best_model_path"] == [
        ("config.json", "lr", 2e-4),
        ("config.json", "seed", 7),
        (f"{inner}/best-epoch=03-train_loss=2.9476.ckpt", "dirpath", f"/data/checkpoints/phase2/old/{inner}"),
        (f"{inner}/best-epoch=03-train_loss=2.9476.ckpt", "epoch", 3),
        (f"{inner}/best-epoch=03-train_loss=2.9476.ckpt", "epoch", 3),
        (f"{inner}/best-epoch=03-train_loss=2.9476.ckpt", "lr", 2e-4),
        (f"{inner}/best-epoch=03-train_loss=2.9476.ckpt", "step", 800),
        (f"{inner}/best-epoch=03-train_loss=2.9476.ckpt", "train_loss", "2.9476"),
        (f"{inner}/last.ckpt", "dirpath", f"/data/checkpoints/phase2/old/{inner}"),
        (f"{inner}/last.ckpt", "epoch", 3),
        (f"{inner}/last.ckpt", "lr", 2e-4),
        (f"{inner}/last.ckpt", "step", 800),
        ("model.pt", "lr", 2e-4),
        ("model.pt", "run_id", OLD),
        ("model.pt", "seed", 7),
    ]


def test_bad_content_becomes_problems(tmp_path: Path) -> None:
    """Each names its file and what is wrong; what can be read is read."""
    directory = make_phase2(tmp_path)
    (directory / "config.json").write_text('{"lr": ')
    (directory / "model.pt").write_bytes(b"")
    (directory / "MLFLOW_RUN_ID.txt").write_text(" " * 100_000)
    (directory / "lightning_checkpoints" / "last.ckpt").write_bytes(b"\x80\x02" + b"N" * 100)
    (checkpoint,) = scanned(tmp_path)
    evidence = read_evidence(checkpoint, RECIPE)
    assert [(problem.source, problem.reader, problem.what.partition(":")[0]) for problem in evidence.problems] == [
        ("MLFLOW_RUN_ID.txt", "pointer", "larger than 64 KiB, not read"),
        ("config.json", "config", "no JSON"),
        ("lightning_checkpoints/last.ckpt", "torch", "ends in the middle of its pickle"),
        ("model.pt", "torch", "empty"),
    ]
    assert {fact.source for fact in evidence.facts} == {"lightning_checkpoints/best-epoch=03-train_loss=2.9476.ckpt"}


def test_what_changed_since_the_scan_becomes_problems(tmp_path: Path) -> None:
    """A file that is gone, or is a link, pipe or directory by now."""
    directory = make_phase2(tmp_path)
    (checkpoint,) = scanned(tmp_path)
    for file in ("config.json", "model.pt"):
        (directory / file).unlink()
    (directory / "model.pt").symlink_to("/etc/passwd")
    (directory / "lightning_checkpoints" / "last.ckpt").unlink()
    (directory / "lightning_checkpoints" / "last.ckpt").mkdir()
    what = {problem.source: problem.what for problem in read_evidence(checkpoint, RECIPE).problems}
    assert what == {
        "config.json": "No such file or directory",
        "model.pt": "Too many levels of symbolic links",
        "lightning_checkpoints/last.ckpt": "Is a directory",
    }


def test_loose_files_links_and_others_are_read_as_what_they_are(tmp_path: Path) -> None:
    """A loose file is read where it lies; a link and a file in the place of a directory say nothing."""
    (tmp_path / "phase2-epoch=00-train_loss=2.9476.ckpt").write_bytes(zip_file(lightning({"lr": 0.1})))
    (tmp_path / "latest").symlink_to(OLD)
    (tmp_path / OLD).write_text("x")
    (tmp_path / "my_run").mkdir()
    (tmp_path / "my_run" / "model.pt").write_bytes(zip_file({"config": {"a": 1}}))
    found = read_all(scanned(tmp_path), RECIPE)
    counts = {path.rpartition("/")[2]: len(evidence.facts) for path, evidence in found.items()}
    assert counts == {OLD: 0, "latest": 0, "my_run": 1, "phase2-epoch=00-train_loss=2.9476.ckpt": 7}


def test_many_are_read_in_their_order(tmp_path: Path) -> None:
    """By path, and each as if it were read alone."""
    for number in range(70):
        make_phase2(tmp_path, f"{UID}_202602{1 + number // 24:02}_{number % 24:02}0000")
    checkpoints = scanned(tmp_path)
    found = read_all(checkpoints, RECIPE)
    assert list(found) == [checkpoint.path for checkpoint in checkpoints]
    assert found[checkpoints[-1].path] == read_evidence(checkpoints[-1], RECIPE)
    assert read_all(checkpoints, RECIPE) == found
    assert read_all((), RECIPE) == {}


class NotesReader:
    """A reader of somebody else."""

    name = "notes"

    def __init__(self, _: Recipe) -> None:
        pass

    def wants(self, file: FileStat) -> bool:
        """Say so by name."""
        return file.path == "notes.txt"

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Yield the whole text."""
        with open(path, encoding="utf-8") as notes:
            yield Fact(FactKind.MENTION, "notes", notes.read(), file.path, self.name)


class BrokenReader(NotesReader):
    """A reader that raises whatever it meets."""

    name = "broken"

    def wants(self, file: FileStat) -> bool:
        """Fail on one name."""
        if file.path == "wants.txt":
            raise KeyError(file.path)
        return file.path == "notes.txt"

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Fail after the first fact."""
        yield from super().read(path, file)
        raise RuntimeError("half-way")


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install readers as packages do, by entry points."""
    module = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, "third_party_readers", module)
    points = [
        metadata.EntryPoint("notes", "third_party_readers:NotesReader", reading.ENTRY_POINTS),
        metadata.EntryPoint("broken", "third_party_readers:BrokenReader", reading.ENTRY_POINTS),
        metadata.EntryPoint("missing", "third_party_readers:Missing", reading.ENTRY_POINTS),
        metadata.EntryPoint("absent", "no_such_package:Reader", reading.ENTRY_POINTS),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == reading.ENTRY_POINTS else [])


@pytest.mark.usefixtures("third_party")
def test_readers_of_others_are_used_and_their_errors_are_problems(tmp_path: Path) -> None:
    """One that cannot be loaded, fails to say what it wants, or fails half-way takes nothing from the others."""
    directory = tmp_path / OLD
    directory.mkdir()
    (directory / "notes.txt").write_text("run 5")
    (directory / "wants.txt").write_text("x")
    (checkpoint,) = scanned(tmp_path)
    evidence = read_evidence(checkpoint, RECIPE)
    assert evidence == Evidence(
        (Fact(FactKind.MENTION, "notes", "run 5", "notes.txt", "notes"),),
        (
            Problem(
                "", "absent", "the reader cannot be loaded: ModuleNotFoundError: No module named 'no_such_package'"
            ),
            Problem("", "missing", evidence.problems[1].what),
            Problem("notes.txt", "broken", "RuntimeError: half-way"),
            Problem("wants.txt", "broken", "RuntimeError: half-way"),
        ),
    )


def test_the_one_error_is_shown_as_it_is() -> None:
    assert str(ReaderError("what is wrong")) == "what is wrong"


class RudeReader(NotesReader):
    """A reader that ends, stalls or answers with anything, as the file's text says."""

    name = "rude"

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Do what the file says."""
        with open(path, encoding="utf-8") as notes:
            wish = notes.read()
        if wish == "exit":
            sys.exit(3)
        if wish == "hang":
            time.sleep(3600)
        rubbish: dict[str, Any] = {
            "none": None,
            "numbers": [1, 2],
            "a set as value": [Fact(FactKind.PARAM, "a", cast("Any", {1}), file.path, self.name)],
            "a number as key": [Fact(FactKind.PARAM, cast("Any", 1), 2, file.path, self.name)],
            "text as kind": [Fact(cast("Any", "param"), "a", 2, file.path, self.name)],
            "endless": (Fact(FactKind.PARAM, "a", 2, file.path, self.name) for _ in iter(int, 1)),
        }
        found: Iterable[Fact] = rubbish[wish]
        return found


@pytest.mark.parametrize(
    ("wish", "what"),
    [
        ("exit", "its reader would end the program: SystemExit"),
        ("hang", "its reader took over 0.2 s"),
        ("none", "TypeError: 'NoneType' object is not iterable"),
        ("numbers", "its reader gives what is no fact: see docs/readers.md"),
        ("a set as value", "its reader gives what is no fact: see docs/readers.md"),
        ("a number as key", "its reader gives what is no fact: see docs/readers.md"),
        ("text as kind", "its reader gives what is no fact: see docs/readers.md"),
        ("endless", "gives over 100,000 facts"),
    ],
)
def test_whatever_a_reader_of_others_does_the_scan_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str, what: str
) -> None:
    """Each is one problem of one file; after a hang the reader is not asked again."""
    monkeypatch.setitem(sys.modules, "third_party_readers", sys.modules[__name__])
    point = metadata.EntryPoint("rude", "third_party_readers:RudeReader", reading.ENTRY_POINTS)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == reading.ENTRY_POINTS else [])
    monkeypatch.setattr(strangers, "LIMIT_S", 0.2 if wish == "hang" else 60)
    for name in (OLD, f"{UID}_20260202_041227"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text(wish)
        (tmp_path / name / "config.json").write_text('{"lr": 0.1}')
    found = list(read_all(scanned(tmp_path), RECIPE).values())
    assert [[fact.value for fact in evidence.facts] for evidence in found] == [[0.1], [0.1]]
    again = "its reader took over 0.2 s before, and is not asked again" if wish == "hang" else what
    problems = [problem for evidence in found for problem in evidence.problems]
    assert problems == [Problem("notes.txt", "rude", what), Problem("notes.txt", "rude", again)]
