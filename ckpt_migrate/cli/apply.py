"""`ckpt-migrate apply`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from ckpt_migrate import api
from ckpt_migrate.cli import options, output
from ckpt_migrate.cli.choices import choices, say_choices
from ckpt_migrate.cli.operations import print_operations
from ckpt_migrate.cli.references import remaining_line, say_remaining
from ckpt_migrate.errors import EXIT_FAILED, EXIT_UNDECIDED
from ckpt_migrate.plan.records import Action
from ckpt_migrate.plan.words import summary_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.apply.carry_out import ApplyResult
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.references.recheck import Remaining


@click.command("apply", short_help="Do what a plan says; continue an apply that was cut short.")
@options.plan
@options.dry_run
@options.yes
@options.tracking_uri
@options.lock_timeout
@options.output_format
def command(
    plan_path: str,
    tracking_uri: tuple[str, ...],
    lock_timeout: float,
    output_format: str,
    *,
    is_dry_run: bool,
    yes: bool,
) -> int:
    """Rename and repair what PLAN says, after checking everything first; or refuse and change nothing.

    Every change is logged before it is made. An apply that was cut short is continued by the same command.

    \b
    Example:
      ckpt-migrate apply plan.yaml --dry-run
      ckpt-migrate apply plan.yaml
    """
    plan, recipe = api.load(plan_path, tracking_uri=tracking_uri, with_evidence=False)
    doubts = api.doubts(plan, recipe, progress=output.bars())
    say_choices(plan, doubts)
    output.say_links(plan)
    is_needless = all(entry.action is Action.SKIP for entry in plan.entries)
    if not is_dry_run and not is_needless and not output.confirm(f"{summary_line(plan)} Do it?", yes=yes):
        output.say("Nothing was changed.")
        return EXIT_FAILED
    result = api.apply_loaded(
        plan,
        recipe,
        is_dry_run=is_dry_run,
        tracking_uri=tracking_uri,
        lock_timeout_s=lock_timeout,
        progress=output.bars(),
        on_wait=output.say,
    )
    remaining = () if is_dry_run else api.recheck(plan, recipe, progress=output.bars())
    say_remaining(remaining)
    code = 0 if all(each.is_on_purpose for each in remaining) else EXIT_UNDECIDED
    if output_format == "json":
        by_hand = choices(plan, doubts)
        output.print_json(
            {
                **output.plain(result),
                "chosen_by_person": by_hand,
                "dangling_links": output.dangling_links(plan),
                "remaining_mentions": remaining,
            }
        )
        return code
    by_person = sum(entry.is_chosen and entry.action is Action.RENAME for entry in plan.entries)
    counts = _counts(result, by_person)
    if is_dry_run:
        print_operations(result.operations)
        output.tell(f"Dry run: {counts}. Nothing was changed.")
        output.hint(f"Do it:\n  ckpt-migrate apply {shlex.quote(plan_path)}")
    else:
        _print_done(plan, result, remaining, counts)
    return code


def _print_done(plan: Plan, result: ApplyResult, remaining: Sequence[Remaining], counts: str) -> None:
    output.tell(f"Done{' (continued)' if result.was_continued else ''}: {counts}.")
    if result.log is not None:
        if plan.references is not None and plan.references.paths:
            output.tell(remaining_line(remaining))
        output.tell(f"Undo it:\n  ckpt-migrate rollback {shlex.quote(result.log)}")


def _counts(result: ApplyResult, chosen: int) -> str:
    by_hand = f" ({chosen:,} to a run that a person chose)" if chosen else ""
    edited = f", {result.edited:,} files and links edited" if result.edited else ""
    return f"{result.renamed:,} renamed{by_hand}, {result.repaired:,} repaired, {result.skipped:,} skipped{edited}"
