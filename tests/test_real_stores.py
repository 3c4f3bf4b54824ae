"""The whole story on real stores of public projects: legacy directories are grown on copies of them.

What is real: the stores, with everything odd in them. What is grown: one legacy directory for most runs, as a training
in a given time zone would have left it. Some directories have no run at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import tarfile
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
import yaml

from ckpt_migrate.cli import run as ckpt_migrate
from ckpt_migrate.demo.snapshot import differences, take
from ckpt_migrate.tracking import open_stores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.tracking.records import Run, RunDetails

ARCHIVE = Path(__file__).parents[2] / "shared" / "realdata" / "stores.tar.gz"
ZONE = ZoneInfo("Asia/Tokyo")
STORES = {
    "10-academy-w-9__crypto-trading-backtesting/data/mlflow.db": 0.5,
    "10-academy-w-9__crypto-trading-backtesting/data/mlruns": 0.1,
    "DBRTII__Deep-NILM-benchmark/data/mlflow/mlruns": 0.5,
    "GroupAKainos__GroupA_ML/data/mlflow/mlruns.db": 0.3,
    "JortdeJong13__country-guess/data/mlruns": 0.5,
    "Klimorg__cracks_defect/data/mlruns": 0.5,
    "MadanManav__MLFlow_tutorial_with_hyperopt/data/mlruns.db": 0.0,
}
"""Stores, and the least share of distinguishable directories that must be renamed. It is low where the runs are two
to eight seconds apart with nearly equal params: there the lag of a stamp does not tell one from the next."""
ORPHANS = 5


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not ARCHIVE.exists():
        pytest.skip(f"the real stores are not here: {ARCHIVE}")
    folder = tmp_path_factory.mktemp("stores")
    with tarfile.open(ARCHIVE) as file:
        file.extractall(folder, filter="data")
    return folder / "for_devs"


@pytest.mark.parametrize("name", STORES, ids=lambda name: name.replace("/data/", ":"))
def test_no_directory_gets_a_wrong_run_and_everything_comes_back(
    name: str, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scan, plan, dry run, apply, verify and rollback do what they say on a real store, which stays as it is."""
    source = stores / name
    store = tmp_path / source.name
    shutil.copytree(source, store) if source.is_dir() else shutil.copy2(source, store)
    uri = f"sqlite:///{store}" if store.suffix == ".db" else str(store)
    truth, alike = grow(tmp_path / "checkpoints" / "phase2", uri, random.Random(name))  # noqa: S311 - a seeded world
    monkeypatch.chdir(tmp_path)
    before, store_before = take(str(tmp_path / "checkpoints")), fingerprint(store)
    root_time = os.stat("checkpoints/phase2").st_mtime_ns

    assert ckpt_migrate(["scan", "checkpoints/phase2"]) == 0
    assert ckpt_migrate(["plan", "checkpoints/phase2", "--tracking-uri", uri]) == 3
    entries = yaml.safe_load(Path("plan.yaml").read_text(encoding="utf-8"))["entries"]
    renamed = {os.path.basename(e["checkpoint"]): e["run_id"] for e in entries if e["action"] == "rename"}
    wrong = {old: run_id for old, run_id in renamed.items() if truth[old] != run_id and run_id not in alike[truth[old]]}
    assert not wrong
    clear = [old for old, run_id in truth.items() if run_id and not alike[run_id]]
    assert len([old for old in clear if old in renamed]) >= STORES[name] * len(clear)

    assert ckpt_migrate(["apply", "plan.yaml", "--dry-run"]) == 0
    assert not differences(before, take(str(tmp_path / "checkpoints")))
    assert ckpt_migrate(["apply", "plan.yaml", "--yes"]) == 0
    for old, run_id in renamed.items():
        assert os.path.isdir(f"checkpoints/phase2/{run_id}_{old[33:]}")
    capsys.readouterr()
    assert ckpt_migrate(["verify", "checkpoints/phase2", "--tracking-uri", uri, "--format", "json"]) == 3
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {os.path.basename(f["path"]) for f in findings if f["kind"] == "no-run"} == truth.keys() - renamed.keys()
    assert not [finding for finding in findings if finding["kind"] == "manifest"]
    assert os.stat("checkpoints/phase2").st_mtime_ns == root_time
    assert ckpt_migrate(["rollback", "latest", "--yes"]) == (0 if renamed else 2)
    assert not differences(before, take(str(tmp_path / "checkpoints")))
    assert os.stat("checkpoints/phase2").st_mtime_ns == root_time
    assert fingerprint(store) == store_before


def grow(root: Path, uri: str, rng: random.Random) -> tuple[dict[str, str | None], dict[str | None, set[str]]]:
    """Make legacy directories for the active runs of a store, and some orphans.

    Returns:
        The run of each directory's name, and of each run those that started in the same second with equal params.
    """
    store = open_stores([uri])
    runs = [run for run in store.runs() if run.start_utc_ms and run.end_utc_ms and not run.is_deleted]
    details = store.details([run.run_id for run in runs])
    store.close()
    truth: dict[str, str | None] = {}
    for run in runs:
        end_s = max(run.end_utc_ms or 0, run.start_utc_ms or 0) / 1000
        truth[
            make_directory(root, (run.start_utc_ms or 0) / 1000 + rng.uniform(0.4, 3), end_s, details[run.run_id], rng)
        ] = run.run_id
    first, last = min(run.start_utc_ms or 0 for run in runs) / 1000, max(run.start_utc_ms or 0 for run in runs) / 1000
    for _ in range(ORPHANS):
        start_s = rng.uniform(first - 86400, last + 86400)
        params = details[rng.choice(runs).run_id]
        truth[make_directory(root, start_s, start_s + rng.uniform(600, 6000), params, rng)] = None
    alike: dict[str | None, set[str]] = {None: set()}
    for run in runs:
        alike[run.run_id] = {other.run_id for other in runs if other is not run and are_alike(run, other, details)}
    return truth, alike


def are_alike(run: Run, other: Run, details: Mapping[str, RunDetails]) -> bool:
    """Say whether nobody could tell two runs' directories apart: launched together with equal params."""
    near = abs((run.start_utc_ms or 0) - (other.start_utc_ms or 0)) < 10_000
    return near and details[run.run_id].params == details[other.run_id].params


def make_directory(root: Path, start_s: float, end_s: float, logged: RunDetails, rng: random.Random) -> str:
    """Make a directory as the legacy training code did, and return its name."""
    stamp = datetime.fromtimestamp(start_s, timezone.utc).astimezone(ZONE).strftime("%Y%m%d_%H%M%S")
    name = f"{uuid.UUID(int=rng.getrandbits(128), version=4).hex}_{stamp}"
    directory = root / name
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(dict(logged.params)), encoding="utf-8")
    (directory / "model.pt").write_bytes(rng.randbytes(64))
    for path in (directory / "config.json", directory / "model.pt", directory):
        os.utime(path, (end_s, end_s - rng.uniform(1, 5)))
    return name


def fingerprint(store: Path) -> dict[str, tuple[int, int, str]]:
    """Return mode, modification time and bytes of everything in a store."""
    paths = [store, *store.rglob("*"), *store.parent.glob(f"{store.name}-*")]
    return {
        str(path): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in paths
    }
