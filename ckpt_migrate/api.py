"""The verbs of the tool, for notebooks and scripts.

    from ckpt_migrate import api

    planned = api.plan("checkpoints/phase2", tracking_uri="sqlite:///mlflow.db", output="plan.yaml")
    undecided = [entry for entry in planned.plan.entries if entry.action == "skip"]
    for operation in api.apply("plan.yaml", is_dry_run=True).operations:
        print(operation.symbol, operation.describe())
    result = api.apply("plan.yaml")
    verified = api.verify("checkpoints/phase2", tracking_uri="sqlite:///mlflow.db")
    undone = api.rollback(result.log)

Paths may be texts or path objects; one root may be given without a list. Every function raises subclasses of
:class:`ckpt_migrate.errors.CkptMigrateError`, and nothing else, for bad input.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ckpt_migrate.errors import PlanError, RootError, UsageError
from ckpt_migrate.progress import SILENT
from ckpt_migrate.recipe import DEFAULT_RECIPE, load_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckpt_migrate.apply.carry_out import ApplyResult
    from ckpt_migrate.evidence.records import Evidence
    from ckpt_migrate.find import Found
    from ckpt_migrate.journal.logs import LogSummary
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.planning import Planned
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.report.records import Page
    from ckpt_migrate.review.doubts import Doubt
    from ckpt_migrate.rollback import RollbackResult
    from ckpt_migrate.scan.walk import ScanResult
    from ckpt_migrate.tracking.records import StoreWarning
    from ckpt_migrate.verify import Verification

StrPath: TypeAlias = "str | os.PathLike[str]"
Roots: TypeAlias = "StrPath | Sequence[StrPath]"


@dataclass(frozen=True, slots=True)
class Verified:
    """A verification and what was malformed in the stores."""

    verification: Verification
    warnings: tuple[StoreWarning, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A page and the text of its file."""

    page: Page
    text: str


def scan(roots: Roots, *, migration: StrPath = DEFAULT_RECIPE, progress: Progress = SILENT) -> ScanResult:
    """Find the checkpoint directories below the roots; needs no store and writes nothing.

    Args:
        roots: Directories that hold checkpoint directories, or lie above them.
        migration: A shipped recipe's name, or the path of a recipe.
        progress: Watches the walk.

    Raises:
        RootError: A root is no directory that can be listed.
        RecipeError: There is no such recipe, or it is wrong.
    """
    from ckpt_migrate.scan.walk import scan_roots

    return scan_roots(_roots(roots), load_recipe(os.fspath(migration)), progress=progress)


def evidence(
    found: ScanResult, *, migration: StrPath = DEFAULT_RECIPE, progress: Progress = SILENT
) -> dict[str, Evidence]:
    """Return what readers find in each directory and loose file of a scan, by path; needs no store, writes nothing.

    Args:
        found: What `scan` returned.
        migration: The recipe that it was scanned by.
        progress: Watches the reading.

    Raises:
        RecipeError: There is no such recipe, or it is wrong.
    """
    from ckpt_migrate.evidence import read_all

    return read_all(found.checkpoints, load_recipe(os.fspath(migration)), progress=progress)


def plan(
    roots: Roots,
    *,
    tracking_uri: Roots = (),
    migration: StrPath = DEFAULT_RECIPE,
    timezone: str | None = None,
    output: StrPath | None = None,
    overwrite: bool = False,
    with_linked: bool = False,
    with_audit: bool = False,
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
        overwrite: Whether `output` may replace a plan that a person has edited, or a file that is no plan.
        with_linked: Whether directories that need nothing get an entry.
        with_audit: Whether to match again with evidence and runs hidden and rivals added; see `audit`.
        progress: Watches the loops.

    Raises:
        RootError: A root is no directory that can be listed.
        RecipeError: There is no such recipe, or it is wrong.
        PlanError: `output` cannot be written, or would replace what must not be lost.
        StoreError: No store was found, or one could not be read to its end.
        UsageError: An unknown time zone or URI scheme.
        AuditError: The audit attached a directory to a run that cannot be its run; nothing was written.
    """
    from ckpt_migrate.planning import make_plan

    return make_plan(
        _roots(roots),
        tracking_uris=_paths(tracking_uri),
        migration=os.fspath(migration),
        timezone=timezone,
        output="" if output is None else os.fspath(output),
        overwrite=overwrite,
        with_linked=with_linked,
        with_audit=with_audit,
        progress=progress,
    )


def read(path: StrPath) -> Plan:
    """Read a plan for looking at it, a person's edits taken over; no store is asked.

    Raises:
        PlanError: The plan is damaged, or edited beyond what may be edited.
        RecipeError: Its recipe is gone.
    """
    from ckpt_migrate.plan.read import load_plan

    return load_plan(os.fspath(path), load_recipe)[0]


def load(path: StrPath, *, tracking_uri: Roots = ()) -> tuple[Plan, Recipe]:
    """Read a plan that a person may have edited, and the recipe that it was made by.

    Args:
        path: The plan file.
        tracking_uri: Where runs are looked up that a person wrote in and the planner had not listed; empty means
            the plan's own store.

    Raises:
        PlanError: The plan is damaged, stale, edited beyond what may be edited, or names a run that no store has.
        RecipeError: Its recipe is gone.
        StoreError: A run has to be looked up and the store cannot be read.
    """
    from ckpt_migrate.plan.read import load_plan
    from ckpt_migrate.stores import look_up_runs

    loaded, recipe = load_plan(os.fspath(path), load_recipe)
    if loaded.recipe_digest != recipe.digest:
        what = f"stale: its recipe {recipe.source} is not as it was when this was planned"
        raise PlanError(what, where=loaded.path, remedy="Plan again.")
    return look_up_runs(loaded, recipe, _paths(tracking_uri)), recipe


def doubts(plan: Plan, recipe: Recipe | None = None, *, progress: Progress = SILENT) -> tuple[Doubt, ...]:
    """Return what speaks against the renames that a person chose in a plan; reads those directories, writes nothing.

    Args:
        plan: What `load` returned, or `read`, which does not know runs that the planner had not listed.
        recipe: The plan's recipe, as `load` returns it.
        progress: Watches the reading.

    Raises:
        RecipeError: The plan's recipe is gone.
    """
    from ckpt_migrate.review.doubts import find_doubts

    return find_doubts(plan, load_recipe(plan.migration) if recipe is None else recipe, progress=progress)


def apply(
    path: StrPath,
    *,
    is_dry_run: bool = False,
    tracking_uri: Roots = (),
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
    return apply_loaded(
        *load(path, tracking_uri=tracking_uri),
        is_dry_run=is_dry_run,
        lock_timeout_s=lock_timeout_s,
        progress=progress,
        on_wait=on_wait,
    )


def apply_loaded(
    plan: Plan,
    recipe: Recipe,
    *,
    is_dry_run: bool = False,
    lock_timeout_s: float = 0.0,
    progress: Progress = SILENT,
    on_wait: Callable[[str], None] | None = None,
) -> ApplyResult:
    """Do what `load` returned, so that what is done is what was shown, whatever became of the file since.

    Takes and raises what `apply` does.
    """
    from ckpt_migrate.apply.carry_out import apply_plan

    return apply_plan(
        plan, recipe, is_dry_run=is_dry_run, progress=progress, lock_timeout_s=lock_timeout_s, on_wait=on_wait
    )


def report(path: StrPath, *, output: StrPath | None = None, overwrite: bool = False) -> Report:
    """Make a page of a plan, or of what became of one: a single file of HTML that needs no network.

    Args:
        path: A plan, or the log of an apply.
        output: Where the page goes; None writes nothing.
        overwrite: Whether `output` may replace a file that is no report.

    Raises:
        PlanError: The plan is damaged, or edited beyond what may be edited.
        JournalError: The log is damaged beyond use.
        RecipeError: The plan's recipe is gone.
        ReportError: `output` cannot be written, or would replace another file.
    """
    from ckpt_migrate.journal.log_file import SUFFIX
    from ckpt_migrate.plan.read import load_plan
    from ckpt_migrate.report.file import save
    from ckpt_migrate.report.html import render
    from ckpt_migrate.report.log_page import log_page
    from ckpt_migrate.report.plan_page import plan_page

    if os.fspath(path).endswith(SUFFIX):
        page = log_page(os.fspath(path))
    else:
        loaded, recipe = load_plan(os.fspath(path), load_recipe)
        page = plan_page(loaded, recipe, doubts(loaded, recipe))
    text = render(page)
    if output is not None:
        save(os.fspath(output), text, overwrite=overwrite)
    return Report(page, text)


def rollback(
    log: StrPath,
    *,
    root: StrPath = ".",
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


def find_log(log: StrPath, *, root: StrPath = ".") -> str:
    """Return the path of a log: the one given, or for `latest` the newest at or below `root`.

    Raises:
        RootError: There is no such folder as `root`.
        UsageError: There is no log.
        JournalError: The file is no log of this tool.
    """
    from ckpt_migrate.journal.fold import load as load_log
    from ckpt_migrate.journal.logs import latest_log

    if log == "latest":
        return latest_log(_folder(root))
    if not os.path.isfile(log):
        remedy = "`ckpt-migrate log ROOT` lists the logs of a root; `latest` is the newest at or below --root."
        raise UsageError("there is no such log", where=os.fspath(log), remedy=remedy)
    load_log(os.fspath(log))
    return os.fspath(log)


def logs(root: StrPath = ".") -> tuple[LogSummary, ...]:
    """Return the logs of all applies at or below a folder, oldest first, with the state that each is in.

    Raises:
        RootError: There is no such folder.
    """
    from ckpt_migrate.journal.logs import find_logs, state_directories

    found = {log.path: log for state in state_directories(_folder(root)) for log in find_logs(os.path.dirname(state))}
    return tuple(found[path] for path in sorted(found, key=lambda path: (os.path.basename(path), path)))


def verify(
    roots: Roots,
    *,
    tracking_uri: Roots = (),
    migration: StrPath = DEFAULT_RECIPE,
    progress: Progress = SILENT,
) -> Verified:
    """Hold every directory below the roots against the store, and every manifest against both; writes nothing.

    Raises:
        RootError: A root is no directory that can be listed.
        RecipeError: There is no such recipe, or it is wrong.
        StoreError: No store was found, or one could not be read to its end.
    """
    from ckpt_migrate.scan.walk import scan_roots
    from ckpt_migrate.stores import open_named
    from ckpt_migrate.verify import verify as hold_against

    recipe = load_recipe(os.fspath(migration))
    _, store = open_named(_paths(tracking_uri))
    with closing(store):
        found = scan_roots(_roots(roots), recipe, progress=progress)
        return Verified(hold_against(found, store, recipe), tuple(store.warnings))


def find(
    queries: str | Sequence[str],
    roots: Roots,
    *,
    tracking_uri: Roots = (),
    migration: StrPath = DEFAULT_RECIPE,
    progress: Progress = SILENT,
    on_problem: Callable[[str], None] = lambda _: None,
) -> tuple[Found, ...]:
    """Look up ids and names, old or new, of directories and runs; the logs of the roots tell old names.

    Args:
        queries: Run ids, uuids, directory names or paths, run names; six digits of an id are enough.
        roots: As for `scan`.
        tracking_uri: As for `plan`.
        migration: As for `scan`.
        progress: Watches the walk.
        on_problem: Told of each directory and log that could not be read, in which something may be hidden.

    Raises:
        RootError: A root is no directory that can be listed.
        RecipeError: There is no such recipe, or it is wrong.
        StoreError: No store was found, or one could not be read to its end.
    """
    from ckpt_migrate.find import find as look_up
    from ckpt_migrate.find import renamings
    from ckpt_migrate.scan.walk import scan_roots
    from ckpt_migrate.stores import open_named

    recipe = load_recipe(os.fspath(migration))
    _, store = open_named(_paths(tracking_uri))
    with closing(store):
        found = scan_roots(_roots(roots), recipe, progress=progress)
        for path, what in found.problems:
            on_problem(f"{path}: {what}")
        wanted = (queries,) if isinstance(queries, str) else queries
        return look_up(wanted, found.checkpoints, store.runs(), renamings(found.roots, on_problem))


def _paths(given: Roots) -> tuple[str, ...]:
    if isinstance(given, (str, os.PathLike)):
        return (os.fspath(given),)
    return tuple(os.fspath(path) for path in given)


def _roots(given: Roots) -> tuple[str, ...]:
    roots = _paths(given)
    if not roots:
        raise RootError("no root is given", remedy="Give directories that hold checkpoint directories.")
    return roots


def _folder(root: StrPath) -> str:
    if not os.path.isdir(root):
        raise RootError("no such directory", where=os.fspath(root), remedy="Name a root, or a folder above roots.")
    return os.fspath(root)
