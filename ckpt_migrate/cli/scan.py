"""`ckpt-migrate scan`."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from itertools import groupby
from typing import TYPE_CHECKING

import click

from ckpt_migrate import api
from ckpt_migrate.cli import options, output
from ckpt_migrate.cli.rows import print_rows
from ckpt_migrate.errors import EXIT_UNDECIDED
from ckpt_migrate.evidence import cache_folder
from ckpt_migrate.evidence.records import Evidence
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.evidence.records import Scalar
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.scan.walk import ScanResult

LONGEST_VALUE = 100
"""Characters of a value that are printed for people; JSON has all of it."""
MEANING = {
    State.LEGACY: "named by the old training code",
    State.TARGET: "named after a run, by its own manifest",
    State.OTHER: "checkpoints of another name",
    State.LOOSE: "flat files of the oldest generation",
    State.LINK: "symbolic links, not followed",
    State.UNREADABLE: "could not be read",
}


LINKED_MEANING = {
    **MEANING,
    State.LEGACY: "named by a framework, and nothing in them names a run",
    State.TARGET: "linked to a run by their own manifest",
}
"""The same where a recipe leaves names as they are."""


@click.command("scan", short_help="Show what lies below the roots.")
@options.roots
@options.migration
@click.option("--evidence", "with_evidence", is_flag=True, help="Also read the files, and show what each one tells.")
@options.cache
@options.output_format
def command(
    roots: tuple[str, ...], migration: str, output_format: str, *, with_evidence: bool, without_cache: bool
) -> int:
    """Show every checkpoint directory below ROOT, with its state, size, times and evidence.

    Needs no MLflow store, writes nothing, follows no link.

    \b
    Examples:
      ckpt-migrate scan checkpoints/phase2
      ckpt-migrate scan checkpoints/phase2 --evidence
    """
    result = api.scan(roots, migration=migration, progress=output.bars())
    evidence = None
    if with_evidence:
        cache = None if without_cache else cache_folder()
        evidence = api.evidence(result, migration=migration, cache=cache, progress=output.bars())
    if output_format == "json":
        output.print_json(_data(result, evidence))
    else:
        _print(result, LINKED_MEANING if load_recipe(migration).is_link else MEANING)
        for checkpoint in result.checkpoints:
            _print_evidence(checkpoint, Evidence() if evidence is None else evidence[checkpoint.path])
    for path, what in result.problems:
        output.say(f"Warning: {path}: {what}")
    unreadable = result.problems or any(c.state is State.UNREADABLE for c in result.checkpoints)
    return EXIT_UNDECIDED if unreadable else 0


def _data(result: ScanResult, evidence: Mapping[str, Evidence] | None) -> dict[str, object]:
    return {
        "roots": result.roots,
        "summary": dict(Counter(c.state.value for c in result.checkpoints)),
        "checkpoints": [
            _row(checkpoint) | ({} if evidence is None else _found(evidence[checkpoint.path]))
            for checkpoint in result.checkpoints
        ],
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


def _found(evidence: Evidence) -> dict[str, object]:
    return {"facts": evidence.facts, "unread": evidence.problems}


def _print_evidence(checkpoint: Checkpoint, evidence: Evidence) -> None:
    """Print what was found in one directory: by file and reader, a fact a line."""
    if not evidence.facts and not evidence.problems:
        return
    lines = ["", _below_root(checkpoint)]
    for (source, reader), facts in groupby(evidence.facts, key=lambda fact: (fact.source, fact.reader)):
        lines.append(f"  {source}  (read by: {reader})")
        lines += [f"    {fact.kind.value:8}{fact.key} = {_short(fact.value)}" for fact in facts]
    lines += [f"  {one.source}  (reader: {one.reader})  NOT READ: {one.what}" for one in evidence.problems]
    output.echo_lines(lines)


def _short(value: Scalar) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def _below_root(checkpoint: Checkpoint) -> str:
    return checkpoint.path.removeprefix(checkpoint.root.rstrip("/") + "/")


def _print(result: ScanResult, meanings: Mapping[State, str]) -> None:
    rows = []
    for checkpoint in result.checkpoints:
        newest = max((file.mtime_ns for file in checkpoint.files), default=checkpoint.mtime_ns)
        told = checkpoint.reason or ", ".join(checkpoint.evidence) or "nothing that tells its run"
        rows.append(
            (
                checkpoint.state.value,
                _below_root(checkpoint),
                str(sum(1 for file in checkpoint.files if file.kind == "file")),
                output.size(checkpoint.size_bytes),
                datetime.fromtimestamp(newest // 10**9, timezone.utc).strftime("%Y-%m-%d %H:%MZ"),
                told,
            )
        )
    if not rows:
        output.tell(f"No checkpoint directories below {', '.join(output.shown(root) for root in result.roots)}.")
        return
    print_rows(("STATE", "CHECKPOINT", "FILES", "SIZE", "NEWEST FILE", "EVIDENCE OR REASON"), rows)
    counts = Counter(checkpoint.state for checkpoint in result.checkpoints)
    output.tell()
    for state, meaning in meanings.items():
        if counts[state]:
            output.tell(f"{counts[state]:7,}  {state.value:10}  {meaning}")
