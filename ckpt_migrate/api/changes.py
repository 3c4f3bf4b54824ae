"""The verbs that change what is on the disk, and the way back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckpt_migrate.api.arguments import folder_of, paths
from ckpt_migrate.api.plans import load
from ckpt_migrate.errors import UsageError
from ckpt_migrate.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt_migrate.api.arguments import Roots, StrPath
    from ckpt_migrate.apply.carry_out import ApplyResult
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.references.left_links import LeftLink
    from ckpt_migrate.references.recheck import Remaining
    from ckpt_migrate.rollback import RollbackResult


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
        *load(path, tracking_uri=tracking_uri, with_evidence=False),
        is_dry_run=is_dry_run,
        tracking_uri=tracking_uri,
        lock_timeout_s=lock_timeout_s,
        progress=progress,
        on_wait=on_wait,
    )


def apply_loaded(
    plan: Plan,
    recipe: Recipe,
    *,
    is_dry_run: bool = False,
    tracking_uri: Roots = (),
    lock_timeout_s: float = 0.0,
    progress: Progress = SILENT,
    on_wait: Callable[[str], None] | None = None,
) -> ApplyResult:
    """Do what `load` returned, so that what is done is what was shown, whatever became of the file since.

    Takes and raises what `apply` does.
    """
    from ckpt_migrate.apply.carry_out import apply_plan
    from ckpt_migrate.stores import open_plan_tags

    return apply_plan(
        plan,
        recipe,
        is_dry_run=is_dry_run,
        progress=progress,
        lock_timeout_s=lock_timeout_s,
        on_wait=on_wait,
        tag_store=open_plan_tags(plan, paths(tracking_uri)),
    )


def recheck(plan: Plan, recipe: Recipe, *, progress: Progress = SILENT) -> tuple[Remaining, ...]:
    """Search once more where a plan's references were searched, after it was applied, for what still has old names.

    Raises:
        RootError: A root of the plan is gone.
    """
    from ckpt_migrate.references.recheck import recheck as search_again

    return search_again(plan, recipe, progress=progress)


def remove_links(
    roots: Roots, *, lock_timeout_s: float = 0.0, on_wait: Callable[[str], None] | None = None
) -> tuple[LeftLink, ...]:
    """Remove the links that applies left at old names at or below the roots, and return them.

    Args:
        roots: As for `scan`.
        lock_timeout_s: Seconds to wait for another process on the same roots.
        on_wait: Called once with the lock's holder when waiting for it takes long.

    Raises:
        RootError: There is no such folder.
        UnfinishedError: An apply or a rollback of these roots was cut short.
        LockedError: Another process works on a root.
        ExecutionError: A link could not be removed.
    """
    from ckpt_migrate.references.left_links import remove_left_links

    folders = [folder_of(root) for root in paths(roots)]
    return remove_left_links(folders, lock_timeout_s=lock_timeout_s, on_wait=on_wait)


def rollback(
    log: StrPath,
    *,
    root: StrPath = ".",
    is_dry_run: bool = False,
    tracking_uri: Roots = (),
    lock_timeout_s: float = 0.0,
    progress: Progress = SILENT,
    on_wait: Callable[[str], None] | None = None,
) -> RollbackResult:
    """Put back every name, byte and time stamp that an apply changed; safe to run twice.

    Args:
        log: A log's path, or `latest` for the newest at or below `root`.
        root: Where `latest` looks.
        is_dry_run: Whether only to return the operations and change nothing.
        tracking_uri: The store whose runs were tagged, where the log has its address without the credentials.
        lock_timeout_s: Seconds to wait for another process on the same roots.
        progress: Watches the changes.
        on_wait: Called once with the lock's holder when waiting for it takes long.

    Raises:
        JournalError: No such log, or it is damaged beyond use.
        LockedError: Another process works on a root.
        StoreError: Runs were tagged, and MLflow would have to upgrade their database before it can undo that.
        ExecutionError: A change failed; running it again goes on.
    """
    from ckpt_migrate.rollback import roll_back
    from ckpt_migrate.stores import open_logged_tags

    path = find_log(log, root=root)
    return roll_back(
        path,
        is_dry_run=is_dry_run,
        progress=progress,
        lock_timeout_s=lock_timeout_s,
        on_wait=on_wait,
        open_tags=lambda uri: open_logged_tags(uri, paths(tracking_uri)),
    )


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
        return latest_log(folder_of(root))
    if not os.path.isfile(log):
        remedy = "`ckpt-migrate log ROOT` lists the logs of a root; `latest` is the newest at or below --root."
        raise UsageError("there is no such log", where=os.fspath(log), remedy=remedy)
    load_log(os.fspath(log))
    return os.fspath(log)
