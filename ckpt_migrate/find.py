"""Find: from any id or name, old or new, to the directory and the run."""

from __future__ import annotations

import os
import re
import shlex
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.errors import JournalError
from ckpt_migrate.journal.fold import load
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.journal.logs import find_logs, state_directories
from ckpt_migrate.naming import RUN_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import Run

FEWEST_DIGITS = 6
"""Digits from which the beginning of an id is looked up."""
_ID_DIGITS = 32
_ID_WRITTEN_OTHERWISE = re.compile(r"[0-9A-Fa-f][0-9A-Fa-f-]*(?=_|$)")


@dataclass(frozen=True, slots=True)
class Renaming:
    """A rename that a log records as in force; absolute paths, that of the log too."""

    old: str
    new: str
    log: str
    migration: str = ""
    """Name or path of the recipe; empty when the log does not say."""


@dataclass(frozen=True, slots=True)
class Place:
    """A checkpoint directory that was found.

    Attributes:
        path: Where it is now.
        former: Its paths before migrations, newest first.
        run_id: The run that its name says, when the stores have it.
        named_by: Runs whose own name holds the directory's id, sorted.
    """

    path: str
    former: tuple[str, ...]
    run_id: str | None
    named_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What one query led to; both empty when nothing was found.

    Attributes:
        query: What was looked for.
        checkpoints: The directories, sorted by path.
        runs: The runs, sorted by id.
        hint: What to ask instead, when no directory that is named after a run was found; None when nothing is known.
    """

    query: str
    checkpoints: tuple[Place, ...]
    runs: tuple[Run, ...]
    hint: str | None = None


def renamings(roots: Iterable[str], on_problem: Callable[[str], None]) -> Iterator[Renaming]:
    """Yield the renames that the logs in, below and above these roots record and that are not rolled back.

    Args:
        roots: Absolute paths, links resolved.
        on_problem: Told of every log that cannot be read, whose renames are not known.
    """
    folders: dict[str, None] = {}
    for root in roots:
        folders |= dict.fromkeys(os.path.dirname(state) for state in state_directories(root))
        above = root
        while above != os.path.dirname(above):
            above = os.path.dirname(above)
            folders[above] = None
    for path in dict.fromkeys(log.path for folder in folders for log in find_logs(folder)):
        try:
            history = load(path)
        except JournalError as error:
            on_problem(f"{error.where or path}: {error.what}; renames recorded there are not known")
            continue
        for damage in history.contents.damage:
            on_problem(f"{path}: {damage}; renames recorded there are not known")
        if history.state is not LogState.ROLLED_BACK:
            for item in history.items.values():
                if item.source != item.target and (item.is_applied or os.path.lexists(item.target)):
                    yield Renaming(item.source, item.target, history.path, history.migration)


def find(
    queries: Sequence[str],
    checkpoints: Iterable[Checkpoint],
    runs: Sequence[Run],
    renamings: Iterable[Renaming],
    *,
    roots: Sequence[str] = (),
    migration: str = "",
) -> tuple[Found, ...]:
    """Look up run ids, made-up uuids, directory names or paths, and run names; beginnings of ids too.

    Args:
        queries: What is looked for.
        checkpoints: The directories as scanned.
        runs: All runs.
        renamings: Renames in force, from the logs.
        roots: Folders from which a relative path may start, besides the current one.
        migration: Name or path of the recipe that the directories were scanned by.
    """
    renamings = tuple(renamings)
    former = _former_names(renamings)
    by_id = {run.run_id: run for run in runs}
    naming: defaultdict[str, list[str]] = defaultdict(list)
    for run in runs:
        for uid in RUN_ID.findall(run.name):
            naming[uid].append(run.run_id)
    places = [
        Place(
            path=checkpoint.path,
            former=former.get(checkpoint.path, ()),
            run_id=checkpoint.uid if checkpoint.uid in by_id else None,
            named_by=tuple(sorted(naming.get(checkpoint.uid, ()))),
        )
        for checkpoint in checkpoints
    ]
    others = [one for one in renamings if one.migration not in {"", migration}]
    found = (_find_one(query, places, by_id, naming, roots) for query in queries)
    return tuple(
        one
        if any(place.run_id for place in one.checkpoints)
        else replace(one, hint=_elsewhere(one.query, others) or one.hint)
        for one in found
    )


def _elsewhere(query: str, renamings: Iterable[Renaming]) -> str | None:
    """Return which recipe knows a directory that this one does not; None when the logs tell of none."""
    asked = {_plain(part) for part in query.split("/") if part}
    for renaming in renamings:
        names = [_plain(os.path.basename(path)) for path in (renaming.old, renaming.new)]
        if not asked.isdisjoint(names) or any(_fits(part, name) for part in asked for name in names):
            recipe = renaming.migration
            return (
                f"{os.path.basename(renaming.new)} was migrated with {recipe}; give --migration {shlex.quote(recipe)}"
            )
    return None


def _find_one(
    query: str,
    places: Sequence[Place],
    runs: Mapping[str, Run],
    naming: Mapping[str, Sequence[str]],
    roots: Sequence[str],
) -> Found:
    ways = [os.path.join(base, query) for base in ("", *roots)] if query.strip("/") else []
    is_path = "/" in query.rstrip("/")
    is_there = any(os.path.lexists(way) for way in ways)
    held = _holding(query, ways, places, is_there=is_there) if is_path or is_there else {}
    written, hint = query.rstrip("/"), None
    if is_path:
        written = "" if held else next((part for part in reversed(query.split("/")) if _has_id(part)), "")
        hint = "no known checkpoint directory has this path, or had it before a migration"
    name = _plain(written)
    found = {run.run_id for run in runs.values() if name and (_fits(name, run.run_id) or run.name == written)}
    found |= {run.run_id for run in runs.values() if query and run.name == query}
    asked = set(RUN_ID.findall(name))
    found |= {run_id for uid, named in naming.items() if uid in asked or _fits(name, uid) for run_id in named}
    hits: dict[str, Place] = {}
    for place in places if name else ():
        names = [os.path.basename(path) for path in (place.path, *place.former)]
        if (written in names and not is_there) or any(_fits(name, _plain(one)) for one in names):
            hits[place.path] = place
    hits = held or _nearest(query, hits)
    found |= {run_id for place in hits.values() for run_id in (place.run_id, *place.named_by) if run_id is not None}
    for place in places:
        if not found.isdisjoint((place.run_id, *place.named_by)):
            hits[place.path] = place
    if hits or found:
        hint = None
    elif hint is None and len(name) < FEWEST_DIGITS and _ID_WRITTEN_OTHERWISE.fullmatch(name):
        hint = f"too short: give at least {FEWEST_DIGITS} digits of an id"
    places = [hits[path] for path in sorted(hits)]
    return Found(query, tuple(places), tuple(runs[run_id] for run_id in sorted(found)), hint)


def _holding(query: str, ways: Sequence[str], places: Sequence[Place], *, is_there: bool) -> dict[str, Place]:
    """Return the directory that is or holds a path, or did before a migration; links are followed.

    A file's own name tells nothing, since every directory has its `last.ckpt`. A relative path that is not there may be
    the end of one, as another folder would say it: from its first part on, at least two must agree.

    Args:
        query: The path as given.
        ways: What it may mean: from the current folder, and from each root.
        places: The directories.
        is_there: Whether one of the ways exists.
    """
    own: defaultdict[str, dict[str, Place]] = defaultdict(dict)
    for place in places:
        for path in (place.path, *place.former):
            own[path][place.path] = place
    for way in ways:
        for path in (os.path.realpath(way), os.path.abspath(way)):
            at = path
            while at not in own and at != os.path.dirname(at):
                at = os.path.dirname(at)
            if at in own:
                return own[at]
    asked = [part for part in query.split("/") if part not in {"", "."}]
    for count in range(len(asked), 1, -1) if not is_there and not os.path.isabs(query) else ():
        tail = "/" + "/".join(asked[:count])
        if hits := {key: held[key] for path, held in own.items() if path.endswith(tail) for key in held}:
            return hits
    return {}


def _has_id(part: str) -> bool:
    return RUN_ID.search(_plain(part)) is not None


def _plain(name: str) -> str:
    """Return a name whose id is written in lower case and without dashes.

    >>> _plain("AC7C134D-5A5A-44C4-AC38-FBC83F650AF0_20260201_041227")
    'ac7c134d5a5a44c4ac38fbc83f650af0_20260201_041227'
    """
    head = _ID_WRITTEN_OTHERWISE.match(name)
    return name if head is None else head[0].replace("-", "").lower() + name[head.end() :]


def _nearest(query: str, hits: dict[str, Place]) -> dict[str, Place]:
    """Return those hits whose paths, now or before, end as a query does in the most parts: many may be called `0`."""
    asked = [part for part in query.split("/") if part not in {"", "."}]
    agreeing = {
        path: max(_common_parts(asked, each.split("/")) for each in (place.path, *place.former))
        for path, place in hits.items()
    }
    return {path: place for path, place in hits.items() if agreeing[path] == max(agreeing.values())}


def _common_parts(asked: Sequence[str], parts: Sequence[str]) -> int:
    """Return in how many parts two paths agree at their ends; the last is agreed on already, as a whole or in part."""
    same = 0
    for one, other in zip(reversed(asked[:-1]), reversed(parts[:-1]), strict=False):
        if one != other:
            break
        same += 1
    return same


def _fits(query: str, name: str) -> bool:
    """Say whether a query is a name, an id at its beginning, or enough of an id's first digits."""
    if query == name:
        return True
    is_id_start = (
        FEWEST_DIGITS <= len(query) <= _ID_DIGITS and RUN_ID.fullmatch(query.ljust(_ID_DIGITS, "0")) is not None
    )
    return is_id_start and name.startswith(query)


def _former_names(renamings: Iterable[Renaming]) -> dict[str, tuple[str, ...]]:
    """Return the earlier paths of each present path, following chains of migrations back."""
    came_from: defaultdict[str, list[str]] = defaultdict(list)
    for renaming in renamings:
        came_from[renaming.new].append(renaming.old)
    out: dict[str, tuple[str, ...]] = {}
    for new in came_from:
        names: list[str] = []
        queue = list(came_from[new])
        while queue:
            old = queue.pop(0)
            if old not in names and old != new:
                names.append(old)
                queue += came_from.get(old, ())
        out[new] = tuple(names)
    return out
