# ruff: noqa: INP001 - a script, no package
"""Time a scan with all evidence against the least that any tool must do: list, stat, and read each config.

    PYTHONPATH=.:tests python benchmarks/bench_scan.py --directories 10000

builds a tree of the Phase 2 layout in a temporary folder (a config of 40 values, two checkpoints of 100 MB that are
sparse but for what Lightning writes before the tensors, a final model), then times both, in turns, on a warm cache.
Each round times all of them one after the other, so that other load on the machine meets all alike; the factors are
medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from evidence.torch_format import lightning, tensor, zip_file

from ckpt_migrate.evidence import read_all
from ckpt_migrate.evidence.cache import FRESH_S
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.scan.walk import scan_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt_migrate.evidence.records import Evidence

CKPT_BYTES = 100 * 10**6
ROUNDS = 5
TENSORS = 20


def make_config(seed: int) -> dict[str, object]:
    """Return a training config of 40 values."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    return {
        "learning_rate": rng.choice([1e-4, 2e-4, 3e-4]),
        "batch_size": rng.choice([16, 32]),
        "seed": seed,
        "model": {f"option_{i}": rng.randint(0, 9) for i in range(17)},
        "data": {f"path_{i}": f"data/part-{i}/{seed}" for i in range(10)},
        "trainer": {f"flag_{i}": bool(i % 2) for i in range(10)},
    }


def make_directory(root: str, seed: int, *, is_empty: bool) -> None:
    """Write one checkpoint directory of the Phase 2 layout; `is_empty` leaves the checkpoints' bytes zero."""
    name = (
        f"{random.Random(seed).getrandbits(128):032x}_20260201_{seed // 3600 % 24:02}{seed // 60 % 60:02}{seed % 60:02}"  # noqa: S311 - reproducible, not secret
    )
    inner = os.path.join(root, name, "lightning_checkpoints")
    os.makedirs(inner)
    config = make_config(seed)
    with open(os.path.join(root, name, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
    weights = OrderedDict((f"layers.{i}.weight", tensor(str(i), 4096)) for i in range(TENSORS))
    with open(os.path.join(root, name, "model.pt"), "wb") as out:
        out.write(zip_file({"model_state_dict": weights, "config": config, "run_id": name}))
    for epoch, ckpt in ((0, f"best-epoch=00-train_loss={2 + seed / 10000:.4f}.ckpt"), (9, "last.ckpt")):
        content = lightning(config, epoch=epoch, global_step=80 * (epoch + 1), state_dict=weights)
        with open(os.path.join(inner, ckpt), "wb") as out:
            out.write(b"" if is_empty else zip_file(content))
            out.truncate(CKPT_BYTES)


def read_configs(root: str) -> int:
    """List the root, and read each config's bytes."""
    total = 0
    with os.scandir(root) as entries:
        for entry in entries:
            with open(os.path.join(entry.path, "config.json"), "rb") as file:
                total += len(file.read())
    return total


def walk_and_parse(folder: str) -> int:
    """List the whole tree with the size and time of each file, and parse each config: what a scan cannot do without."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            total += entry.stat(follow_symlinks=False).st_size
            if entry.is_dir(follow_symlinks=False):
                total += walk_and_parse(entry.path)
            elif entry.name == "config.json":
                with open(entry.path, "rb") as file:
                    total += len(json.load(file))
    return total


def peak_mib() -> float:
    """Return the most memory that this process has had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)


def seconds(action: Callable[[], object]) -> float:
    """Return how long the processor works on an action, seconds."""
    start = time.process_time()
    action()
    return time.process_time() - start


def take_turns(actions: dict[str, Callable[[], object]], least: str) -> list[str]:
    """Time actions in rounds; return a line for each with its median time, and how many times one of them it takes."""
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(ROUNDS):
        for name, action in actions.items():
            taken[name].append(seconds(action))
    return [
        f"{name:50} {statistics.median(times):8.3f} s "
        f"{statistics.median(one / base for one, base in zip(times, taken[least], strict=True)):6.1f} x"
        for name, times in taken.items()
    ]


def main() -> None:
    """Build the tree, time both, print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directories", type=int, default=10_000)
    parser.add_argument("--folder", help="where the temporary tree is made; default: the system's")
    parser.add_argument("--empty", action="store_true", help="checkpoints of zeros, without Lightning's part")
    options = parser.parse_args()
    recipe = load_recipe()
    with tempfile.TemporaryDirectory(dir=options.folder) as root, tempfile.TemporaryDirectory() as cache:
        for seed in range(options.directories):
            make_directory(root, seed, is_empty=options.empty)

        def whole(kept: str | None = None) -> Mapping[str, Evidence]:
            return read_all(scan_roots([root], recipe).checkpoints, recipe, cache=kept)

        whole()
        first_mib = peak_mib()
        time.sleep(FRESH_S)
        whole(cache)
        cached_mib = peak_mib()
        least = "os.scandir and stat of all, config.json parsed"
        lines = take_turns(
            {
                "os.scandir of the root, bytes of each config.json": lambda: read_configs(root),
                least: lambda: walk_and_parse(root),
                "scan": lambda: scan_roots([root], recipe),
                "scan and all evidence": whole,
                "again, from the cache": lambda: whole(cache),
                "again, and every directory's evidence asked for": lambda: list(whole(cache).values()),
            },
            least,
        )
        facts = sum(len(found.facts) for found in whole(cache).values())
    head = f"{options.directories:,} directories, {facts:,} facts; processor time, medians of {ROUNDS}"
    lines += [
        f"most memory: scan and all evidence                 {first_mib:8.0f} MiB",
        f"most memory: the same, and the cache written       {cached_mib:8.0f} MiB",
        f"most memory: with every fact asked for at once     {peak_mib():8.0f} MiB",
    ]
    sys.stdout.write("\n".join([head, *lines]) + "\n")


if __name__ == "__main__":
    main()
