# ruff: noqa: INP001 - a script, run by its path
"""How long it takes to match N directories with N runs, and how much memory, everything read before.

    python benchmarks/bench_matching.py --count 10000

Kinds: `spread` (one run after another, over months), `bursts` (sweeps of 200 runs launched within a minute),
`identical` (half of all runs have one and the same config), and `sixes` (sweeps of six launched within seconds: six
candidates a directory). Each kind is measured in a process of its own; peak memory is that process's largest resident
set, the directories and runs themselves included. Every tenth run is gone.

The CPU seconds of matching and deciding alone are counted apart: all pairs weighed, kinds of runs, resumes and siblings
counted, ghosts, bounds and verdicts. Not in them: references, clocks and candidates found, histories of metrics read
and compared, verdicts put in words.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.records import Evidence, Fact, FactKind
from ckpt_migrate.matching import link as linking
from ckpt_migrate.naming import DirectoryName
from ckpt_migrate.plan.records import Status
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import Checkpoint, FileStat, State
from ckpt_migrate.tracking.records import Mention, MetricPoint, Run, RunDetails

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ckpt_migrate.tracking.records import ArtifactFile, StoreWarning

KINDS = ("spread", "bursts", "identical", "sixes")
BEGIN_S = 1_735_700_000.0
BURST, BURST_S, PAUSE_S, SPREAD_S = 200, 60.0, 36_000.0, 1_200.0
SIX, SIX_S = 6, 5.0
CONSTANTS, KNOBS, EPOCHS = 30, 8, 5
GONE_SHARE = 0.1
ALONE = ("weigh_pairs", "count_kinds", "learn_resumes", "gather", "recount", "find_twins", "decide")
"""Functions of `link` that match and decide."""
ZONE = timezone(timedelta(hours=9))


class Store:
    """Runs in memory."""

    uri = "memory://bench"
    warnings: Sequence[StoreWarning] = ()

    def __init__(self, runs: Sequence[Run], details: Mapping[str, RunDetails], losses: Mapping[str, float]) -> None:
        self._runs, self._details, self._losses = runs, details, losses

    def runs(self) -> Sequence[Run]:
        """Return every run."""
        return self._runs

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        """Return the details of these runs."""
        return {run_id: self._details[run_id] for run_id in run_ids}

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[Mention]:
        """Yield the values in which the pattern is found: no run has any."""
        for run_id, details in self._details.items():
            for key, value in details.params.items():
                if pattern.search(value):
                    yield Mention(run_id, f"param {key}", value)

    def metric_histories(self, run_id: str) -> Mapping[str, Sequence[MetricPoint]]:
        """Return the losses of a run."""
        last = self._losses[run_id]
        return {"train_loss": [MetricPoint(last + EPOCHS - 1 - epoch, epoch, 0) for epoch in range(EPOCHS)]}

    def artifact_files(self, run_id: str) -> Sequence[ArtifactFile]:
        """Return nothing."""
        del run_id
        return ()

    def close(self) -> None:
        """Do nothing."""


def make(kind: str, count: int) -> tuple[list[Checkpoint], dict[str, Evidence], Store]:
    """Return directories, what readers found in them, and the store."""
    rng = random.Random(count)  # noqa: S311 - the same world every time
    checkpoints: list[Checkpoint] = []
    evidence: dict[str, Evidence] = {}
    runs: list[Run] = []
    details: dict[str, RunDetails] = {}
    losses: dict[str, float] = {}
    for number in range(count):
        burst, place = divmod(number, BURST)
        start_s = BEGIN_S + number * SPREAD_S
        if kind == "bursts":
            start_s = BEGIN_S + burst * PAUSE_S + rng.random() * BURST_S
        if kind == "sixes":
            start_s = BEGIN_S + number // SIX * SIX * SPREAD_S + rng.random() * SIX_S
        is_common = kind == "identical" and number % 2 == 0
        config: dict[str, int | float] = {f"model/constant_{key}": key for key in range(CONSTANTS)}
        config |= {f"training/knob_{key}": 0 if is_common else rng.randrange(6) for key in range(KNOBS)}
        config["training/seed"] = 0 if is_common else place
        end_s, loss = start_s + 600 + rng.random() * 7200, rng.random() * 3
        path = _add_checkpoint(rng, start_s + 1.5, end_s - 2.0, checkpoints)
        facts = [Fact(FactKind.PARAM, key, value, "config.json", "config") for key, value in config.items()]
        name = f"best-epoch={EPOCHS - 1:02d}-train_loss={loss:.4f}.ckpt"
        facts.append(Fact(FactKind.COUNT, "epoch", EPOCHS - 1, name, "file name"))
        facts.append(Fact(FactKind.METRIC, "train_loss", f"{loss:.4f}", name, "file name"))
        evidence[path] = Evidence(tuple(facts))
        if rng.random() >= GONE_SHARE:
            run_id = f"{rng.getrandbits(128):032x}"
            times = (int(start_s * 1000), int(end_s * 1000))
            runs.append(Run(run_id, "fun-fox-1", "1", "phase2", "FINISHED", False, *times, None, Store.uri))  # noqa: FBT003 - is_deleted
            logged = {key: str(value) for key, value in config.items()}
            details[run_id] = RunDetails(logged, {}, {"train_loss": MetricPoint(loss, EPOCHS - 1, 0)})
            losses[run_id] = loss
    runs.sort(key=lambda run: run.run_id)
    return checkpoints, evidence, Store(runs, details, losses)


def _add_checkpoint(rng: random.Random, made_s: float, written_s: float, checkpoints: list[Checkpoint]) -> str:
    local = datetime.fromtimestamp(int(made_s), ZONE).replace(tzinfo=None)
    uid, stamp = f"{rng.getrandbits(128):032x}", local.strftime("%Y%m%d_%H%M%S")
    path = f"/data/phase2/{uid}_{stamp}"
    file = FileStat("config.json", "file", 2_000, int(written_s * 1e9))
    name = DirectoryName(uid, stamp, local)
    checkpoints.append(Checkpoint(path, "/data/phase2", State.LEGACY, None, name, (file,), file.mtime_ns, stamp))
    return path


def watch(names: Sequence[str]) -> list[float]:
    """Return a list to which every call of these functions of `link` adds its CPU seconds."""
    spent: list[float] = []

    def timing(inner: Callable[..., object]) -> Callable[..., object]:
        def timed(*args: object, **options: object) -> object:
            began = time.process_time()
            found = inner(*args, **options)
            spent.append(time.process_time() - began)
            return found

        return timed

    for name in names:
        setattr(linking, name, timing(getattr(linking, name)))
    return spent


def main() -> int:
    """Measure every kind, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="directories, and as many trainings (default 10000)")
    parser.add_argument("--kind", choices=KINDS, help="measure this one in this process, print JSON")
    options = parser.parse_args()
    if options.kind is not None:
        checkpoints, evidence, store = make(options.kind, options.count)
        recipe = load_recipe()
        alone = watch(ALONE)
        began = time.perf_counter(), time.process_time()
        matching = linking.link(checkpoints, evidence, store, recipe)
        seconds, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
        matched = sum(verdict.status is Status.MATCHED for verdict in matching.verdicts)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures = {"seconds": seconds, "cpu_s": cpu_s, "alone_s": sum(alone), "matched": matched, "peak_mib": peak_mib}
        sys.stdout.write(json.dumps(figures) + "\n")
        return 0
    sys.stdout.write(f"{'kind':<10}  directories  matched  seconds  CPU seconds  alone  peak MiB\n")
    for kind in KINDS:
        call = [sys.executable, __file__, "--kind", kind, "--count", str(options.count)]
        found = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
        row = f"{kind:<10}  {options.count:>11,}  {found['matched']:>7,}  {found['seconds']:>7.1f}"
        row += f"  {found['cpu_s']:>11.1f}  {found['alone_s']:>5.1f}"
        sys.stdout.write(f"{row}  {found['peak_mib']:>8.0f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
