"""`ckpt-migrate rollback`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from ckpt_migrate import api
from ckpt_migrate.cli import completion, options, output
from ckpt_migrate.cli.operations import print_operations
from ckpt_migrate.errors import EXIT_DONE, EXIT_UNDECIDED
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.plan.words import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.journal.logs import LogSummary
    from ckpt_migrate.rollback import RollbackResult


UNDONE = frozenset({LogState.EMPTY, LogState.ROLLED_BACK})


@click.command("rollback", short_help="Put back every name, byte and time stamp of an apply.")
@click.argument("log", metavar="LOG|latest", type=click.Path(readable=False), shell_complete=completion.logs)
@click.option(
    "--root",
    default=".",
    type=click.Path(readable=False),
    shell_complete=completion.folders,
    help="Where `latest` looks; default: here and below.",
)
@options.dry_run
@options.yes
@options.tracking_uri
@options.lock_timeout
@options.output_format
def command(
    *,
    log: str,
    root: str,
    tracking_uri: tuple[str, ...],
    is_dry_run: bool,
    yes: bool,
    lock_timeout: float,
    output_format: str,
) -> int:
    """Undo the apply that LOG records, from the log alone; safe to run twice, never clobbers.

    What cannot be put back (its old name is taken, it is gone, somebody edited it) is listed, the rest is put back,
    and the exit code is 3.

    \b
    Example:
      ckpt-migrate rollback latest --root checkpoints/phase2 --dry-run
      ckpt-migrate rollback latest --root checkpoints/phase2
    """
    path = api.find_log(log, root=root)
    if not is_dry_run and not output.confirm(f"Roll back {path}?", yes=yes):
        output.say("Nothing was changed.")
        return 1
    result = api.rollback(
        path,
        is_dry_run=is_dry_run,
        tracking_uri=tracking_uri,
        lock_timeout_s=lock_timeout,
        progress=output.bars(),
        on_wait=output.say,
    )
    # Somebody who asks for the latest apply and finds it undone may believe that all are.
    is_needless = result.is_complete and not result.operations
    others = api.logs(root) if is_needless and log == "latest" else ()
    older = tuple(other for other in others if other.state not in UNDONE)
    if output_format == "json":
        output.print_json({**output.plain(result), "in_force": [each.path for each in older]})
    else:
        _print(result)
        _print_older(older)
    return EXIT_UNDECIDED if older or not result.is_complete else EXIT_DONE


def _print_older(older: Sequence[LogSummary]) -> None:
    for log in older:
        output.tell(f"Still in force ({log.state.value}); to undo it, name it:")
        output.tell(f"  ckpt-migrate rollback {shlex.quote(log.path)}")


def _print(result: RollbackResult) -> None:
    if result.is_dry_run:
        print_operations(result.operations)
    left = (*result.missing, *result.occupied, *result.changed, *result.edited, *result.damage)
    output.echo_lines(f"! {line}" for line in left)
    counts = f"{len(result.restored):,} restored, {len(result.unchanged):,} were as before already, {len(left):,} left"
    counts += f"; {len(result.unedited):,} files and links have their old names back" if result.unedited else ""
    if result.untagged:
        counts += f"; the tags of {count(len(result.untagged), 'run')} are what they were"
    shown = shlex.quote(result.log)
    if result.is_dry_run:
        output.tell(f"Dry run: {counts}. Nothing was changed.\nDo it:\n  ckpt-migrate rollback {shown}")
    elif result.is_complete and not result.operations:
        output.tell(f"Nothing to do: all that this log records is undone already.\n  {result.log}")
        output.hint("Other applies: ckpt-migrate log")
    elif result.is_complete:
        output.tell(f"Everything is as it was before: {counts}.")
    else:
        output.tell(f"Not everything could be put back: {counts}.\nMend what is listed, then go on:")
        output.tell(f"  ckpt-migrate rollback {shown}")
