"""Cases: a checkpoint with its scored candidates, on the way to a verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.references import CHOSEN_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.model.pair import Score, Seen
    from ckpt_migrate.records import Checkpoint

PLAIN_BITS = 6.0
"""A pair whose time evidence leads by this much, all else aside, may teach how a project behaves."""
MOST_WORTH = 8
"""Candidates of a checkpoint that are looked at closely: the best so far."""
NEGLIGIBLE_BITS = 14.0
"""A candidate this far behind the best takes no share of a directory."""
WORTH_BITS = 20.0
"""A candidate this far behind the best cannot catch up."""


@dataclass(frozen=True, slots=True)
class Case:
    """A checkpoint with its scored candidates.

    Attributes:
        seen: What is known of it.
        scores: One per candidate, best first.
        plain: Id of the run that it plainly has, for others to learn from; empty for none.
    """

    checkpoint: Checkpoint
    seen: Seen
    scores: tuple[Score, ...]
    plain: str = ""

    @property
    def worth(self) -> tuple[Score, ...]:
        """The candidates that are worth a close look, with their references or without."""
        if not self.scores:
            return ()
        plain = sorted(self.scores, key=lambda one: (one.reference - one.bits, one.run_id))[:MOST_WORTH]
        least = plain[0].bits - plain[0].reference - WORTH_BITS
        found = {one.run_id for one in plain if one.bits - one.reference >= least}
        least = self.scores[0].bits - WORTH_BITS
        found |= {one.run_id for one in self.scores[:MOST_WORTH] if one.bits >= least}
        return tuple(one for one in self.scores if one.run_id in found)

    def odds(self) -> dict[str, float]:
        """Return the odds of each candidate that counts at all against none, by run id."""
        least = self.scores[0].bits - NEGLIGIBLE_BITS if self.scores else 0.0
        return {one.run_id: one.odds for one in self.scores if one.bits >= least}

    def shares(self) -> dict[str, float]:
        """Return the probability of each candidate, against the others and none, by run id."""
        total = 1 + sum(one.odds for one in self.scores)
        return {one.run_id: one.odds / total for one in self.scores}


def ranked(case: Case) -> Case:
    """Return a case with its candidates in order."""
    return replace(case, scores=tuple(sorted(case.scores, key=lambda one: (-one.bits, one.run_id))))


def plain_run(seen: Seen, scores: Sequence[Score]) -> Score | None:
    """Return the run that teaches: the only one referred to, far ahead in time, or alone in agreeing throughout.

    Where keys drift none agrees throughout; one does all the same, but for some keys in which all others differ too.
    """
    named = {reference.run_id for reference in seen.references if reference.bits > CHOSEN_BITS}
    if len(named) == 1:
        return next((one for one in scores if one.run_id in named), None)
    if leads_by_time(scores):
        return min(scores, key=lambda one: (-one.time, one.run_id))
    whole = [one for one in scores if one.comparison.compared and not one.comparison.differing]
    best = whole[0] if len(whole) == 1 else None if whole else _nearest_by_params(scores)
    return best if best is not None and best.time > 0 else None


def _nearest_by_params(scores: Sequence[Score]) -> Score | None:
    """Return the run that differs only where all others differ, each of which differs in more besides."""
    compared = sorted((one for one in scores if one.comparison.compared), key=lambda one: len(one.comparison.differing))
    if len(compared) < len(("best", "other")):
        return None
    best = frozenset(compared[0].comparison.differing)
    return compared[0] if all(best < set(one.comparison.differing) for one in compared[1:]) else None


def leads_by_time(scores: Sequence[Score]) -> bool:
    """Say whether one run is plain by its start alone."""
    by_time = sorted(scores, key=lambda one: (-one.time, one.run_id))[:2]
    lead = by_time[0].time - by_time[1].time if len(by_time) > 1 else PLAIN_BITS
    return bool(by_time) and by_time[0].time + by_time[0].prior >= PLAIN_BITS and lead >= PLAIN_BITS
