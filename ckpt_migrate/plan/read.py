"""Reading a plan: strictly, every problem with its line, and a person's edits told from damage."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.collector import collector_paused
from ckpt_migrate.errors import PlanError, RecipeError
from ckpt_migrate.plan.fields import SUMMARIES, sealed_top
from ckpt_migrate.plan.read_entry import EntryReader
from ckpt_migrate.plan.read_references import read_references
from ckpt_migrate.plan.read_run import read_run
from ckpt_migrate.plan.records import LARGEST_PLAN_BYTES, PLAN_VERSION, Action, Clock, Entry, Link, Plan
from ckpt_migrate.plan.seal import broken
from ckpt_migrate.plan.written import OtherFormError, split, written_entries, written_runs
from ckpt_migrate.strict_yaml import Field, Problems, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ckpt_migrate.recipe import Recipe

_TOP = ("version", "tool", "created", "migration", "recipe_digest", "tracking_uri", "roots", "clock", "summary",
        "entries", "runs", "seal")  # fmt: skip
_CLOCK = ("source", "directories", "is_decisive")
_CLOCK_OPTIONAL = ("timezone", "same_as", "offset_s", "spread_s", "margin_nats")
_CREATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_REMEDY = "Only `action` and, with action: rename, `run_id` may be edited. Mend the lines named, or plan again."


def load_plan(path: str, find_recipe: Callable[[str], Recipe], *, data: bytes | None = None) -> tuple[Plan, Recipe]:
    """Read and validate a plan, the person's edits taken over.

    Args:
        path: The plan file.
        find_recipe: Returns the recipe that the plan names.
        data: What the file would hold; it is not read then.

    Raises:
        PlanError: The file cannot be read, is no plan, is of another version, or was edited beyond what may be
            edited; all problems are listed with their lines.
    """
    data = _read_bytes(path) if data is None else data
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what = f"line {line}: is not UTF-8 text"
        raise PlanError(what, where=path, remedy="Save the plan as UTF-8, or plan again.") from error
    digest = hashlib.sha256(data).hexdigest()
    del data  # the text is as large again
    folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
    problems = Problems()
    with collector_paused():
        loaded = parse_plan(text, folder, find_recipe, problems, digest=digest, path=path)
    if loaded is None or problems.count:
        raise PlanError("the plan cannot be used as it is", where=path, problems=problems.lines(), remedy=_REMEDY)
    return loaded


def _read_bytes(path: str) -> bytes:
    remedy = "Name a plan file, as `ckpt-migrate plan` writes it."
    try:
        if not os.path.isfile(path) and os.path.exists(path):
            raise PlanError("is no file", where=path, remedy=remedy)
        if os.path.getsize(path) > LARGEST_PLAN_BYTES:
            raise PlanError("the file is far too large for a plan", where=path, remedy=remedy)
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise PlanError(f"cannot be read ({what})", where=path, remedy=remedy) from error


def parse_plan(
    text: str,
    folder: str,
    find_recipe: Callable[[str], Recipe],
    problems: Problems,
    *,
    digest: str = "",
    path: str = "",
) -> tuple[Plan, Recipe] | None:
    """Parse the text of a plan; None or noted problems when it cannot be used."""
    found: tuple[Plan, Recipe] | None
    try:
        found = _parse_written(text, folder, find_recipe)
    except (OtherFormError, RecipeError):
        found = _parse_strictly(text, folder, find_recipe, problems)
    return None if found is None else (replace(found[0], digest=digest, path=path), found[1])


def _parse_strictly(
    text: str, folder: str, find_recipe: Callable[[str], Recipe], problems: Problems
) -> tuple[Plan, Recipe] | None:
    top = compose(text, problems)
    if top is None:
        return None
    version = top.peek("version")
    if version != str(PLAN_VERSION):
        found = "no version" if version is None else f"version {version!r:.20}"
        top.refuse(f"not a plan of this tool: it has {found}, this is a reader of version {PLAN_VERSION}")
        return None
    keys = top.mapping(required=_TOP, optional=("links", "references"))
    if problems.count:
        return None
    recipe = find_recipe(keys["migration"].text())
    runs = {run_id: read_run(run_id, field) for run_id, field in keys["runs"].mapping(optional=None).items()}
    reader = EntryReader(keys["roots"].texts(), folder, recipe, runs)
    entries = tuple(reader.read(item) for item in keys["entries"].sequence())
    plan = replace(_frame(keys), runs=runs, entries=entries, folder=folder)
    _check_seal(plan, keys)
    _check_targets(plan, problems)
    return plan, recipe


def _parse_written(text: str, folder: str, find_recipe: Callable[[str], Recipe]) -> tuple[Plan, Recipe]:
    """Parse a plan that is as plans are written, and in which nothing is wrong.

    Raises:
        OtherFormError: It is another one.
    """
    problems = Problems()
    parts = split(text)
    top = compose(parts.frame, problems)
    keys = {} if top is None else top.mapping(required=_TOP, optional=("links", "references"))
    if problems.count or keys["version"].text() != str(PLAN_VERSION):
        raise OtherFormError
    recipe = find_recipe(keys["migration"].text())
    runs = written_runs(text, *parts.runs)
    reader = EntryReader(keys["roots"].texts(), folder, recipe, runs)

    def read_edited(part: str, line: int) -> Entry:
        item = compose(part, problems)
        items = [] if item is None else item.sequence()
        entry = reader.read(items[0]) if len(items) == 1 else None
        if entry is None or problems.count:
            raise OtherFormError
        return replace(entry, line=entry.line + line, run_id_line=entry.run_id_line + line)

    entries = tuple(written_entries(text, *parts.entries, reader.root_of, read_edited))
    plan = replace(_frame(keys), runs=runs, entries=entries, folder=folder)
    _check_seal(plan, keys)
    _check_targets(plan, problems)
    if problems.count:
        raise OtherFormError
    return plan, recipe


def _frame(keys: Mapping[str, Field]) -> Plan:
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


def _check_seal(plan: Plan, keys: Mapping[str, Field]) -> None:
    edited = broken(keys["seal"].text(), sealed_top(plan))
    if edited is None:
        keys["seal"].refuse("the seal is damaged")
        return
    for name in edited:
        section, _, member = name.partition(".")
        field = keys.get(section, keys["seal"])
        if section in {"entries", "runs", "links"}:
            field.refuse(f"{section} were added, removed or moved; to leave an entry out, set action: skip")
        elif name == "references.files":
            field.refuse("files were added, removed or moved; to leave one out, set action: skip")
        else:
            members = field.mapping(optional=None) if member else {}
            members.get(member, field).refuse(f"{member or section} was edited, but belongs to the planner")


def _check_targets(plan: Plan, problems: Problems) -> None:
    """Refuse two entries of one directory, and two that would get one name."""
    for what, listed in (
        ("checkpoint", ((entry.checkpoint, entry) for entry in plan.entries)),
        ("target", ((e.target, e) for e in plan.entries if e.target is not None and e.action is Action.RENAME)),
    ):
        _refuse_twins(what, listed, plan, problems)


def _refuse_twins(what: str, listed: Iterable[tuple[str, Entry]], plan: Plan, problems: Problems) -> None:
    first: dict[str, Entry] = {}
    for shown, entry in listed:
        twin = first.setdefault(plan.absolute(shown), entry)
        if twin is not entry:
            problems.add(entry.line, f"{shown}: the entry on line {twin.line} has the same {what}")


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
