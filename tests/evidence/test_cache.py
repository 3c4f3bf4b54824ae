"""Evidence kept between calls: never other than what the files say, and never in anybody's way."""

from __future__ import annotations

import errno
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.cli import run
from ckpt_migrate.evidence import cache, cache_folder, read_all, reading
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.scan.walk import scan_roots
from evidence.torch_format import lightning, zip_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from project import Project

    from ckpt_migrate.evidence.found import Found
    from ckpt_migrate.evidence.records import Evidence
    from ckpt_migrate.records import Checkpoint

RECIPE = load_recipe()
COUNT = 3


@pytest.fixture(autouse=True)
def _no_file_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files of tests, all made just now, count as old."""
    monkeypatch.setattr(cache, "FRESH_S", -3600.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with some directories."""
    root = tmp_path / "phase2"
    for number in range(COUNT):
        directory = root / f"{number:032x}_20260201_04122{number}"
        (directory / "lightning_checkpoints").mkdir(parents=True)
        (directory / "config.json").write_text(json.dumps({"lr": number / 3, "top": float("inf"), "sizes": [1, None]}))
        (directory / "lightning_checkpoints" / "epoch=1-loss=0.5.ckpt").write_bytes(zip_file(lightning({"seed": 1})))
    return root


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories that were really read."""
    found: list[str] = []
    read = reading._Reading.read

    def note(self: reading._Reading, checkpoint: Checkpoint) -> Found:
        found.append(checkpoint.basename)
        return read(self, checkpoint)

    monkeypatch.setattr(reading._Reading, "read", note)
    return found


def evidence(root: Path, folder: Path | None) -> Mapping[str, Evidence]:
    return read_all(scan_roots([str(root)], RECIPE).checkpoints, RECIPE, cache=None if folder is None else str(folder))


def test_what_did_not_change_is_not_read_again(root: Path, tmp_path: Path, reads: list[str]) -> None:
    """The second call gives the same, in the same order, and opens nothing."""
    expected = dict(evidence(root, None))
    reads.clear()
    first = dict(evidence(root, tmp_path / "cache"))
    assert (first, len(reads)) == (expected, COUNT)
    second = evidence(root, tmp_path / "cache")
    assert list(second.items()) == list(expected.items())
    assert len(reads) == COUNT


def test_any_change_is_read(root: Path, tmp_path: Path, reads: list[str]) -> None:
    """Other bytes of the same size and modification time, too: the time of the last change of any kind tells."""
    evidence(root, tmp_path / "cache")
    changed = sorted(root.iterdir())[1] / "config.json"
    status = changed.stat()
    time.sleep(0.02)
    changed.write_text(changed.read_text().replace("0.33", "0.44"))
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    reads.clear()
    found = evidence(root, tmp_path / "cache")
    assert reads == [changed.parent.name]
    assert dict(found) == dict(evidence(root, None))


def test_what_just_changed_is_not_kept(
    root: Path, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change within the clock's tick would go unnoticed."""
    monkeypatch.setattr(cache, "FRESH_S", 3600.0)
    evidence(root, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    evidence(root, tmp_path / "cache")
    assert len(reads) == 2 * COUNT


def test_another_version_of_a_reader_or_recipe_forgets_all(
    root: Path, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence(root, tmp_path / "cache")
    monkeypatch.setattr(reading, "READERS_VERSION", reading.READERS_VERSION + 1)
    evidence(root, tmp_path / "cache")
    checkpoints = scan_roots([str(root)], RECIPE).checkpoints
    read_all(checkpoints, load_recipe("hydra"), cache=str(tmp_path / "cache"))
    assert len(reads) == 3 * COUNT


def test_a_damaged_cache_is_as_good_as_none(root: Path, tmp_path: Path) -> None:
    """Cut, flipped, or of other content: what comes out is what the files say."""
    expected = dict(evidence(root, tmp_path / "cache"))
    (path,) = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    for at in range(0, len(whole), 397):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 3]) + whole[at + 1 :], whole[at : at + 64]):
            path.write_bytes(data)
            assert dict(evidence(root, tmp_path / "cache")) == expected
    path.unlink()
    path.mkdir()
    assert dict(evidence(root, tmp_path / "cache")) == expected


def test_what_the_system_would_not_let_be_read_is_not_kept(
    root: Path, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be readable at the next call, without having changed; content that is wrong stays wrong."""
    broken, denied, *_ = sorted(root.iterdir())
    (broken / "model.pt").write_bytes(b"no torch")
    really_open = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if path == str(denied / "config.json"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return really_open(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    for _ in range(2):
        found = evidence(root, tmp_path / "cache")
        assert [problem.what for problem in found[str(broken)].problems] == ["neither a zip archive nor a pickle"]
        assert [problem.what for problem in found[str(denied)].problems] == ["Permission denied"]
    assert reads[COUNT:] == [denied.name]


def test_nothing_is_written_among_checkpoints_or_where_nothing_can_be(root: Path, tmp_path: Path) -> None:
    """A cache folder below a root is not used; one that cannot be made is done without."""
    before = sorted(tmp_path.rglob("*"))
    evidence(root, root / "cache")
    evidence(tmp_path, tmp_path / "cache")
    evidence(root, min(root.iterdir()) / "config.json" / "cache")
    assert sorted(tmp_path.rglob("*")) == before


def test_commands_keep_their_cache_in_the_users_folder(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    reads: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The plan from the cache is the plan without it; --no-cache neither reads nor writes one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    folder = tmp_path / "xdg" / "ckpt-migrate" / "evidence"
    assert cache_folder() == str(folder)
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    before, plans, counts = project.snapshot(), set(), []
    for options in (["--no-cache"], [], []):
        assert not options or not folder.exists()
        reads.clear()
        assert run(["plan", "checkpoints", "--tracking-uri", "mlruns", "-o", "-", *options]) == 3
        plans.add(capsys.readouterr().out)
        assert run(["scan", "checkpoints", "--evidence", *options]) == 0
        plans.add(capsys.readouterr().out)
        counts.append(len(reads))
    assert len(plans) == 2
    assert counts[0] > counts[1] > counts[2] == 0
    assert folder.stat().st_mode & 0o777 == 0o700
    assert project.snapshot() == before


def test_a_cache_of_absurd_size_is_not_read(
    root: Path, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would fill the memory; the checkpoints are read again."""
    expected = dict(evidence(root, tmp_path / "cache"))
    monkeypatch.setattr(cache, "MAX_CACHE_BYTES", 10)
    reads.clear()
    assert dict(evidence(root, tmp_path / "cache")) == expected
    assert len(reads) == COUNT


def test_several_calls_at_once_leave_one_whole_file(root: Path, tmp_path: Path, reads: list[str]) -> None:
    """Each writes beside and replaces: the last one wins, and no reader meets half of it."""
    expected = dict(evidence(root, None))
    folder = tmp_path / "cache"
    with ThreadPoolExecutor(4) as executor:
        calls = [executor.submit(lambda: dict(evidence(root, folder))) for _ in range(40)]
    assert [call.result() for call in calls] == [expected] * 40
    reads.clear()
    assert dict(evidence(root, folder)) == expected
    assert reads == []
    assert [path.suffix for path in folder.iterdir()] == [".cache"]
