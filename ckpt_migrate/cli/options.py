"""Options that several commands share."""

from __future__ import annotations

from typing import Any, TypeVar

import click

from ckpt_migrate.cli import completion
from ckpt_migrate.recipe import DEFAULT_RECIPE

Command = TypeVar("Command", bound=Any)


def roots(command: Command) -> Command:
    """Add ROOT..., the directories to look below."""
    wrapped: Command = click.argument(
        "roots",
        nargs=-1,
        required=True,
        type=click.Path(readable=False),
        metavar="ROOT...",
        shell_complete=completion.folders,
    )(command)
    return wrapped


def tracking_uri(command: Command) -> Command:
    """Add --tracking-uri, which may be given several times."""
    text = (
        "The MLflow store: a folder, sqlite:///..., postgresql://..., mysql://..., http(s)://...; several are merged. "
        "Default: MLFLOW_TRACKING_URI, else mlflow.db or mlruns here."
    )
    wrapped: Command = click.option(
        "--tracking-uri",
        "tracking_uri",
        multiple=True,
        metavar="URI",
        envvar="CKPT_MIGRATE_TRACKING_URI",
        show_envvar=True,
        shell_complete=completion.stores,
        help=text,
    )(command)
    return wrapped


def migration(command: Command) -> Command:
    """Add --migration."""
    text = "The recipe: a shipped one's name, or the path of a file."
    wrapped: Command = click.option(
        "--migration",
        default=DEFAULT_RECIPE,
        show_default=True,
        metavar="NAME|FILE",
        envvar="CKPT_MIGRATE_MIGRATION",
        show_envvar=True,
        shell_complete=completion.recipes,
        help=text,
    )(command)
    return wrapped


def cache(command: Command) -> Command:
    """Add --no-cache."""
    text = "Read every checkpoint anew, and keep nothing in the cache folder."
    wrapped: Command = click.option("--no-cache", "without_cache", is_flag=True, help=text)(command)
    return wrapped


def output_format(command: Command) -> Command:
    """Add --format."""
    wrapped: Command = click.option(
        "--format",
        "output_format",
        type=click.Choice(["text", "json"]),
        default="text",
        envvar="CKPT_MIGRATE_FORMAT",
        show_envvar=True,
        help="What is printed.",
    )(command)
    return wrapped


def yes(command: Command) -> Command:
    """Add --yes."""
    wrapped: Command = click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")(
        command
    )
    return wrapped


def dry_run(command: Command) -> Command:
    """Add --dry-run."""
    text = "Print every operation in its order and change nothing."
    wrapped: Command = click.option("--dry-run", "is_dry_run", is_flag=True, help=text)(command)
    return wrapped


def lock_timeout(command: Command) -> Command:
    """Add --lock-timeout."""
    text = "Seconds to wait for another process that works on the same roots."
    wrapped: Command = click.option(
        "--lock-timeout",
        type=click.FloatRange(min=0),
        default=0.0,
        envvar="CKPT_MIGRATE_LOCK_TIMEOUT",
        show_envvar=True,
        help=text,
    )(command)
    return wrapped


def plan(command: Command) -> Command:
    """Add PLAN, a plan's file."""
    wrapped: Command = click.argument(
        "plan_path", metavar="PLAN", type=click.Path(readable=False), shell_complete=completion.plans
    )(command)
    return wrapped


def timezone(command: Command) -> Command:
    """Add --timezone."""
    wrapped: Command = click.option(
        "--timezone",
        metavar="IANA",
        envvar="CKPT_MIGRATE_TIMEZONE",
        show_envvar=True,
        shell_complete=completion.zones,
        help="The zone of the stamps (Europe/Berlin); else it is inferred.",
    )(command)
    return wrapped
