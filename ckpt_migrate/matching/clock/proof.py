"""Proof: when a lag that no training has may be taken for a clock that is off."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpt_migrate.matching.clock.guesses import Fitted

LARGEST_PLAIN_LAG_S = 40.0
"""Lag up to which a stamp needs no proof: public projects lie between 0.4 and 31 seconds."""
LAUNCH_GAP_S = 3600.0
"""Stamps further apart are of different launches."""
FEWEST_LAUNCHES = 3
"""Launches that must lie equally far off before a larger lag is taken for a clock that is off."""


def is_lag_proved(part: Fitted) -> bool:
    """Say whether stamps this far from run starts can be believed to belong to those runs.

    Seconds of lag are how trainings start. Minutes mean that a host's clock is off, or that the runs are others: the
    same sweep launched again a minute later, whose first runs are in another store, looks just so, and so does a
    day of trainings a minute apart of which few were logged. Several launches at unrelated times that all lie equally
    far off can only be a clock, and so can a run that other evidence names.
    """
    if abs(part.fit.lag_s) <= LARGEST_PLAIN_LAG_S:
        return True
    pairs = zip(part.stamps, part.rows, strict=True)
    hits = [stamp for stamp, row in pairs if row.is_hit(part.fit.lag_s, part.fit.scale_s)]
    if any(stamp.is_named for stamp in hits):
        return True
    launches = 1 + sum(later.local_s - earlier.local_s > LAUNCH_GAP_S for earlier, later in pairwise(hits))
    return launches >= FEWEST_LAUNCHES


def unproved_words(lag_s: float) -> str:
    """Return a sentence for people about a lag that is not believed."""
    return (
        f"the stamps would fit runs that start {abs(lag_s):,.0f} s {'before' if lag_s > 0 else 'after'} them, in fewer "
        f"than {FEWEST_LAUNCHES} separate launches: a clock may be off, or these are other runs, and the true ones are "
        "in another store; this was not used"
    )
