"""`ckpt-migrate schema`."""

from __future__ import annotations

import click

from ckpt_migrate.cli import output


@click.command("schema", short_help="Print the JSON Schema of plans or of recipes, for editors.")
@click.argument("kind", type=click.Choice(["plan", "recipe"]))
def command(kind: str) -> int:
    """Print the JSON Schema of a plan or of a recipe: editors complete and check the file by it.

    \b
    Example:
      ckpt-migrate schema recipe > recipe.schema.json
      # and as the first line of the recipe:  # yaml-language-server: $schema=recipe.schema.json
    """
    from importlib.resources import files

    output.echo((files("ckpt_migrate.schemas") / f"{kind}.json").read_text(encoding="utf-8"), nl=False)
    return 0
