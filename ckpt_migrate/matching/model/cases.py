"""Cases: a checkpoint with its scored candidates, on the way to a verdict."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

from ckpt_migrate.matching.families.references import CHOSEN_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt_migrate.matching.model.columns import Bools, Columns, Floats
    from ckpt_migrate.matching.model.pair import Score, Seen
    from ckpt_migrate.records import Checkpoint

PLAIN_BITS = 6.0
"""A pair whose time evidence leads by this much, all else aside, may teach how a project behaves."""
MOST_WORTH = 8
"""Candidates of a checkpoint that are looked at closely: the best so far."""
NEGLIGIBLE_BITS = 14.0
"""A candidate this far behind the best takes no share of a directory."""
LEAST_LOGGED = 0.5
"""A run that logged less than this share of what another one beside it did, of the keys of a config, teaches nothing:
a job may open a run, close it, and log to the next."""
WORTH_BITS = 20.0
"""A candidate this far behind the best cannot catch up."""


class Case(NamedTuple):
    """A checkpoint with its scored candidates.

    Attributes:
        checkpoint: The checkpoint.
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
        return tuple(compress(self.scores, self.is_worth))

    @property
    def is_worth(self) -> Sequence[bool]:
        """Which of the candidates are worth a close look."""
        scores = self.scores
        if len(scores) <= 1:
            return [True] * len(scores)
        bits = [one.bits for one in scores]
        plain = [each - one.reference for each, one in zip(bits, scores, strict=True)]
        least, least_plain = bits[0] - WORTH_BITS, max(plain) - WORTH_BITS
        if len(scores) <= MOST_WORTH:
            return [one >= least or other >= least_plain for one, other in zip(bits, plain, strict=True)]
        best = sorted(range(len(scores)), key=lambda i: (-plain[i], scores[i].run_id))[:MOST_WORTH]
        found = {i for i in best if plain[i] >= least_plain}
        found |= {i for i in range(MOST_WORTH) if bits[i] >= least}
        return [i in found for i in range(len(scores))]


def counts_at_all(columns: Columns, bits: Floats) -> Bools:
    """Say of each pair whether it takes a share of its directory at all."""
    return bits >= columns.row_maxima(bits)[columns.row] - NEGLIGIBLE_BITS


def all_ranked(cases: Iterable[Case]) -> list[Case]:
    """Return cases with their candidates in order."""
    return [case if len(case.scores) <= 1 else ranked(case) for case in cases]


def ranked(case: Case) -> Case:
    """Return a case with its candidates in order; the same where they are."""
    if len(case.scores) <= 1:
        return case
    keys = [(-one.bits, one.run_id) for one in case.scores]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    if order == list(range(len(keys))):
        return case
    return Case(case.checkpoint, case.seen, tuple([case.scores[i] for i in order]), case.plain)


def plain_run(seen: Seen, scores: Sequence[Score]) -> Score | None:
    """Return the run that teaches: the only one referred to, far ahead in time, or alone in agreeing throughout.

    Where keys drift none agrees throughout; one does all the same, but for some keys in which all others differ too.
    """
    if seen.references:
        named = {reference.run_id for reference in seen.references if reference.bits > CHOSEN_BITS}
        if len(named) == 1:
            return next((one for one in scores if one.run_id in named), None)
    if len(scores) == 1:
        return scores[0] if _is_plain_alone(scores[0]) else None
    scores = _logging(scores)
    if leads_by_time(scores):
        return min(scores, key=lambda one: (-one.time, one.run_id))
    whole = [one for one in scores if one.comparison.compared and not one.comparison.differing]
    best = whole[0] if len(whole) == 1 else None if whole else _nearest_by_params(scores)
    return best if best is not None and best.time > 0 else None


def _is_plain_alone(only: Score) -> bool:
    """Say whether the only candidate teaches."""
    if only.time + only.prior >= PLAIN_BITS:
        return True
    return bool(only.time > 0 and only.comparison.compared and not only.comparison.differing)


def _logging(scores: Sequence[Score]) -> Sequence[Score]:
    """Return the runs that logged the config as far as any did: one with next to nothing hides no plain run."""
    most = max((one.comparison.compared for one in scores), default=0)
    return [one for one in scores if one.comparison.compared >= LEAST_LOGGED * most]


def _nearest_by_params(scores: Sequence[Score]) -> Score | None:
    """Return the run that differs only where all others differ, each of which differs in more besides."""
    compared = sorted((one for one in scores if one.comparison.compared), key=lambda one: len(one.comparison.differing))
    if len(compared) < len(("best", "other")):
        return None
    best = frozenset(compared[0].comparison.differing)
    return compared[0] if all(best < set(one.comparison.differing) for one in compared[1:]) else None


def leads_by_time(scores: Sequence[Score]) -> bool:
    """Say whether one run is plain by its start alone."""
    if len(scores) <= 1:
        return any(one.time + one.prior >= PLAIN_BITS for one in scores)
    best, second = sorted(scores, key=lambda one: (-one.time, one.run_id))[:2]
    return best.time + best.prior >= PLAIN_BITS and best.time - second.time >= PLAIN_BITS
