"""The page of a log: what was done, and where each directory is now."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.errors import CkptMigrateError
from ckpt_migrate.journal.fold import load
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.plan.read import load_plan
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.report.changes import logged_changes
from ckpt_migrate.report.plan_page import plan_page
from ckpt_migrate.report.records import Page, Row

if TYPE_CHECKING:
    from ckpt_migrate.journal.history import History, LoggedItem
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.recipe import Recipe

_OPEN = {LogState.UNFINISHED, LogState.UNFINISHED_ROLLBACK, LogState.PARTLY_ROLLED_BACK, LogState.FINISHED}


def log_page(path: str) -> Page:
    """Return what the page of a log shows; with the plan's cases, while the plan is still as it was applied.

    The log says what was done; the disk is asked where each directory is now.

    Raises:
        JournalError: It cannot be read, or is no log of this tool.
    """
    history = load(path)
    loaded = _plan_of(history)
    facts = [
        ("Log", history.path),
        ("State", history.state.value),
        ("Begun", "unknown" if history.started is None else f"{history.started:%Y-%m-%d %H:%M:%S} UTC"),
        ("Directories", f"{len(history.items):,} changed below {', '.join(history.roots)}"),
        *(("Damage", text) for text in history.contents.damage),
    ]
    command = f"ckpt-migrate rollback {shlex.quote(history.path)} --dry-run" if history.state in _OPEN else ""
    title = f"What became of {history.id}"
    if loaded is None:
        facts.append(("Plan", f"{history.plan_path or 'none'} is not there as it was applied: the cases are not shown"))
        rows = tuple(_bare_row(item, history) for item in history.items.values())
        return Page(
            title, tuple(facts), None, rows, {}, {}, logged_changes(history, None), command=command, is_log=True
        )
    plan, recipe = loaded
    page = plan_page(plan, recipe, ())
    known = [fact for fact in page.facts if fact[0] in {"Plan", "Runs", "Clock"}]
    rows = tuple(
        replace(row, outcome=_outcome(history.items[number], history) if number in history.items else "left alone")
        for number, row in enumerate(page.rows)
    )
    changes = logged_changes(history, plan)
    told = (*facts, *known)
    return replace(page, title=title, facts=told, rows=rows, changes=changes, steps=(), command=command, is_log=True)


def _plan_of(history: History) -> tuple[Plan, Recipe] | None:
    if not history.plan_path:
        return None
    try:
        plan, recipe = load_plan(history.plan_path, load_recipe)
    except CkptMigrateError:
        return None
    return (plan, recipe) if plan.digest == history.plan_digest else None


def _bare_row(item: LoggedItem, history: History) -> Row:
    action = "repair" if item.source == item.target else "rename"
    new_name = None if action == "repair" else os.path.basename(item.target)
    symbol = "+" if action == "repair" else "~"
    return Row(item.source, "matched", action, symbol, new_name=new_name, outcome=_outcome(item, history))


def _outcome(item: LoggedItem, history: History) -> str:
    is_undone = history.state is LogState.ROLLED_BACK
    if item.source == item.target:
        if not os.path.lexists(item.source):
            return "gone"
        return "manifests put back" if is_undone else "manifests written" if item.is_applied else "cut short"
    if os.path.lexists(item.target) and not is_undone:
        return "renamed" if item.is_applied else "cut short: renamed, manifests open"
    if os.path.lexists(item.source):
        return "put back" if item.is_applied or is_undone else "not yet renamed"
    return "gone: neither name is there"
