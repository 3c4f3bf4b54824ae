"""Reading what a plan says of itself, above and below its entries and runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckpt_migrate.plan.fields import SUMMARIES
from ckpt_migrate.plan.read_references import read_references
from ckpt_migrate.plan.records import Clock, Link, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.strict_yaml import Field

_CLOCK = ("source", "directories", "is_decisive")
_CLOCK_OPTIONAL = ("timezone", "same_as", "offset_s", "spread_s", "margin_nats")
_CREATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def read_frame(keys: Mapping[str, Field]) -> Plan:
    """Return a plan without its entries and runs, and without its place."""
    return Plan(
        created=_created(keys["created"]),
        tool=keys["tool"].text(),
        migration=keys["migration"].text(),
        recipe_digest=keys["recipe_digest"].text(),
        tracking_uri=_text_or_texts(keys["tracking_uri"]),
        roots=keys["roots"].texts(),
        clock=_clock(keys["clock"]),
        summary=_summary(keys["summary"]),
        runs={},
        entries=(),
        folder="",
        links=tuple(_link(item) for item in keys["links"].sequence()) if "links" in keys else (),
        references=read_references(keys["references"]) if "references" in keys else None,
    )


def _created(field: Field) -> str:
    text = field.text()
    if _CREATED.fullmatch(text) is None:
        field.refuse("must be a time in UTC, such as 2026-02-01T04:12:27Z")
    return text


def _clock(item: Field) -> Clock:
    keys = item.mapping(required=_CLOCK, optional=_CLOCK_OPTIONAL)
    numbers = {
        name: keys[name].number_or_none() if name in keys else None for name in ("offset_s", "spread_s", "margin_nats")
    }
    return Clock(
        timezone=keys["timezone"].text_or_none() if "timezone" in keys else None,
        same_as=keys["same_as"].texts() if "same_as" in keys else (),
        source=keys["source"].text() if "source" in keys else "none",
        directories=keys["directories"].integer() if "directories" in keys else 0,
        is_decisive=keys["is_decisive"].boolean() if "is_decisive" in keys else False,
        **numbers,
    )


def _summary(item: Field) -> dict[str, dict[str, int]]:
    return {
        key: {name: count.integer() for name, count in field.mapping(optional=None).items()}
        for key, field in item.mapping(optional=SUMMARIES).items()
    }


def _link(item: Field) -> Link:
    keys = item.mapping(required=("path", "text", "checkpoint"))
    return Link(*(keys[name].text() if name in keys else "" for name in ("path", "text", "checkpoint")))


def _text_or_texts(field: Field) -> tuple[str, ...]:
    return field.texts() if field.is_list else (field.text(),)
