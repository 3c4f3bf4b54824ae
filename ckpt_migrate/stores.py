"""Stores as users and plans name them: opened, written into a plan, and asked again for runs that a person added."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.errors import PlanError, StoreNotFoundError, UsageError
from ckpt_migrate.plan.build import run_facts
from ckpt_migrate.plan.records import Action
from ckpt_migrate.tracking import find_tracking_uris, mask_credentials, open_stores
from ckpt_migrate.tracking.run_tags import RunTags
from ckpt_migrate.tracking.uri import HIDDEN, StoreKind, parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.tracking.records import RunStore

_SQLITE = "sqlite:///"


def open_named(uris: Sequence[str]) -> tuple[tuple[str, ...], RunStore]:
    """Open the stores named, else that of the environment, else what lies in the current folder; return which.

    Raises:
        StoreError: None was found, or one cannot be read.
        UsageError: A URI is malformed or of an unknown scheme.
    """
    found = find_tracking_uris(uris, beside=os.getcwd(), environ=os.environ)
    return found, open_stores(found)


def recorded(uri: str, folder: str) -> str:
    """Return a URI as a plan in this folder has it: credentials masked, a relative path relative to the plan."""
    address = parse_uri(uri)
    if address.kind not in {StoreKind.FILES, StoreKind.SQLITE} or os.path.isabs(address.target):
        return mask_credentials(uri)
    path = os.path.relpath(os.path.realpath(address.target), folder)
    return f"{_SQLITE}{path}" if uri.startswith("sqlite") else path


def look_up_runs(plan: Plan, recipe: Recipe, uris: Sequence[str]) -> Plan:
    """Return the plan with the facts of runs that a person wrote into it and the planner had not listed.

    Args:
        plan: As read.
        recipe: Which params and metrics manifests show.
        uris: Where to look; empty means the plan's own stores.

    Raises:
        PlanError: The stores have no such run.
        StoreError: A store cannot be read, or the plan does not say how to log in to it.
    """
    lines: dict[str, int] = {}
    for entry in plan.entries:
        if entry.action is not Action.SKIP and entry.run_id is not None and entry.run_id not in plan.runs:
            lines.setdefault(entry.run_id, entry.run_id_line)
    if not lines:
        return plan
    _, store = open_named(uris or [_as_opened(uri, plan) for uri in plan.tracking_uri])
    with closing(store):
        facts = run_facts(lines, {run.run_id: run for run in store.runs()}, store, recipe)
        shown = store.uri
    missing = tuple(f"line {line}: {run_id}" for run_id, line in lines.items() if run_id not in facts)
    if missing:
        what = f"names runs that the store {shown} does not have"
        remedy = "Write a run id that the store has, or give the right store with --tracking-uri."
        raise PlanError(what, where=plan.path, problems=missing, remedy=remedy)
    return replace(plan, runs={**plan.runs, **facts})


def open_plan_tags(plan: Plan, uris: Sequence[str]) -> RunTags | None:
    """Return where the runs of a plan are tagged; None for a plan that asks for no tags.

    Args:
        plan: As read.
        uris: The store as the user gives it, credentials in it; empty means the plan's own.

    Raises:
        StoreError: MLflow would have to upgrade the database first, or the plan lacks the credentials.
    """
    if plan.references is None or not plan.references.tag_runs:
        return None
    return _checked([*uris] or [_as_opened(uri, plan) for uri in plan.tracking_uri])


def open_planned_tags(uris: Sequence[str]) -> None:
    """Refuse, before any long work, a store whose runs could not be tagged.

    Raises:
        StoreError: MLflow would have to upgrade the database first.
        UsageError: There are several stores.
    """
    _checked(find_tracking_uris(uris, beside=os.getcwd(), environ=os.environ))


def open_logged_tags(uri: str, given: Sequence[str]) -> RunTags | None:
    """Return the store of tags that a log has set, None where neither it nor the user says how to log in to it.

    Raises:
        StoreError: MLflow would have to upgrade the database first.
    """
    if not given and HIDDEN in uri:
        return None
    return _checked([*given] or [uri])


def _checked(uris: Sequence[str]) -> RunTags:
    if len(uris) != 1:
        what = "runs are tagged in one store, and several are named"
        raise UsageError(what, where=", ".join(map(mask_credentials, uris)), remedy="Plan each store by itself.")
    store = RunTags(uris[0])
    store.check()
    return store


def _as_opened(uri: str, plan: Plan) -> str:
    """Return a plan's URI as it can be opened, relative paths starting at the plan's folder."""
    if HIDDEN in uri:
        what = "a run must be looked up, and the plan has its store's address without the credentials"
        raise StoreNotFoundError(what, where=uri, remedy="Give the store with --tracking-uri.")
    if uri.startswith(_SQLITE):
        return _SQLITE + plan.absolute(uri.removeprefix(_SQLITE))
    beside = plan.absolute(uri)
    return beside if os.path.exists(beside) else uri
