"""Answers beside the truth, counted."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worlds import World

CONFIDENCE_EDGES = (0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1.0)
"""Borders of the bins of the reliability table."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a matcher says of one checkpoint.

    Attributes:
        path: The checkpoint's path.
        run_id: The run that it would be named after; None when it is left alone.
        confidence: Stated probability that this is right; None when the matcher states none.
        guess: The first candidate of a checkpoint that is left alone, and its confidence; None without one.
    """

    path: str
    run_id: str | None
    confidence: float | None
    guess: tuple[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Bin:
    """How many statements fell into one bin of confidence, how many were right, and the sum of what was stated."""

    count: int = 0
    right: int = 0
    stated: float = 0.0

    def __add__(self, other: Bin) -> Bin:
        """Return both together."""
        return Bin(self.count + other.count, self.right + other.right, self.stated + other.stated)


def _empty_bins() -> tuple[Bin, ...]:
    return (Bin(),) * len(CONFIDENCE_EDGES)


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over worlds.

    Attributes:
        worlds: Worlds.
        checkpoints: Checkpoints of any kind.
        identifiable: Those an ideal observer could decide.
        right: Renames to the run that made the checkpoint.
        wrong: All other renames.
        right_identifiable: Right renames of identifiable checkpoints.
        hopeless: Checkpoints with a run that nobody could decide.
        hopeless_renamed: Those of them that were renamed, by luck or wrongly.
        orphans: Legacy directories whose run is not in the store.
        orphans_renamed: Those of them that were renamed, always wrongly.
        expected_wrong: Wrong renames that the matcher itself expected.
        seconds: Time that matching took.
        renames: Reliability of renames, by `CONFIDENCE_EDGES`.
        guesses: Reliability of the first candidates of what was left alone, likewise.
        mistakes: `scenario/seed: path -> wrong run` of the wrong renames, in order.
    """

    worlds: int = 0
    checkpoints: int = 0
    identifiable: int = 0
    right: int = 0
    wrong: int = 0
    right_identifiable: int = 0
    hopeless: int = 0
    hopeless_renamed: int = 0
    orphans: int = 0
    orphans_renamed: int = 0
    expected_wrong: float = 0.0
    seconds: float = 0.0
    renames: tuple[Bin, ...] = field(default_factory=_empty_bins)
    guesses: tuple[Bin, ...] = field(default_factory=_empty_bins)
    mistakes: tuple[str, ...] = ()

    def __add__(self, other: Score) -> Score:
        """Return the counts of both together."""
        together: dict[str, Any] = {}
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if each.name in {"renames", "guesses"}:
                together[each.name] = tuple(a + b for a, b in zip(mine, theirs, strict=True))
            else:
                together[each.name] = mine + theirs
        return Score(**together)

    @property
    def renamed(self) -> int:
        """All renames."""
        return self.right + self.wrong

    @property
    def recall(self) -> float | None:
        """Share of the identifiable checkpoints that were renamed rightly; None when there are none."""
        return self.right_identifiable / self.identifiable if self.identifiable else None

    @property
    def wrong_bound(self) -> float:
        """Share of wrong renames that is not exceeded, at 95 % confidence, given what was counted."""
        return upper_bound(self.wrong, self.renamed)


def score(world: World, answers: Sequence[Answer], *, expected_wrong: float = 0.0, seconds: float = 0.0) -> Score:
    """Return the counts for one world."""
    renamed = [answer for answer in answers if answer.run_id is not None]
    right = [answer for answer in renamed if world.truth[answer.path] == answer.run_id]
    wrong = [answer for answer in renamed if world.truth[answer.path] != answer.run_id]
    renames, guesses = list(_empty_bins()), list(_empty_bins())
    for answer in answers:
        if answer.run_id is not None and answer.confidence is not None:
            _count(renames, answer.confidence, is_right=world.truth[answer.path] == answer.run_id)
        elif answer.guess is not None:
            run_id, confidence = answer.guess
            _count(guesses, confidence, is_right=world.truth[answer.path] == run_id)
    return Score(
        worlds=1,
        checkpoints=len(world.checkpoints),
        identifiable=len(world.identifiable),
        right=len(right),
        wrong=len(wrong),
        right_identifiable=sum(answer.path in world.identifiable for answer in right),
        hopeless=len(world.hopeless),
        hopeless_renamed=sum(answer.path in world.hopeless for answer in renamed),
        orphans=len(world.orphans),
        orphans_renamed=sum(answer.path in world.orphans for answer in renamed),
        expected_wrong=expected_wrong,
        seconds=seconds,
        renames=tuple(renames),
        guesses=tuple(guesses),
        mistakes=tuple(
            f"{world.name}/{world.seed}: {answer.path} -> {answer.run_id}, truly {world.truth[answer.path]}"
            for answer in wrong
        ),
    )


def _count(bins: list[Bin], confidence: float, *, is_right: bool) -> None:
    index = max(i for i, edge in enumerate(CONFIDENCE_EDGES) if confidence >= edge)
    bins[index] += Bin(1, int(is_right), confidence)


def upper_bound(wrong: int, total: int, *, error: float = 0.05) -> float:
    """Return the Clopper-Pearson upper bound of a share (one-sided); with none wrong, about 3 in `total`.

    >>> round(upper_bound(0, 3000) * 3000, 2), upper_bound(0, 0), upper_bound(5, 5)
    (2.99, 1.0, 1.0)
    """
    if wrong >= total:
        return 1.0
    low, high = wrong / total, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _binomial_tail(wrong, total, middle) > error:
            low = middle
        else:
            high = middle
    return high


def _binomial_tail(at_most: int, total: int, share: float) -> float:
    """Return the probability of at most so many in `total`; terms are built up from the first, without factorials."""
    if share >= 1:
        return 0.0
    term = (1 - share) ** total
    odds = share / (1 - share)
    tail = term
    for count in range(1, at_most + 1):
        term *= odds * (total - count + 1) / count
        tail += term
    return tail
