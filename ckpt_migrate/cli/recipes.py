"""`ckpt-migrate recipes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckpt_migrate.cli import completion, options, output
from ckpt_migrate.cli.rows import print_rows
from ckpt_migrate.errors import UsageError
from ckpt_migrate.recipe import load_recipe, recipe_names

if TYPE_CHECKING:
    from ckpt_migrate.recipe import Recipe


@click.command("recipes", short_help="List the shipped recipes, or print one to copy.")
@click.argument("name", required=False, shell_complete=completion.recipes)
@options.output_format
def command(name: str | None, output_format: str) -> int:
    """List the shipped recipes; with NAME print that one, every key explained, to be copied and changed.

    Its first line tells editors the schema by which they complete and check the file.

    \b
    Example:
      ckpt-migrate recipes
      ckpt-migrate recipes phase2_run_id > mine.yaml
    """
    names = recipe_names()
    if name is not None and name not in names:
        raise UsageError("no such recipe is shipped", where=name, remedy=f"Shipped recipes: {', '.join(names)}.")
    recipes = [load_recipe(each) for each in (names if name is None else (name,))]
    if output_format == "json":
        output.print_json([_data(recipe) for recipe in recipes])
    elif name is None:
        print_rows(("RECIPE", "FOR", "WHAT IT DOES"), [_row(recipe) for recipe in recipes])
        output.hint("\nCopy one:\n  ckpt-migrate recipes phase2_run_id > mine.yaml")
    else:
        output.echo(_text(recipes[0]), nl=False)
    return 0


def _data(recipe: Recipe) -> dict[str, object]:
    return {
        "name": recipe.name,
        "action": "link" if recipe.is_link else "rename",
        "legacy": recipe.legacy.templates,
        "target": None if recipe.is_link else recipe.target.template,
        "description": recipe.description,
        "path": recipe.source,
    }


def _row(recipe: Recipe) -> tuple[str, str, str]:
    does = "links, names are left" if recipe.is_link else f"renames to {recipe.target.template}"
    return (recipe.name, recipe.legacy.template, does)


def _text(recipe: Recipe) -> str:
    """Return a recipe's file, below a line that tells editors where its schema is."""
    from importlib.resources import as_file, files

    with as_file(files("ckpt_migrate.schemas") / "recipe.json") as schema:
        line = f"# yaml-language-server: $schema={schema.resolve().as_uri()}\n"
    with open(recipe.source, encoding="utf-8") as file:
        return line + file.read()
