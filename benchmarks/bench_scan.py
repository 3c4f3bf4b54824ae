# ruff: noqa: INP001 - a script, no package
"""Time a scan with all evidence against the least that any tool must do: list, stat, and read each config.

    python benchmarks/bench_scan.py --directories 10000

builds a tree of the Phase 2 layout in a temporary folder (a config of 40 values, two checkpoints of 100 MB that are
sparse but for what Lightning writes before the tensors, a final model), then times both, in turns, on a warm cache.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import random
import resource
import sys
import tempfile
import time
import zipfile
from typing import TYPE_CHECKING

from ckpt_migrate.evidence import read_all
from ckpt_migrate.evidence.cache import FRESH_S
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.scan.walk import scan_roots

if TYPE_CHECKING:
    from collections.abc import Callable

CKPT_BYTES = 100 * 10**6
ROUNDS = 3


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


def archive(content: object) -> bytes:
    """Return a zip archive as torch lays it out, without its tensors."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("archive/data.pkl", pickle.dumps(content, 2))
        packed.writestr("archive/version", "3\n")
    return out.getvalue()


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
    weights = {f"layers.{i}.weight": (i, "storage", 4096) for i in range(20)}
    model = archive({"model_state_dict": weights, "config": config, "run_id": name})
    with open(os.path.join(root, name, "model.pt"), "wb") as out:
        out.write(model)
    head = archive({"epoch": 0, "global_step": 800, "state_dict": weights, "hyper_parameters": config})
    for ckpt in (f"best-epoch=00-train_loss={2 + seed / 10000:.4f}.ckpt", "last.ckpt"):
        with open(os.path.join(inner, ckpt), "wb") as out:
            out.write(b"" if is_empty else head)
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


def best_of(action: Callable[[], object]) -> float:
    """Return the shortest of some runs, seconds of the processor: the cache is warm, and other load does not count."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Build the tree, time both, print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directories", type=int, default=10_000)
    parser.add_argument("--folder", help="where the temporary tree is made; default: the system's")
    parser.add_argument("--empty", action="store_true", help="checkpoints of zeros, without Lightning's part")
    options = parser.parse_args()
    recipe = load_recipe()
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        for seed in range(options.directories):
            make_directory(root, seed, is_empty=options.empty)
        facts = sum(len(found.facts) for found in read_all(scan_roots([root], recipe).checkpoints, recipe).values())
        bytes_only = best_of(lambda: read_configs(root))
        least = best_of(lambda: walk_and_parse(root))
        scan = best_of(lambda: scan_roots([root], recipe))
        whole = best_of(lambda: read_all(scan_roots([root], recipe).checkpoints, recipe))
        first_mib = peak_mib()
        time.sleep(FRESH_S)
        with tempfile.TemporaryDirectory() as folder:
            read_all(scan_roots([root], recipe).checkpoints, recipe, cache=folder)
            again = best_of(lambda: read_all(scan_roots([root], recipe).checkpoints, recipe, cache=folder))
            asked = best_of(
                lambda: list(read_all(scan_roots([root], recipe).checkpoints, recipe, cache=folder).values())
            )
    lines = (
        f"{options.directories:,} directories, {facts:,} facts; processor time, best of {ROUNDS}",
        f"os.scandir of the root, bytes of each config.json  {bytes_only:8.3f} s",
        f"os.scandir and stat of all, config.json parsed     {least:8.3f} s",
        f"scan                                               {scan:8.3f} s {scan / least:6.1f} x",
        f"scan and all evidence                              {whole:8.3f} s {whole / least:6.1f} x",
        f"again, from the cache                              {again:8.3f} s {again / least:6.1f} x",
        f"again, and every directory's evidence asked for    {asked:8.3f} s {asked / least:6.1f} x",
        f"most memory so far: without the cache              {first_mib:8.0f} MiB",
        f"most memory so far: with it                        {peak_mib():8.0f} MiB",
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
