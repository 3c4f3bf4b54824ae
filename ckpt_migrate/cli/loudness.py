"""How much a command says: usual, less (-q) or more (-v)."""

from __future__ import annotations

import os
from enum import IntEnum
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEY = "ckpt_migrate.loudness"


class Loudness(IntEnum):
    """QUIET: results, warnings, errors and questions; USUAL: progress and what to do next, too; VERBOSE: times, too."""

    QUIET = 0
    USUAL = 1
    VERBOSE = 2


def current() -> Loudness:
    """Return how much the running command is to say."""
    context = click.get_current_context(silent=True)
    return Loudness.USUAL if context is None else context.meta.get(_KEY, Loudness.USUAL)


def make_options() -> Sequence[click.Option]:
    """Return the options that every command has."""
    return (
        _option(["-q", "--quiet"], Loudness.QUIET, "Say less: no progress, no hints what to do next."),
        _option(["-v", "--verbose"], Loudness.VERBOSE, "Say more: how long each step took, where an error arose."),
    )


def _option(names: list[str], loudness: Loudness, text: str) -> click.Option:
    def remember(context: click.Context, option: click.Parameter, given: bool) -> None:  # noqa: FBT001 - click's signature
        is_said = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if given and (is_said or _KEY not in context.meta):  # what is said outdoes what the environment says
            context.meta[_KEY] = loudness

    envvar = f"CKPT_MIGRATE_{loudness.name}"
    return click.Option(
        names, is_flag=True, is_eager=True, expose_value=False, callback=remember, envvar=envvar, help=text
    )


def is_verbose_wanted(arguments: Sequence[str]) -> bool:
    """Say whether a call that has ended asked for more, by an option or by the environment."""
    return not {"-v", "--verbose"}.isdisjoint(arguments) or bool(os.environ.get("CKPT_MIGRATE_VERBOSE"))
