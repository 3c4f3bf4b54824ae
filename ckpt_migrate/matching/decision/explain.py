"""Explanations: a match weight as lines that a person can check, which sum exactly to the total."""

from __future__ import annotations

import math
from sys import intern
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.stamps import best_reading, name_difference
from ckpt_migrate.matching.model.pair import FAMILIES
from ckpt_migrate.matching.records import RankedRun, Verdict, Weight

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckpt_migrate.matching.decision.decide import Decision, Shown
    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import Score, Seen, World
    from ckpt_migrate.tracking.records import Run

REST = "rivals"
"""The family of what all other answers take away."""
_MOST_KEYS = 4
_LONGEST_VALUE = 40
_LARGEST_BOUND = 1 - 1e-15


def explain_all(decisions: Iterable[Decision], runs: Mapping[str, Run], world: World) -> list[Verdict]:
    """Return decisions with the weights of all candidates that they show."""
    return [_verdict(decision, runs, world) for decision in decisions]


def _verdict(decision: Decision, runs: Mapping[str, Run], world: World) -> Verdict:
    case, best = decision.case, decision.best
    shown = tuple([_ranked(case, one, runs[one.score.run_id], world) for one in decision.shown])
    if best is None:
        return Verdict(case.checkpoint, decision.status, reason=decision.reason, candidates=shown)
    run, bound = runs[best.score.run_id], best.bound
    nearest = _nearest_words(best.score, case, best.ghost)
    weights = explain(best.score, case.seen, run, world, bound, nearest=nearest)
    return Verdict(case.checkpoint, decision.status, run.run_id, bound, weights, None, shown)


def _ranked(case: Case, one: Shown, run: Run, world: World) -> RankedRun:
    nearest = "" if one.ghost is None else _nearest_words(one.score, case, one.ghost)
    return RankedRun(run.run_id, one.chance, explain(one.score, case.seen, run, world, one.chance, nearest=nearest))


def explain(one: Score, seen: Seen, run: Run, world: World, bound: float, *, nearest: str = "") -> tuple[Weight, ...]:
    """Return the weights of a pair, strongest first, then the prior, then what rivals and ghosts take away.

    They sum to log2 of the certified odds, bound / (1 - bound).

    Args:
        one: The pair.
        seen: The checkpoint.
        run: The run.
        world: The shared facts.
        bound: The certified probability.
        nearest: The best rival and the ghost, in words; empty where they are shown otherwise.
    """
    # Thousands of directories say the same of some family: one copy of the words serves all.
    words = {
        **one.words,
        "reference": _reference_words(one, seen),
        "time": _time_words(seen, run),
        "mtime": _end_words(seen, run),
        "params": _param_words(one, seen, world),
    }
    shares = [(family, one.share(family)) for family in FAMILIES]
    spoken = [Weight(family, bits, intern(words.get(family, ""))) for family, bits in shares if bits]
    spoken.sort(key=lambda weight: -abs(weight.bits))
    total = sum(weight.bits for weight in spoken) + one.prior
    bound = min(bound, _LARGEST_BOUND)
    certified_bits = math.log2(bound / (1 - bound)) if bound > 0 else total
    return (
        *spoken,
        Weight("prior", one.prior, intern(_prior_words(one, world))),
        Weight(REST, certified_bits - total, nearest or "other runs, other directories, and twins that may be gone"),
    )


def _prior_words(one: Score, world: World) -> str:
    """Say what is believed before any evidence of the directory's own."""
    words = f"one run of {world.run_total:,}, and a directory may have none"
    return words if one.prior <= 0 else f"{words}; but most others have theirs, and this one has none yet"


def lines(weights: Iterable[Weight]) -> list[str]:
    """Return weights as lines of a plan, strongest first, whose bits as printed sum to the total as it is printed.

    Each is rounded to a tenth; `rivals`, which is what remains to the total, takes up what rounding leaves.

    >>> lines([Weight("time", 15.25, "starts 1.2 s before the stamp"), Weight("rivals", -3.36, "others")])
    ['for 15.2 bits, time: starts 1.2 s before the stamp', 'against 3.3 bits, rivals: others']
    """
    weights = list(weights)
    tenths = [round(weight.bits * 10) for weight in weights]
    left = round(sum(weight.bits for weight in weights) * 10) - sum(tenths)
    rest = [i for i, weight in enumerate(weights) if weight.family == REST]
    for i in rest[:1]:
        tenths[i] += left
    told = sorted(zip(tenths, weights, strict=True), key=lambda one: -abs(one[1].bits))
    return [
        f"{'for' if each >= 0 else 'against'} {abs(each) / 10:.1f} bits, {weight.family}: {weight.text}"
        for each, weight in told
    ]


def _nearest_words(best: Score, case: Case, ghost: float) -> str:
    """Return in words how far behind a run its best rival is, and a twin of it that is gone.

    Args:
        best: The pair.
        case: The checkpoint with all its candidates.
        ghost: The odds of a ghost of the run, against it.
    """
    rival = next((one for one in case.scores if one is not best), None)
    near = "no other run is near" if rival is None else f"run {rival.run_id} is {_behind(best.bits - rival.bits)}"
    gone = f"a twin that is gone {_behind(-math.log2(ghost))}" if ghost > 0 else "no twin that is gone counts"
    return f"other runs, other directories, and twins that may be gone: {near}, {gone}"


def _behind(bits: float) -> str:
    return f"{abs(bits):.1f} bits {'behind' if bits >= 0 else 'ahead'}"


def _reference_words(one: Score, seen: Seen) -> str:
    for reference in seen.references:
        if reference.run_id == one.run_id:
            return reference.words()
    return f"{seen.references[0].words()}, of another run" if seen.references else ""


def _time_words(seen: Seen, run: Run) -> str:
    difference = name_difference(seen, run)
    if difference is not None and abs(difference) <= 1:
        return f"the run's name has the directory's stamp, {duration(difference)} apart"
    reading = best_reading(seen, run)
    if reading is None:
        return ""
    lag = reading.instant_s - (run.start_utc_ms or 0) / 1000
    side = "after" if lag >= 0 else "before"
    return f"the stamp, read in {reading.zone}, is {duration(abs(lag))} {side} the run's start"


def _end_words(seen: Seen, run: Run) -> str:
    if seen.newest_s is None or run.end_utc_ms is None:
        return ""
    lag = run.end_utc_ms / 1000 - seen.newest_s
    return f"its newest file was written {duration(abs(lag))} {'before' if lag >= 0 else 'after'} the run's end"


def _param_words(one: Score, seen: Seen, world: World) -> str:
    same, different = one.comparison.same, one.comparison.differing
    runs = len(world.index)
    words = f"{same} of {one.comparison.compared} params agree"
    if different:
        words += f"; differing: {', '.join(different[:_MOST_KEYS])}"
    if one.comparison.unlike:
        words += f"; of another kind, told by {', '.join(one.comparison.unlike[:_MOST_KEYS])}"
    if same and not different:
        words += f", as in {world.index.count_agreeing(seen.config):,} of {runs:,} runs"
        rarest = world.index.rarest(seen.config)
        if rarest is not None:
            key, count, total = rarest
            words += f"; rarest {key}={_short(seen.config[key].raw)}: {count:,} of {total:,}"
    return words


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def duration(seconds: float) -> str:
    """Return a time in words, in the largest unit of which there are two.

    >>> duration(90.0), duration(5400.0), duration(1.25e6)
    ('90.0 s', '90.0 min', '14.5 days')
    """
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} s"
