"""The plan's records as plain data, in the order in which the file shows them; what seals are taken over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckpt_migrate.plan.records import Candidate, Clock, Entry, Link, Plan, RunFacts
    from ckpt_migrate.references.records import LeftAlone, Reference, References

SUMMARIES = ("status", "action", "directories")
_CLOCK_NUMBERS = ("offset_s", "spread_s", "margin_nats")


def entry_data(entry: Entry) -> dict[str, Any]:
    """Return an entry as the file shows it, absent fields as None; all of it is sealed."""
    return {
        "checkpoint": entry.checkpoint,
        "root": entry.root,
        "status": entry.status.value,
        "action": entry.action.value,
        "run_id": entry.run_id,
        "target": entry.target,
        "confidence": shown_confidence(entry.confidence),
        "evidence": list(entry.evidence),
        "reason": entry.reason,
        "candidates": [candidate_data(candidate) for candidate in entry.candidates],
        "fingerprint": entry.fingerprint,
    }


def entry_record(entry: Entry) -> dict[str, Any]:
    """Return an entry for programs: as the file shows it, and who chose what stands in it."""
    proposal = entry.proposal
    return {
        **entry_data(entry),
        "chosen_by": "planner" if proposal is None else "person",
        "proposal": None
        if proposal is None
        else {
            "action": proposal.action.value,
            "run_id": proposal.run_id,
            "confidence": shown_confidence(proposal.confidence),
            "evidence": list(proposal.evidence),
        },
    }


def as_proposed(entry: Entry) -> Entry:
    """Return an entry as the planner wrote it, before a person edited it; what its seal is taken over."""
    if entry.proposal is None:
        return entry
    fields = ("action", "run_id", "confidence", "evidence", "target")
    return replace(entry, **{name: getattr(entry.proposal, name) for name in fields})


def candidate_data(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate as the file shows it."""
    return {
        "run_id": candidate.run_id,
        "confidence": shown_confidence(candidate.confidence),
        "evidence": list(candidate.evidence),
    }


def clock_data(clock: Clock) -> dict[str, Any]:
    """Return the clock as the file shows it."""
    return {
        "timezone": clock.timezone,
        "same_as": list(clock.same_as),
        "source": clock.source,
        **{name: _number(getattr(clock, name)) for name in _CLOCK_NUMBERS},
        "directories": clock.directories,
        "is_decisive": clock.is_decisive,
    }


def link_data(link: Link) -> dict[str, str]:
    """Return a link as the file shows it."""
    return {"path": link.path, "text": link.text, "checkpoint": link.checkpoint}


def reference_data(reference: Reference) -> dict[str, Any]:
    """Return a file that mentions old names as the file shows it, absent fields as None; all of it is sealed."""
    return {
        "file": reference.file,
        "action": reference.action.value,
        "kind": reference.kind.value,
        "count": len(reference.at),
        "note": reference.note,
        "lines": [{"line": each.line, "before": each.before, "after": each.after} for each in reference.lines],
        "encoding": reference.encoding,
        "at": list(reference.at),
        "digest": reference.digest,
    }


def left_data(left: LeftAlone) -> dict[str, Any]:
    """Return mentions that are left alone as the file shows them."""
    return {"kind": left.kind.value, "what": left.what, "count": left.count, "where": list(left.where)}


def references_top(references: References) -> dict[str, Any]:
    """Return what the plan's own seal covers of the references, by key."""
    return {
        "paths": list(references.paths),
        "searched": references.searched,
        "ignored": references.ignored,
        "leave_links": references.leave_links,
        "tag_runs": references.tag_runs,
        "files": [reference.file for reference in references.files],
        "left": [left_data(left) for left in references.left],
    }


def run_data(run: RunFacts) -> dict[str, Any]:
    """Return a run's facts as the file shows them, without the id, which is their key; all of it is sealed."""
    return {
        "name": run.name,
        "experiment": run.experiment,
        "experiment_id": run.experiment_id,
        "status": run.status,
        "is_deleted": run.is_deleted,
        "start": run.start,
        "artifact_uri": run.artifact_uri,
        "params": dict(run.params),
        "metrics": {key: repr(float(value)) for key, value in run.metrics.items()},
    }


def sealed_top(plan: Plan) -> dict[str, object]:
    """Return what the plan's own seal is taken over, by the path of the key that shows it.

    The time of creation is left out: two plans of the same input differ in that line alone. Entries and runs have
    seals of their own; this one tells whether one was added, removed or moved.
    """
    return {
        "tool": plan.tool,
        "migration": plan.migration,
        "recipe_digest": plan.recipe_digest,
        "tracking_uri": list(plan.tracking_uri),
        "roots": list(plan.roots),
        **{f"clock.{name}": value for name, value in clock_data(plan.clock).items()},
        **{f"summary.{name}": dict(plan.summary.get(name, {})) for name in SUMMARIES},
        "links": [link_data(link) for link in plan.links],
        "entries": [entry.checkpoint for entry in plan.entries],
        "runs": sorted(plan.runs),
        **({} if plan.references is None else _references(plan.references)),
    }


def _references(references: References) -> dict[str, object]:
    return {f"references.{name}": value for name, value in references_top(references).items()}


def shown_confidence(confidence: float | None) -> float | None:
    """Return a probability rounded down to six places: 1 is shown for certainty alone, 0 for less than 1e-6.

    >>> shown_confidence(0.99999987)
    0.999999
    """
    if confidence is None:
        return None
    shown = round(confidence, 6)
    return shown if shown <= confidence else round(shown - 1e-6, 6)


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
