"""Edits: a person's choices written into the text of a plan, and not a byte of it touched besides.

The YAML parser is asked where a value stands, so that a plan that another editor has laid out anew is edited as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from ckpt_migrate.plan.write import scalar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt_migrate.plan.records import Action

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person wants of an entry."""

    action: Action
    run_id: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where an entry's values stand in the text: from, to, in characters; None where there is none."""

    action: tuple[int, int] | None = None
    run_id: tuple[int, int] | None = None


def find_places(text: str) -> tuple[Places, ...]:
    """Return where the values of each entry stand.

    Args:
        text: Of a plan that was read before, so that it is known to be one.
    """
    shift = 1 if text.startswith(_BYTE_ORDER_MARK) else 0
    return tuple(_places(entry, shift) for entry in _entries(yaml.parse(text, Loader=_Loader)))


def splice(text: str, places: tuple[Places, ...], choices: Mapping[int, Choice]) -> str:
    """Return the text with these choices, by the number of their entry.

    Raises:
        ValueError: An entry has no such value to be replaced.
    """
    changes: list[tuple[int, int, str]] = []
    for number, choice in choices.items():
        place = places[number]
        if place.action is None or place.run_id is None:
            raise ValueError(number)
        changes.append((*place.action, choice.action.value))
        changes.append((*place.run_id, scalar(choice.run_id)))
    for start, end, value in sorted(changes, reverse=True):
        text = text[:start] + value + text[end:]
    return text


def _entries(events: Iterator[Any]) -> Iterator[list[Any]]:
    """Yield the events of each entry, its own start and end left out."""
    depth, key, is_key, inside = 0, "", True, False
    entry: list[Any] | None = None
    for event in events:
        opens = isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent))
        closes = isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent))
        if closes:
            depth -= 1
        if depth == 1 and isinstance(event, yaml.ScalarEvent) and is_key:
            key, is_key = event.value, False
        elif depth == 1 and (isinstance(event, yaml.ScalarEvent) or closes):
            is_key, inside = True, False
        elif depth == 1 and opens:
            inside = key == "entries"
        elif inside and depth == 2 and opens:  # noqa: PLR2004 - below the document's mapping and the list in it
            entry = []
        elif inside and depth == 2 and closes and entry is not None:  # noqa: PLR2004 - likewise
            yield entry
            entry = None
        if entry is not None:
            entry.append(event)
        if opens:
            depth += 1


def _places(events: list[Any], shift: int) -> Places:
    """Return where the values of an entry stand; its own start is the first event."""
    found: dict[str, tuple[int, int]] = {}
    depth, key = 0, None
    for event in events[1:]:
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
            key = key if depth else None
        elif depth == 0 and key is None:
            key = event.value
        elif depth == 0:
            if key in {"action", "run_id"} and event.end_mark.index > event.start_mark.index:
                found[key] = (event.start_mark.index + shift, event.end_mark.index + shift)
            key = None
    return Places(found.get("action"), found.get("run_id"))
