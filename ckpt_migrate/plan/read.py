"""Reading a plan: strictly, every problem with its line, and a person's edits told from damage."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ckpt_migrate.errors import PlanError
from ckpt_migrate.naming import NameForm, is_run_id
from ckpt_migrate.plan.fields import SEALED_ENTRY, SEALED_PLAN, entry_data, sealed_values
from ckpt_migrate.plan.records import (
    PLAN_VERSION,
    Action,
    Candidate,
    Clock,
    Entry,
    Plan,
    RunFacts,
    Status,
)
from ckpt_migrate.plan.seal import broken
from ckpt_migrate.strict_yaml import Field, Problems, compose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import Enum

    Choice = TypeVar("Choice", bound=Enum)

_TOP = ("version", "tool", "created", "migration", "recipe_digest", "tracking_uri", "roots", "clock", "summary",
        "entries", "runs", "seal")  # fmt: skip
_ENTRY = ("checkpoint", "status", "action", "seal")
_ENTRY_OPTIONAL = ("run_id", "target", "confidence", "evidence", "reason", "candidates", "fingerprint")
_CLOCK = ("source", "directories", "is_decisive")
_CLOCK_OPTIONAL = ("timezone", "same_as", "offset_s", "spread_s", "margin_nats")
_RUN = ("name", "experiment", "experiment_id", "status", "is_deleted")
_RUN_OPTIONAL = ("start", "artifact_uri", "params", "metrics")
_LARGEST_PLAN_BYTES = 1 << 30
_REMEDY = "Only `action` and, with action: rename, `run_id` may be edited. Mend the lines named, or plan again."


def load_plan(path: str, target: NameForm) -> Plan:
    """Read and validate a plan, the person's edits taken over.

    Args:
        path: The plan file.
        target: The recipe's target name form; `target` of an edited entry follows from it.

    Raises:
        PlanError: The file cannot be read, is no plan, is of another version, or was edited beyond what may be
            edited; all problems are listed with their lines.
    """
    try:
        if os.path.getsize(path) > _LARGEST_PLAN_BYTES:
            raise PlanError("the file is far too large for a plan", where=path, remedy="Name a plan file.")
        with open(path, "rb") as file:
            data = file.read()
        text = data.decode("utf-8")
    except OSError as error:
        raise PlanError(f"cannot be read ({error.strerror})", where=path, remedy="Name a plan file.") from error
    except UnicodeDecodeError as error:
        raise PlanError("is not UTF-8 text", where=path, remedy="Save the plan as UTF-8, or plan again.") from error
    problems = Problems()
    folder = os.path.dirname(os.path.abspath(path))
    plan = parse_plan(text, folder, target, problems, digest=hashlib.sha256(data).hexdigest())
    if plan is None or problems.count:
        raise PlanError("the plan cannot be used as it is", where=path, problems=problems.lines(), remedy=_REMEDY)
    return plan


def read_migration(path: str) -> str:
    """Return only the recipe that a plan names, as far as it can be found; empty otherwise."""
    try:
        with open(path, "rb") as file:
            head = file.read(1 << 16).decode("utf-8", "replace")
    except OSError:
        return ""
    for line in head.splitlines():
        if line.startswith("migration:"):
            top = compose(line, Problems())
            return "" if top is None else top.mapping(optional=None)["migration"].text()
    return ""


def parse_plan(text: str, folder: str, target: NameForm, problems: Problems, *, digest: str = "") -> Plan | None:
    """Parse the text of a plan; None or noted problems when it cannot be used."""
    top = compose(text, problems)
    if top is None:
        return None
    version = top.mapping(optional=None).get("version")
    if version is None or version.text() != str(PLAN_VERSION):
        found = "no version" if version is None else f"version {version.text()}"
        problems.add(
            top.line if version is None else version.line,
            f"not a plan of this tool: it has {found}, this is a reader of version {PLAN_VERSION}",
        )
        return None
    keys = top.mapping(required=_TOP)
    if problems.count:
        return None
    roots = keys["roots"].texts()
    reader = _EntryReader(roots, folder, target)
    entries = tuple(reader.read(item) for item in keys["entries"].sequence())
    plan = Plan(
        created=keys["created"].text(),
        tool=keys["tool"].text(),
        migration=keys["migration"].text(),
        recipe_digest=keys["recipe_digest"].text(),
        tracking_uri=_text_or_texts(keys["tracking_uri"]),
        roots=roots,
        clock=_clock(keys["clock"]),
        summary={
            key: {name: count.integer() for name, count in field.mapping(optional=None).items()}
            for key, field in keys["summary"].mapping(optional=None).items()
        },
        runs={run_id: _run(run_id, field) for run_id, field in keys["runs"].mapping(optional=None).items()},
        entries=entries,
        folder=folder,
        digest=digest,
    )
    if problems.count:
        return None
    _check_seal(plan, keys)
    _check_targets(plan, problems)
    return plan


def _check_seal(plan: Plan, keys: dict[str, Field]) -> None:
    edited = broken(keys["seal"].text(), SEALED_PLAN, sealed_values(plan))
    if edited is None:
        keys["seal"].refuse("the seal is damaged")
        return
    for name in edited:
        if name == "entries":
            keys[name].refuse("entries were added, removed or moved; to leave one out, set action: skip")
        else:
            keys[name].refuse("was edited, but belongs to the planner")


def _check_targets(plan: Plan, problems: Problems) -> None:
    first: dict[str, Entry] = {}
    for entry in plan.entries:
        if entry.target is None or entry.action is not Action.RENAME:
            continue
        path = plan.absolute(entry.target)
        if path in first:
            problems.add(entry.line, f"{entry.target}: the entry on line {first[path].line} has the same target")
        first.setdefault(path, entry)


class _EntryReader:
    """Reads entries; knows the roots that no path may leave."""

    def __init__(self, roots: Sequence[str], folder: str, target: NameForm) -> None:
        self._roots = [(root, os.path.normpath(os.path.join(folder, root))) for root in roots]
        self._folder = folder
        self._target = target

    def read(self, item: Field) -> Entry:
        keys = item.mapping(required=_ENTRY, optional=_ENTRY_OPTIONAL)
        if any(key not in keys for key in _ENTRY):
            return Entry("", "", Status.UNREADABLE, Action.SKIP)
        checkpoint = keys["checkpoint"].text()
        entry = Entry(
            checkpoint=checkpoint,
            root=self._root_of(keys["checkpoint"], checkpoint),
            status=_choice(keys["status"], Status),
            action=_choice(keys["action"], Action),
            run_id=keys["run_id"].text_or_none() if "run_id" in keys else None,
            target=keys["target"].text_or_none() if "target" in keys else None,
            confidence=keys["confidence"].number_or_none() if "confidence" in keys else None,
            evidence=keys["evidence"].texts() if "evidence" in keys else (),
            reason=keys["reason"].text_or_none() if "reason" in keys else None,
            candidates=tuple(_candidate(c) for c in keys["candidates"].sequence()) if "candidates" in keys else (),
            fingerprint=keys["fingerprint"].text_or_none() if "fingerprint" in keys else None,
            line=item.line,
        )
        return self._take_edits(entry, keys)

    def _take_edits(self, entry: Entry, keys: dict[str, Field]) -> Entry:
        """Accept an edited action and run id; refuse every other edit; derive the target."""
        data = entry_data(entry)
        edited = broken(keys["seal"].text(), SEALED_ENTRY, [data[name] for name in SEALED_ENTRY])
        if edited is None:
            keys["seal"].refuse("the seal is damaged")
            return entry
        target = self._derived_target(entry, keys)
        for name in edited:
            if name in {"action", "run_id"} or (name == "target" and entry.target == target):
                continue
            if name == "target":
                keys.get("target", keys["checkpoint"]).refuse(
                    f"follows from run_id and must not be edited; it is {target}"
                )
            else:
                keys.get(name, keys["checkpoint"]).refuse(f"{name} was edited, but belongs to the planner")
        if "action" in edited and entry.action is Action.REPAIR:
            keys["action"].refuse("repair is for directories that are named after their run already")
        return replace(entry, target=target)

    def _derived_target(self, entry: Entry, keys: dict[str, Field]) -> str | None:
        if entry.run_id is not None and not is_run_id(entry.run_id):
            keys["run_id"].refuse(f"{entry.run_id!r} is no run id: 32 lower-case hexadecimal digits")
            return None
        if entry.action is Action.REPAIR:
            return entry.checkpoint
        if entry.run_id is None:
            if entry.action is Action.RENAME:
                keys["action"].refuse("rename needs a run_id")
            return None
        folder, _, name = entry.checkpoint.rpartition("/")
        parsed = NameForm(self._target.template).parse(name)
        if parsed is None:
            keys["checkpoint"].refuse("is not named in a form that can be renamed")
            return None
        if entry.action is Action.RENAME and parsed.uid == entry.run_id:
            keys["action"].refuse("the directory is named after this run already")
        renamed = self._target.format(uid=entry.run_id, stamp=parsed.stamp)
        return f"{folder}/{renamed}" if folder else renamed

    def _root_of(self, field: Field, checkpoint: str) -> str:
        path = os.path.normpath(os.path.join(self._folder, checkpoint))
        inside = [(len(root), given) for given, root in self._roots if path.startswith(root.rstrip("/") + "/")]
        if not inside:
            field.refuse("leaves the roots of the plan")
            return ""
        return max(inside)[1]


def _choice(field: Field, kind: type[Choice]) -> Choice:
    text = field.text()
    for member in kind:
        if member.value == text:
            return member
    field.refuse(f"must be one of {', '.join(str(member.value) for member in kind)}")
    return next(iter(kind))


def _candidate(item: Field) -> Candidate:
    keys = item.mapping(required=("run_id", "confidence", "evidence"))
    if len(keys) != len(("run_id", "confidence", "evidence")):
        return Candidate("", 0.0)
    return Candidate(keys["run_id"].text(), keys["confidence"].number(), keys["evidence"].texts())


def _clock(item: Field) -> Clock:
    keys = item.mapping(required=_CLOCK, optional=_CLOCK_OPTIONAL)
    return Clock(
        timezone=keys["timezone"].text_or_none() if "timezone" in keys else None,
        same_as=keys["same_as"].texts() if "same_as" in keys else (),
        source=keys["source"].text() if "source" in keys else "none",
        offset_s=keys["offset_s"].number() if "offset_s" in keys else None,
        spread_s=keys["spread_s"].number() if "spread_s" in keys else None,
        directories=keys["directories"].integer() if "directories" in keys else 0,
        margin_nats=keys["margin_nats"].number() if "margin_nats" in keys else None,
        is_decisive=keys["is_decisive"].boolean() if "is_decisive" in keys else False,
    )


def _run(run_id: str, item: Field) -> RunFacts:
    keys = item.mapping(required=_RUN, optional=_RUN_OPTIONAL)
    if not is_run_id(run_id):
        item.refuse(f"{run_id!r} is no run id: 32 lower-case hexadecimal digits")
    text = {key: keys[key].text() if key in keys else "" for key in ("name", "experiment", "experiment_id", "status")}
    return RunFacts(
        run_id=run_id,
        **text,
        is_deleted=keys["is_deleted"].boolean() if "is_deleted" in keys else False,
        start=keys["start"].text() if "start" in keys else None,
        artifact_uri=keys["artifact_uri"].text() if "artifact_uri" in keys else None,
        params=_texts_by_key(keys.get("params")),
        metrics={key: field.number() for key, field in _members(keys.get("metrics")).items()},
    )


def _members(field: Field | None) -> dict[str, Field]:
    return {} if field is None else field.mapping(optional=None)


def _texts_by_key(field: Field | None) -> dict[str, str]:
    return {key: value.text() for key, value in _members(field).items()}


def _text_or_texts(field: Field) -> tuple[str, ...]:
    return field.texts() if isinstance(field.node.value, list) else (field.text(),)
