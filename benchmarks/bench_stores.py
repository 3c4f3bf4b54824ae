# ruff: noqa: INP001 - a script, run by its path
"""How long it takes to read a store, by this package and by MlflowClient, in turn in one run of this script.

    python benchmarks/bench_stores.py --runs 10000
    python benchmarks/bench_stores.py --runs 10000 --times 10

Every figure is the wall time of a new process from its start to the last run read, imports included. `for planning`
reads what a plan needs: all runs, their params and tags, the texts that mention a directory, and of each run the last
value of one metric; `all` reads the last values of all metrics. MlflowClient has one way, which reads all. Peak memory
is the largest resident set of that process or of one that it forked. The readers take turns, so that all find the same
file cache; the first round warms it and is not counted.

With `--times N` a store of N times the runs is read too, by this package alone, to see that time and memory grow no
faster than the runs. Both stores are then made with hard links where values repeat and have metrics of one point:
four million inodes would not stay in the cache, and it is not the disk that is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARAMS = 30
METRICS = 8
POINTS = 20
START_MS = 1_760_000_000_000
MOST_LINKS = 50_000  # ext4 takes 65,000 to one file
ONE_METRIC = "metric_0"
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


class Tree:
    """Writes small files; with `is_linked` one that repeats is a hard link to the first."""

    def __init__(self, *, is_linked: bool) -> None:
        self._is_linked = is_linked
        self._first: dict[str, tuple[str, int]] = {}

    def write(self, path: str, text: str) -> None:
        """Write a file into a folder that exists."""
        first, links = self._first.get(text, ("", MOST_LINKS))
        if links < MOST_LINKS:
            os.link(first, path)
            self._first[text] = (first, links + 1)
            return
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(file, text.encode())
        os.close(file)
        if self._is_linked:
            self._first[text] = (path, 1)


def make_file_store(folder: str, runs: int, points: int, *, is_linked: bool = False) -> None:
    """Write a file store as MLflow lays it out."""
    draw = random.Random(7)  # noqa: S311 - the same store every time
    tree = Tree(is_linked=is_linked)
    os.makedirs(f"{folder}/1")
    os.mkdir(f"{folder}/.trash")
    tree.write(f"{folder}/1/meta.yaml", EXPERIMENT.format(folder=folder))
    for number in range(runs):
        run_id = uuid.UUID(int=draw.getrandbits(128)).hex
        path = f"{folder}/1/{run_id}"
        for name in ("", "/artifacts", "/params", "/params/model", "/params/training", "/tags", "/metrics"):
            os.mkdir(path + name)
        start = START_MS + number * 60_000
        meta = META.format(folder=folder, run_id=run_id, number=number, start=start, end=start + 50_000)
        tree.write(f"{path}/meta.yaml", meta)
        for kind, pairs in zip(("params", "tags"), values_of(draw, number), strict=True):
            for key, value in pairs.items():
                tree.write(f"{path}/{kind}/{key}", value)
        for metric in range(METRICS):
            first = START_MS if is_linked else start
            level = draw.randrange(500) if is_linked else draw.random()
            lines = (f"{first + step} {level + step} {step}\n" for step in range(points))
            tree.write(f"{path}/metrics/metric_{metric}", "".join(lines))


def make_database(path: str, runs: int, points: int) -> None:
    """Let MLflow make its newest schema, then fill the tables."""
    command = f"from mlflow.tracking import MlflowClient; MlflowClient('sqlite:///{path}').create_experiment('bench')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", command], check=True, capture_output=True)
    draw = random.Random(7)  # noqa: S311 - the same store every time
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA synchronous=OFF")
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
                rows = [(f"metric_{metric}", draw.random(), start + s, run_id, s, 0) for s in range(points)]
                insert = "(key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)"
                database.executemany(f"INSERT INTO metrics {insert}", rows)
                database.execute(f"INSERT INTO latest_metrics {insert}", rows[-1])


def read_for_planning(uri: str) -> tuple[int, int]:
    """Return how many runs this package reads, and how many params, tags and last values of the one metric."""
    from ckpt_migrate.tracking import open_stores  # noqa: PLC0415 - its import is part of what is measured

    store = open_stores([uri])
    runs = store.runs()
    mentions = sum(1 for _ in store.mentions(re.compile("(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")))
    details = store.details([run.run_id for run in runs])
    count = sum(len(d.params) + len(d.tags) + (ONE_METRIC in d.metrics) for d in details.values())
    store.close()
    if mentions != len(runs):  # each run has one tag that names a directory
        sys.exit(f"{mentions} mentions of directories in {len(runs)} runs")
    return len(runs), count


def read_all(uri: str) -> tuple[int, int]:
    """Return how many runs, and how many params, tags and metrics, this package reads."""
    from ckpt_migrate.tracking import open_stores  # noqa: PLC0415 - its import is part of what is measured

    store = open_stores([uri])
    runs = store.runs()
    details = store.details([run.run_id for run in runs])
    count = sum(len(d.params) + len(d.tags) + len(d.metrics) for d in details.values())
    store.close()
    return len(runs), count


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


READERS = {
    "ckpt-migrate, for planning": read_for_planning,
    "ckpt-migrate, all": read_all,
    "MlflowClient, all": read_with_mlflow,
}


def peak_kib() -> int:
    """Return the largest resident set so far, of this process or of one that it forked."""
    forked = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with open("/proc/self/status", encoding="ascii") as file:  # getrusage counts what the parent had before exec, too
        own = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return max(own, forked)


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
    """Print one table row a reader, and how many times faster this package is than MlflowClient, round by round."""
    ours, everything, mlflow = alternate([(f"{kind} | {reader}", reader, uri) for reader in READERS], rounds)
    if {row["values"] for row in everything} != {row["values"] for row in mlflow}:
        sys.exit(f"the readers disagree about what is in {uri}")
    for reader, rows in zip(READERS, (ours, everything), strict=False):
        say(f"| {kind} | {reader}: times faster | | {ratio(mlflow, rows)} | |")


def ratio(longer: Sequence[Mapping[str, float]], shorter: Sequence[Mapping[str, float]]) -> str:
    """Return the median ratio of two cases' times, round by round, and the range that it lies in."""
    ratios = [one["seconds"] / other["seconds"] for one, other in zip(longer, shorter, strict=True)]
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})"


def scale(kind: str, uris: Sequence[str], times: int, rounds: int) -> None:
    """Print one table row a size, and how many times longer the larger takes."""
    cases = [(f"{kind} | {reader}", reader, uri) for uri in uris for reader in list(READERS)[:1]]
    smaller, larger = alternate(cases, rounds)
    say(f"| {kind} | times longer, of {times} times the runs | | {ratio(larger, smaller)} | |")


def alternate(cases: Sequence[tuple[str, str, str]], rounds: int) -> list[list[dict[str, float]]]:
    """Measure cases in turn, print a table row for each; return what was measured, by case and round.

    Args:
        cases: Label, reader and URI.
        rounds: How many are counted; one more comes first.
    """
    measured: list[list[dict[str, float]]] = [[] for _ in cases]
    for number in range(rounds + 1):
        for (_, reader, uri), rows in zip(cases, measured, strict=True):
            found = measure(reader, uri)
            if number:
                rows.append(found)
    for (label, _, _), rows in zip(cases, measured, strict=True):
        seconds = statistics.median(row["seconds"] for row in rows)
        peak = max(row["peak_mib"] for row in rows)
        say(f"| {label} | {rows[0]['runs']:,.0f} | {seconds:.2f} | {peak:.0f} |")
    return measured


def make(kind: str, path: str, runs: int, *, is_scaled: bool) -> str:
    """Make a store; return its URI."""
    points = 1 if is_scaled else POINTS
    if kind == "files":
        make_file_store(path, runs, points, is_linked=is_scaled)
        return path
    make_database(path, runs, points)
    return f"sqlite:///{path}"


def main() -> None:
    """Make the stores, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="runs in each store (default 2000)")
    parser.add_argument("--times", type=int, default=1, help="read a store of so many times the runs, too")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds of both readers (default 3)")
    parser.add_argument("--kinds", nargs="+", choices=("files", "sqlite"), default=["files", "sqlite"])
    parser.add_argument("--read", nargs=2, metavar=("READER", "URI"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        reader, uri = arguments.read
        runs, values = READERS[reader](uri)
        say(json.dumps({"runs": runs, "values": values, "peak_mib": peak_kib() / 1024}))
        return
    shape = f"{PARAMS} params, {METRICS} metrics of {POINTS} points, 5 tags a run"
    say(f"{shape}; median of {arguments.rounds} rounds\n")
    say("| store | reader | runs | seconds | peak MiB |\n| --- | --- | --- | --- | --- |")
    for kind in arguments.kinds:
        with tempfile.TemporaryDirectory(prefix="bench-stores-") as folder:
            if arguments.times == 1:
                compare(kind, make(kind, f"{folder}/store", arguments.runs, is_scaled=False), arguments.rounds)
                continue
            uris = [
                make(kind, f"{folder}/store-{times}", times * arguments.runs, is_scaled=True)
                for times in (1, arguments.times)
            ]
            scale(kind, uris, arguments.times, arguments.rounds)


if __name__ == "__main__":
    main()
