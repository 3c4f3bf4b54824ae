"""Verdicts: what matching says of each checkpoint, with the weights that make up its confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpt_migrate.plan.records import Clock, Status
    from ckpt_migrate.records import Checkpoint


@dataclass(frozen=True, slots=True)
class Weight:
    """One family's share of a match weight.

    Attributes:
        family: `prior`, `reference`, `content`, `time`, `mtime`, `params`, `metrics`, `resume`, or `rivals`.
        bits: log2 of how much likelier what was seen is if the run made the checkpoint than if it did not.
        text: What was seen, in words, rarity included.
    """

    family: str
    bits: float
    text: str


@dataclass(frozen=True, slots=True)
class RankedRun:
    """A run that could be the checkpoint's; `confidence` is its certified lower bound, 0 to 1."""

    run_id: str
    confidence: float
    weights: tuple[Weight, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What matching says of one checkpoint.

    Attributes:
        checkpoint: The directory.
        status: matched, ambiguous, unmatched, linked, busy or unreadable.
        run_id: Its run when matched or linked (or when the one fitting run is busy), else None.
        confidence: Probability that `run_id` is right, 0 to 1; None without `run_id`.
        weights: The case for `run_id`, strongest first; they sum to its total weight.
        reason: Why it is not renamed; None for matched.
        candidates: Other runs, best first.
    """

    checkpoint: Checkpoint
    status: Status
    run_id: str | None = None
    confidence: float | None = None
    weights: tuple[Weight, ...] = ()
    reason: str | None = None
    candidates: tuple[RankedRun, ...] = ()


@dataclass(frozen=True, slots=True)
class Matching:
    """All verdicts, sorted by checkpoint path, and the clock that they rest on.

    Attributes:
        clock: The clock of all directories together; folders may have their own.
        verdicts: One for each directory of a known name form, and for each unreadable one.
        expected_wrong: Sum of 1 - confidence over the matched ones.
        warnings: What a person should know of clocks, file times and keys, whole sentences.
    """

    clock: Clock
    verdicts: tuple[Verdict, ...]
    expected_wrong: float
    warnings: tuple[str, ...] = ()
