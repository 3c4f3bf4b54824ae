# ruff: noqa: INP001 - a script, no package
"""Measure writing and loading a plan.

    python benchmarks/bench_load.py [ENTRIES]

Every entry is a rename with six lines of evidence and a run of its own with eight params, as plans of real stores are.
Time is that of the processor, seconds: machines are shared; memory is the peak of the process that loads, MiB.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time

from ckpt_migrate.plan.read import load_plan
from ckpt_migrate.plan.records import Action, Clock, Entry, Plan, RunFacts, Status
from ckpt_migrate.plan.write import render_plan
from ckpt_migrate.recipe import load_recipe

EVIDENCE = (
    "for 17.9 bits, time: the run started 3.1 s before the directory's stamp",
    "for 14.2 bits, params: learning_rate is 0.00031 in both, and in 4 of 100,000 other runs",
    "for 12.8 bits, mtime: its newest file was written 1.0 s after the run's end",
    "for 9.1 bits, metrics: train_loss=2.9476 in a file's name is the run's at step 1,200",
    "for 3.0 bits, params: 31 others agree",
    "against 0.4 bits, steps: the run logged 2 epochs more than the directory holds",
)
PARAMS = {f"model/layer_{number}/width": str(64 * number) for number in range(8)}


def main() -> None:
    """Write a plan, load it in a process of its own, print what that took."""
    if sys.argv[1:2] == ["load"]:
        start_s = time.process_time()
        load_plan(sys.argv[2], load_recipe, with_evidence=sys.argv[3] == "all")
        sys.stdout.write(f"{time.process_time() - start_s:.2f} {peak_mib():.0f}")
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "plan.yaml")
        plan = make_plan(count, folder)
        start_s = time.process_time()
        text = render_plan(plan)
        written_s = time.process_time() - start_s
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        size = f"{len(text) / 1e6:.0f} MB, {text.count(chr(10)):,} lines"
        sys.stdout.write(f"{count:,} entries ({size}): written in {written_s:.1f} s\n")
        for kept, what in (("all", "with all evidence"), ("edited", "for apply, without evidence")):
            command = [sys.executable, __file__, "load", path, kept]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            loaded_s, peak = done.stdout.split()
            sys.stdout.write(f"loaded {what} in {loaded_s} s with {peak} MiB\n")


def peak_mib() -> float:
    """Return the most memory that this process has held; `getrusage` counts what its parent held, too."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024


def make_plan(count: int, folder: str) -> Plan:
    """Return a plan of so many renames."""
    entries: list[Entry] = []
    runs: dict[str, RunFacts] = {}
    for number in range(count):
        old, run = (
            hashlib.md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest() for kind in ("old", "run")
        )
        runs[run] = RunFacts(
            run_id=run,
            name=f"merciful-ape-{number}",
            experiment="phase2_training_with_pretrained_aligner",
            experiment_id="1",
            status="FINISHED",
            is_deleted=False,
            start="2026-02-01T04:12:27Z",
            artifact_uri=f"/data/mlruns/1/{run}/artifacts",
            params=PARAMS,
            metrics={"train_loss": 2.9476, "val_loss": 3.0012},
        )
        entries.append(
            Entry(
                checkpoint=f"checkpoints/phase2/{old}_20260201_041227",
                root="checkpoints/phase2",
                status=Status.MATCHED,
                action=Action.RENAME,
                run_id=run,
                target=f"checkpoints/phase2/{run}_20260201_041227",
                confidence=0.99998,
                evidence=EVIDENCE,
                fingerprint=f"1:{number}:{old}",
            )
        )
    clock = Clock("Europe/Berlin", ("Europe/Paris",), "inferred", 2.1, 1.2, count, 40.0, is_decisive=True)
    summary = {
        "status": {"matched": count},
        "action": {"rename": count, "repair": 0, "skip": 0},
        "directories": {"legacy": count},
    }
    return Plan(
        created="2026-02-02T00:00:00Z",
        tool="ckpt-migrate bench",
        migration="phase2_run_id",
        recipe_digest=load_recipe().digest,
        tracking_uri=("mlruns",),
        roots=("checkpoints/phase2",),
        clock=clock,
        summary=summary,
        runs=runs,
        entries=tuple(entries),
        folder=folder,
    )


if __name__ == "__main__":
    main()
