"""`ckpt-migrate verify`."""

from __future__ import annotations

import shlex

import click

from ckpt_migrate import api
from ckpt_migrate.cli import options, output
from ckpt_migrate.cli.rows import print_rows
from ckpt_migrate.errors import EXIT_UNDECIDED


@click.command("verify", short_help="Check that every directory names its run and every manifest agrees.")
@options.roots
@options.tracking_uri
@options.migration
@options.output_format
def command(roots: tuple[str, ...], tracking_uri: tuple[str, ...], migration: str, output_format: str) -> int:
    """Check that every checkpoint directory below ROOT names its run and that every manifest agrees.

    Writes nothing. Exits with 3 when anything does not agree, or when there is nothing to look at, so
    that it can guard a pipeline.

    \b
    Example:
      ckpt-migrate verify checkpoints/phase2 --tracking-uri mlruns
    """
    verified = api.verify(roots, tracking_uri=tracking_uri, migration=migration, progress=output.bars())
    result = verified.verification
    if output_format == "json":
        output.print_json(
            {
                **output.plain(result),
                "warnings": verified.warnings,
                "left_links": verified.left_links,
                "notes": verified.notes,
            }
        )
    else:
        if result.findings:
            rows = [(finding.kind.value, finding.path, finding.what) for finding in result.findings]
            print_rows(("FINDING", "CHECKPOINT", "WHAT"), rows)
            output.echo()
        if not result.directories:
            output.echo("There is no checkpoint directory of this recipe's name forms below the roots.")
        output.echo(
            f"{result.agreeing:,} of {result.directories:,} directories name their run, and their manifests agree."
        )
    if verified.left_links:
        roots_shown = " ".join(map(shlex.quote, roots))
        output.say(
            f"{len(verified.left_links):,} links stand at old names. When nobody needs them any more:\n"
            f"  ckpt-migrate links {roots_shown} --remove"
        )
    for note in verified.notes:
        output.say(f"Warning: {note}.")
    for warning in verified.warnings:
        output.say(f"Warning: {warning.where}: {warning.what}")
    return EXIT_UNDECIDED if result.findings or not result.directories else 0
