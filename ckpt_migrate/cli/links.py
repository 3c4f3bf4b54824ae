"""`ckpt-migrate links`."""

from __future__ import annotations

import click

from ckpt_migrate import api
from ckpt_migrate.cli import options, output
from ckpt_migrate.errors import EXIT_DONE, EXIT_FAILED


@click.command("links", short_help="List the links that applies left at old names, or remove them.")
@options.roots
@click.option("--remove", is_flag=True, help="Remove them; a person's own links stay.")
@options.yes
@options.lock_timeout
@options.output_format
def command(*, roots: tuple[str, ...], remove: bool, yes: bool, lock_timeout: float, output_format: str) -> int:
    """List the links that `plan --leave-links` had apply leave at old names at or below ROOT; with --remove, end them.

    \b
    Example:
      ckpt-migrate links checkpoints/phase2
      ckpt-migrate links checkpoints/phase2 --remove
    """
    found = api.links(roots)
    if remove and found:
        if not output.confirm(f"Remove {len(found):,} links at old names?", yes=yes):
            output.say("Nothing was changed.")
            return EXIT_FAILED
        found = api.remove_links(roots, lock_timeout_s=lock_timeout, on_wait=output.say)
    if output_format == "json":
        output.print_json({"links": found, "are_removed": remove})
        return EXIT_DONE
    output.echo_lines(f"{'-' if remove else ' '} {link.path} -> {link.text}" for link in found)
    output.tell(f"{len(found):,} links at old names{' removed' if remove else ''}.")
    return EXIT_DONE
