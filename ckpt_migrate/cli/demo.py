"""`ckpt-migrate demo`."""

from __future__ import annotations

import shutil
import sys

import click

from ckpt_migrate.cli import run as run_command


@click.command("demo", short_help="Make a legacy tree and a real store, and run the whole story on them.")
@click.argument("folder", metavar="[DIR]", default="ckpt-migrate-demo", type=click.Path(readable=False))
def command(folder: str) -> int:
    """Make a legacy tree and a real MLflow store in DIR (default ./ckpt-migrate-demo) and walk through the story.

    DIR must be new or empty. Everything stays there to play with.

    \b
    Example:
      ckpt-migrate demo /tmp/demo
    """
    from ckpt_migrate.demo import build_demo, walk

    click.echo(f"Making a legacy tree and a real MLflow store in {folder} ...")
    world = build_demo(folder)
    return walk(world, run_command, click.echo, program=_program())


def _program() -> str:
    """Return how this program is called here, so that the commands shown can be pasted."""
    if shutil.which("ckpt-migrate") is not None:
        return "ckpt-migrate"
    called = sys.argv[0]
    return f"{sys.executable} -m ckpt_migrate" if called.endswith("__main__.py") else called
