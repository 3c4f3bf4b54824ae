"""`ckpt-migrate verify`."""

from __future__ import annotations

import os
import shlex

import click

from ckpt_migrate import api
from ckpt_migrate.cli import completion, options, output
from ckpt_migrate.cli.rows import print_rows
from ckpt_migrate.errors import EXIT_UNDECIDED, UsageError
from ckpt_migrate.plan.words import count


@click.command("verify", short_help="Check that every directory names its run and every manifest agrees.")
@options.roots
@options.tracking_uri
@options.migration
@click.option(
    "--known",
    metavar="FILE",
    shell_complete=completion.files,
    help="Directories whose findings do not count, a name or path a line.",
)
@options.output_format
def command(
    roots: tuple[str, ...], tracking_uri: tuple[str, ...], migration: str, known: str | None, output_format: str
) -> int:
    """Check that every checkpoint directory below ROOT names its run and that every manifest agrees.

    Writes nothing. Exits with 3 when anything does not agree, or when there is nothing to look at, so
    that it can guard a pipeline.

    \b
    Example:
      ckpt-migrate verify checkpoints/phase2 --tracking-uri mlruns
    """
    lines = () if known is None else _read_known(known)
    accepted = {name for line in lines for name in (line, os.path.abspath(line))}
    verified = api.verify(roots, tracking_uri=tracking_uri, migration=migration, progress=output.bars())
    result = verified.verification
    new = [finding for finding in result.findings if not accepted & {finding.path, os.path.basename(finding.path)}]
    old = len(result.findings) - len(new)
    found = {name for finding in result.findings for name in (finding.path, os.path.basename(finding.path))}
    stale = [line for line in lines if found.isdisjoint((line, os.path.abspath(line)))]
    if output_format == "json":
        output.print_json(
            {
                **output.plain(result),
                "known": sorted({finding.path for finding in result.findings} - {finding.path for finding in new}),
                "warnings": verified.warnings,
                "left_links": verified.left_links,
                "notes": verified.notes,
            }
        )
    else:
        if new:
            rows = [(finding.kind.value, finding.path, finding.what) for finding in new]
            print_rows(("FINDING", "CHECKPOINT", "WHAT"), rows)
            output.tell()
        if not result.directories:
            output.tell("There is no checkpoint directory of this recipe's name forms below the roots.")
        output.tell(
            f"{result.agreeing:,} of {result.directories:,} directories name their run, and their manifests agree."
        )
        if new and known is None:
            output.hint("To accept what nobody can settle, list those directories in a file: --known FILE.")
        if old:
            are = "is about a directory" if old == 1 else "are about directories"
            counts = "does not count" if old == 1 else "do not count"
            output.tell(f"{count(old, 'finding')} {are} in {known}, and {counts}.")
    for line in stale:
        output.say(f"Warning: {known}: {output.shown(line)} is in no finding; take the line out")
    if verified.left_links:
        stand = "stands" if len(verified.left_links) == 1 else "stand"
        roots_shown = " ".join(map(shlex.quote, roots))
        output.say(
            f"{count(len(verified.left_links), 'link')} {stand} at old names. When nobody needs them any more:\n"
            f"  ckpt-migrate links {roots_shown} --remove"
        )
    for note in verified.notes:
        output.say(f"Warning: {note}.")
    for warning in verified.warnings:
        output.say(f"Warning: {warning.where}: {warning.what}")
    return EXIT_UNDECIDED if new or not result.directories else 0


def _read_known(path: str) -> tuple[str, ...]:
    """Return the names and paths that a file lists, `#` before what is a remark.

    Raises:
        UsageError: It is no text file that can be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.partition("#")[0].strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "is not UTF-8 text"
        remedy = "Name a text file with the name or path of one directory a line."
        raise UsageError(f"cannot be read ({what})", where=path, remedy=remedy) from error
    return tuple(dict.fromkeys(line for line in lines if line))
