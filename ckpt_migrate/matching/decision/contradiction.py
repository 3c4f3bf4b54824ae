"""Contradictions: what a true pair would hardly show, however well the rest fits.

A weight sets a run against accident, so that a rare config can make up for a param that differs. A contradiction sets
the run against itself: how seldom do directories lie so to their own runs? It is asked where a reference names the
run, for references are copied, and directories are renamed by hand.
"""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

from ckpt_migrate.matching.clock.lags import LARGEST_SKEW_S
from ckpt_migrate.matching.families.mtimes import AFTER_S, APART_S, is_outside
from ckpt_migrate.matching.families.references import named_runs
from ckpt_migrate.matching.families.stamps import ANY_LAG_SHARE, NAMED_REACH_S, is_at_start, is_inside, late_share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import Score, Seen, World
    from ckpt_migrate.tracking.records import Run

CONTRADICTION_BITS = 10.0
"""A run that would show what was seen once in a thousand times is not believed on a reference's word alone."""
SPOKEN_BITS = 2.5
"""A family contradicts when it shows what one directory in six shows..."""
SEVERAL = 2
"""...and so many that do are not explained by one mishap."""
CONTENT_FAMILIES = ("content", "mtime", "params", "metrics")
"""What lies in a directory. Its stamp and what refers to it are about its name, and go wherever the name is moved."""
SUPPORT_BITS = 2.0
"""Bits from which a family speaks for a run."""
COPIED_SHARE, COPIED_WORTH = 0.003, 20.0
"""Share of references that were copied from another run, and how many references that is worth before any is seen."""
UNTIMED_BITS = 6.0
"""A stamp so far off alone contradicts where modification times were lost: nothing else says when the weights were
made."""
NO_FURTHER_BITS = 5.0
"""A directory made within its run, where nothing says that the run was taken up again: one in thirty."""
OLDER_BITS = CONTRADICTION_BITS
"""All files of a directory are older than its stamp: a touched file is newer, and so is a copied one."""
LATER_S, COPY_S = 3600.0, 60.0
"""Neither is a directory its run's whose files were all written so long after the end, and not within one minute."""
USUAL_SHARE, EARLY_S, EARLY_SCALES = 0.5, 60.0, 10.0
"""Directories that are complete so much earlier than usual, in seconds and in widths of the usual time, are unusual."""
BROKEN_OFF = frozenset({"FAILED", "KILLED"})
"""Statuses of runs that did not come to their end."""
ENDED_SCALES = 3.0
"""A file this near to a run's end, in widths of the usual time between the two, may be the run's last."""


def contradictions(one: Score, seen: Seen, run: Run, world: World) -> Mapping[str, float]:
    """Return, by family, in bits, how rarely a directory of this run would look as this one does; 0 for as usual."""
    return {
        "params": _params(one, seen, world),
        "time": _time(one, seen, run),
        "mtime": _end(seen, run, world),
        "metrics": CONTRADICTION_BITS if one.missed else max(-one.metrics, 0.0),
    }


def speaking_against(one: Score, seen: Seen, run: Run, world: World) -> tuple[str, ...]:
    """Return the families that contradict a run so much that a reference to it is not believed; none where it is."""
    bits = contradictions(one, seen, run, world)
    against = tuple(family for family, each in bits.items() if each >= SPOKEN_BITS)
    is_alone = not one.favouring(SUPPORT_BITS, CONTENT_FAMILIES)
    is_other_instant = "mtime" in against and len(seen.readings) > 1  # the files may be of the other of two hours
    is_much = len(against) >= SEVERAL or sum(bits.values()) >= CONTRADICTION_BITS
    is_untimed = bits["time"] >= UNTIMED_BITS and seen.newest_s is None
    return against if is_much or is_alone or is_other_instant or is_untimed else ()


def share_copied(cases: Iterable[Case], runs: Mapping[str, Run], world: World) -> float:
    """Return the share of references that cannot be true, so that those which can may be copied as well."""
    believed = copied = 0
    for case in cases:
        if not case.seen.references:
            continue
        named = named_runs(case.seen.references)
        scores = [one for one in case.scores if one.run_id in named]
        contradicted = sum(bool(speaking_against(one, case.seen, runs[one.run_id], world)) for one in scores)
        copied += max(contradicted, len(named) - 1)
        believed += len(named)
    return (copied + COPIED_SHARE * COPIED_WORTH) / (believed + COPIED_WORTH)


def _params(one: Score, seen: Seen, world: World) -> float:
    return world.differences.surprise(seen.config, one.comparison)


def _time(one: Score, seen: Seen, run: Run) -> float:
    if run.start_utc_ms is None or not seen.readings or is_at_start(seen, run):
        return 0.0
    if is_inside(seen, run):
        return 0.0 if one.resume > 0 else NO_FURTHER_BITS
    return -math.log2(late_share(seen, run) + ANY_LAG_SHARE)


def _end(seen: Seen, run: Run, world: World) -> float:
    if seen.older_s is not None or (_is_before(seen, run) and not world.ends.is_logged_after):
        return OLDER_BITS
    if not world.ends.holds_others and not world.ends.is_logged_after and is_outside(seen, run):
        return OLDER_BITS
    if world.ends.is_saved_last and (seen.config_apart_s or 0.0) > 2 * APART_S:
        return OLDER_BITS
    if seen.newest_s is None or run.end_utc_ms is None or run.start_utc_ms is None:
        return 0.0
    habit = world.ends.of(seen.path, is_complete=seen.is_complete)
    shares = (
        habit.share(seen.newest_s - skew_s, run.start_utc_ms / 1000, run.end_utc_ms / 1000)
        for skew_s in (0.0, seen.clock.lag_s)
    )
    if seen.oldest_s is not None and seen.oldest_s - run.end_utc_ms / 1000 > LATER_S and _is_spread(seen):
        return OLDER_BITS
    bits = max(-math.log2(max(shares)), 0.0)
    if run.status == "FINISHED" and not seen.is_complete and world.ends.is_saved_last:
        bits -= math.log2(world.ends.lacking_share)
    away_s = abs(run.end_utc_ms / 1000 - seen.newest_s - habit.center_s)
    return bits + _other_end(seen, world) if away_s > 2 * ENDED_SCALES * habit.scale_s else bits


def is_finished_oddly(seen: Seen, run: Run, world: World) -> bool:
    """Say whether a directory was complete though its run broke off, or long before or after its end, unlike others.

    A twin on a faster machine, whose run is gone, leaves such a one; so does a run that goes on to other things.
    Weights later than that by more than any clock is off are of another run, which trained into the same directory.
    """
    if not (seen.is_complete and world.ends.is_saved_last):
        return False
    if run.status in BROKEN_OFF:
        return True
    if seen.newest_s is None or run.end_utc_ms is None:
        return False
    habit = world.ends.of(seen.path, is_complete=True)
    if habit.end_share < USUAL_SHARE:
        return False
    early_s = run.end_utc_ms / 1000 - seen.newest_s - habit.center_s
    widths_s = EARLY_SCALES * habit.scale_s
    late_s = habit.center_s + (seen.last_s or seen.newest_s) - run.end_utc_ms / 1000
    return early_s > max(EARLY_S, widths_s) or (late_s > max(LARGEST_SKEW_S, widths_s) and _is_spread(seen))


def is_begun_apart(one: Score, seen: Seen, run: Run) -> bool:
    """Say whether a directory was made at another time than its run's start, though nothing says that it was resumed.

    What crashed is started again within minutes, with the same config, and with fixed seeds to the same losses.
    """
    start_s = (run.start_utc_ms or 0) / 1000
    away_s = min((abs(each.lag_to(start_s)) for each in seen.readings), default=0.0)
    return away_s > NAMED_REACH_S and _time(one, seen, run) >= NO_FURTHER_BITS


def is_left_later(seen: Seen, run: Run, world: World) -> bool:
    """Say whether a directory without what is saved last was written after its run had ended well: by another."""
    if seen.newest_s is None or run.end_utc_ms is None or seen.is_complete or not world.ends.is_saved_last:
        return False
    return run.status == "FINISHED" and seen.newest_s > run.end_utc_ms / 1000 + AFTER_S


def _is_before(seen: Seen, run: Run) -> bool:
    """Say whether the weights were there before the run began, by the clock of either side: it did not make them."""
    if seen.last_s is None or run.start_utc_ms is None:
        return False
    return max(seen.last_s, seen.last_s - seen.clock.lag_s) < run.start_utc_ms / 1000


def _is_spread(seen: Seen) -> bool:
    """Say whether the files were written over time, as training does, and not together, as a copy does."""
    return seen.oldest_s is not None and (seen.newest_s or seen.oldest_s) - seen.oldest_s > COPY_S


def _other_end(seen: Seen, world: World) -> float:
    """Return by how many bits a time is not one at which files were touched, but at which another run ended."""
    if seen.newest_s is None or not seen.is_complete or not world.ends_s:
        return 0.0
    habit = world.ends.of(seen.path, is_complete=True)
    due_s, reach_s = seen.newest_s + habit.center_s, ENDED_SCALES * habit.scale_s
    near = bisect.bisect_right(world.ends_s, due_s + reach_s) - bisect.bisect_left(world.ends_s, due_s - reach_s)
    by_accident = 2 * reach_s * len(world.ends_s) / max(world.ends_s[-1] - world.ends_s[0], reach_s)
    return max(-math.log2(by_accident), 0.0) if near else 0.0
