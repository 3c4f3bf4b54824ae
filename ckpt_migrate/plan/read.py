"""Reading a plan: strictly, every problem with its line, and a person's edits told from damage."""

from __future__ import annotations

import codecs
import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.collector import collector_paused
from ckpt_migrate.errors import PlanError, RecipeError
from ckpt_migrate.plan.fields import sealed_top
from ckpt_migrate.plan.read_entry import EntryReader
from ckpt_migrate.plan.read_frame import read_frame
from ckpt_migrate.plan.read_run import read_run
from ckpt_migrate.plan.records import LARGEST_PLAN_BYTES, PLAN_VERSION, Action, Entry, Plan
from ckpt_migrate.plan.seal import broken
from ckpt_migrate.plan.written import OtherFormError, Unread, WrittenText
from ckpt_migrate.strict_yaml import Field, Problems, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ckpt_migrate.plan.records import RunFacts
    from ckpt_migrate.recipe import Recipe

_TOP = ("version", "tool", "created", "migration", "recipe_digest", "tracking_uri", "roots", "clock", "summary",
        "entries", "runs", "seal")  # fmt: skip
_CHUNK_BYTES = 1 << 20
_REMEDY = "Only `action` and, with action: rename, `run_id` may be edited. Mend the lines named, or plan again."


def load_plan(
    path: str, find_recipe: Callable[[str], Recipe], *, data: bytes | None = None, with_evidence: bool = True
) -> tuple[Plan, Recipe]:
    """Read and validate a plan, the person's edits taken over.

    Args:
        path: The plan file.
        find_recipe: Returns the recipe that the plan names.
        data: What the file would hold; it is not read then.
        with_evidence: Whether all evidence and candidates are kept; without, in less memory, those of entries that a
            person has edited, at least.

    Raises:
        PlanError: The file cannot be read, is no plan, is of another version, or was edited beyond what may be
            edited; all problems are listed with their lines.
    """
    folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
    if data is None:
        loaded = _load_written(path, folder, find_recipe, with_evidence=with_evidence)
        if loaded is not None:
            return loaded
        data = _read_bytes(path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what = f"line {line}: is not UTF-8 text"
        raise PlanError(what, where=path, remedy="Save the plan as UTF-8, or plan again.") from error
    digest = hashlib.sha256(data).hexdigest()
    del data  # the text is as large again
    problems = Problems()
    with collector_paused():
        loaded = parse_plan(text, folder, find_recipe, problems, digest=digest, path=path)
    if loaded is None or problems.count:
        raise PlanError("the plan cannot be used as it is", where=path, problems=problems.lines(), remedy=_REMEDY)
    return loaded


def _load_written(
    path: str, folder: str, find_recipe: Callable[[str], Recipe], *, with_evidence: bool
) -> tuple[Plan, Recipe] | None:
    """Read a plan that is as plans are written, never all of its file at once; None when it is another one.

    Whatever goes wrong is found again, and told, when the file is read as a whole.
    """
    chunks = _Chunks(path)
    try:
        with collector_paused():
            plan, recipe = _parse_written(chunks, folder, find_recipe, with_evidence=with_evidence)
    except (OtherFormError, RecipeError, OSError, ValueError):
        return None
    return replace(plan, digest=chunks.digest.hexdigest(), path=path), recipe


class _Chunks:
    """The text of a file in chunks; `digest` is over its bytes that were read."""

    def __init__(self, path: str) -> None:
        self.digest = hashlib.sha256()
        self._path = path

    def __iter__(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        if not os.path.isfile(self._path) or os.path.getsize(self._path) > LARGEST_PLAN_BYTES:
            raise OtherFormError
        with open(self._path, "rb") as file:
            while data := file.read(_CHUNK_BYTES):
                self.digest.update(data)
                yield decoder.decode(data)
        yield decoder.decode(b"", final=True)


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
        found = _parse_written([text], folder, find_recipe, with_evidence=True)
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
    plan = replace(read_frame(keys), runs=runs, entries=entries, folder=folder)
    _check_seal(plan, keys)
    _check_targets(plan, problems)
    return plan, recipe


def _parse_written(
    chunks: Iterable[str], folder: str, find_recipe: Callable[[str], Recipe], *, with_evidence: bool
) -> tuple[Plan, Recipe]:
    """Parse a plan that is as plans are written, and in which nothing is wrong.

    Raises:
        OtherFormError: It is another one.
    """
    problems = Problems()
    text = WrittenText(chunks)
    # The entries come before the seal, and are read with what stands above them.
    keys = _frame_keys(f"{text.head}entries: []\nruns: {{}}\nseal: ''\n", problems)
    recipe = find_recipe(keys["migration"].text())
    runs: dict[str, RunFacts] = {}
    reader = EntryReader(keys["roots"].texts(), folder, recipe, runs)
    written = list(text.entries(reader.root_of, with_evidence=with_evidence))
    for run in text.runs():
        if runs.setdefault(run.run_id, run) is not run:
            raise OtherFormError
    # Only now: what was proposed in place of an edit is found among the runs.
    entries = [_read_edited(each, reader, problems) if isinstance(each, Unread) else each for each in written]
    keys = _frame_keys(text.frame(), problems)
    plan = replace(read_frame(keys), runs=runs, entries=tuple(entries), folder=folder)
    _check_seal(plan, keys)
    _check_targets(plan, problems)
    if problems.count:
        raise OtherFormError
    return plan, recipe


def _frame_keys(frame: str, problems: Problems) -> Mapping[str, Field]:
    top = compose(frame, problems)
    keys = {} if top is None else top.mapping(required=_TOP, optional=("links", "references"))
    if problems.count or keys["version"].text() != str(PLAN_VERSION):
        raise OtherFormError
    return keys


def _read_edited(unread: Unread, reader: EntryReader, problems: Problems) -> Entry:
    if "\n---" in unread.text or "\n..." in unread.text:  # the end of a document would be lost
        raise OtherFormError
    item = compose(unread.text, problems)
    items = [] if item is None else item.sequence()
    entry = reader.read(items[0]) if len(items) == 1 else None
    if entry is None or problems.count:
        raise OtherFormError
    return replace(entry, line=entry.line + unread.line, run_id_line=entry.run_id_line + unread.line)


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
