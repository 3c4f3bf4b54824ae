"""`ckpt-migrate schema`."""

from __future__ import annotations

import click

from ckpt_migrate.cli import output


@click.command("schema", short_help="Print the JSON Schema of plans, of recipes or of JSON output.")
@click.argument("kind", type=click.Choice(["plan", "recipe", "output"]))
def command(kind: str) -> int:
    """Print the JSON Schema of a plan or of a recipe, by which editors complete and check the file.

    `output` is that of what `--format json` prints, with a definition for each command.

    \b
    Example:
      ckpt-migrate schema recipe > recipe.schema.json
      # and as the first line of the recipe:  # yaml-language-server: $schema=recipe.schema.json
      ckpt-migrate schema output > output.schema.json
    """
    from importlib.resources import files

    output.echo((files("ckpt_migrate.schemas") / f"{kind}.json").read_text(encoding="utf-8"), nl=False)
    return 0
