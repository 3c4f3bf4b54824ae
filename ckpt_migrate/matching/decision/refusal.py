"""Refusal: why a directory is not renamed, and what would settle it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.matching.decision.contradiction import is_left_later
from ckpt_migrate.matching.decision.explain import duration
from ckpt_migrate.matching.families.compare import apart
from ckpt_migrate.matching.families.content import LONE_BITS
from ckpt_migrate.matching.families.references import is_made_once, is_named_by_path, named_runs
from ckpt_migrate.matching.families.stamps import is_at_start, is_plausible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.matching.decision.decide import Weighed
    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import Score, Seen, World
    from ckpt_migrate.tracking.records import Run

THRESHOLD = 0.999
"""Certified probability from which a directory is renamed."""
FAMILY_BITS = 2.0
"""Bits from which a family counts as speaking for a run: four times likelier than not."""
FEWEST_FAMILIES = 2
"""Families that must speak for a run that no reference names."""
OUTDONE_BITS = 6.0
"""When another run leads by so much in all but references, the reference is not believed."""
CONTRADICTED_BITS = 4.0
"""Nor is it when one family speaks against the run by so much."""
DOUBTED_BITS = 3.0
"""A run that no reference names is not taken either when one family speaks against it by so much: it may be the
relative of a run that is gone, as a parent is of its children."""
_OF_WRITING = ("time", "mtime", "metrics", "content")
"""What tells who wrote to a path last; params do not, for trainings are run again with the same."""
PLAIN_METRIC_BITS = 6.0
"""A metric, or equal bytes, that make good for files which were finished at an odd time."""
_SINGULAR = frozenset({"metrics", "time"})
_CLOSE_ODDS = 1000.0
_SHOWN = 3
_WORDS = {
    "reference": "a reference",
    "content": "equal bytes",
    "time": "its time stamp",
    "mtime": "its files' times",
    "params": "its params",
    "metrics": "a metric",
    "resume": "the directory that it was resumed from",
}


def why_not(case: Case, surest: Weighed, run: Run, world: World) -> str | None:
    """Return why the best candidate is not taken; None when it is singled out.

    Args:
        case: The checkpoint.
        surest: Its surest candidate.
        run: Its run.
        world: The shared facts.
    """
    best, doubt = surest.score, surest.doubt
    named = named_runs(case.seen.references) if case.seen.references else ()
    if case.seen.other_name:
        return f"{case.seen.other_name}, which is another directory: these may be another run's weights"
    if case.seen.mixed_s is not None:
        gap = duration(case.seen.mixed_s)
        return f"its weights were written {gap} apart, those of others together: they may be of two runs"
    if len(named) > 1:
        shown = ", ".join(named[:_SHOWN])
        return f"references name {len(named)} different runs: {shown}; remove or correct the wrong one"
    if surest.bound < THRESHOLD and not is_some_fit(case):
        return "no run fits; the nearest candidates are listed" if case.seen.readings else why_no_candidate(case.seen)
    if surest.bound < THRESHOLD:
        return _why_unsure(case, surest, world)
    if best.run_id in named:
        return _why_not_believed(case, surest, run, world)
    if world.strata.holds_others(best.run_id):
        return _why_not_of_parent(case, best)
    away = world.strata.away and world.strata.away_user(best.run_id)
    if away and best.content < LONE_BITS:
        return f"one run fits, but {away} started it, whose directories are elsewhere; a reference would settle it"
    families = [family for family in best.favouring(FAMILY_BITS) if family != "reference"]
    if len(families) < FEWEST_FAMILIES and best.content < LONE_BITS:
        only = _WORDS[families[0]] if families else "weak evidence"
        return f"only {only} speaks for the run; a second kind of evidence would settle it"
    against = best.opposing(DOUBTED_BITS)
    if against:
        is_one = against[0] in _SINGULAR
        return f"one run fits, but {_WORDS[against[0]]} {'speaks' if is_one else 'speak'} against it"
    if doubt.is_finished_oddly and not (
        best.favouring(PLAIN_METRIC_BITS, ("metrics", "content")) and is_at_start(case.seen, run)
    ):
        return "one run fits, but it ended further from when the directory was complete than others do, or broke off"
    if doubt.is_begun_apart and best.content < LONE_BITS:
        return "one run fits, but its time stamp is not of the run's start, and nothing says that it was taken up again"
    return f"one run fits, but {_and(doubt.against)} it" if doubt.against else None


def _why_not_of_parent(case: Case, best: Score) -> str:
    chosen = [one.words() for one in case.seen.references if one.run_id == best.run_id]
    told = f": {chosen[0]}, the best of several" if chosen else ""
    return f"one run fits, but it holds others, of which one that was not logged may have made it{told}"


def is_some_fit(case: Case) -> bool:
    """Say whether it is likelier, by its candidates' odds, that some run fits than that none does."""
    best = case.scores[0].odds if case.scores else 0.0
    return best >= 1 or sum([one.odds for one in case.scores]) >= 1


def why_no_candidate(seen: Seen) -> str:
    """Return why nothing at all was found to compare a directory with."""
    if seen.local is not None and not is_plausible(seen.local):
        return f"no run names it or has its params, and its time stamp says the year {seen.local.year:04}"
    if not seen.readings:
        return (
            "no run names it or has its params, and its time stamp could not be used because the time zone "
            "is not known (--timezone gives it)"
        )
    return "no run starts near its time stamp, names it, or has its params"


def _why_not_believed(case: Case, surest: Weighed, run: Run, world: World) -> str | None:
    best, doubt = surest.score, surest.doubt
    rival = max((one.bits - one.reference for one in case.scores if one is not best), default=0.0)
    if rival - (best.bits - best.reference) > OUTDONE_BITS:
        return "a reference names one run, but all other evidence speaks for another"
    against = best.opposing(CONTRADICTED_BITS)
    if against:
        return f"a reference names the run, but {_WORDS[against[0]]} speaks against it"
    if doubt.against:
        return f"a reference names the run, but {_and(doubt.against)} it"
    if is_left_later(case.seen, run, world) and not best.favouring(FAMILY_BITS, ("metrics", "params", "content")):
        return "a reference names the run, which had ended well before these files were written"
    is_written_by_it = best.favouring(FAMILY_BITS, _OF_WRITING) or (best.hits and best.metrics > 0)
    is_reused = not case.checkpoint.name or not is_made_once(case.checkpoint.name)
    if is_reused and is_named_by_path(case.seen.references, best.run_id) and not is_written_by_it:
        return "a path names the run, and nothing says that no other wrote to it later: no time, metric or equal bytes"
    return None


def _and(families: Sequence[str]) -> str:
    """Return families in words, with the verb.

    >>> _and(("params",)), _and(("params", "time"))
    ('its params contradict', 'its params and its time stamp contradict')
    """
    is_one = len(families) == 1 and families[0] in _SINGULAR
    return " and ".join(_WORDS[family] for family in families) + (" contradicts" if is_one else " contradict")


def _why_unsure(case: Case, surest: Weighed, world: World) -> str:
    best, doubt = surest.score, surest.doubt
    close = [one for one in case.scores if one is not best and one.odds * _CLOSE_ODDS >= best.odds]
    if close:
        return f"{len(close) + 1} runs fit{_apart(case, best, close[0], world)}"
    if best.comparison.differing:
        return f"one run is near, but differs in {', '.join(best.comparison.differing[:_SHOWN])}"
    if best.comparison.unlike:
        return f"one run is near, but of another kind, told by {', '.join(best.comparison.unlike[:_SHOWN])}"
    if doubt.against:
        return f"one run fits, but {_and(doubt.against)} it"
    if surest.ghost * _CLOSE_ODDS >= 1:
        return "one run fits, but a run like it that is no longer in the store would fit as well"
    return "one run fits, but another directory fits it as well, or too little is known of this one"


def _apart(case: Case, best: Score, other: Score, world: World) -> str:
    """Return in which params two runs that fit differ, and why that does not settle it."""
    mine, theirs = world.params[best.run_id], world.params[other.run_id]
    keys = sorted(apart(mine, theirs))
    if not keys:
        return ", and no param tells them apart"
    missing = [key for key in keys if key not in case.seen.config]
    unused = [key for key in missing if key in world.drifting]
    unsaid = [key for key in missing if key not in world.drifting]
    if unused:
        return (
            f"; they differ in {', '.join(unused[:_SHOWN])}, not compared because configs differ from their logs in it"
        )
    if unsaid:
        return f"; they differ in {', '.join(unsaid[:_SHOWN])}, which the directory does not say"
    return f"; they differ in {', '.join(keys[:_SHOWN])}"
