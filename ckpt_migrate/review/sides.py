"""Sides: a directory and the runs that may have made it, value beside value."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ckpt_migrate.evidence.reading import read_evidence
from ckpt_migrate.evidence.records import Evidence, FactKind
from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.matching.families.values import Value, comparable
from ckpt_migrate.records import Checkpoint, State
from ckpt_migrate.report.records import Line
from ckpt_migrate.scan.listing import list_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.plan.records import Entry, Plan
    from ckpt_migrate.recipe import Recipe


LEAST_BITS = 0.1
"""Bits by which weights must differ to be told apart: lines of evidence have one decimal."""
_UNITS_S = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))


@dataclass(frozen=True, slots=True)
class Side:
    """A key with its value in the directory and in each run, as written; empty where there is none.

    Attributes:
        key: What is compared: a param, the start, a kind of evidence.
        here: In the directory.
        there: In each run, in the order asked for.
        is_other: Of each run, whether its value differs from the directory's, formats aside.
        differs: Whether two of the values that are there differ, formats aside.
    """

    key: str
    here: str
    there: tuple[str, ...]
    is_other: tuple[bool, ...]
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
        here, *there = (params.get(key) for params in (config, *logged))
        present = [value for value in (here, *there) if value is not None]
        differs = any(not _agree(present[0], other) for other in present[1:])
        is_other = tuple(here is not None and value is not None and not _agree(here, value) for value in there)
        sides.append(Side(key, _written(here), tuple(map(_written, there)), is_other, differs))
    return tuple(sorted(sides, key=lambda side: (not side.differs, side.key)))


def start_side(plan: Plan, entry: Entry, run_ids: Sequence[str], recipe: Recipe) -> Side | None:
    """Return how far from the directory's stamp each run starts; None where the stamp or its zone is not known."""
    name = recipe.parse(plan.absolute(entry.checkpoint))
    if name is None or name.local_time is None or plan.clock.timezone is None:
        return None
    stamp = name.local_time.replace(tzinfo=ZoneInfo(plan.clock.timezone))
    there = []
    for run_id in run_ids:
        start = plan.runs[run_id].start if run_id in plan.runs else None
        away = None if start is None else datetime.fromisoformat(start.replace("Z", "+00:00")) - stamp
        there.append("" if away is None else _away(away.total_seconds()))
    differs = len({text for text in there if text}) > 1
    return Side("start", f"{name.local_time:%Y-%m-%d %H:%M:%S}", tuple(there), (False,) * len(there), differs)


def weight_sides(evidence: Sequence[Sequence[str]]) -> tuple[Side, ...]:
    """Return the kinds of evidence that weigh differently for two runs, the most telling first.

    Args:
        evidence: Of each run, its lines as the plan has them.
    """
    weights = [{line.family: line.bits for line in map(Line.of, lines) if line.family} for lines in evidence]
    apart = {}
    for family in {family for bits in weights for family in bits}:
        found = [bits.get(family, 0.0) for bits in weights]
        if max(found) - min(found) >= LEAST_BITS:
            apart[family] = found
    same = (False,) * len(evidence)
    return tuple(
        Side(f"bits, {family}", "", tuple(f"{bits:+.1f}" for bits in apart[family]), is_other=same, differs=True)
        for family in sorted(apart, key=lambda family: (min(apart[family]) - max(apart[family]), family))
    )


def _away(seconds: float) -> str:
    for size, unit in _UNITS_S:
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:+.1f} {unit}"
    return f"{seconds:+.0f} s"


def _written(value: Value | None) -> str:
    return "" if value is None else value.raw


def _agree(one: Value, other: Value) -> bool:
    return one.agrees(other) or other.agrees(one)
