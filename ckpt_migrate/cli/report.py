"""`ckpt-migrate report`."""

from __future__ import annotations

import os

import click

from ckpt_migrate import api
from ckpt_migrate.cli import completion, options, output


@click.command("report", short_help="Make a page to look at: of a plan, or of what became of it.")
@click.argument(
    "path", metavar="PLAN|LOG|latest", type=click.Path(readable=False), shell_complete=completion.plans_and_logs
)
@click.option(
    "-o",
    "--output",
    "target",
    default="report.html",
    show_default=True,
    shell_complete=completion.files,
    help="The page's file.",
)
@click.option(
    "--root",
    default=".",
    type=click.Path(readable=False),
    shell_complete=completion.folders,
    help="Where `latest` looks; default: here.",
)
@options.output_format
def command(*, path: str, target: str, root: str, output_format: str) -> int:
    """Make one HTML file of PLAN: time line, cases, what apply will do; of LOG: what became of it.

    The file holds all that it needs and asks no network for anything. A web browser opens it.

    \b
    Example:
      ckpt-migrate report plan.yaml -o report.html
      ckpt-migrate report latest --root checkpoints/phase2
    """
    source = api.find_log(path, root=root) if path == "latest" else path
    made = api.report(source, output=target)
    size = os.path.getsize(target)
    if output_format == "json":
        output.print_json({"path": target, "source": source, "bytes": size, "directories": len(made.page.rows)})
        return 0
    output.tell(f"{len(made.page.rows):,} directories are in {target} ({output.size(size)}). Open it in a web browser.")
    return 0
