"""Paths: where a run says by a path, not by an id, which directory is its own.

Frameworks name folders `train2` or `2026-02-01/04-12-27`, and runs log them as `save_dir`, as another machine saw them:
compared are the last parts. Such a name is weaker than an id: `train2` may have been deleted and made anew.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.tracking.uri import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run, RunStore

FEWEST_PARTS = 2
"""Parts of a path that must agree: `train2` alone stands in any project, `detect/train2` in one of a kind."""
_PATH = re.compile(r"[/\\]")


def named_paths(
    checkpoints: Sequence[Checkpoint], store: RunStore, recipe: Recipe
) -> Iterator[tuple[str, str, str, str]]:
    """Yield checkpoint's path, run, place in words, and text, where a run names a directory by the end of its path.

    Of directories whose ends are alike, the one that agrees with the text in most parts is meant; where several do,
    none is.

    Args:
        checkpoints: Directories whose names a framework made.
        store: The runs; their params, tags and artifacts' places are looked at.
        recipe: Which keys name a run's own directory.
    """
    ends: defaultdict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for checkpoint in checkpoints:
        parts = _parts(checkpoint.path)
        ends[parts[-_end_length(checkpoint) :]].append(parts)
    lengths = sorted({len(end) for end in ends}, reverse=True)
    for run_id, place, text in _texts(store, recipe):
        parts = _parts(text)
        for length in lengths:
            found = _find(parts, ends, length)
            if found is not None:
                yield "/".join(found), run_id, place, text
                break


def held_runs(checkpoints: Iterable[Checkpoint], store: RunStore) -> Iterator[tuple[str, str, str]]:
    """Yield checkpoint's path, run, and the store's path, of all runs whose store lies in a checkpoint's directory.

    A framework that enters the output folder before the training starts has MLflow make its `mlruns` there. A run that
    says that its artifacts lie in a store in another directory was copied here with that directory.
    """
    by_path = {os.path.abspath(checkpoint.path): checkpoint.path for checkpoint in checkpoints}
    holders: dict[str, str | None] = {}
    for run in store.runs():
        if run.store not in holders:
            local = local_path(run.store)
            above = Path(os.path.abspath(local)).parents if local is not None else ()
            holders[run.store] = next((by_path[str(each)] for each in above if str(each) in by_path), None)
        holder = holders[run.store]
        if holder is not None and not _is_from_elsewhere(run, holder):
            yield holder, run.run_id, run.store


def _is_from_elsewhere(run: Run, holder: str) -> bool:
    """Say whether a run's artifacts lie, as it says, in a store of the same name in a directory of another name."""
    folder = os.path.relpath(local_path(run.store) or "", holder).split(os.sep)[0]
    parts = _parts(run.artifact_uri or "")
    above = [parts[i - 1] for i in range(1, len(parts)) if parts[i] == folder]
    return bool(above) and os.path.basename(os.path.abspath(holder)) not in above


def _end_length(checkpoint: Checkpoint) -> int:
    depth = 1 if checkpoint.name is None else checkpoint.name.depth
    return max(depth, FEWEST_PARTS)


def _parts(path: str) -> tuple[str, ...]:
    parts = tuple(part for part in _PATH.split(path) if part not in {".", ""})
    return ("", *parts) if path.startswith("/") else parts


def _find(
    parts: Sequence[str], ends: dict[tuple[str, ...], list[tuple[str, ...]]], length: int
) -> tuple[str, ...] | None:
    """Return the one directory whose end of this length stands in a path, or None."""
    for stop in range(len(parts), length - 1, -1):
        directories = ends.get(tuple(parts[stop - length : stop]))
        if directories:
            agreeing = sorted(((_common(one, parts[:stop]), one) for one in directories), reverse=True)
            is_clear = len(agreeing) == 1 or agreeing[0][0] > agreeing[1][0]
            return agreeing[0][1] if is_clear else None
    return None


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many parts two paths have in common at their ends."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count


def _texts(store: RunStore, recipe: Recipe) -> Iterable[tuple[str, str, str]]:
    """Yield run, place in words, and text, of all in which a run may name its own directory."""
    own = {"tag": KeyPatterns(recipe.reference_tags), "param": KeyPatterns(recipe.reference_params)}
    other_run = KeyPatterns(recipe.other_run_keys)
    for mention in store.mentions(_PATH):
        kind, _, key = mention.place.partition(" ")
        if kind in own and own[kind].matches(key) and not other_run.matches(key):
            yield mention.run_id, f"the run's {mention.place}", mention.text
    for run in store.runs():
        if run.artifact_uri is not None:
            yield run.run_id, "the place of the run's artifacts", run.artifact_uri
