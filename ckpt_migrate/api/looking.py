"""The verbs that look at directories, stores and logs, and write nothing."""

from __future__ import annotations

import os
import shlex
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.api.arguments import folder_of, paths, roots_of
from ckpt_migrate.errors import StoreNotFoundError
from ckpt_migrate.progress import SILENT
from ckpt_migrate.recipe import DEFAULT_RECIPE, load_recipe, recorded_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ckpt_migrate.api.arguments import Roots, StrPath
    from ckpt_migrate.evidence.records import Evidence
    from ckpt_migrate.find import Found
    from ckpt_migrate.journal.logs import LogSummary
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.references.left_links import LeftLink
    from ckpt_migrate.scan.walk import ScanResult
    from ckpt_migrate.tracking.records import Run, StoreWarning
    from ckpt_migrate.verify import Verification


@dataclass(frozen=True, slots=True)
class Verified:
    """A verification and what belongs to it.

    Attributes:
        verification: The findings.
        warnings: What was malformed in the stores and passed over.
        left_links: The links that applies left at old names.
        notes: What a person should know besides, whole sentences without their full stop.
    """

    verification: Verification
    warnings: tuple[StoreWarning, ...]
    left_links: tuple[LeftLink, ...] = ()
    notes: tuple[str, ...] = ()


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

    return scan_roots(roots_of(roots), load_recipe(os.fspath(migration)), progress=progress)


def evidence(
    found: ScanResult,
    *,
    migration: StrPath = DEFAULT_RECIPE,
    cache: StrPath | None = None,
    progress: Progress = SILENT,
) -> Mapping[str, Evidence]:
    """Return what readers find in each directory and loose file of a scan, by path; needs no store, writes nothing.

    Args:
        found: What `scan` returned.
        migration: The recipe that it was scanned by.
        cache: A folder in which results of unchanged directories are kept; None keeps none.
        progress: Watches the reading.

    Raises:
        RecipeError: There is no such recipe, or it is wrong.
    """
    from ckpt_migrate.evidence import read_all

    kept = None if cache is None else os.fspath(cache)
    return read_all(found.checkpoints, load_recipe(os.fspath(migration)), cache=kept, progress=progress)


def logs(root: StrPath = ".") -> tuple[LogSummary, ...]:
    """Return the logs of all applies at or below a folder, oldest first, with the state that each is in.

    Raises:
        RootError: There is no such folder.
    """
    from ckpt_migrate.journal.logs import find_logs, state_directories

    found = {log.path: log for state in state_directories(folder_of(root)) for log in find_logs(os.path.dirname(state))}
    return tuple(found[path] for path in sorted(found, key=lambda path: (os.path.basename(path), path)))


def links(roots: Roots) -> tuple[LeftLink, ...]:
    """Return the links that applies left at old names at or below the roots, and that still stand.

    Raises:
        RootError: There is no such folder.
    """
    from ckpt_migrate.references.left_links import left_links

    return left_links(folder_of(root) for root in roots_of(roots))


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
    from ckpt_migrate.find import renamings
    from ckpt_migrate.scan.passed_over import passed_over_note
    from ckpt_migrate.scan.walk import scan_roots
    from ckpt_migrate.stores import open_named
    from ckpt_migrate.verify import verify as hold_against

    recipe = load_recipe(os.fspath(migration))
    _, store = open_named(paths(tracking_uri))
    with closing(store):
        found = scan_roots(roots_of(roots), recipe, progress=progress)
        verification = hold_against(found, store, recipe)
        notes = passed_over_note(found.checkpoints)
        judged = {one.path for one in found.checkpoints if one.uid}
        own = recorded_name(recipe, os.fspath(migration))
        others = {one.migration for one in renamings(found.roots, lambda _: None) if one.new not in judged}
        notes += tuple(
            f"a log tells of directories that were migrated with another recipe; give --migration {shlex.quote(other)}"
            for other in sorted(others - {"", own})
        )
        return Verified(verification, tuple(store.warnings), links(roots), notes)


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
        StoreError: A store that was named is not there, or one could not be read to its end. Where none was named and
            none is found, directories and logs alone are looked through.
    """
    from ckpt_migrate.find import find as look_up
    from ckpt_migrate.find import renamings
    from ckpt_migrate.scan.walk import scan_roots
    from ckpt_migrate.stores import open_named

    recipe = load_recipe(os.fspath(migration))
    runs: Sequence[Run] = ()
    try:
        _, store = open_named(paths(tracking_uri))
    except StoreNotFoundError as error:
        if tracking_uri:
            raise
        on_problem(f"{error.what}; only directories and logs are looked through")
    else:
        with closing(store):
            runs = store.runs()
    found = scan_roots(roots_of(roots), recipe, progress=progress)
    for path, what in found.problems:
        on_problem(f"{path}: {what}")
    wanted = (queries,) if isinstance(queries, str) else queries
    known = renamings(found.roots, on_problem)
    own = recorded_name(recipe, os.fspath(migration))
    return look_up(wanted, found.checkpoints, runs, known, roots=found.roots, migration=own)
