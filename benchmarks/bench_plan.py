# ruff: noqa: INP001 - a script, run from the root of the repository
"""How long it takes to plan N directories against N runs, command to finished file, and how much memory.

    python -m benchmarks.bench_plan --count 10000 --store file

Builds a legacy project (one training every 20 minutes or so, but every eighth eight of them a sweep started within 16
seconds; each with 30 params, 8 metrics of 20 points and a directory with config and weights), a tenth of whose runs
are gone, and plans it in a new process. Beside it, in the same run, the least that any planner must do: list the
directories and read each config and each run's `meta.yaml` (of a database: every row of runs and params), on one core,
without comparing anything. Peak memory is that of the largest process. Renames are held against the truth; a wrong one
ends the script with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone

import yaml

from benchmarks.bench_stores import EXPERIMENT, META

BEGIN_S = 1_735_700_000
SPACING_S = 1_200
METRICS, POINTS, CONSTANTS, KNOBS = 8, 20, 20, 9
SWEEP = 8
GONE_SHARE = 0.1
ZONE = timezone(timedelta(hours=9))
EPOCHS = 5


def write_file(path: str, text: str) -> None:
    """Write a text file and the folders it lies in."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_training(folder: str, number: int, store: str, database: sqlite3.Connection | None) -> tuple[str, str]:
    """Write one directory and, unless it is gone, its run; return the directory's name and the run's id."""
    draw = random.Random(number)  # noqa: S311 - the same project every time
    first = number // SWEEP * SWEEP
    if first % (SWEEP * SWEEP) == 0:
        start_s = BEGIN_S + first * SPACING_S + number % SWEEP * 2
    else:
        start_s = BEGIN_S + int((number + draw.random()) * SPACING_S)
    end_s, loss = start_s + 300 + draw.random() * 800, draw.random() * 3
    config: dict[str, object] = {f"model/constant_{key}": key for key in range(CONSTANTS)}
    config |= {f"training/knob_{key}": draw.randrange(6) for key in range(KNOBS)} | {"seed": number % SWEEP}
    stamp = datetime.fromtimestamp(start_s + 1.5, ZONE).strftime("%Y%m%d_%H%M%S")
    name = f"{draw.getrandbits(128):032x}_{stamp}"
    written = (end_s - 2, end_s - 2)
    path = f"{folder}/checkpoints/phase2/{name}"
    write_file(f"{path}/config.json", json.dumps(config))
    weights = f"{path}/best-epoch={EPOCHS - 1:02d}-metric_0={loss:.4f}.ckpt"
    write_file(weights, "")
    for file in (f"{path}/config.json", weights, path):
        os.utime(file, written)
    run_id = f"{draw.getrandbits(128):032x}"
    if draw.random() < GONE_SHARE:
        return name, ""
    times = (start_s * 1000, int(end_s * 1000))
    params = {key: str(value) for key, value in config.items()}
    points = [
        [(loss + POINTS - 1 - step if metric == 0 else draw.random()) for step in range(POINTS)]
        for metric in range(METRICS)
    ]
    if database is None:
        add_to_files(f"{store}/1/{run_id}", number, times, params, points)
    else:
        add_to_database(database, (run_id, number), times, params, points)
    return name, run_id


def add_to_files(
    run: str, number: int, times: tuple[int, int], params: dict[str, str], points: list[list[float]]
) -> None:
    """Write a run as MLflow's file store lays it out."""
    folder, run_id = os.path.dirname(os.path.dirname(run)), os.path.basename(run)
    write_file(
        f"{run}/meta.yaml", META.format(folder=folder, run_id=run_id, number=number, start=times[0], end=times[1])
    )
    write_file(f"{run}/tags/mlflow.runName", f"bench-{number}")
    for key, value in params.items():
        write_file(f"{run}/params/{key}", value)
    for metric, values in enumerate(points):
        lines = (f"{times[0] + step} {value} {step}\n" for step, value in enumerate(values))
        write_file(f"{run}/metrics/metric_{metric}", "".join(lines))


def add_to_database(
    database: sqlite3.Connection,
    run: tuple[str, int],
    times: tuple[int, int],
    params: dict[str, str],
    points: list[list[float]],
) -> None:
    """Insert a run, given by id and number, into MLflow's tables."""
    run_id, number = run
    database.execute(
        "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, experiment_id, source_type,"
        " user_id) VALUES (?, ?, 'FINISHED', ?, ?, 'active', 1, 'LOCAL', 'bench')",
        (run_id, f"bench-{number}", *times),
    )
    insert = "INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)"
    database.executemany(insert, ((run_id, *pair) for pair in params.items()))
    columns = "(key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)"
    for metric, values in enumerate(points):
        rows = [(f"metric_{metric}", value, times[0] + s, run_id, s, 0) for s, value in enumerate(values)]
        database.executemany(f"INSERT INTO metrics {columns}", rows)
        database.execute(f"INSERT INTO latest_metrics {columns}", rows[-1])


def make_project(folder: str, count: int, kind: str) -> dict[str, str]:
    """Write a project; return the run id of each directory, empty where the run is gone."""
    if kind == "file":
        store = f"{folder}/mlruns"
        write_file(f"{store}/1/meta.yaml", EXPERIMENT.format(folder=store))
        return dict(make_training(folder, number, store, None) for number in range(count))
    path = f"{folder}/mlflow.db"
    command = f"from mlflow.tracking import MlflowClient; MlflowClient('sqlite:///{path}').create_experiment('bench')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", command], check=True, capture_output=True)
    with closing(sqlite3.connect(path)) as database, database:
        return dict(make_training(folder, number, path, database) for number in range(count))


def least(folder: str, kind: str) -> float:
    """Return the seconds that listing and reading take that no planner can do without."""
    began = time.perf_counter()
    for entry in os.scandir(f"{folder}/checkpoints/phase2"):
        for file in os.scandir(entry.path):
            file.stat()
        with open(f"{entry.path}/config.json", encoding="utf-8") as text:
            json.load(text)
    if kind == "file":
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        for run in os.scandir(f"{folder}/mlruns/1"):
            if run.is_dir():
                with open(f"{run.path}/meta.yaml", encoding="utf-8") as text:
                    yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    else:
        with closing(sqlite3.connect(f"{folder}/mlflow.db")) as database:
            for table in ("runs", "params"):
                database.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - two fixed names
    return time.perf_counter() - began


def planned(folder: str, kind: str) -> tuple[float, float, dict[str, str]]:
    """Return wall and CPU seconds of a plan, and the run of each renamed directory."""
    uri = f"{folder}/mlruns" if kind == "file" else f"sqlite:///{folder}/mlflow.db"
    command = [sys.executable, "-m", "ckpt_migrate", "plan", "checkpoints/phase2", "--tracking-uri", uri]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([*command, "-o", "plan.yaml"], cwd=folder, check=False, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    renames: dict[str, str] = {}
    name = ""
    with open(f"{folder}/plan.yaml", encoding="utf-8") as text:
        for line in text:  # the file is known; a YAML reader would take longer than the planner
            if line.startswith("- checkpoint: "):
                name = line.strip().rpartition("/")[2]
            elif line.startswith("  target: "):
                renames[name] = line.strip().rpartition("/")[2][:32]
            elif line.startswith("  action: skip"):
                renames[name] = ""
    return seconds, cpu_s, {name: run_id for name, run_id in renames.items() if run_id}


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, action="append", help="directories (default 10000; may be repeated)")
    parser.add_argument("--store", choices=("file", "sqlite"), default="file")
    parser.add_argument("--folder", help="where the projects are built (default: a temporary folder)")
    options = parser.parse_args()
    rows = [("directories", "store", "seconds", "CPU s", "least s", "times least", "peak MiB", "renamed", "wrong")]
    any_wrong = False
    for count in options.count or [10_000]:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            truth = make_project(folder, count, options.store)
            least_s = min(least(folder, options.store), least(folder, options.store))
            seconds, cpu_s, renames = planned(folder, options.store)
            peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        wrong = sum(truth[name] != run_id for name, run_id in renames.items())
        any_wrong |= wrong > 0
        figures = (f"{seconds:.1f}", f"{cpu_s:.1f}", f"{least_s:.1f}", f"{seconds / least_s:.1f}", f"{peak_mib:.0f}")
        rows.append((f"{count:,}", options.store, *figures, f"{len(renames):,}", str(wrong)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        sys.stdout.write("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + "\n")
    return int(any_wrong)


if __name__ == "__main__":
    sys.exit(main())
