"""`ckpt-migrate show`."""

from __future__ import annotations

import os
import shlex
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from ckpt_migrate import api
from ckpt_migrate.cli import completion, options, output
from ckpt_migrate.cli.references import FOLLOWS, reference_lines
from ckpt_migrate.cli.rows import print_rows
from ckpt_migrate.errors import UsageError
from ckpt_migrate.plan.fields import entry_record
from ckpt_migrate.plan.records import Action, Status
from ckpt_migrate.plan.words import (
    BY_HAND,
    SYMBOLS,
    choice_words,
    clock_words,
    found_words,
    settling_words,
    summary_line,
    symbol,
    taken_words,
    total_words,
)
from ckpt_migrate.references.records import EditAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt_migrate.plan.records import Entry, Plan
    from ckpt_migrate.references.records import References
    from ckpt_migrate.review.doubts import Doubt

MOST_LINES = 10
NEAR = 0.8
"""How alike a name must be to be taken for the one that was meant: six letters of seven."""
ORDER = "?!*~+-"
FOUND = (*(status.value for status in Status), BY_HAND)


@click.command("show", short_help="Show a plan as a table, or one checkpoint's whole case.")
@options.plan
@click.argument("checkpoint", required=False, shell_complete=completion.checkpoints)
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(FOUND), help="Only these; may be given several times."
)
@click.option(
    "--below", type=click.FloatRange(0, 1), metavar="CONFIDENCE", help="Only what is less sure, or has no run."
)
@click.option("--grep", "text", metavar="TEXT", help="Only what has this text in its names, its run or its reason.")
@options.output_format
def command(
    *,
    plan_path: str,
    checkpoint: str | None,
    statuses: tuple[str, ...],
    below: float | None,
    text: str | None,
    output_format: str,
) -> int:
    """Show PLAN as a table, what needs a person first; with CHECKPOINT (a name or its beginning) its whole case.

    \b
    Example:
      ckpt-migrate show plan.yaml
      ckpt-migrate show plan.yaml ac7c134d
      ckpt-migrate show plan.yaml --status ambiguous --status unmatched
      ckpt-migrate show plan.yaml --below 0.9995 --grep 20260312
    """
    plan = api.read(plan_path)
    entries = tuple(
        entry
        for entry in (plan.entries if checkpoint is None else _chosen(plan, checkpoint))
        if (not statuses or found_words(entry) in statuses)
        and (below is None or entry.confidence is None or entry.confidence < below)
        and (text is None or _mentions(plan, entry, text.lower()))
    )
    is_table = checkpoint is None and output_format == "text"
    doubts = () if is_table else api.doubts(plan, entries=entries)
    if output_format == "json":
        output.print_json(
            {
                "clock": plan.clock,
                "summary": plan.summary,
                "entries": [
                    {**entry_record(entry), "to_settle": settling_words(plan, entry) or None} for entry in entries
                ],
                "doubts": doubts,
            }
        )
    elif is_table:
        _print_table(plan, entries)
    else:
        for entry in entries:
            _print_case(plan, entry, doubts)
    return 0


def _chosen(plan: Plan, checkpoint: str) -> tuple[Entry, ...]:
    asked = checkpoint.rstrip("/")
    where = os.path.abspath(asked)
    found = tuple(
        entry
        for entry in plan.entries
        if asked and (asked in {entry.checkpoint, _below_root(entry)} or plan.absolute(entry.checkpoint) == where)
    )
    if not found:  # the beginning of a name will do, and a path that ends in one
        name = os.path.basename(asked)
        found = tuple(e for e in plan.entries if name and e.checkpoint.rpartition("/")[2].startswith(name))
        if "/" in asked:
            found = tuple(entry for entry in found if f"/{entry.checkpoint}".endswith(f"/{asked}")) or (
                found if len(found) == 1 else ()
            )
    if not found:
        remedy = (
            "Give a directory's name or its beginning. Directories that need nothing are in a plan made with --all."
        )
        if near := _near(plan, os.path.basename(asked)):
            remedy = f"Did you mean {near}? {remedy}"
        raise UsageError("the plan has no such checkpoint", where=checkpoint, remedy=remedy)
    return found


def _near(plan: Plan, asked: str) -> str | None:
    """Return the name whose beginning is most like what was asked for; None when none is."""
    names = {entry.checkpoint.rpartition("/")[2] for entry in plan.entries}
    beginnings = {name[: len(asked)]: name for name in sorted(names)}
    near = get_close_matches(asked, beginnings, n=1, cutoff=NEAR)
    return beginnings[near[0]] if near else None


def _mentions(plan: Plan, entry: Entry, text: str) -> bool:
    named = [entry.run_id or "", *(candidate.run_id for candidate in entry.candidates)]
    runs = [plan.runs[run_id] for run_id in named if run_id in plan.runs]
    words = [entry.checkpoint, entry.target, entry.run_id, entry.reason, choice_words(entry)]
    words += [word for run in runs for word in (run.run_id, run.name)]
    return any(text in word.lower() for word in words if word is not None)


def _below_root(entry: Entry) -> str:
    """Return the path below the root: enough to tell entries apart, as names alone are not in nested folders."""
    return entry.checkpoint.removeprefix(f"{entry.root}/")


def _print_table(plan: Plan, chosen: Sequence[Entry]) -> None:
    entries = sorted(chosen, key=lambda entry: (ORDER.index(symbol(entry)), entry.root, entry.checkpoint))
    rows = [
        (
            symbol(entry),
            found_words(entry),
            entry.action.value,
            _below_root(entry),
            "" if entry.confidence is None else f"{entry.confidence:.6f}",
            _run_or_reason(entry),
        )
        for entry in entries
    ]
    if rows:
        print_rows(("", "STATUS", "ACTION", "CHECKPOINT", "CONFIDENCE", "RUN OR REASON"), rows)
        used = {symbol(entry) for entry in entries}
        output.tell("\n" + ", ".join(f"{mark} {meaning}" for mark, meaning in SYMBOLS.items() if mark in used))
    if len(chosen) < len(plan.entries):
        output.tell(f"{len(chosen):,} of {len(plan.entries):,} entries are shown.")
    output.tell(clock_words(plan.clock))
    output.tell(summary_line(plan))
    if any(entry.is_open for entry in chosen):
        output.hint(f"Settle what is undecided:\n  ckpt-migrate review {shlex.quote(os.path.relpath(plan.path))}")
    if plan.references is not None:
        _print_references(plan.references)


def _print_references(references: References) -> None:
    for file in references.files:
        notes = "; ".join(note for note in (FOLLOWS if file.follows else None, file.note) if note)
        action = "later" if file.follows and file.action is EditAction.EDIT else file.action.value
        output.echo_lines(["", f"{action} {file.file}" + (f" ({notes})" if notes else "")])
        for line in file.lines[:MOST_LINES]:
            if line.before == line.after:
                output.echo_lines([f"  {line.line}: = {line.before}"])
            else:
                output.echo_lines([f"  {line.line}: - {line.before}", f"  {line.line}: + {line.after}"])
        if len(file.lines) > MOST_LINES:
            output.tell(f"  and {len(file.lines) - MOST_LINES:,} more lines, which the plan lists")
    output.tell()
    output.echo_lines(reference_lines(references))


def _run_or_reason(entry: Entry) -> str:
    if entry.proposal is not None:
        return choice_words(entry)
    return entry.reason or (f"run {entry.run_id}" if entry.run_id else "")


def _print_case(plan: Plan, entry: Entry, doubts: Iterable[Doubt]) -> None:
    proposal = entry.proposal
    told = choice_words(entry) if proposal is not None else entry.reason
    lines = [entry.checkpoint, f"  {found_words(entry)}, {entry.action.value}" + (f": {told}" if told else "")]
    lines += [f"  DOUBT: {doubt.what}" for doubt in doubts if doubt.checkpoint == entry.checkpoint]
    if entry.run_id is not None:
        lines += _run_lines(plan, entry.run_id, entry.confidence, entry.evidence)
        if proposal is not None and entry.run_id != proposal.run_id and entry.confidence is None:
            lines.append("    the planner did not weigh this run")
        would = "would become" if entry.action is Action.SKIP else "becomes"
        lines.append(f"  {would} {entry.target}")
    if proposal is not None and proposal.run_id not in {None, entry.run_id}:
        lines.append("  the planner had chosen")
        lines += _run_lines(plan, proposal.run_id or "", proposal.confidence, proposal.evidence)
    for candidate in (one for one in entry.candidates if proposal is None or one.run_id != entry.run_id):
        lines.append("  candidate")
        taken = taken_words(plan, entry, candidate.run_id)
        lines += [f"    {taken}"] if taken else []
        lines += _run_lines(plan, candidate.run_id, candidate.confidence, candidate.evidence)
    settling = settling_words(plan, entry)
    lines += [f"  to settle: {settling}"] if settling else []
    output.echo_lines([*lines, ""])


def _run_lines(plan: Plan, run_id: str, confidence: float | None, evidence: tuple[str, ...]) -> list[str]:
    run = plan.runs.get(run_id)
    head = f"  run {run_id}" + ("" if confidence is None else f", confidence {confidence:.6f}")
    lines = [head]
    if run is None:
        lines.append("    the planner had not listed this run; `ckpt-migrate apply PLAN --dry-run` looks it up")
    else:
        deleted = ", DELETED in MLflow" if run.is_deleted else ""
        lines.append(f"    {run.name or '(no name)'}, {run.experiment}, {run.status}{deleted}, started {run.start}")
    total = total_words(evidence)
    return lines + [f"    {line}" for line in (*evidence, total) if line]
