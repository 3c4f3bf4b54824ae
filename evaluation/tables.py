"""Scores as text tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.outcomes import CONFIDENCE_EDGES, Bin, Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Totals = dict[tuple[str, str], Score]
"""Scores by scenario and matcher."""

_HEAD = (
    "scenario", "matcher", "worlds", "checkpoints", "identifiable", "right", "wrong", "recall",
    "hopeless renamed", "orphans renamed", "expected wrong",
)  # fmt: skip


def scenario_table(totals: Mapping[tuple[str, str], Score], scenarios: Sequence[str], matchers: Sequence[str]) -> str:
    """Return a row for each scenario and matcher, sums, and the share of wrong renames that follows."""
    rows: list[tuple[str, ...]] = [_HEAD]
    sums = {matcher: Score() for matcher in matchers}
    for scenario in scenarios:
        for matcher in matchers:
            found = totals[scenario, matcher]
            sums[matcher] += found
            rows.append(_row(scenario, matcher, found))
    if len(scenarios) > 1:
        rows += [_row("ALL", matcher, found) for matcher, found in sums.items()]
    lines = [aligned(rows), ""]
    for matcher, found in sums.items():
        lines.append(
            f"{matcher}: {found.wrong} wrong in {found.renamed} renames; "
            f"95 % upper bound {found.wrong_bound:.3%} (Clopper-Pearson)"
        )
    return "\n".join(lines) + "\n"


def _row(scenario: str, matcher: str, found: Score) -> tuple[str, ...]:
    return (
        scenario,
        matcher,
        str(found.worlds),
        str(found.checkpoints),
        str(found.identifiable),
        str(found.right),
        str(found.wrong),
        "-" if found.recall is None else f"{found.recall:.1%}",
        f"{found.hopeless_renamed}/{found.hopeless}",
        f"{found.orphans_renamed}/{found.orphans}",
        f"{found.expected_wrong:.2f}",
    )


def reliability_table(totals: Mapping[tuple[str, str], Score], scenarios: Sequence[str], matcher: str) -> str:
    """Return stated confidence beside the share that was right; nothing for a matcher that states none."""
    found = sum((totals[scenario, matcher] for scenario in scenarios), Score())
    rows = [("confidence", "renamed", "stated", "right", "first candidate of the rest", "stated", "right")]
    for index, low in enumerate(CONFIDENCE_EDGES):
        renames, guesses = found.renames[index], found.guesses[index]
        if renames.count or guesses.count:
            high = f" to {CONFIDENCE_EDGES[index + 1]:g}" if index + 1 < len(CONFIDENCE_EDGES) else ""
            rows.append((f"{low:g}{high}", *_shares(renames), *_shares(guesses)))
    return f"Reliability of {matcher}\n{aligned(rows)}\n" if len(rows) > 1 else ""


def _shares(found: Bin) -> tuple[str, str, str]:
    if not found.count:
        return "0", "-", "-"
    return str(found.count), f"{found.stated / found.count:.5f}", f"{found.right / found.count:.5f}"


def mistakes_list(totals: Mapping[tuple[str, str], Score]) -> str:
    """Return a line for every wrong rename."""
    lines = [f"{matcher}: {mistake}" for (_, matcher), found in totals.items() for mistake in found.mistakes]
    return "\n".join(["Wrong renames", *(lines or ["none"])]) + "\n"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns, the first two to the left and the rest, which are numbers, to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)  # noqa: PLR2004 - two columns of names
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def times_table(totals: Mapping[tuple[str, str], Score], matchers: Sequence[str]) -> str:
    """Return the time that each matcher took for a world; the only figures that differ from call to call."""
    rows = [("matcher", "seconds a world", "checkpoints a second")]
    for matcher in matchers:
        found = sum((each for (_, name), each in totals.items() if name == matcher), Score())
        seconds = max(found.seconds, 1e-9)
        rows.append((matcher, f"{seconds / max(found.worlds, 1):.3f}", f"{found.checkpoints / seconds:.0f}"))
    return f"Time\n{aligned(rows)}\n"
