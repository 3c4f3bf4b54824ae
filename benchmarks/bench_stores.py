# ruff: noqa: INP001 - a script, run by its path
"""How long it takes to read a whole store, by this package and by MlflowClient, paired in one run of this script.

    python benchmarks/bench_stores.py --runs 2000

Every figure is the wall time of a new process from its start to the last run read: imports, runs, params, tags and
last metrics of all runs. Peak memory is the largest resident set of that process or of one that it forked. The
readers take turns, so that both find the same file cache; the first round warms it and is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing

PARAMS = 30
METRICS = 8
POINTS = 20
START_MS = 1_760_000_000_000
READERS = ("ckpt-migrate", "MlflowClient")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

META = """\
artifact_uri: file://{folder}/1/{run_id}/artifacts
end_time: {end}
entry_point_name: ''
experiment_id: '1'
lifecycle_stage: active
run_id: {run_id}
run_name: bench-{number}
run_uuid: {run_id}
source_name: ''
source_type: 4
source_version: ''
start_time: {start}
status: 3
tags: []
user_id: bench
"""
EXPERIMENT = """\
artifact_location: file://{folder}/1
creation_time: 1760000000000
experiment_id: '1'
last_update_time: 1760000000000
lifecycle_stage: active
name: bench
"""


def say(line: str) -> None:
    """Write a line at once: a benchmark may take long."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def values_of(draw: random.Random, number: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return params and tags of a run, as training frameworks log them."""
    groups = ("", "model/", "training/")
    params = {f"{groups[i % 3]}width_{i}": str(draw.choice((64, 128, 256))) for i in range(PARAMS - 3)}
    params |= {"lr": str(draw.random() / 1000), "seed": str(number), "data": "/data/train/shard-0001.parquet"}
    tags = {
        "mlflow.runName": f"bench-{number}",
        "mlflow.user": "bench",
        "mlflow.source.name": "/home/bench/train.py",
        "mlflow.source.type": "LOCAL",
        "checkpoint_dir": f"checkpoints/phase2/{number:032x}_20260201_041227",
    }
    return params, tags


def write_file(path: str, text: str) -> None:
    """Write a text file and the folders it lies in."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_file_store(folder: str, runs: int) -> None:
    """Write a file store as MLflow lays it out."""
    draw = random.Random(7)  # noqa: S311 - the same store every time
    write_file(f"{folder}/1/meta.yaml", EXPERIMENT.format(folder=folder))
    os.makedirs(f"{folder}/.trash")
    for number in range(runs):
        run_id = uuid.UUID(int=draw.getrandbits(128)).hex
        path = f"{folder}/1/{run_id}"
        start = START_MS + number * 60_000
        meta = META.format(folder=folder, run_id=run_id, number=number, start=start, end=start + 50_000)
        write_file(f"{path}/meta.yaml", meta)
        os.makedirs(f"{path}/artifacts")
        params, tags = values_of(draw, number)
        for key, value in params.items():
            write_file(f"{path}/params/{key}", value)
        for key, value in tags.items():
            write_file(f"{path}/tags/{key}", value)
        for metric in range(METRICS):
            lines = (f"{start + step} {draw.random()} {step}\n" for step in range(POINTS))
            write_file(f"{path}/metrics/metric_{metric}", "".join(lines))


def make_database(path: str, runs: int) -> None:
    """Let MLflow make its newest schema, then fill the tables."""
    command = f"from mlflow.tracking import MlflowClient; MlflowClient('sqlite:///{path}').create_experiment('bench')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", command], check=True, capture_output=True)
    draw = random.Random(7)  # noqa: S311 - the same store every time
    with closing(sqlite3.connect(path)) as database, database:
        for number in range(runs):
            run_id = uuid.UUID(int=draw.getrandbits(128)).hex
            start = START_MS + number * 60_000
            row = (run_id, f"bench-{number}", "FINISHED", start, start + 50_000, f"mlruns/1/{run_id}/artifacts")
            database.execute(
                "INSERT INTO runs (run_uuid, name, status, start_time, end_time, artifact_uri, lifecycle_stage,"
                " experiment_id, source_type, user_id) VALUES (?, ?, ?, ?, ?, ?, 'active', 1, 'LOCAL', 'bench')",
                row,
            )
            for table, pairs in zip(("params", "tags"), values_of(draw, number), strict=True):
                insert = f"INSERT INTO {table} (run_uuid, key, value) VALUES (?, ?, ?)"  # noqa: S608 - two fixed names
                database.executemany(insert, ((run_id, *pair) for pair in pairs.items()))
            for metric in range(METRICS):
                points = [(f"metric_{metric}", draw.random(), start + s, run_id, s, 0) for s in range(POINTS)]
                insert = "(key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)"
                database.executemany(f"INSERT INTO metrics {insert}", points)
                database.execute(f"INSERT INTO latest_metrics {insert}", points[-1])


def read_with_package(uri: str) -> tuple[int, int]:
    """Return how many runs, and how many params, tags and metrics, this package reads."""
    from ckpt_migrate.tracking import open_stores  # noqa: PLC0415 - its import is part of what is measured

    store = open_stores([uri])
    runs = store.runs()
    details = store.details([run.run_id for run in runs])
    store.close()
    return len(runs), sum(len(d.params) + len(d.tags) + len(d.metrics) for d in details.values())


def read_with_mlflow(uri: str) -> tuple[int, int]:
    """Return how many runs, and how many params, tags and metrics, MlflowClient reads."""
    from mlflow.entities import ViewType  # noqa: PLC0415 - its import is part of what is measured
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - same

    client = MlflowClient(tracking_uri=uri)
    ids = [experiment.experiment_id for experiment in client.search_experiments(view_type=ViewType.ALL)]
    count = values = 0
    token = None
    while True:
        page = client.search_runs(ids, run_view_type=ViewType.ALL, max_results=50_000, page_token=token)
        count += len(page)
        values += sum(len(r.data.params) + len(r.data.tags) + len(r.data.metrics) for r in page)
        token = page.token
        if not token:
            return count, values


def measure(reader: str, uri: str) -> dict[str, float]:
    """Read a store in a new process; wall seconds, peak MiB, and what was read."""
    environment = dict(os.environ, MLFLOW_ALLOW_FILE_STORE="true", MLFLOW_DISABLE_TELEMETRY="true", PYTHONPATH=ROOT)
    command = [sys.executable, "-W", "ignore", os.path.abspath(__file__), "--read", reader, uri]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - start
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "seconds": seconds}


def compare(kind: str, uri: str, rounds: int) -> None:
    """Print one table row a reader, and how many times faster this package is."""
    measured: dict[str, list[dict[str, float]]] = {reader: [] for reader in READERS}
    for number in range(rounds + 1):
        for reader in READERS:
            found = measure(reader, uri)
            if number:
                measured[reader].append(found)
    what = {(found["runs"], found["values"]) for rows in measured.values() for found in rows}
    if len(what) != 1:
        sys.exit(f"the readers disagree about what is in {uri}: {sorted(what)}")
    medians = {}
    for reader, rows in measured.items():
        medians[reader] = statistics.median(row["seconds"] for row in rows)
        peak = max(row["peak_mib"] for row in rows)
        say(f"| {kind} | {reader} | {rows[0]['runs']:,.0f} | {medians[reader]:.2f} | {peak:.0f} |")
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(*measured.values(), strict=True)]
    say(f"| {kind} | times faster | | {statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f}) | |")


def main() -> None:
    """Make the stores, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="runs in each store (default 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds of both readers (default 3)")
    parser.add_argument("--kinds", nargs="+", choices=("files", "sqlite"), default=["files", "sqlite"])
    parser.add_argument("--read", nargs=2, metavar=("READER", "URI"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        reader, uri = arguments.read
        runs, values = (read_with_package if reader == READERS[0] else read_with_mlflow)(uri)
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
        say(json.dumps({"runs": runs, "values": values, "peak_mib": peak}))
        return
    shape = f"{PARAMS} params, {METRICS} metrics of {POINTS} points, 5 tags a run"
    say(f"{shape}; median of {arguments.rounds} rounds\n")
    say("| store | reader | runs | seconds | peak MiB |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="bench-stores-") as folder:
        if "files" in arguments.kinds:
            make_file_store(f"{folder}/mlruns", arguments.runs)
            compare("files", f"{folder}/mlruns", arguments.rounds)
        if "sqlite" in arguments.kinds:
            make_database(f"{folder}/mlflow.db", arguments.runs)
            compare("sqlite", f"sqlite:///{folder}/mlflow.db", arguments.rounds)


if __name__ == "__main__":
    main()
