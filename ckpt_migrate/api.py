"""The verbs of the tool, for notebooks and scripts.

    from ckpt_migrate import api

    plan = api.plan(["checkpoints/phase2"], tracking_uri="mlruns", output="plan.yaml")
    api.apply("plan.yaml", is_dry_run=True)
    result = api.apply("plan.yaml")
    api.rollback(result.log)

Every function raises subclasses of :class:`ckpt_migrate.errors.CkptMigrateError` and nothing else for bad input.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.errors import PlanError, RootError
from ckpt_migrate.evidence.reading import read_all
from ckpt_migrate.progress import SILENT
from ckpt_migrate.recipe import DEFAULT_RECIPE, load_recipe
from ckpt_migrate.records import State
from ckpt_migrate.scan import scan_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ckpt_migrate.apply import ApplyResult
    from ckpt_migrate.evidence.records import Evidence
    from ckpt_migrate.find import Found
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.recovery import LogSummary
    from ckpt_migrate.rollback import RollbackResult
    from ckpt_migrate.scan import ScanResult
    from ckpt_migrate.tracking.records import RunStore, StoreWarning
    from ckpt_migrate.verify import Verification


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what was noticed on the way.

    Attributes:
        plan: The plan.
        text: Its file's text.
        expected_wrong: Expected number of wrong renames in it, by its own stated confidences.
        warnings: What was malformed in the stores and passed over.
        problems: Path and cause of directories that could not be listed.
    """

    plan: Plan
    text: str
    expected_wrong: float
    warnings: tuple[StoreWarning, ...]
    problems: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """A verification and what was malformed in the stores."""

    verification: Verification
    warnings: tuple[StoreWarning, ...]


def scan(roots: Sequence[str], *, migration: str = DEFAULT_RECIPE, progress: Progress = SILENT) -> ScanResult:
    """Find the checkpoint directories below the roots; needs no store and writes nothing.

    Args:
        roots: Directories that hold checkpoint directories, or lie above them.
        migration: A shipped recipe's name, or the path of a recipe.
        progress: Watches the walk.

    Raises:
        RootError: A root is no directory that can be listed.
        RecipeError: There is no such recipe, or it is wrong.
    """
    return scan_roots(roots, load_recipe(migration), progress=progress)


def plan(
    roots: Sequence[str],
    *,
    tracking_uri: str | Sequence[str] = (),
    migration: str = DEFAULT_RECIPE,
    timezone: str | None = None,
    output: str | None = None,
    with_linked: bool = False,
    progress: Progress = SILENT,
) -> Planned:
    """Match every checkpoint below the roots to its run and return the plan; nothing but `output` is written.

    Args:
        roots: As for `scan`.
        tracking_uri: One or several stores; empty means MLFLOW_TRACKING_URI, else mlflow.db or mlruns in the
            current directory.
        migration: A shipped recipe's name, or the path of a recipe.
        timezone: An IANA zone for the stamps, instead of the one inferred.
        output: The plan's file; relative paths in the plan start from its folder. None writes nothing.
        with_linked: Whether directories that need nothing get an entry.
        progress: Watches the loops.

    Raises:
        RootError: A root is no directory that can be listed.
        RecipeError: There is no such recipe, or it is wrong.
        StoreError: No store was found, or one could not be read to its end.
        UsageError: An unknown time zone or URI scheme.
    """
    from ckpt_migrate.matching.link import link
    from ckpt_migrate.plan.build import PlanInput, build_plan
    from ckpt_migrate.plan.write import render_plan

    recipe = load_recipe(migration)
    found = scan_roots(roots, recipe, progress=progress)
    uris, store = _open(tracking_uri)
    with closing(store):
        evidence = _evidence(found, recipe, progress)
        matching = link(found.checkpoints, evidence, store, recipe, timezone=timezone, progress=progress)
        folder = os.path.realpath(os.path.dirname(os.path.abspath(output)) if output else os.getcwd())
        given = PlanInput(
            scan=found,
            matching=matching,
            recipe=recipe,
            migration=migration if migration == recipe.name else os.path.abspath(recipe.source),
            tracking_uri=uris,
            roots={os.path.realpath(root): root for root in roots},
            folder=folder,
            now_utc_s=time.time(),
            with_linked=with_linked,
        )
        built = build_plan(given, store)
        warnings = tuple(store.warnings)
    text = render_plan(built, os.path.basename(output) if output else "plan.yaml")
    if output is not None:
        _save(output, text)
    return Planned(built, text, matching.expected_wrong, warnings, found.problems)


def read(path: str) -> Plan:
    """Read a plan for looking at it, a person's edits taken over; no store is asked.

    Raises:
        PlanError: The plan is damaged, or edited beyond what may be edited.
        RecipeError: Its recipe is gone.
    """
    from ckpt_migrate.plan.read import load_plan, read_migration

    return load_plan(path, load_recipe(read_migration(path) or DEFAULT_RECIPE).target)


def load(path: str, *, tracking_uri: str | Sequence[str] = ()) -> tuple[Plan, Recipe]:
    """Read a plan that a person may have edited, and the recipe that it was made by.

    Args:
        path: The plan file.
        tracking_uri: Where runs are looked up that a person wrote in and the planner had not listed; empty means
            the plan's own store.

    Raises:
        PlanError: The plan is damaged, or edited beyond what may be edited, or names a run that no store has.
        RecipeError: Its recipe is gone.
        StoreError: A run has to be looked up and the store cannot be read.
    """
    from ckpt_migrate.plan.read import load_plan, read_migration

    recipe = load_recipe(read_migration(path) or DEFAULT_RECIPE)
    loaded = load_plan(path, recipe.target)
    if loaded.recipe_digest != recipe.digest:
        what = f"stale: its recipe {recipe.source} is not the one that it was planned with"
        raise PlanError(what, where=path, remedy="Plan again.")
    return _look_up_runs(loaded, recipe, path, tracking_uri), recipe


def apply(
    path: str,
    *,
    is_dry_run: bool = False,
    tracking_uri: str | Sequence[str] = (),
    lock_timeout_s: float = 0.0,
    progress: Progress = SILENT,
    on_wait: Callable[[str], None] | None = None,
) -> ApplyResult:
    """Do what a plan says, or refuse; a plan whose apply was cut short is continued.

    Args:
        path: The plan file.
        is_dry_run: Whether only to return the operations, in their order, and change nothing.
        tracking_uri: As for `load`.
        lock_timeout_s: Seconds to wait for another process on the same roots.
        progress: Watches the changes.
        on_wait: Called once with the lock's holder when waiting for it takes long.

    Raises:
        PlanError: See `load`.
        DriftError: The disk is not as planned, or a target is taken; nothing was changed.
        PlanAppliedError: It was applied before.
        UnfinishedError: Another apply of these roots was cut short.
        LockedError: Another process works on a root.
        ExecutionError: A change failed; the message says how to go on and how to undo.
    """
    from ckpt_migrate.apply import apply_plan

    loaded, recipe = load(path, tracking_uri=tracking_uri)
    return apply_plan(
        loaded, recipe, is_dry_run=is_dry_run, progress=progress, lock_timeout_s=lock_timeout_s, on_wait=on_wait
    )


def rollback(
    log: str,
    *,
    root: str = ".",
    is_dry_run: bool = False,
    lock_timeout_s: float = 0.0,
    progress: Progress = SILENT,
    on_wait: Callable[[str], None] | None = None,
) -> RollbackResult:
    """Put back every name, byte and time stamp that an apply changed; safe to run twice.

    Args:
        log: A log's path, or `latest` for the newest at or below `root`.
        root: Where `latest` looks.
        is_dry_run: Whether only to return the operations and change nothing.
        lock_timeout_s: Seconds to wait for another process on the same roots.
        progress: Watches the changes.
        on_wait: Called once with the lock's holder when waiting for it takes long.

    Raises:
        JournalError: No such log, or it is damaged beyond use.
        LockedError: Another process works on a root.
        ExecutionError: A change failed; running it again goes on.
    """
    from ckpt_migrate.rollback import roll_back

    path = find_log(log, root=root)
    return roll_back(path, is_dry_run=is_dry_run, progress=progress, lock_timeout_s=lock_timeout_s, on_wait=on_wait)


def find_log(log: str, *, root: str = ".") -> str:
    """Return the path of a log: the one given, or for `latest` the newest at or below `root`.

    Raises:
        UsageError: There is none.
    """
    from ckpt_migrate.recovery import latest_log

    return latest_log(root) if log == "latest" else log


def logs(root: str = ".") -> tuple[LogSummary, ...]:
    """Return the logs of all applies at or below a folder, oldest first, with the state that each is in.

    Raises:
        RootError: There is no such folder.
    """
    from ckpt_migrate.recovery import find_logs, state_directories

    if not os.path.isdir(root):
        raise RootError("no such directory", where=root, remedy="Name a root, or a folder above roots.")
    found = {log.path: log for state in state_directories(root) for log in find_logs(os.path.dirname(state))}
    return tuple(found[path] for path in sorted(found, key=lambda path: (os.path.basename(path), path)))


def verify(
    roots: Sequence[str],
    *,
    tracking_uri: str | Sequence[str] = (),
    migration: str = DEFAULT_RECIPE,
    progress: Progress = SILENT,
) -> Verified:
    """Hold every directory below the roots against the store, and every manifest against both; writes nothing.

    Raises:
        RootError: A root is no directory that can be listed.
        RecipeError: There is no such recipe, or it is wrong.
        StoreError: No store was found, or one could not be read to its end.
    """
    from ckpt_migrate.verify import verify as hold_against

    recipe = load_recipe(migration)
    found = scan_roots(roots, recipe, progress=progress)
    _, store = _open(tracking_uri)
    with closing(store):
        return Verified(hold_against(found, store, recipe), tuple(store.warnings))


def find(
    queries: Sequence[str],
    roots: Sequence[str],
    *,
    tracking_uri: str | Sequence[str] = (),
    migration: str = DEFAULT_RECIPE,
    progress: Progress = SILENT,
) -> tuple[Found, ...]:
    """Look up ids and names, old or new, of directories and runs; the logs below the roots tell old names.

    Raises:
        RootError: A root is no directory that can be listed.
        StoreError: No store was found, or one could not be read to its end.
    """
    from ckpt_migrate.find import find as look_up
    from ckpt_migrate.find import renamings

    found = scan_roots(roots, load_recipe(migration), progress=progress)
    logged = renamings(entry.path for root in found.roots for entry in logs(root))
    _, store = _open(tracking_uri)
    with closing(store):
        return look_up(queries, found.checkpoints, store.runs(), logged)


def _open(tracking_uri: str | Sequence[str]) -> tuple[tuple[str, ...], RunStore]:
    from ckpt_migrate.tracking import find_tracking_uris, mask_credentials, open_stores

    given = (tracking_uri,) if isinstance(tracking_uri, str) else tuple(tracking_uri)
    uris = find_tracking_uris(given, beside=os.getcwd(), environ=os.environ)
    return tuple(mask_credentials(uri) for uri in uris), open_stores(uris)


def _evidence(found: ScanResult, recipe: Recipe, progress: Progress) -> dict[str, Evidence]:
    readable = [c for c in found.checkpoints if c.state in {State.LEGACY, State.TARGET}]
    return read_all(readable, recipe, progress=progress)


def _look_up_runs(loaded: Plan, recipe: Recipe, path: str, tracking_uri: str | Sequence[str]) -> Plan:
    """Fetch the facts of runs that a person wrote into the plan."""
    from ckpt_migrate.plan.build import run_facts
    from ckpt_migrate.plan.records import Action

    acting = [entry for entry in loaded.entries if entry.action is not Action.SKIP]
    unknown = sorted({e.run_id for e in acting if e.run_id is not None and e.run_id not in loaded.runs})
    if not unknown:
        return loaded
    _, store = _open(tracking_uri or loaded.tracking_uri)
    with closing(store):
        facts = run_facts(unknown, {run.run_id: run for run in store.runs()}, store, recipe)
    missing = [_where(loaded, run_id) for run_id in unknown if run_id not in facts]
    if missing:
        remedy = "Write a run id that the store has, or give the right store with --tracking-uri."
        raise PlanError("names runs that the store does not have", where=path, problems=tuple(missing), remedy=remedy)
    return replace(loaded, runs={**loaded.runs, **facts})


def _where(loaded: Plan, run_id: str) -> str:
    lines: Iterable[int] = (entry.line for entry in loaded.entries if entry.run_id == run_id)
    return f"line {min(lines)}: {run_id}"


def _save(path: str, text: str) -> None:
    from ckpt_migrate.storage import replace_file

    try:
        replace_file(path, text.encode("utf-8"))
    except OSError as error:
        raise PlanError(
            f"cannot be written ({error.strerror})", where=path, remedy="Name another file with -o."
        ) from error
