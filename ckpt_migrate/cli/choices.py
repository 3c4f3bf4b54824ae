"""A person's choices: told as theirs, with what the planner thought and what speaks against them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ckpt_migrate.cli.output import say, shown
from ckpt_migrate.plan.fields import entry_record
from ckpt_migrate.plan.words import choice_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.review.doubts import Doubt

MOST_UNDOUBTED = 20
"""Choices told one by one that nothing speaks against; those in doubt are told all."""


def say_choices(plan: Plan, doubts: Iterable[Doubt]) -> None:
    """Print what a person chose to standard error, what is in doubt first."""
    doubted = _by_checkpoint(doubts)
    chosen = sorted(
        (entry for entry in plan.entries if entry.is_chosen), key=lambda entry: entry.checkpoint not in doubted
    )
    for place, entry in enumerate(chosen):
        if entry.checkpoint not in doubted and place >= len(doubted) + MOST_UNDOUBTED:
            say(f"By hand: and {len(chosen) - place:,} more, which nothing speaks against")
            break
        say(f"By hand: {shown(entry.checkpoint)}: {shown(choice_words(entry))}")
        for what in doubted.get(entry.checkpoint, ()):
            say(f"Warning:   {shown(what)}")


def choices(plan: Plan, doubts: Iterable[Doubt]) -> list[dict[str, object]]:
    """Return what a person chose, for JSON."""
    doubted = _by_checkpoint(doubts)
    return [
        {**entry_record(entry), "doubts": doubted.get(entry.checkpoint, [])}
        for entry in plan.entries
        if entry.is_chosen
    ]


def _by_checkpoint(doubts: Iterable[Doubt]) -> Mapping[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for doubt in doubts:
        found[doubt.checkpoint].append(doubt.what)
    return found
