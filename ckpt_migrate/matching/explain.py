"""Explanations: a match weight as lines that a person can check, which sum exactly to the total."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckpt_migrate.matching.model import best_lag, name_stamp_difference, prior_bits
from ckpt_migrate.matching.records import Weight

if TYPE_CHECKING:
    from ckpt_migrate.matching.model import Score, Seen, World
    from ckpt_migrate.tracking.records import Run

_MOST_KEYS = 4


def explain(one: Score, seen: Seen, run: Run, world: World, bound: float) -> tuple[Weight, ...]:
    """Return the weights of a pair, strongest first, then the prior, then what rivals and ghosts take away.

    They sum to log2 of the certified odds, bound / (1 - bound).
    """
    shares = [
        Weight("reference", one.reference, _reference_words(one, seen)),
        Weight("time", one.time, _time_words(seen, run)),
        Weight("mtime", one.mtime, _end_words(seen, run)),
        Weight("params", one.params, _param_words(one, seen, world)),
        Weight("metrics", one.metrics, one.metric_words),
    ]
    spoken = sorted((weight for weight in shares if weight.bits), key=lambda weight: (-abs(weight.bits), weight.family))
    certified_bits = math.log2(bound / (1 - bound)) if 0 < bound < 1 else one.bits
    prior = prior_bits(run, world)
    total = sum(weight.bits for weight in spoken) + prior
    return (
        *spoken,
        Weight("prior", prior, f"one run of {world.run_total:,}, and a directory may have none"),
        Weight("rivals", certified_bits - total, "other runs, other directories, and twins that may be gone"),
    )


def line(weight: Weight) -> str:
    """Return a weight as one line of a plan.

    >>> line(Weight("time", 15.25, "starts 1.2 s before the stamp"))
    'for 15.2 bits, time: starts 1.2 s before the stamp'
    """
    return f"{'for' if weight.bits >= 0 else 'against'} {abs(weight.bits):.1f} bits, {weight.family}: {weight.text}"


def _reference_words(one: Score, seen: Seen) -> str:
    for reference in seen.references:
        if reference.run_id == one.run_id:
            return reference.words()
    return f"{seen.references[0].words()}, of another run" if seen.references else ""


def _time_words(seen: Seen, run: Run) -> str:
    difference = name_stamp_difference(seen, run)
    if difference is not None and abs(difference) <= 1:
        return f"the run's name has the directory's stamp, {_seconds(difference)} apart"
    lag = best_lag(seen, run)
    if lag is None:
        return ""
    zone = seen.clock.summary.timezone
    return f"the stamp, read in {zone}, is {_seconds(abs(lag))} {'after' if lag >= 0 else 'before'} the run's start"


def _end_words(seen: Seen, run: Run) -> str:
    if seen.newest_s is None or run.end_utc_ms is None:
        return ""
    lag = run.end_utc_ms / 1000 - seen.newest_s
    return f"its newest file was written {_seconds(abs(lag))} {'before' if lag >= 0 else 'after'} the run's end"


def _param_words(one: Score, seen: Seen, world: World) -> str:
    same, different = one.comparison.agreeing, one.comparison.differing
    runs = len(world.index)
    words = f"{len(same)} of {one.comparison.compared} params agree"
    if different:
        words += f"; differing: {', '.join(different[:_MOST_KEYS])}"
    elif same:
        words += f", as in {world.index.count_agreeing(seen.config):,} of {runs:,} runs"
        rarest = world.index.rarest(seen.config, runs)
        if rarest is not None:
            key, count, total = rarest
            words += f"; rarest {key}={_short(seen.config[key].raw)}: {count:,} of {total:,}"
    return words


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - a width for the eye, nothing rests on it


def _seconds(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} s"
