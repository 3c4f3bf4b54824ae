"""`python -m evaluation.real_truth PATH`: plans of real projects, held against what is known of their directories.

PATH is a folder or archive of projects, each with `data/` (the tree, stores inside), `truth.csv` (directory, run,
confidence: `proved`, `strong` or `no-run` count), `expected.json` (which stores there are) and `SIZES.tsv` (files too
large to be kept, with size and hash). Each project is planned on a copy: files that were left out are made anew where
they are small, equal hashes with equal bytes; all modification times are those of the copy, as after a `git clone`.

Every project is planned twice: as it is, and with all taken away by which a run could name a directory (params and
tags with paths, the place of its artifacts). What is undecided is no mistake; a wrong run is, and a run for a directory
that has none.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from worlds.real import unpack

from ckpt_migrate import api
from ckpt_migrate.naming import is_run_id
from ckpt_migrate.recipe import load_recipe, recipe_names
from evaluation.tables import aligned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt_migrate.plan.records import Entry

SCORED = ("proved", "strong")
LARGEST_REMADE_BYTES = 256 << 10
COPY_TIME_S = 1_790_000_000
"""When all files of a copy were written, seconds since 1970: long after every training."""
_HIDDEN_KEYS = re.compile(r"(?i).*(save_dir|output_dir|log_dir|root_dir|dirpath|checkpoint|artifact|project|^name$).*")
_OWN_RECIPE = """\
version: 1
name: own
description: Folders of these names.
action: link
names: {{legacy: {names}}}
evidence: {{weights: ["*"]}}
manifests: {{files: [{{name: MLFLOW_RUN_ID.txt, kind: file, template: "MLflow Run ID: $run_id\\n"}}]}}
"""


@dataclass(slots=True)
class Tally:
    """What became of a project's directories.

    Attributes:
        pairs: How many have a run.
        found: Of them, those whose run the plan singles out.
        held: Of those found, the ones held back because the run says RUNNING or is deleted.
        first: Of them, those undecided whose run is the first candidate.
        wrong: Directories whose plan names another run.
        without: How many have none.
        linked: Of them, those for which the plan names one.
    """

    pairs: int = 0
    found: int = 0
    held: int = 0
    first: int = 0
    wrong: list[str] = field(default_factory=list)
    without: int = 0
    linked: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print both tables to standard output; return 1 when anything is wrong, else 0."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m evaluation.real_truth", description=about)
    parser.add_argument("path", metavar="PATH", help="a folder or archive of projects")
    options = parser.parse_args(arguments)
    is_clean = True
    for is_hidden, title in ((False, "As they are"), (True, "Without what names a directory in a run")):
        found = measure(options.path, is_hidden=is_hidden)
        sys.stdout.write(f"{title}\n\n{_table(found)}\n")
        is_clean = is_clean and not any(tally.wrong or tally.linked for tally in found.values())
    return 0 if is_clean else 1


def measure(path: str, *, is_hidden: bool) -> dict[str, Tally]:
    """Return the tally of every project that has a truth, by its name.

    Args:
        path: A folder or archive of projects; never written to.
        is_hidden: Whether to take away by what a run could name a directory.
    """
    found = {}
    with TemporaryDirectory() as scratch:
        source = Path(path)
        if source.is_file():
            unpack(path, scratch)
            source = Path(scratch)
        for truth in sorted(source.rglob("truth.csv")):
            with TemporaryDirectory() as folder:
                found[truth.parent.name] = _measure_project(truth.parent, Path(folder), is_hidden=is_hidden)
    return found


def _measure_project(project: Path, folder: Path, *, is_hidden: bool) -> Tally:
    data = folder.resolve() / "data"
    shutil.copytree(project / "data", data)
    _remake(project / "SIZES.tsv", data)
    stores = _stores(project / "expected.json", data)
    if is_hidden:
        _hide(stores)
    for path in (data, *data.rglob("*")):
        os.utime(path, (COPY_TIME_S, COPY_TIME_S), follow_symlinks=False)
    with (project / "truth.csv").open(encoding="utf-8", newline="") as file:
        truth = {os.path.normpath(row["directory"]): row for row in csv.DictReader(file)}
    recipe = _recipe_for(truth, data, folder)
    entries = api.plan(data, tracking_uri=stores, migration=recipe).plan.entries
    return _compare(truth, {os.path.relpath(entry.checkpoint, data): entry for entry in entries})


def _remake(sizes: Path, data: Path) -> None:
    """Make the small files that were left out: bytes that follow from the hash, so that equal ones are equal."""
    with sizes.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    for path, size, blob in rows:
        target = data / path
        if blob and size and int(size) <= LARGEST_REMADE_BYTES and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            seed = hashlib.sha256(blob.encode()).digest()
            target.write_bytes((seed * (int(size) // len(seed) + 1))[: int(size)])


def _stores(expected: Path, data: Path) -> list[str]:
    known = json.loads(expected.read_text(encoding="utf-8"))
    databases = (f"sqlite:///{data / path}" for path in known.get("databases", {}))
    return [*(str(data / path) for path in known.get("file_stores", {})), *databases]


def _hide(stores: Iterable[str]) -> None:
    """Take away the params and tags of file stores that name directories, and where artifacts lie."""
    for store in stores:
        for meta in Path(store).rglob("meta.yaml") if os.path.isdir(store) else ():
            text = meta.read_text(encoding="utf-8")
            meta.write_text(re.sub(r"(?m)^artifact_uri:.*$", "artifact_uri: gone", text), encoding="utf-8")
            for kind in ("params", "tags"):
                for path in [path for path in meta.parent.glob(f"{kind}/**/*") if path.is_file()]:
                    if _HIDDEN_KEYS.fullmatch(path.name):
                        path.unlink()
            shutil.rmtree(meta.parent / "artifacts", ignore_errors=True)


def _recipe_for(truth: Iterable[str], data: Path, folder: Path) -> str:
    """Return the shipped recipe that takes most of the directories, or one that names them."""
    wanted = {str(data / path) for path in truth}
    taken: Counter[str] = Counter()
    for name in recipe_names():
        if load_recipe(name).is_link:
            found = api.scan(data, migration=name).checkpoints
            taken[name] = sum(checkpoint.path in wanted and checkpoint.name is not None for checkpoint in found)
    (best, count), *_ = taken.most_common(1)
    if count:
        return best
    own = folder / "own.yaml"
    names = sorted({os.path.basename(path) for path in wanted})
    own.write_text(_OWN_RECIPE.format(names=json.dumps(names)), encoding="utf-8")
    return str(own)


def _compare(truth: Mapping[str, Mapping[str, str]], entries: Mapping[str, Entry]) -> Tally:
    tally = Tally()
    for path, row in truth.items():
        entry = entries.get(path)
        run_id = None if entry is None else entry.run_id
        if row["confidence"] == "no-run":
            tally.without += 1
            if run_id is not None:
                tally.linked.append(f"{path} -> {run_id}")
        elif row["confidence"] in SCORED and is_run_id(row["run_id"]):
            tally.pairs += 1
            tally.found += run_id == row["run_id"]
            tally.held += entry is not None and run_id == row["run_id"] and entry.action.value == "skip"
            if run_id not in {None, row["run_id"]}:
                tally.wrong.append(f"{path} -> {run_id}, not {row['run_id']}")
            candidates = () if entry is None else entry.candidates
            tally.first += run_id is None and bool(candidates) and candidates[0].run_id == row["run_id"]
    return tally


def _table(found: Mapping[str, Tally]) -> str:
    header = ("project", "pairs", "found", "held back", "undecided, right run first", "wrong", "no run", "linked")
    rows = [
        (name, t.pairs, t.found, t.held, t.first, len(t.wrong), t.without, len(t.linked)) for name, t in found.items()
    ]
    sums = [sum(int(row[place]) for row in rows) for place in range(1, len(header))]
    lines = [[str(cell) for cell in row] for row in (header, *rows, ("all", *sums))]
    mistakes = [f"MISTAKE: {name}: {line}" for name, t in found.items() for line in (*t.wrong, *t.linked)]
    return "\n".join([aligned(lines), *mistakes, ""])


if __name__ == "__main__":
    sys.exit(main())
