"""`ckpt-migrate find`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckpt_migrate import api
from ckpt_migrate.cli import completion, options, output
from ckpt_migrate.errors import EXIT_UNDECIDED

if TYPE_CHECKING:
    from ckpt_migrate.find import Found


@click.command("find", short_help="Look up any id or name, old or new, of a directory or a run.")
@click.argument("queries", nargs=-1, required=True, metavar="ID...", shell_complete=completion.ids)
@click.option(
    "--root",
    "roots",
    multiple=True,
    required=True,
    type=click.Path(readable=False),
    shell_complete=completion.folders,
    help="Where checkpoints lie.",
)
@options.tracking_uri
@options.migration
@options.output_format
def command(
    queries: tuple[str, ...], roots: tuple[str, ...], tracking_uri: tuple[str, ...], migration: str, output_format: str
) -> int:
    """Look up run ids, old uuids, directory names and run names, and show both sides.

    Six digits of an id are enough; dashes and case do not matter.

    \b
    Example:
      ckpt-migrate find ac7c134d --root checkpoints --tracking-uri mlruns
    """
    problems: list[str] = []

    def warn(problem: str) -> None:
        problems.append(problem)
        output.say(f"Warning: {problem}")

    found = api.find(
        queries,
        roots,
        tracking_uri=tracking_uri,
        migration=migration,
        progress=output.bars(),
        on_problem=warn,
    )
    if output_format == "json":
        output.print_json(found)
    else:
        for one in found:
            _print(one)
    # A run alone is an answer only where every log was read: one that was not may say which directory is its.
    is_answered = all(one.checkpoints or (one.runs and not problems) for one in found)
    return 0 if is_answered else EXIT_UNDECIDED


def _print(found: Found) -> None:
    lines = [found.query]
    for place in found.checkpoints:
        lines.append(f"  checkpoint  {place.path}")
        lines += [f"              before a migration: {former.rpartition('/')[2]}" for former in place.former]
        if place.run_id is None and place.named_by:
            lines.append("              not named after a run yet; the run below says its id in its own name")
    for run in found.runs:
        deleted = ", DELETED" if run.is_deleted else ""
        lines.append(f"  run         {run.run_id}  {run.name}  ({run.experiment}, {run.status}{deleted})")
    if found.runs and not found.checkpoints:
        lines.append("  no checkpoint directory below the roots is named after it, or named by it")
    if not found.runs and not found.checkpoints:
        lines.append("  nothing of this name, neither a directory nor a run")
    if found.hint:
        lines.append(f"  {found.hint}")
    output.echo_lines(lines)
