"""The verbs about plans: made, read, doubted, shown as a page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.api.arguments import paths, roots_of
from ckpt_migrate.errors import PlanError
from ckpt_migrate.progress import SILENT
from ckpt_migrate.recipe import DEFAULT_RECIPE, load_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.api.arguments import Roots, StrPath
    from ckpt_migrate.plan.records import Entry, Plan
    from ckpt_migrate.planning import Planned
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.report.records import Page
    from ckpt_migrate.review.doubts import Doubt


@dataclass(frozen=True, slots=True)
class Report:
    """A page and the text of its file."""

    page: Page
    text: str


def plan(
    roots: Roots,
    *,
    tracking_uri: Roots = (),
    migration: StrPath = DEFAULT_RECIPE,
    timezone: str | None = None,
    output: StrPath | None = None,
    overwrite: bool = False,
    with_linked: bool = False,
    with_deleted: bool = False,
    with_audit: bool = False,
    keep: StrPath | None = None,
    references: Roots = (),
    cache: StrPath | None = None,
    leave_links: bool = False,
    tag_runs: bool = False,
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
        overwrite: Whether `output` may replace a plan that a person has edited; what is no plan never is.
        with_linked: Whether directories that need nothing get an entry.
        with_deleted: Whether directories are renamed to runs that are deleted in MLflow, too.
        with_audit: Whether to match again with evidence and runs hidden and rivals added; see `audit`.
        keep: An earlier plan whose answers by a person are taken over as certain.
        references: Files and folders to search for mentions of old names, which the plan then lists.
        cache: A folder in which evidence of unchanged directories is kept; None keeps none.
        leave_links: Whether apply leaves, at each old name, a relative link to the new one.
        tag_runs: Whether apply tags the runs with where their checkpoints are and were.
        progress: Watches the loops.

    Raises:
        RootError: A root is no directory that can be listed.
        RecipeError: There is no such recipe, or it is wrong.
        PlanError: `output` cannot be written, or would replace what must not be lost; or `keep` cannot be read.
        StoreError: No store was found, or one could not be read to its end.
        UsageError: An unknown time zone or URI scheme.
        AuditError: The audit attached a directory to a run that cannot be its run; nothing was written.
    """
    from ckpt_migrate.planning import make_plan

    return make_plan(
        roots_of(roots),
        tracking_uris=paths(tracking_uri),
        migration=os.fspath(migration),
        timezone=timezone,
        output="" if output is None else os.fspath(output),
        overwrite=overwrite,
        with_linked=with_linked,
        with_deleted=with_deleted,
        with_audit=with_audit,
        keep="" if keep is None else os.fspath(keep),
        references=paths(references),
        cache=None if cache is None else os.fspath(cache),
        leave_links=leave_links,
        tag_runs=tag_runs,
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


def load(path: StrPath, *, tracking_uri: Roots = (), with_evidence: bool = True) -> tuple[Plan, Recipe]:
    """Read a plan that a person may have edited, and the recipe that it was made by.

    Args:
        path: The plan file.
        tracking_uri: Where runs are looked up that a person wrote in and the planner had not listed; empty means
            the plan's own store.
        with_evidence: Whether to keep all evidence and candidates; without, in less memory, those at least of entries
            that a person has edited.

    Raises:
        PlanError: The plan is damaged, stale, edited beyond what may be edited, or names a run that no store has.
        RecipeError: Its recipe is gone.
        StoreError: A run has to be looked up and the store cannot be read.
    """
    from ckpt_migrate.plan.read import load_plan
    from ckpt_migrate.stores import look_up_runs

    loaded, recipe = load_plan(os.fspath(path), load_recipe, with_evidence=with_evidence)
    if loaded.recipe_digest != recipe.digest:
        what = f"stale: its recipe {recipe.source} is not as it was when this was planned"
        raise PlanError(what, where=loaded.path, remedy="Plan again.")
    return look_up_runs(loaded, recipe, paths(tracking_uri)), recipe


def doubts(
    plan: Plan,
    recipe: Recipe | None = None,
    *,
    entries: Sequence[Entry] | None = None,
    progress: Progress = SILENT,
) -> tuple[Doubt, ...]:
    """Return what speaks against the runs that a person chose in a plan; reads those directories, writes nothing.

    Args:
        plan: What `load` returned, or `read`, which does not know runs that the planner had not listed.
        recipe: The plan's recipe, as `load` returns it.
        entries: The plan's entries in question; all by default.
        progress: Watches the reading.

    Raises:
        RecipeError: The plan's recipe is gone.
    """
    from ckpt_migrate.review.doubts import find_doubts

    known = load_recipe(plan.migration) if recipe is None else recipe
    return find_doubts(plan, known, entries=entries, progress=progress)


def report(path: StrPath, *, output: StrPath | None = None) -> Report:
    """Make a page of a plan, or of what became of one: a single file of HTML that needs no network.

    Args:
        path: A plan, or the log of an apply.
        output: Where the page goes; None writes nothing, and only a report is ever written over.

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
        save(os.fspath(output), text)
    return Report(page, text)
