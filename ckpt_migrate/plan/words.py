"""Plans in words: the summary line, the clock, symbols with their legend."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ckpt_migrate.naming import parse_stamp
from ckpt_migrate.plan.records import Action, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.plan.records import Clock, Entry, Plan, Proposal

SYMBOLS = {
    "~": "renamed",
    "*": "given to the run that a person chose",
    "+": "manifests written anew",
    "?": "for a person to decide",
    "!": "held back",
    "-": "left alone",
}


_MOST_KEYS = 3
_BITS = re.compile(r"(for|against) ([0-9]+)\.([0-9]) bits")
_FEW = 10.0
_STAMP = re.compile(r"[0-9]{8}_[0-9]{6}")
BY_HAND = "by hand"
"""What is said in the place of a status where a person has edited the entry."""


def count(number: int, noun: str) -> str:
    """Return a number of things in words.

    >>> count(1, "file"), count(1200, "file")
    ('1 file', '1,200 files')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def symbol(entry: Entry) -> str:
    """Return what happens to an entry as one character of SYMBOLS."""
    if entry.is_chosen:
        return "*"
    if entry.action is Action.RENAME:
        return "~"
    if entry.action is Action.REPAIR:
        return "+"
    if entry.status in {Status.AMBIGUOUS, Status.UNMATCHED}:
        return "?"
    return "-" if entry.status is Status.LINKED else "!"


def found_words(entry: Entry) -> str:
    """Return what a column says was found; `by hand` where a person has edited the entry."""
    return entry.status.value if entry.proposal is None else BY_HAND


def choice_words(entry: Entry) -> str:
    """Return who chose, and what the planner thought; empty when nobody has edited the entry."""
    proposal = entry.proposal
    if proposal is None:
        return ""
    is_left = entry.action is Action.SKIP
    chosen = "left alone by a person" if is_left else f"run {entry.run_id}, chosen by a person"
    return f"{chosen}; {_planner_words(entry, proposal)}"


def _planner_words(entry: Entry, proposal: Proposal) -> str:
    because = f": {entry.reason}" if entry.reason else ""
    if proposal.run_id is None:
        known = "" if entry.confidence is None else f", with this run at {entry.confidence:.6f}"
        return f"the planner had found it {entry.status.value}{known}{because}"
    which = "this run" if proposal.run_id == entry.run_id else f"run {proposal.run_id}"
    did = {Action.RENAME: "", Action.REPAIR: " and repaired its manifests", Action.SKIP: " and left it alone"}
    sure = 0.0 if proposal.confidence is None else proposal.confidence
    return f"the planner had chosen {which}, confidence {sure:.6f}{did[proposal.action]}{because}"


def taken_words(plan: Plan, entry: Entry, run_id: str) -> str:
    """Return to which other directory a person gave this run; empty when to none."""
    given = [
        one.checkpoint.rpartition("/")[2]
        for one in plan.entries
        if one.is_chosen and one.run_id == run_id and one.checkpoint != entry.checkpoint
    ]
    return f"taken by you for {', '.join(given)}" if given else ""


def total_words(evidence: Sequence[str]) -> str:
    """Return the sum of a case's lines, as they are printed; empty without lines.

    >>> total_words(["for 15.2 bits, time: ...", "against 5.1 bits, prior: ..."])
    'in all 10.1 bits: 1,097 to 1 for it'
    """
    found = [_BITS.match(line) for line in evidence]
    tenths = sum(int(m[2] + m[3]) * (1 if m[1] == "for" else -1) for m in found if m is not None)
    if not evidence or None in found:
        return ""
    odds = 2.0 ** (abs(tenths) / 10)
    side = "for" if tenths >= 0 else "against"
    return f"in all {tenths / 10:.1f} bits: {odds:,.{0 if odds >= _FEW else 1}f} to 1 {side} it"


def settling_words(plan: Plan, entry: Entry) -> str:
    """Return what would settle an entry that waits for a person; empty when it does not wait."""
    if entry.proposal is not None or entry.action is not Action.SKIP:
        return ""
    if entry.status is Status.MATCHED:
        run = plan.runs.get(entry.run_id or "")
        if run is None or not run.is_deleted:
            return ""
        return "restore the run in MLflow and plan again, or set the action to rename; until then it keeps its name"
    if entry.status is Status.UNMATCHED:
        near = _nearest_start(plan, entry)
        told = f"; of the candidates, run {near} starts nearest to its stamp" if near else ""
        return f"no run fits: leave it as it is or, if you know its run, give it with `ckpt-migrate review`{told}"
    if entry.status is Status.BUSY:
        return "let the training end, or end a run in MLflow that says RUNNING and is dead; then plan again"
    if entry.status is Status.UNREADABLE:
        return "let this user read it, then plan again"
    if entry.status is not Status.AMBIGUOUS:
        return ""
    if len(entry.candidates) > 1:
        choose = "choose one of the candidates with `ckpt-migrate review`, or leave it skipped"
        return f"{choose}; {_telling_words(plan, entry)}"
    return (
        "a config, metrics or unchanged file times in the directory, or a run that names it, would be evidence of "
        "another kind; if you know that the run is its own, choose it with `ckpt-migrate review`"
    )


def _telling_words(plan: Plan, entry: Entry) -> str:
    """Return what would tell an entry's candidates apart."""
    runs = [plan.runs[one.run_id] for one in entry.candidates if one.run_id in plan.runs]
    keys = sorted({key for run in runs for key in run.params if len({one.params.get(key) for one in runs}) > 1})
    if keys:
        which = ", ".join(keys[:_MOST_KEYS])
        return f"a config, a job script or notes that say its {which} would tell them apart"
    return "a training log or notes that name its run would tell them apart; nothing in the directory does"


def _nearest_start(plan: Plan, entry: Entry) -> str | None:
    """Return the candidate that starts nearest to the stamp; None where either is not known."""
    stamp = _STAMP.search(entry.checkpoint.rpartition("/")[2])
    local = None if stamp is None else parse_stamp(stamp[0])
    if local is None or plan.clock.timezone is None:
        return None
    at = local.replace(tzinfo=ZoneInfo(plan.clock.timezone))
    starts = {one.run_id: plan.runs[one.run_id].start for one in entry.candidates if one.run_id in plan.runs}
    away_s = {
        run_id: abs((datetime.fromisoformat(start.replace("Z", "+00:00")) - at).total_seconds())
        for run_id, start in starts.items()
        if start is not None
    }
    return min(away_s, key=lambda run_id: away_s[run_id], default=None)


def summary_line(plan: Plan) -> str:
    """Return one line that says what a plan will do.

    Counts follow the entries as they are now, a person's edits included.
    """
    actions = [entry.action for entry in plan.entries]
    decide = sum(1 for entry in plan.entries if symbol(entry) in "?!")
    if not any(plan.summary["status"].values()):
        return "No changes: there is no checkpoint directory of this recipe's name forms below the roots."
    linked = plan.summary["status"]["linked"]
    unchanged = linked - sum(1 for e in plan.entries if e.action is Action.REPAIR and e.status is Status.LINKED)
    renames, repairs = actions.count(Action.RENAME), actions.count(Action.REPAIR)
    if not renames and not repairs and not decide:
        return f"No changes. {linked:,} directories name their run already, and their manifests agree."
    return f"Plan: {renames:,} to rename, {repairs:,} to repair, {decide:,} to decide, {unchanged:,} unchanged."


def clock_words(clock: Clock) -> str:
    """Return what is known of the stamps' clock, in one line."""
    if clock.source == "--timezone":
        return f"Time stamps are read in {clock.timezone}, as given."
    if clock.timezone is None:
        return (
            "The time zone of the stamps could not be inferred, so time stamps were not used. "
            "If you know it, give it: --timezone Europe/Berlin"
        )
    same = f" (or {', '.join(clock.same_as[:2])}, ... which fit alike)" if clock.same_as else ""
    words = f"Time stamps are read in {clock.timezone}{same}: inferred from {clock.directories:,} directories"
    if clock.offset_s is None or clock.spread_s is None:
        return f"{words}."
    lag = f"{clock.offset_s:+.1f} s from the run's start, give or take {clock.spread_s:.1f} s"
    return f"{words}; stamps lie {lag}."
