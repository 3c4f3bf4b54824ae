"""Find: from any id or name, old or new, to the directory and the run."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.history import load
from ckpt_migrate.naming import RUN_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run

FEWEST_DIGITS = 6
"""Digits from which the beginning of an id is looked up."""


@dataclass(frozen=True, slots=True)
class Renaming:
    """A rename that a log records as in force; absolute paths."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Place:
    """A checkpoint directory that was found.

    Attributes:
        path: Where it is now.
        former: Its names before migrations, newest first.
        run_id: The run that its name says, when the stores have it.
    """

    path: str
    former: tuple[str, ...]
    run_id: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """What one query led to; both empty when nothing was found."""

    query: str
    checkpoints: tuple[Place, ...]
    runs: tuple[Run, ...]


def renamings(log_paths: Iterable[str]) -> Iterator[Renaming]:
    """Yield the renames that logs record and that have not been rolled back."""
    for path in log_paths:
        for item in load(path).items.values():
            if item.source != item.target and item.is_applied:
                yield Renaming(item.source, item.target)


def find(
    queries: Sequence[str], checkpoints: Iterable[Checkpoint], runs: Sequence[Run], renamings: Iterable[Renaming]
) -> tuple[Found, ...]:
    """Look up run ids, made-up uuids, directory names or paths, and run names; beginnings of ids too.

    Args:
        queries: What is looked for.
        checkpoints: The directories as scanned.
        runs: All runs.
        renamings: Renames in force, from the logs.
    """
    former = _former_names(renamings)
    by_id = {run.run_id: run for run in runs}
    places = [
        Place(checkpoint.path, former.get(checkpoint.path, ()), checkpoint.uid if checkpoint.uid in by_id else None)
        for checkpoint in checkpoints
    ]
    return tuple(_find_one(query, places, runs, by_id) for query in queries)


def _find_one(query: str, places: Sequence[Place], runs: Sequence[Run], by_id: Mapping[str, Run]) -> Found:
    name = os.path.basename(query.rstrip("/"))
    hits = [place for place in places if any(_fits(name, os.path.basename(p)) for p in (place.path, *place.former))]
    found = {run.run_id for run in runs if name and (_fits(name, run.run_id) or run.name == name)}
    found |= {place.run_id for place in hits if place.run_id is not None}
    hits += [place for place in places if place.run_id in found and place not in hits]
    hits.sort(key=lambda place: place.path)
    return Found(query, tuple(hits), tuple(by_id[run_id] for run_id in sorted(found)))


def _fits(query: str, name: str) -> bool:
    """Say whether a query is a name, an id at its beginning, or enough of an id's first digits."""
    if query == name:
        return True
    is_id_start = FEWEST_DIGITS <= len(query) <= len("0" * 32) and RUN_ID.fullmatch(query.ljust(32, "0")) is not None
    return is_id_start and name.startswith(query)


def _former_names(renamings: Iterable[Renaming]) -> dict[str, tuple[str, ...]]:
    """Return the earlier paths of each present path, following chains of migrations back."""
    came_from: defaultdict[str, list[str]] = defaultdict(list)
    for renaming in renamings:
        came_from[renaming.new].append(renaming.old)
    out: dict[str, tuple[str, ...]] = {}
    for new in came_from:
        names: list[str] = []
        queue = list(came_from[new])
        while queue:
            old = queue.pop(0)
            if old not in names:
                names.append(old)
                queue += came_from.get(old, ())
        out[new] = tuple(names)
    return out
