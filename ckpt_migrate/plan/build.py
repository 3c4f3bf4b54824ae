"""Building a plan: from verdicts and findings to entries that a person can review."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ckpt_migrate import __version__
from ckpt_migrate.manifest import check
from ckpt_migrate.matching.decision.explain import lines
from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.plan.answers import NO_ANSWERS, Answers, leave_alone, moved
from ckpt_migrate.plan.records import Action, Candidate, Entry, Link, Plan, RunFacts, Status
from ckpt_migrate.records import BUSY_ADVICE, BUSY_REASON, BUSY_S
from ckpt_migrate.references.links import find_links

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ckpt_migrate.matching.records import Matching, Verdict, Weight
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.scan.walk import ScanResult
    from ckpt_migrate.tracking.records import Run, RunDetails, RunStore

MOST_MAIN_PARAMS = 12


@dataclass(frozen=True, slots=True)
class PlanInput:
    """What a plan is built from.

    Attributes:
        scan: What lies below the roots.
        matching: The verdicts.
        recipe: The recipe.
        migration: The recipe as the user named it.
        tracking_uri: The stores, credentials masked.
        absolute_roots: Those of `scan.roots` that the user gave as absolute paths; what lies below them is shown so.
        folder: Absolute folder of the plan; relative paths start from it.
        now_utc_s: The time of planning, UTC seconds since 1970.
        with_linked: Whether directories that need nothing get an entry, too.
        with_deleted: Whether directories are renamed to runs that are deleted in MLflow, too.
        answers: What a person decided before, by the paths of checkpoints of the scan.
    """

    scan: ScanResult
    matching: Matching
    recipe: Recipe
    migration: str
    tracking_uri: tuple[str, ...]
    absolute_roots: frozenset[str]
    folder: str
    now_utc_s: float
    with_linked: bool = False
    with_deleted: bool = False
    answers: Answers = NO_ANSWERS


def build_plan(given: PlanInput, store: RunStore) -> Plan:
    """Return the plan of a matching: what is found, what will be done, and why not where nothing will be.

    Raises:
        StoreError: The store could not be read.
    """
    runs = {run.run_id: run for run in store.runs()}
    answered = [_answered(one, given) for one in given.scan.checkpoints if one.path in given.answers.chosen]
    named = _named_runs(given.matching.verdicts).union(*map(_runs_of, answered))
    facts = {**given.answers.runs, **run_facts(named, runs, store, given.recipe)}
    entries: list[Entry] = []
    statuses: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    found = [_entry(verdict, given, facts) for verdict in given.matching.verdicts]
    for entry in (*found, *answered):
        statuses[entry.status.value] += 1
        actions[entry.action.value] += 1
        if entry.status is not Status.LINKED or entry.action is not Action.SKIP or given.with_linked:
            entries.append(entry)
    shown = set().union(*map(_runs_of, entries))
    return Plan(
        created=datetime.fromtimestamp(int(given.now_utc_s), timezone.utc).isoformat().replace("+00:00", "Z"),
        tool=f"ckpt-migrate {__version__}",
        migration=given.migration,
        recipe_digest=given.recipe.digest,
        tracking_uri=given.tracking_uri,
        roots=tuple(_shown(root, given) for root in given.scan.roots),
        clock=given.matching.clock,
        summary={
            "status": {status.value: statuses[status.value] for status in Status},
            "action": {action.value: actions[action.value] for action in Action},
            "directories": dict(sorted(Counter(c.state.value for c in given.scan.checkpoints).items())),
        },
        runs={run_id: facts[run_id] for run_id in sorted(facts) if run_id in shown},
        entries=tuple(sorted(entries, key=lambda entry: (entry.root, entry.checkpoint))),
        folder=given.folder,
        links=_links(given, {entry.checkpoint for entry in entries}),
    )


def _runs_of(entry: Entry) -> set[str]:
    """Return every run that an entry names, or named before a person edited it."""
    proposed = None if entry.proposal is None else entry.proposal.run_id
    return {run_id for run_id in (entry.run_id, proposed, *(c.run_id for c in entry.candidates)) if run_id is not None}


def _answered(checkpoint: Checkpoint, given: PlanInput) -> Entry:
    """Return the entry of an earlier plan that a person edited, with the paths of this one."""
    entry = given.answers.chosen[checkpoint.path]
    return moved(entry, checkpoint=_shown(checkpoint.path, given), root=_shown(checkpoint.root, given))


def _links(given: PlanInput, listed: Collection[str]) -> tuple[Link, ...]:
    directories = {verdict.checkpoint.path for verdict in given.matching.verdicts}
    links = (
        Link(_shown(path, given), _text(text), _shown(directory, given))
        for path, text, directory in find_links(given.scan.checkpoints, directories)
    )
    return tuple(sorted((link for link in links if link.checkpoint in listed), key=lambda link: link.path))


def run_facts(run_ids: Iterable[str], runs: Mapping[str, Run], store: RunStore, recipe: Recipe) -> dict[str, RunFacts]:
    """Return what manifests say of these runs; ids that the store does not have are left out."""
    wanted = sorted(set(run_ids) & runs.keys())
    details = store.details(wanted)
    patterns = [KeyPatterns((pattern,)) for pattern in recipe.main_params]
    return {run_id: _facts(runs[run_id], details.get(run_id), patterns, recipe.final_metrics) for run_id in wanted}


def _facts(
    run: Run, details: RunDetails | None, main_params: Sequence[KeyPatterns], final_metrics: Sequence[str]
) -> RunFacts:
    params = {} if details is None else details.params
    metrics = {} if details is None else details.metrics
    main: dict[str, str] = {}
    for pattern in main_params:
        main |= {_text(key): _text(params[key]) for key in sorted(params) if pattern.matches(key) and key not in main}
    start = run.start_utc_ms
    return RunFacts(
        run_id=run.run_id,
        name=_text(run.name),
        experiment=_text(run.experiment),
        experiment_id=_text(run.experiment_id),
        status=run.status,
        is_deleted=run.is_deleted,
        start=None if start is None else datetime.fromtimestamp(start // 1000, timezone.utc).strftime("%FT%TZ"),
        artifact_uri=None if run.artifact_uri is None else _text(run.artifact_uri),
        params=dict(list(main.items())[:MOST_MAIN_PARAMS]),
        metrics={_text(name): metrics[name].value for name in final_metrics if name in metrics},
    )


def _text(text: str) -> str:
    """Return a text that UTF-8 can hold: lone surrogates become replacement characters."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _named_runs(verdicts: Sequence[Verdict]) -> set[str]:
    named = {verdict.run_id for verdict in verdicts if verdict.run_id is not None}
    return named | {candidate.run_id for verdict in verdicts for candidate in verdict.candidates}


def _entry(verdict: Verdict, given: PlanInput, facts: Mapping[str, RunFacts]) -> Entry:
    checkpoint = verdict.checkpoint
    entry = Entry(
        checkpoint=_shown(checkpoint.path, given),
        root=_shown(checkpoint.root, given),
        status=verdict.status,
        action=Action.SKIP,
        reason=None if verdict.reason is None else _text(verdict.reason),
        candidates=tuple(
            Candidate(candidate.run_id, candidate.confidence, _lines(candidate.weights))
            for candidate in verdict.candidates
        ),
        fingerprint=checkpoint.fingerprint or None,
    )
    if verdict.status is Status.LINKED and verdict.run_id is not None:
        return _linked(entry, checkpoint, facts[verdict.run_id], given)
    if verdict.run_id is None or checkpoint.name is None:
        return entry
    run = facts[verdict.run_id]
    target = given.recipe.target_of(checkpoint.path, run.run_id) or checkpoint.path
    entry = replace(
        entry,
        run_id=run.run_id,
        target=_shown(target, given),
        confidence=verdict.confidence,
        evidence=_lines(verdict.weights),
    )
    if verdict.status is not Status.MATCHED:
        return entry
    if (reason := _why_busy(checkpoint, given)) is not None:
        return replace(entry, status=Status.BUSY, reason=reason)
    if run.is_deleted and not given.with_deleted:
        return replace(entry, reason="its run is deleted in MLflow: restore it there, or change the action to rename")
    if given.recipe.is_link and checkpoint.uid:
        what = f"its manifest names run {checkpoint.uid}, which no store here has; this one fits, too"
        return replace(entry, status=Status.AMBIGUOUS, reason=what)
    entry = replace(entry, action=Action.REPAIR if given.recipe.is_link else Action.RENAME)
    return leave_alone(entry) if checkpoint.path in given.answers.left else entry


def _linked(entry: Entry, checkpoint: Checkpoint, run: RunFacts, given: PlanInput) -> Entry:
    target = given.recipe.target_of(checkpoint.path, run.run_id)
    if target not in {None, checkpoint.path}:
        return _renamed_after_its_own_run(entry, checkpoint, run, given, target=str(target))
    findings = () if checkpoint.name is None else check(checkpoint.path, checkpoint.name, run, given.recipe)
    named = replace(entry, run_id=run.run_id, target=entry.checkpoint, confidence=1.0)
    if not findings:
        return named
    # Training code that names directories right writes the manifests itself, at the end.
    busy = _why_busy(checkpoint, given)
    if busy is None and run.status == "RUNNING":
        busy = "its run is RUNNING; when it is known to be dead, end it in MLflow and plan again"
    if busy is not None:
        return replace(named, status=Status.BUSY, reason=busy)
    return replace(named, action=Action.REPAIR, reason=_text("; ".join(findings)))


def _renamed_after_its_own_run(
    entry: Entry, checkpoint: Checkpoint, run: RunFacts, given: PlanInput, *, target: str
) -> Entry:
    """Return the entry of a directory that holds its run's id in a name of the legacy form: no match is needed."""
    evidence = ("certain, name: it holds the id of this run",)
    shown = _shown(target, given)
    known = replace(entry, run_id=run.run_id, target=shown, confidence=1.0, evidence=evidence, status=Status.MATCHED)
    if (busy := _why_busy(checkpoint, given)) is not None:
        return replace(known, status=Status.BUSY, reason=busy)
    if os.path.lexists(target):
        return replace(
            known, reason=f"its name holds the id of this run, and what it would be called is taken: {shown}"
        )
    return replace(known, action=Action.RENAME)


def _why_busy(checkpoint: Checkpoint, given: PlanInput) -> str | None:
    newest_s = max((file.mtime_ns for file in checkpoint.files if file.kind == "file"), default=0) / 1e9
    if newest_s <= given.now_utc_s - BUSY_S:
        return None
    return f"{BUSY_REASON}; {BUSY_ADVICE}, then plan again"


def _lines(weights: Sequence[Weight]) -> tuple[str, ...]:
    """Return a case line by line, strongest first, be it for or against."""
    return tuple(map(_text, lines(weights)))


def _shown(path: str, given: PlanInput) -> str:
    """Return a path as the plan shows it: absolute below a root that was given so, else relative to the plan."""
    root = max((root for root in given.scan.roots if _is_below(path, root)), key=len, default="")
    if root and root not in given.absolute_roots:
        path = os.path.relpath(path, given.folder)
    return _text(path.replace(os.sep, "/"))


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
