"""What a page shows of a checkpoint directory, a run and the whole."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.plan.records import RunFacts

_EVIDENCE = re.compile(r"(for|against) ([0-9.]+) bits, ([^:]+): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of evidence.

    Attributes:
        bits: What it weighs, log2; negative when it speaks against.
        family: What kind it is; empty for a line that is no weight.
        text: The words.
    """

    bits: float
    family: str
    text: str

    @staticmethod
    def of(text: str) -> Line:
        """Return a line of a plan in its parts.

        >>> Line.of("against 6.0 bits, prior: one run of 28")
        Line(bits=-6.0, family='prior', text='one run of 28')
        """
        match = _EVIDENCE.fullmatch(text)
        if match is None:
            return Line(0.0, "", text)
        sign = 1 if match[1] == "for" else -1
        return Line(sign * float(match[2]), match[3], match[4])


@dataclass(frozen=True, slots=True)
class Case:
    """A run beside a directory: one that was chosen, or a candidate."""

    run_id: str
    confidence: float | None
    evidence: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A checkpoint directory on the page.

    Attributes:
        path: As the plan has it, or absolute.
        found: What was found of it: the plan's status, or `by hand`.
        action: What apply does, or did.
        symbol: The same as the character that terminals show.
        stamp: Its stamp as local time, ISO 8601 without a zone; None when the name has none.
        new_name: Its name afterwards; None when it keeps its own.
        case: The run that it belongs to, and why; None while undecided.
        reason: Why it is not renamed, or who chose.
        candidates: Other runs that fit, best first.
        proposal: What the planner had chosen, where a person chose otherwise.
        doubts: What speaks against a person's choice.
        outcome: What became of it, on the page of a log.
    """

    path: str
    found: str
    action: str
    symbol: str = "-"
    stamp: str | None = None
    new_name: str | None = None
    case: Case | None = None
    reason: str = ""
    candidates: tuple[Case, ...] = ()
    proposal: Case | None = None
    doubts: tuple[str, ...] = ()
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Something outside the directories that names one of them.

    Attributes:
        place: Where it lies; with the line, of a text.
        before: What it says.
        after: What it is made to say, or should say.
        what: What happens to it.
    """

    place: str
    before: str
    after: str
    what: str


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page.

    Attributes:
        title: Of the page.
        facts: What is said above everything, a name and a text each.
        zone: The time zone of stamps on the page; None when it is not known and they are shown as they are written.
        rows: The directories.
        runs: What is known of the runs by id; `start` in the zone of the stamps.
        starts: When they began, ISO 8601 in the zone of the stamps.
        changes: What names directories by their old names, and what becomes of it.
        steps: What apply will do, in its order, a sentence each; empty for a log.
        manifests: Names of the files that apply writes into each directory that it does not leave alone.
        command: What to do next, a command line; empty when nothing is left to do.
        is_log: Whether it tells what was done, not what will be.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    zone: str | None
    rows: tuple[Row, ...]
    runs: Mapping[str, RunFacts]
    starts: Mapping[str, str]
    changes: tuple[Change, ...] = ()
    steps: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    command: str = ""
    is_log: bool = False
