"""Doubts: what speaks against a run that a person chose, seen before anything is renamed to it.

The planner never weighed such a pair, so a slip of the clipboard would pass unseen: the run's start is held against
the directory's stamp, and its params against the config in the directory. A doubt refuses nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ckpt_migrate.evidence.reading import read_all
from ckpt_migrate.matching.families.compare import compare
from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.matching.families.values import comparable
from ckpt_migrate.plan.records import Action
from ckpt_migrate.progress import SILENT
from ckpt_migrate.review.sides import as_found, config_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.plan.records import Entry, Plan, RunFacts
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe

FAR_S = 86400.0
"""A run that starts further than this from the stamp is not the one that named the directory, unless resumed."""
UNKNOWN_ZONE_S = 14 * 3600.0
"""How far local time lies from UTC at most, where the zone of the stamps is not known."""
CLEARLY_LIKELIER = 10.0
"""Times likelier from which another run is named as the planner's favourite."""
MOST_KEYS = 4


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that speaks against a choice.

    Attributes:
        checkpoint: The directory as the plan has it.
        run_id: The run that a person chose for it.
        what: What speaks against it, one sentence without its full stop.
    """

    checkpoint: str
    run_id: str
    what: str


def find_doubts(
    plan: Plan, recipe: Recipe, *, entries: Iterable[Entry] | None = None, progress: Progress = SILENT
) -> tuple[Doubt, ...]:
    """Return what speaks against the renames that a person chose, in the order of the plan.

    Directories are read, and nothing is written. What cannot be read raises no doubt: `apply` refuses it by itself.

    Args:
        plan: As read, with the facts of the runs that were written in.
        recipe: The plan's recipe.
        entries: The entries in question; all by default.
        progress: Watches the reading.
    """
    chosen = [entry for entry in (plan.entries if entries is None else entries) if entry.is_chosen]
    if not chosen:
        return ()
    found = {entry.checkpoint: as_found(plan, entry, recipe) for entry in chosen}
    evidence = read_all([one for one in found.values() if one is not None], recipe, progress=progress)
    sharing = Counter(entry.run_id for entry in plan.entries if entry.action is not Action.SKIP)
    ignored = KeyPatterns(recipe.ignored_params)
    doubts: list[Doubt] = []
    for entry in chosen:
        run = plan.runs.get(entry.run_id or "")
        checkpoint = found[entry.checkpoint]
        words = [*_planner_doubts(entry)]
        if run is not None:
            words += _run_doubts(run)
            words += _time_doubts(entry, run, plan, recipe)
            if checkpoint is not None:
                words += _param_doubts(config_of(evidence[checkpoint.path], recipe), run, ignored)
        if sharing[entry.run_id] > 1:
            others = sharing[entry.run_id] - 1
            words.append(f"{others:,} other {'entry names' if others == 1 else 'entries name'} this run, too")
        doubts += [Doubt(entry.checkpoint, entry.run_id or "", what) for what in words]
    return tuple(doubts)


def _planner_doubts(entry: Entry) -> Iterator[str]:
    proposal = entry.proposal
    if proposal is not None and proposal.run_id not in {None, entry.run_id}:
        yield f"the planner had singled out run {proposal.run_id}, with confidence {proposal.confidence or 0.0:.6f}"
    likeliest = max(entry.candidates, key=lambda candidate: candidate.confidence, default=None)
    own = entry.confidence or 0.0
    if likeliest is not None and likeliest.run_id != entry.run_id and likeliest.confidence > CLEARLY_LIKELIER * own:
        weighed = f"against {own:.6f}" if entry.confidence is not None else "and did not count this one among those"
        yield f"the planner held run {likeliest.run_id} for likeliest ({likeliest.confidence:.6f}), {weighed}"


def _run_doubts(run: RunFacts) -> Iterator[str]:
    if run.is_deleted:
        yield "the run is deleted in MLflow"
    if run.status == "RUNNING":
        yield "the run says that it is RUNNING"


def _time_doubts(entry: Entry, run: RunFacts, plan: Plan, recipe: Recipe) -> Iterator[str]:
    name = recipe.parse(plan.absolute(entry.checkpoint))
    if name is None or name.local_time is None or run.start is None:
        return
    zone, slack_s = plan.clock.timezone, 0.0
    if zone is None:
        slack_s = UNKNOWN_ZONE_S
    local = name.local_time.replace(tzinfo=timezone.utc if zone is None else ZoneInfo(zone))
    late_s = (datetime.fromisoformat(run.start.replace("Z", "+00:00")) - local).total_seconds()
    if abs(late_s) > FAR_S + slack_s:
        days = f"{abs(late_s) / FAR_S:.1f} days"
        read_in = "" if zone is None else f", read in {zone}"
        resumed = "; right only if the run was resumed then" if late_s < 0 else ""
        yield f"the run starts {days} {'before' if late_s < 0 else 'after'} the directory's stamp{read_in}{resumed}"


def _param_doubts(config: Params, run: RunFacts, ignored: KeyPatterns) -> Iterator[str]:
    logged = comparable(run.params, ignored)
    comparison = compare(config, logged)
    if not comparison.differing:
        return
    shown = [f"{key} ({config[key].raw:.40} here, {logged[key].raw:.40} there)" for key in comparison.differing]
    more = "" if len(shown) <= MOST_KEYS else f" and {len(shown) - MOST_KEYS:,} more"
    count = f"{len(comparison.differing):,} of {comparison.compared:,} params differ"
    yield f"{count} between the directory's config and the run: {', '.join(shown[:MOST_KEYS])}{more}"
