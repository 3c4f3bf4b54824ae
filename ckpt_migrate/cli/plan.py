"""`ckpt-migrate plan`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from ckpt_migrate import api
from ckpt_migrate.cli import completion, options, output
from ckpt_migrate.cli.loudness import Loudness, current
from ckpt_migrate.cli.references import reference_lines, references_data
from ckpt_migrate.errors import EXIT_UNDECIDED
from ckpt_migrate.evidence import cache_folder
from ckpt_migrate.plan.fields import entry_record
from ckpt_migrate.plan.records import Action, Status
from ckpt_migrate.plan.words import clock_words, summary_line

if TYPE_CHECKING:
    from ckpt_migrate.planning import Planned

MOST_WARNINGS = 10
REFERENCES_HELP = (
    "Search this file or folder for mentions of old names, for apply to edit; may be given several times. "
    "The roots' checkpoint directories are then searched, too."
)


@click.command("plan", short_help="Match every checkpoint to its run and write the plan.")
@options.roots
@options.tracking_uri
@options.migration
@options.timezone
@click.option(
    "-o",
    "--output",
    "path",
    default="plan.yaml",
    show_default=True,
    shell_complete=completion.files,
    help="The plan's file; - prints it.",
)
@click.option("--overwrite", is_flag=True, help="Replace a plan that a person has edited.")
@click.option("--references", multiple=True, metavar="PATH", type=click.Path(readable=False), help=REFERENCES_HELP)
@click.option("--leave-links", is_flag=True, help="Have apply leave a link at each old name, to the new one.")
@click.option("--tag-runs", is_flag=True, help="Have apply tag the runs in MLflow with where their checkpoints are.")
@click.option("--all", "with_linked", is_flag=True, help="Give directories that need nothing an entry, too.")
@click.option("--with-deleted", is_flag=True, help="Rename to runs that are deleted in MLflow, too.")
@click.option("--audit", "with_audit", is_flag=True, help="Match again with evidence hidden and rivals added.")
@click.option(
    "--keep",
    metavar="PLAN",
    shell_complete=completion.plans,
    help="Take over a person's answers from an earlier plan, as certain.",
)
@options.cache
@options.output_format
def command(
    *,
    roots: tuple[str, ...],
    tracking_uri: tuple[str, ...],
    migration: str,
    timezone: str | None,
    path: str,
    output_format: str,
    overwrite: bool,
    with_linked: bool,
    with_deleted: bool,
    with_audit: bool,
    keep: str | None,
    references: tuple[str, ...],
    without_cache: bool,
    leave_links: bool,
    tag_runs: bool,
) -> int:
    """Match every checkpoint below ROOT to its MLflow run and write a plan for a person to review.

    Changes nothing but the plan's file. Exits with 3 when something is left for a person to decide, or
    when there is nothing to match.

    \b
    Example:
      ckpt-migrate plan checkpoints/phase2 --tracking-uri sqlite:///mlflow.db
    """
    planned = api.plan(
        roots,
        tracking_uri=tracking_uri,
        migration=migration,
        timezone=timezone,
        output=None if path == "-" else path,
        overwrite=overwrite,
        with_linked=with_linked,
        with_deleted=with_deleted,
        with_audit=with_audit,
        keep=keep,
        references=references,
        cache=None if without_cache else cache_folder(),
        leave_links=leave_links,
        tag_runs=tag_runs,
        progress=output.bars(),
    )
    plan = planned.plan
    if output_format == "json":
        output.print_json(_data(planned, path))
    elif path == "-":
        output.echo(planned.text, nl=False)
    _say_warnings(planned)
    if output_format == "text" and path != "-":
        _say_what_was_planned(planned, path)
    undecided = {Status.AMBIGUOUS, Status.UNMATCHED, Status.BUSY, Status.UNREADABLE}
    open_ones = any(
        e.proposal is None and (e.status in undecided or (e.status is Status.MATCHED and e.action is Action.SKIP))
        for e in plan.entries
    )
    is_empty = not any(plan.summary["status"].values())
    return EXIT_UNDECIDED if open_ones or is_empty or planned.problems else 0


def _data(planned: Planned, path: str) -> dict[str, object]:
    plan = planned.plan
    return {
        "path": None if path == "-" else path,
        "created": plan.created,
        "clock": plan.clock,
        "summary": plan.summary,
        "expected_wrong": planned.expected_wrong,
        "entries": [entry_record(entry) for entry in plan.entries],
        "warnings": planned.warnings,
        "notes": planned.notes,
        "audit": planned.audit,
        "problems": [{"path": where, "what": what} for where, what in planned.problems],
        "dangling_links": output.dangling_links(plan),
        "references": references_data(plan.references),
    }


def _say_warnings(planned: Planned) -> None:
    for warning in planned.warnings[:MOST_WARNINGS]:
        output.say(f"Warning: {warning.where}: {warning.what}")
    if len(planned.warnings) > MOST_WARNINGS:
        output.say(f"Warning: and {len(planned.warnings) - MOST_WARNINGS} more things in the store were passed over.")
    if planned.run_total == 0:
        output.say("Warning: the store has no runs, so no directory can be matched. Is it the right store?")
    for where, what in planned.problems:
        output.say(f"Warning: {where}: {what}")
    for note in planned.notes:
        output.say(f"Warning: {note}.")
    output.say_links(planned.plan)


def _say_what_was_planned(planned: Planned, path: str) -> None:
    plan = planned.plan
    output.tell(f"Runs: {planned.run_total:,} in {', '.join(plan.tracking_uri)}.")
    if any(plan.summary["status"].values()):
        output.tell(clock_words(plan.clock))
    output.tell(summary_line(plan))
    if plan.summary["action"]["rename"]:
        output.tell(f"Expected number of wrong renames in it: {planned.expected_wrong:.4f}.")
    output.echo_lines(() if plan.references is None else reference_lines(plan.references))
    for trial in () if planned.audit is None else planned.audit.trials:
        output.tell(
            f"Audit, {trial.name}: {trial.what}. Of {trial.directories:,} directories, {trial.found_again:,} were "
            f"matched to the same run, {trial.left_alone:,} left alone, {len(trial.hits)} given to another run."
        )
    if not plan.entries:
        output.tell(f"\nThe plan is in {path}; there is nothing to do.")
        return
    shown = shlex.quote(path)
    more = "" if current() is Loudness.QUIET else " Read it, edit it, then:"
    output.tell(f"\nThe plan is in {path}. Nothing has been changed.{more}")
    output.hint(f"  ckpt-migrate show {shown}")
    if any(entry.is_open for entry in plan.entries):
        output.hint(f"  ckpt-migrate review {shown}")
    output.hint(f"  ckpt-migrate apply {shown} --dry-run")
