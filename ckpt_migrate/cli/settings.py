"""Settings of the environment: each option's variable, and a word on a variable that is none."""

from __future__ import annotations

import os
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "CKPT_MIGRATE_"
SAID_EACH_TIME = frozenset({"--yes", "--overwrite", "--remove", "--help"})
"""Options without a variable: what is asked before something is lost is answered where it is asked."""

NEAR = 0.75
"""How alike two names must be, what all begin with left out, for one to be taken for the other mistyped."""


def name_settings(name: str, command: click.Command) -> None:
    """Give the options of a command their variables; those that several commands share have one already."""
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None and (long := long_name(option)):
            option.envvar = f"{PREFIX}{name}_{long[2:]}".upper().replace("-", "_")


def long_name(option: click.Option) -> str:
    """Return an option's long name; empty when it has none, or is to be said each time."""
    long = next((each for each in option.opts if each.startswith("--")), "")
    return "" if long in SAID_EACH_TIME else long


def settings_of(command: click.Command) -> dict[str, click.Option]:
    """Return the variables of a command with the options that they stand in for."""
    return {
        option.envvar: option
        for option in command.params
        if isinstance(option, click.Option) and isinstance(option.envvar, str)
    }


def unknown_settings(known: Iterable[str]) -> list[str]:
    """Return a sentence on each variable with our prefix that is no setting, sorted."""
    names = sorted(known)
    said = []
    for name in sorted(name for name in os.environ if name.startswith(PREFIX) and name not in names):
        near = get_close_matches(name[len(PREFIX) :], [each[len(PREFIX) :] for each in names], n=1, cutoff=NEAR)
        hint = f" Did you mean {PREFIX}{near[0]}?" if near else ""
        said.append(f"{name} in the environment is no setting of this tool.{hint}")
    return said
