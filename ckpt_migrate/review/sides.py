"""Sides: a directory and the runs that may have made it, value beside value."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.reading import read_evidence
from ckpt_migrate.evidence.records import Evidence, FactKind
from ckpt_migrate.matching.families.compare import Value, comparable
from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.records import Checkpoint, State
from ckpt_migrate.scan.listing import list_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.families.compare import Params
    from ckpt_migrate.plan.records import Entry, Plan
    from ckpt_migrate.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Side:
    """A key with its value in the directory and in each run, as written; empty where there is none.

    Attributes:
        key: The param.
        here: In the directory.
        there: In each run, in the order asked for.
        differs: Whether two of the values that are there differ, formats aside.
    """

    key: str
    here: str
    there: tuple[str, ...]
    differs: bool


def as_found(plan: Plan, entry: Entry, recipe: Recipe) -> Checkpoint | None:
    """Return an entry's directory as it is now; None when it cannot be listed."""
    path = plan.absolute(entry.checkpoint)
    try:
        files, status = list_directory(path).files, os.lstat(path)
    except OSError:
        return None
    return Checkpoint(
        path=path,
        root=plan.absolute(entry.root),
        state=State.LEGACY,
        reason=None,
        name=recipe.parse(path),
        files=files,
        mtime_ns=status.st_mtime_ns,
        fingerprint="",
    )


def config_of(evidence: Evidence, recipe: Recipe) -> Params:
    """Return the params that a directory tells, without those that say nothing about identity."""
    ignored = KeyPatterns(recipe.ignored_params)
    return comparable([(fact.key, fact.value) for fact in evidence.facts if fact.kind is FactKind.PARAM], ignored)


def side_by_side(plan: Plan, entry: Entry, run_ids: Sequence[str], recipe: Recipe) -> tuple[Side, ...]:
    """Return the params that the plan has of runs beside those of the directory, differing ones first."""
    checkpoint = as_found(plan, entry, recipe)
    config = config_of(Evidence() if checkpoint is None else read_evidence(checkpoint, recipe), recipe)
    ignored = KeyPatterns(recipe.ignored_params)
    logged = [comparable(plan.runs[run_id].params if run_id in plan.runs else {}, ignored) for run_id in run_ids]
    sides = []
    for key in sorted({key for params in logged for key in params}):
        values = [params.get(key) for params in (config, *logged)]
        present = [value for value in values if value is not None]
        differs = any(not _agree(present[0], other) for other in present[1:])
        here, *there = ("" if value is None else value.raw for value in values)
        sides.append(Side(key, here, tuple(there), differs))
    return tuple(sorted(sides, key=lambda side: (not side.differs, side.key)))


def _agree(one: Value, other: Value) -> bool:
    return one.agrees(other) or other.agrees(one)
