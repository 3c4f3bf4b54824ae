"""The plan's records as plain data, in the order in which the file shows them; what seals are taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckpt_migrate.plan.records import Candidate, Clock, Entry, Plan, RunFacts

SEALED_ENTRY = (
    "checkpoint", "root", "status", "action", "run_id", "target", "confidence", "evidence", "reason", "candidates",
    "fingerprint",
)  # fmt: skip
SEALED_PLAN = (
    "tool", "created", "migration", "recipe_digest", "tracking_uri", "roots", "clock", "summary", "runs", "entries",
)  # fmt: skip
_CLOCK_NUMBERS = ("offset_s", "spread_s", "margin_nats")


def entry_data(entry: Entry) -> dict[str, Any]:
    """Return an entry as the file shows it, absent fields as None."""
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


def run_data(run: RunFacts) -> dict[str, Any]:
    """Return a run's facts as the file shows them, without the id, which is their key."""
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


def sealed_values(plan: Plan) -> list[object]:
    """Return what the plan's own seal is taken over, in the order of SEALED_PLAN."""
    return [
        plan.tool,
        plan.created,
        plan.migration,
        plan.recipe_digest,
        list(plan.tracking_uri),
        list(plan.roots),
        clock_data(plan.clock),
        {name: dict(counts) for name, counts in plan.summary.items()},
        {run_id: run_data(run) for run_id, run in plan.runs.items()},
        [entry.checkpoint for entry in plan.entries],
    ]


def shown_confidence(confidence: float | None) -> float | None:
    """Return a probability rounded down to six places; 1 is shown for certainty alone, 0 for less than 1e-6.

    A shown probability is shown as itself, though in binary it may lie a hair below its six digits.

    >>> shown_confidence(0.99999987), shown_confidence(0.29), shown_confidence(1.0)
    (0.999999, 0.29, 1.0)
    """
    if confidence is None or confidence >= 1:
        return confidence
    return min(int(confidence * 1e6 + 1e-6), 999_999) / 1e6


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
