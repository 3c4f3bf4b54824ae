"""The model: how much each kind of evidence speaks for one run having made one checkpoint.

Fellegi-Sunter record linkage (Fellegi and Sunter 1969), written generatively. For checkpoint i and run j the match
weight is log2 of P(what was seen | j made i) / P(what was seen | i's run is not in the store), a sum of a prior and
one term for each family of evidence. Three answers compete with run j: another run, no run at all (an orphan), and a
GHOST, a run that is gone from the store while a near twin of it, j, is still there.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock import FittedClock, lag_density, start_rate
from ckpt_migrate.matching.compare import Comparison, Params, compare
from ckpt_migrate.naming import parse_stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ckpt_migrate.matching.background import ParamIndex, TwinRates
    from ckpt_migrate.matching.references import Reference
    from ckpt_migrate.tracking.records import Run

PRIOR_IN_STORE = 0.3
"""Chance that a directory's run is in the store at all; 86 of 292 clear-cut real folders had one."""
OTHER_EXPERIMENT_BITS = -4.0
"""A run of an experiment that the recipe does not name, when the store has one that it names."""
REFERENCE_BITS = 20.0
"""One side naming the other: by accident about once in a million."""
NAME_STAMP_EXACT = 0.85
"""Share of stamps in run names that equal the directory's to the second."""
NAME_STAMP_NEAR = 0.07
"""Share that is one second later; as many are one second earlier. Further ones say nothing."""
ANY_LAG_SHARE = 0.01
"""Share of directories whose stamp has nothing to do with the run's start (a clock that was reset)."""
END_SCALE_S = 20.0
"""Seconds between the last file of a directory and the end of its run: saving, uploading, closing."""
END_SHARE, INSIDE_SHARE, ANYWHEN_SHARE = 0.6, 0.3, 0.1
"""Share of directories whose newest file is from the run's end, from within the run, from any time (touched)."""
DURATION_DECADES_NATS = 9.2
"""ln of the longest over the shortest run (a minute to a week): the width of a log-uniform background."""
METRIC_MISS = 0.01
"""Chance that a value in a file name was not logged by its own run, where the metric's name was."""
FAITHFUL_DIFFERENCE = 3e-4
"""Chance that a param differs between a config and its own run, for a key that is logged as it is."""
DRIFTING_KEY = 0.05
"""Chance that a key is one that frameworks change between config and log (devices, workers, warm-up)."""
DRIFTING_DIFFERENCE = 0.5
FAITHFUL_PRIOR_PAIRS = 100.0
"""How many observed pairs the figure FAITHFUL_DIFFERENCE is worth."""
TWIN_SAME_METRIC = 0.1
"""Floor on the chance that a twin has the same metric: fixed seeds give equal losses."""
TWIN_SAME_END = 0.02
"""Floor on the chance that a twin ended at the same time."""
CROWD_SAME_END = 0.2
"""The same for runs of one launch, which do the same work and end together."""
FURTHER_CHECKPOINT = 0.03
"""rho: factor for each further checkpoint on a run; resumed runs are legal but rare."""
LARGEST_BITS = 60.0
"""No sum of evidence counts for more, either way."""
_STAMP = re.compile(r"(?<!\d)\d{8}_\d{6}(?!\d)")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one checkpoint, ready for comparison.

    Attributes:
        local: The stamp as naive local time.
        clock: The clock that wrote it.
        instants: UTC seconds that the stamp may mean; empty while the clock is undecided.
        newest_s: UTC seconds of its newest own file; None when times cannot be trusted.
        config: Its params.
        metrics: (key, text) pairs from file names.
        references: Where one side names the other.
    """

    local: datetime
    clock: FittedClock
    instants: tuple[float, ...]
    newest_s: float | None
    config: Params
    metrics: tuple[tuple[str, str], ...]
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class World:
    """What all pairs share; times in UTC seconds since 1970.

    Attributes:
        clock: The clock of all checkpoints together.
        starts_s: Starts of all runs, ascending.
        run_total: How many runs there are.
        index: Counts of param values.
        params: Params of each run, by run id.
        twins: How often runs have near twins, by experiment id.
        differences: Per key, the chance that it differs in a true pair.
        expected_experiments: Experiments that the recipe names and the store has.
    """

    clock: FittedClock
    starts_s: Sequence[float]
    run_total: int
    index: ParamIndex
    params: Mapping[str, Params]
    twins: Mapping[str, TwinRates]
    differences: Mapping[str, float]
    expected_experiments: frozenset[str]


@dataclass(slots=True)
class Score:
    """Match weight of one pair in bits, by family; `metrics` is filled in last, for the best candidates only."""

    run_id: str
    prior: float
    reference: float
    time: float
    mtime: float
    params: float
    metrics: float = 0.0
    comparison: Comparison = field(default_factory=lambda: Comparison((), ()))
    metric_words: str = ""

    @property
    def bits(self) -> float:
        """The total weight, bounded so that no sum of evidence becomes a certainty."""
        total = self.prior + self.reference + self.time + self.mtime + self.params + self.metrics
        return max(-LARGEST_BITS, min(LARGEST_BITS, total))

    @property
    def odds(self) -> float:
        """Odds of this run against its not being in the store."""
        return _exp2(self.bits)

    def favouring(self, least_bits: float) -> tuple[str, ...]:
        """Return the families, references aside, that speak for this run by at least so many bits."""
        shares = {"time": self.time, "mtime": self.mtime, "params": self.params, "metrics": self.metrics}
        return tuple(name for name, bits in shares.items() if bits >= least_bits)


def _exp2(bits: float) -> float:
    return math.exp(bits * math.log(2))


def score(seen: Seen, run: Run, world: World) -> Score:
    """Weigh one pair by everything but metrics."""
    comparison = compare(seen.config, world.params.get(run.run_id, {}))
    time_bits = _time_bits(seen, run, world)
    return Score(
        run_id=run.run_id,
        prior=prior_bits(run, world),
        reference=_reference_bits(seen.references, run.run_id),
        time=time_bits,
        mtime=_end_bits(seen, run, world),
        params=_param_bits(seen.config, comparison, world),
        comparison=comparison,
    )


def prior_bits(run: Run, world: World) -> float:
    """Return log2 odds, before any evidence, that just this run made a checkpoint."""
    bits = math.log2(PRIOR_IN_STORE / (1 - PRIOR_IN_STORE) / max(world.run_total, 1))
    is_other = bool(world.expected_experiments) and run.experiment not in world.expected_experiments
    return bits + (OTHER_EXPERIMENT_BITS if is_other else 0.0)


def _reference_bits(references: Iterable[Reference], run_id: str) -> float:
    named = {reference.run_id for reference in references}
    if not named:
        return 0.0
    return REFERENCE_BITS if run_id in named else -REFERENCE_BITS


def best_lag(seen: Seen, run: Run) -> float | None:
    """Return the lag of stamp after start, seconds, by the likeliest instant; None when there is none."""
    if run.start_utc_ms is None or not seen.instants:
        return None
    return min((at - run.start_utc_ms / 1000 for at in seen.instants), key=lambda lag: abs(lag - seen.clock.lag_s))


def name_stamp_difference(seen: Seen, run: Run) -> float | None:
    """Return the directory's stamp minus a stamp in the run's name, seconds; None when the name has none.

    Both were written by the same local clock, so no time zone is needed.
    """
    stamp = name_stamp(run.name)
    return None if stamp is None else (seen.local - stamp).total_seconds()


@lru_cache(maxsize=1 << 16)
def name_stamp(run_name: str) -> datetime | None:
    """Return the first stamp in a run's name as naive local time.

    >>> name_stamp("phase2_20260201_041227")
    datetime.datetime(2026, 2, 1, 4, 12, 27)
    """
    match = _STAMP.search(run_name)
    return None if match is None else parse_stamp(match[0])


def _time_bits(seen: Seen, run: Run, world: World) -> float:
    """Return log2 of f(lag) * N / r: f the lag's density, r the local rate of run starts among N runs.

    A resumed run has directories whose stamps lie anywhere within it.
    """
    if run.start_utc_ms is None:
        return 0.0
    rate = start_rate(world.starts_s, run.start_utc_ms / 1000)
    difference = name_stamp_difference(seen, run)
    if difference is not None and abs(difference) <= 1:
        share = NAME_STAMP_NEAR if difference else NAME_STAMP_EXACT
        return math.log2(share * world.run_total / rate)
    lag = best_lag(seen, run)
    if lag is None:
        return 0.0
    density = lag_density(lag, seen.clock.lag_s, seen.clock.scale_s)
    start, end = run.start_utc_ms / 1000, (run.end_utc_ms or 0) / 1000
    if any(start <= at <= end for at in seen.instants):
        density += FURTHER_CHECKPOINT / max(end - start, 1.0)
    floor = ANY_LAG_SHARE / (max(world.starts_s[-1] - world.starts_s[0], 86400.0))
    return math.log2(max(density, floor) * world.run_total / rate)


def _end_bits(seen: Seen, run: Run, world: World) -> float:
    """Return log2 of how much better the newest file's time fits this run's end than it fits any run's.

    A host whose clock is off writes stamps and files alike, so the end is looked for by both clocks. Against a known
    stamp the background is the spread of durations (log-uniform); without one, it is the rate of
    runs over the whole range.
    """
    if seen.newest_s is None or run.end_utc_ms is None or run.start_utc_ms is None:
        return 0.0
    start, end = run.start_utc_ms / 1000, run.end_utc_ms / 1000
    span = max(world.starts_s[-1] - world.starts_s[0], 86400.0)
    skew = seen.clock.lag_s if abs(seen.clock.lag_s) > 2 * END_SCALE_S else 0.0
    lags = (seen.newest_s - end, seen.newest_s - skew - end)
    peaks = [math.exp(-abs(lag) / END_SCALE_S) / (2 * END_SCALE_S) for lag in lags]
    density = END_SHARE * sum(peaks) / len(peaks) + ANYWHEN_SHARE / span
    if start - END_SCALE_S <= seen.newest_s <= end + END_SCALE_S:
        density += INSIDE_SHARE / max(end - start, 2 * END_SCALE_S)
    if seen.instants:
        duration = max(seen.newest_s - seen.instants[0], 60.0)
        return math.log2(density * duration * DURATION_DECADES_NATS)
    rate = start_rate(world.starts_s, start)
    return math.log2(density * world.run_total / rate)


def _param_bits(config: Params, comparison: Comparison, world: World) -> float:
    """Return log2 of P(config | the run's params) / share of runs that agree with the config throughout."""
    if not comparison.compared or not len(world.index):
        return 0.0
    bits = config_log2(config, comparison, world)
    common = max(world.index.count_agreeing(config), 1) / (len(world.index) + 1)
    return max(-LARGEST_BITS, bits - math.log2(common))


def config_log2(config: Params, comparison: Comparison, world: World) -> float:
    """Return log2 P(config | the run's params): each key agrees, or differs and then has its background frequency."""
    default = DRIFTING_KEY * DRIFTING_DIFFERENCE + (1 - DRIFTING_KEY) * FAITHFUL_DIFFERENCE
    bits = sum(math.log2(1 - world.differences.get(key, default)) for key in comparison.agreeing)
    for key in comparison.differing:
        frequency = world.index.frequency(key, config[key].canonical)
        bits += math.log2(world.differences.get(key, default) * min(frequency, 0.5))
    return bits


def key_difference(agreed: int, differed: int) -> tuple[float, bool]:
    """Return the chance that a key differs in a true pair, and whether it says nothing (it drifts).

    A key is either faithful (differs with chance FAITHFUL_DIFFERENCE) or drifting (with chance one half); the
    posterior follows from the pairs observed.

    >>> key_difference(20, 0)[1], key_difference(5, 9)[1]
    (False, True)
    """
    drifting = math.log(DRIFTING_KEY) + (agreed + differed) * math.log(DRIFTING_DIFFERENCE)
    faithful = (
        math.log(1 - DRIFTING_KEY)
        + agreed * math.log1p(-FAITHFUL_DIFFERENCE)
        + differed * math.log(FAITHFUL_DIFFERENCE)
    )
    share = 1 / (1 + math.exp(max(-700.0, min(700.0, faithful - drifting))))
    rate = (differed + FAITHFUL_DIFFERENCE * FAITHFUL_PRIOR_PAIRS) / (agreed + differed + FAITHFUL_PRIOR_PAIRS)
    chance = share * DRIFTING_DIFFERENCE + (1 - share) * rate
    return min(chance, DRIFTING_DIFFERENCE), share > DRIFTING_DIFFERENCE


def metric_bits(values: Iterable[float], text: str, share: float) -> float:
    """Return the weight of a metric in a file name: log2 of P(text | this run logged these) over its background.

    Args:
        values: All values that the run logged under the metric's name; not empty.
        text: The value as the file name has it; its digits say the rounding.
        share: How often a value falls into the text's bin by accident, 0 to 1.
    """
    return math.log2((1 - METRIC_MISS) / share) if is_logged(values, text) else math.log2(METRIC_MISS)


def is_logged(values: Iterable[float], text: str) -> bool:
    """Say whether any value rounds to a text, by the digits that the text has.

    >>> is_logged([2.94763], "2.9476"), is_logged([2.94763], "2.9477")
    (True, False)
    """
    digits = len(text.partition(".")[2])
    half = 0.5 * 10.0**-digits * (1 + 1e-6)
    return any(abs(value - float(text)) <= half for value in values)


def ghost_odds(one: Score, run: Run, world: World, gone_share: float, unmade_share: float) -> float:
    """Return the odds of a ghost twin of a run against the run itself.

    A ghost needs four things at once: a twin of this run was launched with it (the store's own twin rate), the twin
    is gone from the store, the run itself left no directory here, and the twin's config, end and metrics look as
    the checkpoint's do.

    Args:
        one: The pair's score.
        run: The run.
        world: The shared facts.
        gone_share: Share of runs that are gone from the store, below 1.
        unmade_share: Share of runs that left no directory here.
    """
    differing = one.comparison.differing
    twins = world.twins[run.experiment_id]
    twin = twins.rate(run.run_id, len(differing), gone_share)
    default = DRIFTING_KEY * DRIFTING_DIFFERENCE
    own = math.prod(1 - world.differences.get(key, default) for key in one.comparison.agreeing) * math.prod(
        world.differences.get(key, default) for key in differing
    )
    same_end = min(1.0, max(_exp2(-one.mtime), CROWD_SAME_END if twins.is_crowded(run.run_id) else TWIN_SAME_END))
    same_metrics = min(1.0, max(_exp2(-one.metrics), TWIN_SAME_METRIC))
    reference = _exp2(-max(one.reference, 0.0))
    gone_odds = gone_share / (1 - gone_share)
    return gone_odds * unmade_share * twin / own * same_end * same_metrics * reference


def certified(odds: float, others: float, claims: float) -> float:
    """Return a lower bound on the probability of a pair, whatever the other checkpoints' true runs are.

    The joint model gives an assignment of checkpoints to runs the product of its odds, times rho for each further
    checkpoint on a run. Without checkpoint i, the others occupy run j with a probability of at most

        c = sum over l of w_lj / (w_lj + 1 + rho * sum over k != j of w_lk),

    for whatever the rest do, they can make l's other answers worse by a factor of rho at most. Putting i on j then
    costs a factor of 1 - (1 - rho) * min(1, c) at least, and elsewhere it costs none, hence

        P(i -> j) >= w e / (w e + 1 + A),   e = max(rho, 1 - (1 - rho) * min(1, c)).

    Args:
        odds: w, this pair's odds.
        others: A, the sum of the checkpoint's other odds, ghosts included.
        claims: c, the sum of `claim` over the other checkpoints.
    """
    free = max(FURTHER_CHECKPOINT, 1 - (1 - FURTHER_CHECKPOINT) * min(1.0, claims))
    return odds * free / (odds * free + 1 + others)


def claim(odds: float, elsewhere: float) -> float:
    """Return the largest probability with which a checkpoint occupies a run: its odds there and elsewhere."""
    return odds / (odds + 1 + FURTHER_CHECKPOINT * elsewhere)
