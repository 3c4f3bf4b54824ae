"""`ckpt-migrate log`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from ckpt_migrate import api
from ckpt_migrate.cli import completion, options, output
from ckpt_migrate.cli.rows import print_rows
from ckpt_migrate.errors import EXIT_DONE, EXIT_UNDECIDED
from ckpt_migrate.journal.history import LogState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.journal.logs import LogSummary

OPEN_STATES = frozenset(
    {LogState.UNFINISHED, LogState.UNFINISHED_ROLLBACK, LogState.PARTLY_ROLLED_BACK, LogState.INCOMPLETE}
)
UNKNOWN_STATES = frozenset({LogState.UNREACHABLE, LogState.UNREADABLE})


@click.command("log", short_help="List past applies and the state each is in.")
@click.argument("root", default=".", type=click.Path(readable=False), shell_complete=completion.folders)
@options.output_format
def command(root: str, output_format: str) -> int:
    """List the applies at or below ROOT (default: here), oldest first, and the state that each is in.

    Exits with 3 when one is not finished, or cannot be read to its end.

    \b
    Example:
      ckpt-migrate log checkpoints/phase2
    """
    logs = api.logs(root)
    is_open = any(log.state in OPEN_STATES | UNKNOWN_STATES or not log.is_covered for log in logs)
    if output_format == "json":
        output.print_json(logs)
    elif logs:
        _print(logs)
    else:
        output.tell("No apply has been logged here.")
    return EXIT_UNDECIDED if is_open else EXIT_DONE


def _print(logs: Sequence[LogSummary]) -> None:
    print_rows(("STARTED (UTC)", "STATE", "RENAMED", "REPAIRED", "SKIPPED", "LOG"), [_row(log) for log in logs])
    for log in logs:
        for line in log.damage:
            output.say(f"Warning: {log.path}: {line}")
    for log in logs:
        if log.state in OPEN_STATES:
            output.tell(f"\n{log.id} is not finished. Undo it:\n  ckpt-migrate rollback {shlex.quote(log.path)}")
            if log.state is LogState.UNFINISHED and log.plan_path:
                output.tell(f"or go on:\n  ckpt-migrate apply {shlex.quote(log.plan_path)}")


def _row(log: LogSummary) -> tuple[str, ...]:
    started = "unknown" if log.started is None else log.started.strftime("%Y-%m-%d %H:%M:%S")
    return (started, log.state.value, f"{log.renamed:,}", f"{log.repaired:,}", f"{log.skipped:,}", log.path)
