"""Planning: from roots and stores to a plan and its file; the only thing it writes is that file."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.audit import Audit, audit
from ckpt_migrate.evidence.reading import read_all
from ckpt_migrate.matching.clock.fit import zone_function
from ckpt_migrate.matching.link import link
from ckpt_migrate.plan.answers import NO_ANSWERS, answered, read_answers
from ckpt_migrate.plan.build import PlanInput, build_plan
from ckpt_migrate.plan.file import check_place, save
from ckpt_migrate.plan.write import render_plan
from ckpt_migrate.recipe import load_recipe, recorded_name
from ckpt_migrate.records import State
from ckpt_migrate.references.build import SearchInput, build_references
from ckpt_migrate.references.names import Names
from ckpt_migrate.references.pickled import mlflow_texts, pickled_paths
from ckpt_migrate.references.records import References
from ckpt_migrate.references.renamings import renamings_of
from ckpt_migrate.references.walk import check_paths
from ckpt_migrate.scan.passed_over import passed_over_note
from ckpt_migrate.scan.walk import scan_roots
from ckpt_migrate.stores import open_named, open_planned_tags, recorded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.evidence.records import Evidence
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.tracking.records import RunStore, StoreWarning


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what was noticed on the way.

    Attributes:
        plan: The plan.
        text: Its file's text.
        expected_wrong: Expected number of wrong renames in it, by its own stated confidences.
        warnings: What was malformed in the stores and passed over.
        notes: What a person should know of how directories were matched, whole sentences.
        problems: Path and cause of directories that could not be listed.
        run_total: How many runs the stores have.
        audit: What trials of it found, none of them a fault; None when none was asked for.
    """

    plan: Plan
    text: str
    expected_wrong: float
    warnings: tuple[StoreWarning, ...]
    notes: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]
    run_total: int
    audit: Audit | None


def make_plan(
    roots: Sequence[str],
    *,
    tracking_uris: Sequence[str],
    migration: str,
    timezone: str | None,
    output: str,
    overwrite: bool,
    with_linked: bool,
    with_deleted: bool,
    with_audit: bool,
    keep: str,
    progress: Progress,
    references: Sequence[str] = (),
    cache: str | None = None,
    leave_links: bool = False,
    tag_runs: bool = False,
) -> Planned:
    """Match every checkpoint below the roots to its run and write the plan, refusing early; see `api.plan`."""
    recipe = load_recipe(migration)
    answers = read_answers(keep, load_recipe) if keep else NO_ANSWERS
    if output:
        check_place(output, roots, overwrite=overwrite or _is_same_file(output, keep))
    _check_options(references, tracking_uris if tag_runs else None, timezone)
    folder = os.path.realpath(os.path.dirname(os.path.abspath(output)) if output else os.getcwd())
    uris, store = open_named(tracking_uris)
    with closing(store):
        found = scan_roots(roots, recipe, progress=progress)
        answers = answers.hold_against(found.checkpoints, {run.run_id for run in store.runs()})
        readable = [c for c in found.checkpoints if c.state in {State.LEGACY, State.TARGET}]
        evidence = read_all(readable, recipe, cache=cache, progress=progress)
        matching = link(
            found.checkpoints, evidence, store, recipe, timezone=timezone, answers=answers.run_ids, progress=progress
        )
        kept = [(c, answers.run_ids[c.path]) for c in readable if c.path in answers.run_ids]
        tried = audit(matching, evidence, store, recipe, timezone=timezone, answered=kept) if with_audit else None
        audited = None if tried is None else tried.checked()
        evidence = evidence if references else {}  # 300 MiB of 100,000 directories, which the plan's text needs next
        given = PlanInput(
            scan=found,
            matching=matching,
            recipe=recipe,
            migration=recorded_name(recipe, migration),
            tracking_uri=tuple(recorded(uri, folder) for uri in uris),
            absolute_roots=_only_absolute(roots),
            folder=folder,
            now_utc_s=time.time(),
            with_linked=with_linked,
            with_deleted=with_deleted,
            answers=answers,
        )
        plan = build_plan(given, store)
        if references:
            plan = _with_references(plan, given, store, evidence, paths=references, output=output, progress=progress)
        run_total, warnings = len(store.runs()), tuple(store.warnings)
    expected_wrong, problems = matching.expected_wrong, found.problems
    notes = (*matching.warnings, *answers.lost, *passed_over_note(found.checkpoints))
    # Memory is highest while the text is written: what the plan was built from is let go first.
    del answers, evidence, found, given, kept, matching, readable, store, tried
    if leave_links or tag_runs:
        asked = plan.references or References()
        plan = replace(plan, references=replace(asked, leave_links=leave_links, tag_runs=tag_runs))
    text = render_plan(plan, os.path.basename(output) or "plan.yaml")
    if output:
        save(output, text)
    return Planned(plan, text, expected_wrong, warnings, notes, problems, run_total, audited)


def _check_options(references: Sequence[str], tagged_uris: Sequence[str] | None, timezone: str | None) -> None:
    """Refuse paths that cannot be searched, stores in which no tag can be set, and a zone that is none."""
    check_paths(references)
    if tagged_uris is not None:
        open_planned_tags(tagged_uris)
    if timezone is not None:
        zone_function(timezone, 0.0, 0.0)


def _with_references(
    plan: Plan,
    given: PlanInput,
    store: RunStore,
    evidence: Mapping[str, Evidence],
    *,
    paths: Sequence[str],
    output: str,
    progress: Progress,
) -> Plan:
    """Return a plan with the references to its directories that lie below these paths, in pickles and in MLflow."""
    search = SearchInput(
        paths=paths,
        checkpoints=given.scan.checkpoints,
        renamings=renamings_of(plan, given.recipe),
        recipe=given.recipe,
        folder=given.folder,
        absolute_roots=given.absolute_roots,
        output=os.path.realpath(output) if output else "",
    )
    names = Names(os.path.basename(one.path) for one in search.renamings)
    elsewhere = (*pickled_paths(evidence, names), *mlflow_texts(store, names))
    found = build_references(search, elsewhere, progress=progress)
    return replace(plan, references=answered(found, plan, given.answers))


def _is_same_file(path: str, other: str) -> bool:
    return bool(other) and os.path.exists(path) and os.path.samefile(path, other)


def _only_absolute(roots: Sequence[str]) -> frozenset[str]:
    """Return the real paths of roots that are given as absolute paths, and not as relative ones, too."""
    absolute = {os.path.realpath(root) for root in roots if os.path.isabs(root)}
    return frozenset(absolute - {os.path.realpath(root) for root in roots if not os.path.isabs(root)})
