"""The plan as data: what was found, what will be done, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.references.records import References

PLAN_VERSION = 1
LARGEST_PLAN_BYTES = 1 << 30


class Status(str, Enum):
    """What the planner found of a checkpoint directory."""

    MATCHED = "matched"
    AMBIGUOUS = "ambiguous"
    UNMATCHED = "unmatched"
    LINKED = "linked"
    BUSY = "busy"
    UNREADABLE = "unreadable"


class Action(str, Enum):
    """What apply does with it."""

    RENAME = "rename"
    REPAIR = "repair"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What manifests say of a run; carried by the plan so that apply needs no store.

    Attributes:
        run_id: 32 lower-case hexadecimal digits.
        name: The run's name.
        experiment: The experiment's name.
        experiment_id: The experiment's id.
        status: As in the store.
        is_deleted: True when the run is deleted in the store.
        start: ISO 8601 UTC, seconds; None when not recorded.
        artifact_uri: Where its artifacts lie, credentials masked.
        params: The recipe's main params, as logged.
        metrics: The recipe's final metrics, last value each.
    """

    run_id: str
    name: str
    experiment: str
    experiment_id: str
    status: str
    is_deleted: bool
    start: str | None
    artifact_uri: str | None
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that could be the checkpoint's; `evidence` strongest first, each line for or against."""

    run_id: str
    confidence: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the planner had written where a person has edited an entry.

    Attributes:
        action: What apply would have done.
        run_id: The run that it had singled out; None where it had not decided.
        confidence: Its probability (0 to 1) that this was the run; None where it had not decided.
        evidence: Why, strongest first.
        target: Path after apply; None without a run.
    """

    action: Action
    run_id: str | None
    confidence: float | None
    evidence: tuple[str, ...]
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint directory in a plan.

    Attributes:
        checkpoint: Path of the directory, `/`-separated, relative to the plan's folder or absolute.
        root: The root (as in `Plan.roots`) that it lies below.
        status: What was found.
        action: What apply does.
        run_id: The run it belongs to; None while undecided.
        target: Path after apply, as `checkpoint`; None when `run_id` is None; equal for a repair.
        confidence: Probability (0 to 1) that `run_id` is right, by the planner; None when undecided, or when a person
            chose a run that the planner had not weighed.
        evidence: Why, strongest first; of `run_id`, whoever chose it.
        reason: Why not, for everything that is not renamed.
        candidates: Other runs that fit, best first.
        fingerprint: Of the directory as planned (`scan.fingerprint`).
        line: Line in the plan file, 1-based; 0 for a plan that was not read from a file.
        run_id_line: Line of its run id, likewise.
        proposal: What the planner had written; None unless a person has edited the entry.
    """

    checkpoint: str
    root: str
    status: Status
    action: Action
    run_id: str | None = None
    target: str | None = None
    confidence: float | None = None
    evidence: tuple[str, ...] = ()
    reason: str | None = None
    candidates: tuple[Candidate, ...] = ()
    fingerprint: str | None = None
    line: int = 0
    run_id_line: int = 0
    proposal: Proposal | None = None

    @property
    def is_chosen(self) -> bool:
        """Whether the directory gets its run's name, or its manifests, because a person said so."""
        return self.proposal is not None and self.action is not Action.SKIP

    @property
    def is_open(self) -> bool:
        """Whether it waits for a person: the planner would not rename it, and nobody has chosen since."""
        found = {Status.AMBIGUOUS, Status.UNMATCHED, Status.MATCHED}
        return self.status in found and self.action is Action.SKIP and self.proposal is None


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link that goes through a checkpoint directory of the plan by its name.

    Attributes:
        path: Where it lies, as `Entry.checkpoint`.
        text: What it says.
        checkpoint: The entry's directory; once that is renamed, the link leads nowhere.
    """

    path: str
    text: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Clock:
    """What was inferred of the checkpoints' local clock.

    Attributes:
        timezone: An IANA name that stands for its class, or None when undecided.
        same_as: Other zones that fit the data equally well.
        source: `inferred`, `--timezone`, or `none`.
        offset_s: Modal residual of stamp to run start after the zone is taken off, seconds.
        spread_s: Robust spread of that residual, seconds.
        directories: How many directories it was inferred from.
        margin_nats: Log-likelihood by which the zone beats the next class.
        is_decisive: Whether time evidence may be used.
    """

    timezone: str | None
    same_as: tuple[str, ...]
    source: str
    offset_s: float | None
    spread_s: float | None
    directories: int
    margin_nats: float | None
    is_decisive: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan.

    Attributes:
        created: ISO 8601 UTC, whole seconds.
        tool: `ckpt-migrate VERSION`.
        migration: Name of the recipe, or the path of its file.
        recipe_digest: SHA-256 of the recipe file as planned, hexadecimal.
        tracking_uri: The stores, credentials masked.
        roots: As given on the command line, relative to the plan's folder or absolute.
        clock: The inferred clock.
        summary: Counts by status and by action.
        runs: Facts of every run that an entry names.
        entries: Sorted by root, then checkpoint.
        folder: Absolute folder that relative paths start from.
        digest: SHA-256 of the file's bytes, hexadecimal; empty for a plan that was not read from a file.
        path: Path of the file as the user gave it, for commands to paste; empty likewise.
        links: Symbolic links to directories of entries, sorted by path.
        references: What mentions old names elsewhere; None unless it was asked for.
    """

    created: str
    tool: str
    migration: str
    recipe_digest: str
    tracking_uri: tuple[str, ...]
    roots: tuple[str, ...]
    clock: Clock
    summary: Mapping[str, Mapping[str, int]]
    runs: Mapping[str, RunFacts]
    entries: tuple[Entry, ...]
    folder: str
    digest: str = ""
    path: str = ""
    links: tuple[Link, ...] = ()
    references: References | None = None

    def absolute(self, path: str) -> str:
        """Return a path of this plan as an absolute one, normalised but with links not followed."""
        return os.path.normpath(os.path.join(self.folder, path))

    def dangling_links(self) -> tuple[Link, ...]:
        """Return the links that lead nowhere once this plan is applied as it stands."""
        renamed = {entry.checkpoint for entry in self.entries if entry.action is Action.RENAME}
        if self.references is not None:
            mended = self.references.mended_links(link.path for link in self.links)
            return tuple(link for link in self.links if link.checkpoint in renamed and link.path not in mended)
        return tuple(link for link in self.links if link.checkpoint in renamed)
