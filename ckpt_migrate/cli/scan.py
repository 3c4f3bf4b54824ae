"""`ckpt-migrate scan`."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from ckpt_migrate import api
from ckpt_migrate.cli import options, output
from ckpt_migrate.errors import EXIT_UNDECIDED
from ckpt_migrate.records import State

if TYPE_CHECKING:
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.scan.walk import ScanResult

MEANING = {
    State.LEGACY: "named by the old training code",
    State.TARGET: "named after a run, by its own manifest",
    State.OTHER: "checkpoints of another name",
    State.LOOSE: "flat files of the oldest generation",
    State.LINK: "symbolic links, not followed",
    State.UNREADABLE: "could not be read",
}


@click.command("scan", short_help="Show what lies below the roots.")
@options.roots
@options.migration
@options.output_format
def command(roots: tuple[str, ...], migration: str, output_format: str) -> int:
    """Show every checkpoint directory below ROOT, with its state, size, times and evidence.

    Needs no MLflow store, writes nothing, follows no link.

    \b
    Example:
      ckpt-migrate scan checkpoints/phase2
    """
    result = api.scan(roots, migration=migration, progress=output.bars())
    if output_format == "json":
        output.print_json(_data(result))
    else:
        _print(result)
    for path, what in result.problems:
        output.say(f"Warning: {path}: {what}")
    unreadable = result.problems or any(c.state is State.UNREADABLE for c in result.checkpoints)
    return EXIT_UNDECIDED if unreadable else 0


def _data(result: ScanResult) -> dict[str, object]:
    return {
        "roots": result.roots,
        "summary": dict(Counter(c.state.value for c in result.checkpoints)),
        "checkpoints": [_row(checkpoint) for checkpoint in result.checkpoints],
        "problems": [{"path": path, "what": what} for path, what in result.problems],
    }


def _row(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "path": checkpoint.path,
        "root": checkpoint.root,
        "state": checkpoint.state,
        "reason": checkpoint.reason,
        "id": checkpoint.uid or None,
        "stamp": None if checkpoint.name is None else checkpoint.name.stamp,
        "size_bytes": checkpoint.size_bytes,
        "files": sum(1 for file in checkpoint.files if file.kind == "file"),
        "mtime_ns": checkpoint.mtime_ns,
        "newest_mtime_ns": max((file.mtime_ns for file in checkpoint.files), default=None),
        "evidence": checkpoint.evidence,
        "fingerprint": checkpoint.fingerprint,
    }


def _print(result: ScanResult) -> None:
    rows = []
    for checkpoint in result.checkpoints:
        newest = max((file.mtime_ns for file in checkpoint.files), default=checkpoint.mtime_ns)
        shown = checkpoint.path.removeprefix(checkpoint.root.rstrip("/") + "/")
        told = checkpoint.reason or ", ".join(checkpoint.evidence) or "nothing that tells its run"
        rows.append(
            (
                checkpoint.state.value,
                shown,
                str(sum(1 for file in checkpoint.files if file.kind == "file")),
                output.size(checkpoint.size_bytes),
                datetime.fromtimestamp(newest // 10**9, timezone.utc).strftime("%Y-%m-%d %H:%MZ"),
                told,
            )
        )
    if not rows:
        output.echo(f"No checkpoint directories below {', '.join(output.shown(root) for root in result.roots)}.")
        return
    output.print_rows(("STATE", "CHECKPOINT", "FILES", "SIZE", "NEWEST FILE", "EVIDENCE OR REASON"), rows)
    counts = Counter(checkpoint.state for checkpoint in result.checkpoints)
    output.echo()
    for state, meaning in MEANING.items():
        if counts[state]:
            output.echo(f"{counts[state]:7,}  {state.value:10}  {meaning}")
