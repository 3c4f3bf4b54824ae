"""The model's records: what is known of a checkpoint, what all pairs share, and the match weight of one pair.

Fellegi-Sunter record linkage (Fellegi and Sunter 1969), written generatively. For checkpoint i and run j the match
weight is log2 of P(what was seen | j made i) / P(what was seen | i's run is not in the store), a sum of a prior and
one term for each family of evidence. Three answers compete with run j: another run, no run at all (an orphan), and a
GHOST, a run that is gone from the store while a near twin of it, j, is still there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.compare import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ckpt_migrate.matching.clock.fit import FittedClock, Reading
    from ckpt_migrate.matching.families.background import ParamIndex
    from ckpt_migrate.matching.families.mtimes import Ends
    from ckpt_migrate.matching.families.params import Differences
    from ckpt_migrate.matching.families.references import Reference
    from ckpt_migrate.matching.families.times import Times
    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.matching.model.columns import Floats
    from ckpt_migrate.matching.model.strata import Strata
    from ckpt_migrate.matching.model.twins import Twins

LARGEST_BITS = 60.0
"""No sum of evidence counts for more, either way."""
LN_2 = math.log(2)
NOTHING = Comparison()
"""No params on either side."""
FAMILIES = ("reference", "content", "time", "mtime", "params", "metrics", "resume")
"""Families of evidence, in the order in which equal weights are shown."""
OPPOSING = ("time", "mtime", "params", "metrics")
"""Families that can speak against a run."""


@dataclass(frozen=True, slots=True)
class NamedMetric:
    """A metric in a file's name: `text` as written, so that its digits say the rounding; the name's epoch, if any."""

    key: str
    text: str
    epoch: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one checkpoint, ready for comparison.

    Attributes:
        path: Its path.
        local: The stamp as naive local time; None where the name has none.
        clock: The clock that wrote it.
        readings: What the stamp may mean; empty while the clock is undecided.
        newest_s: UTC seconds of its newest own file; None when times cannot be trusted.
        oldest_s: UTC seconds of its oldest own file; None where newest_s is.
        older_s: When its newest own file was written, if that is before the stamp; newest_s is None then.
        last_s: UTC seconds of its newest weights, copied or not: a copy is newer, never older, than its original;
            None without weights or a credible time.
        weights_s: UTC seconds of its oldest and its newest weights; None where they are those of a copy.
        config_apart_s: By how much its newest config is older than its newest file, seconds; None without either.
        is_complete: Whether it has a config file, which is written at the end only.
        config: Its params.
        metrics: What its file names tell of metrics.
        last_step: The highest training step that its files tell; None for none.
        references: Where one side names the other.
        other_name: Where its files say that they were written under another name, in words; empty for nowhere.
        mixed_s: How many seconds apart its weights at the top and in folders are, where others have them together;
            None for as usual.
        resumed_from: Ids of directories or runs that its config says it was resumed from.
    """

    path: str
    local: datetime | None
    clock: FittedClock
    readings: tuple[Reading, ...]
    newest_s: float | None
    oldest_s: float | None
    older_s: float | None
    last_s: float | None
    weights_s: tuple[float, float] | None
    config_apart_s: float | None
    is_complete: bool
    config: Params
    metrics: tuple[NamedMetric, ...]
    last_step: int | None
    references: tuple[Reference, ...]
    resumed_from: tuple[str, ...] = ()
    other_name: str = ""
    mixed_s: float | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What all pairs share; times in UTC seconds since 1970.

    Attributes:
        starts_s: Starts of all runs, ascending; never empty.
        ends_s: Ends of all runs that have ended, ascending.
        run_total: How many runs there are.
        index: Counts of param values.
        params: Params of each run, by run id.
        twins: How often runs have near twins, within windows of several widths.
        strata: How often runs of each kind have a directory.
        priors: log2 of the chance, before any evidence, that a directory is of one run, if of any; by the run's
            place.
        presence: Chance that a directory's run is in the store, by its path, as far as its neighbours tell it.
        ends: When the newest files are written.
        times: When directories were stamped and written, and when runs began and ended.
        differences: Per key, the chance that it differs in a true pair.
        drifting: Keys that are not compared, for they differ between config and log in true pairs.
        name_shares: Share of stamps that lie so many seconds after the stamp in their run's name.
        further: Directories made when a run was taken up again, per run.
        span_s: Time from the first start to the last, at least a day.
    """

    starts_s: Sequence[float]
    ends_s: Sequence[float]
    run_total: int
    index: ParamIndex
    params: Mapping[str, Params]
    twins: tuple[Twins, ...]
    strata: Strata
    priors: Floats
    presence: Mapping[str, float]
    ends: Ends
    times: Times
    differences: Differences
    drifting: frozenset[str]
    name_shares: Mapping[int, float]
    further: float
    span_s: float


@dataclass(slots=True)
class Score:
    """Match weight of one pair in bits, by family.

    Attributes:
        run_id: The run.
        prior: log2 odds before any evidence; the attributes that follow are the families' bits.
        other_metric: How much likelier the metrics of file names are from a sibling with other values than from
            this run.
        hits: How many values of file names, or of tables in the directory, the run logged.
        missed: How many values of file names the run never logged, where runs usually did.
        comparison: Params that agree and that differ.
        is_first: Whether the directory would be the run's first; see `timing.are_first`.
        earlier: Path of the run's directory that it was resumed from, as `resume` has it; empty for none.
        words: What was seen, for families that need it said.
    """

    run_id: str
    prior: float = 0.0
    reference: float = 0.0
    content: float = 0.0
    time: float = 0.0
    mtime: float = 0.0
    params: float = 0.0
    metrics: float = 0.0
    resume: float = 0.0
    other_metric: float = 1.0
    hits: int = 0
    missed: int = 0
    comparison: Comparison = NOTHING
    is_first: bool = True
    earlier: str = ""
    words: dict[str, str] = field(default_factory=dict)

    @property
    def evidence(self) -> float:
        """The sum of all families."""
        early = self.reference + self.content + self.time + self.mtime
        return early + self.params + self.metrics + self.resume

    @property
    def bits(self) -> float:
        """The total weight, bounded so that no sum of evidence becomes a certainty."""
        total = self.prior + self.evidence
        # Asked a hundred times per directory: comparing takes a third of the time of `min` and `max`.
        return total if -LARGEST_BITS <= total <= LARGEST_BITS else math.copysign(LARGEST_BITS, total)

    @property
    def odds(self) -> float:
        """Odds of this run against its not being in the store."""
        return math.exp(self.bits * LN_2)

    def favouring(self, least_bits: float, families: Iterable[str] = FAMILIES) -> tuple[str, ...]:
        """Return which of these families speak for this run by at least so many bits."""
        return tuple([family for family in families if getattr(self, family) >= least_bits])

    def opposing(self, least_bits: float) -> list[str]:
        """Return which of the families that can speak against this run do so by at least so many bits."""
        return [family for family in OPPOSING if getattr(self, family) <= -least_bits]

    def share(self, family: str) -> float:
        """Return one family's bits."""
        bits: float = getattr(self, family)
        return bits


def exp2(bits: float) -> float:
    """Return two to the power of so many bits."""
    return math.exp(bits * LN_2)
