"""The page of a plan."""

from __future__ import annotations

import os
import shlex
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ckpt_migrate.plan.records import Action, Status
from ckpt_migrate.plan.words import choice_words, clock_words, count, found_words, summary_line, symbol
from ckpt_migrate.references.records import EditAction
from ckpt_migrate.report.changes import planned_changes
from ckpt_migrate.report.records import Case, Line, Page, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ckpt_migrate.plan.records import Candidate, Entry, Plan
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.review.doubts import Doubt

HELD_BACK = "held back"
"""What was found of a directory whose run is known, and that waits for a person all the same: the run is deleted."""


def plan_page(plan: Plan, recipe: Recipe, doubts: Sequence[Doubt]) -> Page:
    """Return what the page of a plan shows.

    Args:
        plan: As read.
        recipe: The plan's recipe, which tells the stamps in names.
        doubts: What speaks against a person's choices.
    """
    doubted: dict[str, list[str]] = {}
    for doubt in doubts:
        doubted.setdefault(doubt.checkpoint, []).append(doubt.what)
    facts = (
        ("Plan", plan.path or "(not in a file)"),
        ("Made", f"{plan.created} by {plan.tool}, recipe {plan.migration}"),
        ("Checkpoints", ", ".join(plan.roots)),
        ("Runs", ", ".join(plan.tracking_uri)),
        ("Clock", clock_words(plan.clock)),
        ("In short", summary_line(plan)),
    )
    return Page(
        title=f"Migration plan {os.path.basename(plan.path)}".rstrip(),
        facts=facts,
        zone=plan.clock.timezone,
        rows=tuple(_row(entry, recipe, tuple(doubted.get(entry.checkpoint, ()))) for entry in plan.entries),
        runs=plan.runs,
        starts=run_starts(plan),
        changes=planned_changes(plan),
        steps=tuple(_steps(plan, recipe)),
        manifests=tuple(manifest.name for manifest in recipe.manifests),
        command=_next(plan) if plan.path else "",
    )


def _steps(plan: Plan, recipe: Recipe) -> Iterator[str]:
    """Yield what apply will do, in its order."""
    touched = [entry for entry in plan.entries if entry.action is not Action.SKIP]
    renamed = [entry for entry in touched if entry.target not in {None, entry.checkpoint}]
    if renamed:
        yield f"Rename {_directories(len(renamed))}; each keeps its modification time."
    if touched:
        names = (f"a section of {one.name}" if one.is_section else one.name for one in recipe.manifests)
        yield f"Write {' and '.join(names)} into {_directories(len(touched))}."
    references = plan.references
    if references is not None and touched:
        edited = [one for one in references.files if one.action is EditAction.EDIT and not one.follows]
        if edited:
            yield f"Edit old names in {count(len(edited), 'file')} that hold them (links among these), listed below."
        if references.leave_links:
            yield "Leave a link at each old name."
        if references.tag_runs:
            yield "Tag the runs with where their checkpoints are."
    if len(touched) < len(plan.entries):
        yield f"Leave {_directories(len(plan.entries) - len(touched))} alone."
    if touched:
        yield "All of it is logged before it is done: a crash loses nothing, and rollback undoes it."


def _directories(number: int) -> str:
    return "1 directory" if number == 1 else f"{number:,} directories"


def _next(plan: Plan) -> str:
    """Return the command that goes on: nothing is applied before a person has looked at what is theirs to decide."""
    if any(entry.is_open for entry in plan.entries):
        return f"ckpt-migrate review {shlex.quote(plan.path)}"
    return f"ckpt-migrate apply {shlex.quote(plan.path)} --dry-run"


def run_starts(plan: Plan) -> Mapping[str, str]:
    """Return when the plan's runs began, in the zone of the stamps, ISO 8601 without a zone."""
    zone = timezone.utc if plan.clock.timezone is None else ZoneInfo(plan.clock.timezone)
    starts = {}
    for run_id, run in plan.runs.items():
        if run.start is not None:
            at = datetime.fromisoformat(run.start.replace("Z", "+00:00")).astimezone(zone)
            starts[run_id] = at.replace(tzinfo=None).isoformat()
    return starts


def _row(entry: Entry, recipe: Recipe, doubts: tuple[str, ...]) -> Row:
    parsed = recipe.parse(entry.checkpoint)
    target = None if entry.target is None else entry.target.rpartition("/")[2]
    proposal = entry.proposal
    other = proposal if proposal is not None and proposal.run_id not in {None, entry.run_id} else None
    return Row(
        path=entry.checkpoint,
        found=HELD_BACK if entry.status is Status.MATCHED and entry.is_open else found_words(entry),
        action=entry.action.value,
        symbol=symbol(entry),
        stamp=None if parsed is None or parsed.local_time is None else parsed.local_time.isoformat(),
        new_name=target if entry.action is Action.RENAME else None,
        case=None if entry.run_id is None else _case(entry.run_id, entry.confidence, entry.evidence),
        reason=choice_words(entry) or entry.reason or "",
        candidates=tuple(_candidate(one) for one in entry.candidates if one.run_id != entry.run_id),
        proposal=None if other is None else _case(other.run_id or "", other.confidence, other.evidence),
        doubts=doubts,
    )


def _candidate(candidate: Candidate) -> Case:
    return _case(candidate.run_id, candidate.confidence, candidate.evidence)


def _case(run_id: str, confidence: float | None, evidence: Sequence[str]) -> Case:
    return Case(run_id, confidence, tuple(Line.of(text) for text in evidence))
