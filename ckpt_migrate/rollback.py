"""Rollback: bring back what a log says was changed, from the log and the disk alone.

What cannot be brought back is left as it is and named; the rest is brought back all the same. A rollback can be
repeated, after a crash and after its obstacles are out of the way.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ckpt_migrate.collector import collector_paused
from ckpt_migrate.errors import ExecutionError, JournalError, StoreError
from ckpt_migrate.executor.batches import remaining_groups
from ckpt_migrate.executor.busy import files_open_for_writing
from ckpt_migrate.executor.edit_groups import edit_groups
from ckpt_migrate.executor.identity import TEMPORARY_PREFIX
from ckpt_migrate.executor.operations import Phase
from ckpt_migrate.executor.reconcile import Finding, Goal, reconcile
from ckpt_migrate.executor.reconcile_edits import EditFinding, reconcile_edits
from ckpt_migrate.executor.session import LOG_REMEDY, begin_record, hold_roots, run_groups, state_folders
from ckpt_migrate.executor.tags import TagFinding, reconcile_tags, tag_groups
from ckpt_migrate.journal.fold import load
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.journal.log_file import Journal
from ckpt_migrate.journal.logs import guard
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ckpt_migrate.executor.lock import Held
    from ckpt_migrate.executor.operations import Group, Step
    from ckpt_migrate.executor.tags import TagStore
    from ckpt_migrate.journal.history import History
    from ckpt_migrate.progress import Progress


TagOpener: TypeAlias = "Callable[[str], TagStore | None]"
"""Opens the store of an address as a log has it, credentials masked; None where that does not suffice."""


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """What a rollback did, or would do.

    Attributes:
        log: Absolute path of the log.
        restored: Original paths of the directories brought back in this run, manifests and times included.
        unchanged: Original paths of those that were as before already.
        missing: One line for each directory that is nowhere to be found.
        occupied: One line for each whose old name something else has taken; it keeps its new name.
        changed: One line for each that was replaced by something else, or is being written to.
        edited: One line for each manifest that somebody edited since, and for each directory whose modification time
            this user may not set; they stay as they are; and for each file that has its old bytes back and is not one
            with its other names (hard links) again. Paths are those after the rollback.
        unedited: Files and links that are as before again, or were so already.
        untagged: Runs that have the tags that they had before, where this run put them back; sorted.
        damage: What could not be read of the log; what was recorded there is not brought back.
        operations: What was done (or would be), in order.
        is_complete: Whether everything is as before the migration.
        is_dry_run: Whether nothing was changed.
    """

    log: str
    restored: tuple[str, ...]
    unchanged: tuple[str, ...]
    missing: tuple[str, ...]
    occupied: tuple[str, ...]
    changed: tuple[str, ...]
    edited: tuple[str, ...]
    damage: tuple[str, ...]
    operations: tuple[Step, ...]
    is_complete: bool
    is_dry_run: bool = False
    unedited: tuple[str, ...] = ()
    untagged: tuple[str, ...] = ()


@collector_paused()
def roll_back(
    log: str,
    *,
    is_dry_run: bool = False,
    progress: Progress = SILENT,
    lock_timeout_s: float = 0.0,
    on_wait: Callable[[str], None] | None = None,
    open_tags: TagOpener | None = None,
) -> RollbackResult:
    """Undo an apply, whole or cut short, as far as the disk allows.

    Args:
        log: Path of the log.
        is_dry_run: Return the operations without making them; no byte and no time stamp changes.
        progress: Watches the loops.
        lock_timeout_s: How long to wait for another process at work on the same roots, seconds.
        on_wait: Called once with a text for people when that wait lasts.
        open_tags: Opens the store of the tags that were set, given its address as logged, credentials masked.

    Raises:
        JournalError: The file is no log, or nothing of it can be read.
        UnfinishedError: Other work on these roots was cut short and must be ended first.
        LockedError: Another process is at work.
        ExecutionError: A change failed, or a signal asked to stop; the message says how to go on.
    """
    run = _Rollback(load(log), progress, open_tags)
    if is_dry_run:
        run.check()
        findings = run.look()
        operations = tuple(operation.step() for group in run.groups(findings) for operation in group.operations())
        return run.result(findings, operations, is_dry_run=True)
    with hold_roots(run.roots, run.folders, timeout_s=lock_timeout_s, on_wait=on_wait) as held:
        if os.stat(run.history.path).st_size != run.history.contents.size_bytes:
            run = _Rollback(load(log), progress, open_tags)  # another process went on with it while this one waited
        run.check()
        return run.execute(held)


class _Rollback:
    def __init__(
        self, history: History, progress: Progress, open_tags: Callable[[str], TagStore | None] | None
    ) -> None:
        self.history = history
        self.progress = progress
        self.roots = tuple(root for root in history.roots if os.path.isdir(os.path.join(root, STATE_DIRECTORY)))
        self.folders = state_folders(set(self.roots))
        self.is_done = history.state in {LogState.ROLLED_BACK, LogState.EMPTY}
        self.edits: list[EditFinding] = []
        self.tags: list[TagFinding] = []
        self.open_tags = open_tags

    def check(self) -> None:
        """Refuse when nothing can be done by this log, or other work stands in the way."""
        history = self.history
        if history.state is LogState.INCOMPLETE and not history.items:
            plan = history.plan_path or "its plan"
            what = "the log is incomplete: nothing that is left of it says what was changed"
            remedy = (
                f"Put back a whole copy of it and of the small file beside it; or compare the directories with {plan},"
                " where each `checkpoint` became its `target`, mend them by hand, and move the log out of"
                f" {STATE_DIRECTORY}."
            )
            raise JournalError(what, where=history.path, problems=history.contents.damage, remedy=remedy)
        guard(self.folders, plan_digest="", allowed=self.history.path)

    def look(self) -> list[Finding]:
        """Compare the log with the disk, last changed first."""
        if self.is_done:
            return []
        items = [self.history.items[item] for item in sorted(self.history.items, reverse=True)]
        tag = f"{TEMPORARY_PREFIX}{self.history.plan_digest[:8]}-{self.history.next_group}"
        tracked = self.progress.track(items, label="Checking", total=len(items))
        findings = reconcile(tracked, Goal.BEFORE, tag=tag, vacated=self._left_links())
        places = [finding.place for finding in findings if finding.place is not None and finding.change is not None]
        writers = files_open_for_writing(places)
        for finding in findings:
            if _was_migrated_again(finding):
                finding.obstacle = (
                    f"{finding.place}: was brought back already and migrated again; undo that by its own log"
                )
                finding.change = None
            elif finding.place in writers:
                finding.obstacle = f"{finding.place}: a file in it is open for writing ({writers[finding.place]})"
                finding.change = None
        self._look_at_edits(findings, tag)
        self._look_at_tags()
        return findings

    def _left_links(self) -> frozenset[str]:
        """Return the old names at which a link of ours stands: it goes before its directory comes back."""
        made = (edit for edit in self.history.edits.values() if edit.before is None and edit.after is not None)
        return frozenset(
            edit.path
            for edit in made
            if os.path.islink(edit.path) and edit.after is not None and os.readlink(edit.path) == edit.after.link
        )

    def _look_at_tags(self) -> None:
        tags = [self.history.tags[number] for number in sorted(self.history.tags, reverse=True)]
        store = None
        try:
            if tags and self.open_tags is not None:
                store = self.open_tags(tags[0].uri)
        except StoreError as error:  # the directories come back all the same
            self.tags = [TagFinding(tag, obstacle=f"run {tag.run_id}, tag {tag.key}: {error.what}") for tag in tags]
        else:
            self.tags = reconcile_tags(tags, Goal.BEFORE, store)

    def _look_at_edits(self, findings: Iterable[Finding], tag: str) -> None:
        blocked = [finding for finding in findings if finding.obstacle is not None]
        edits = [self.history.edits[number] for number in sorted(self.history.edits, reverse=True)]
        self.edits = reconcile_edits(
            edits,
            Goal.BEFORE,
            places={finding.logged.item: finding.place for finding in findings if finding.place is not None},
            kept={os.fsencode(os.path.basename(finding.logged.target)) for finding in blocked},
            tag=tag,
        )

    def groups(self, findings: Iterable[Finding]) -> Iterator[Group]:
        changes = [finding.change for finding in findings if finding.change is not None]
        tag = f"{TEMPORARY_PREFIX}{self.history.plan_digest[:8]}"
        located = [finding.located for finding in self.edits if finding.located is not None]
        sweeps = [sweep for finding in self.edits for sweep in finding.sweeps]
        number, folders = self.history.next_group, self.history.folders
        # Before the renames: afterwards these folders are elsewhere.
        holding = dict.fromkeys(os.path.dirname(finding.path) for finding in self.edits)
        late = [path for path in holding if path in folders and os.path.isdir(path)]
        for group in tag_groups([found.change for found in self.tags if found.change], number, Phase.ROLLBACK):
            yield group
            number = group.number + 1
        for group in edit_groups(located, sweeps, number, Phase.ROLLBACK, folders=folders, late=late):
            yield group
            number = group.number + 1
        groups = remaining_groups(changes, self.history, Phase.ROLLBACK, tag=tag, first=number)
        yield from self.progress.track(groups, label="Rolling back")

    def execute(self, held: Held) -> RollbackResult:
        """Make the changes, logged."""
        findings = self.look()
        if self.is_done:
            return self.result(findings, ())
        path = self.history.path
        try:
            journal = Journal.reopen(self.history.contents)
        except OSError as error:
            what = f"the log cannot be written: {error.strerror}; nothing was changed"
            remedy = f"{LOG_REMEDY}, then: ckpt-migrate rollback {shlex.quote(path)}"
            raise ExecutionError(what, where=path, remedy=remedy) from error
        is_complete = self.result(findings, ()).is_complete
        with journal:
            done = run_groups(
                self.groups(findings),
                journal,
                self.history.root,
                held,
                start=[begin_record(Phase.ROLLBACK)],
                end=lambda losses: {"kind": "end", "is_complete": is_complete and not losses},
                commands=f"To go on: ckpt-migrate rollback {shlex.quote(path)}",
            )
        return self.result(findings, done.operations, losses=done.losses)

    def result(
        self,
        findings: Iterable[Finding],
        operations: tuple[Step, ...],
        *,
        losses: tuple[str, ...] = (),
        is_dry_run: bool = False,
    ) -> RollbackResult:
        """Return what was found and done; `losses` are times that could not be put back."""
        listed = sorted(findings, key=lambda finding: finding.logged.source)
        blocked = [finding for finding in listed if finding.obstacle is not None]
        missing = tuple(_line(finding) for finding in blocked if finding.is_missing)
        occupied = tuple(_line(finding) for finding in blocked if finding.is_occupied)
        changed = tuple(_line(f) for f in blocked if not f.is_missing and not f.is_occupied)
        edited = tuple(line for finding in listed for line in finding.kept(is_done=True)) + losses
        edited += tuple(line for finding in self.edits for line in (finding.obstacle, finding.note) if line is not None)
        edited += tuple(finding.obstacle for finding in self.tags if finding.obstacle is not None)
        damage = () if self.history.is_covered else self.history.contents.damage
        free = [finding for finding in listed if finding.obstacle is None]
        return RollbackResult(
            log=self.history.path,
            restored=tuple(finding.logged.source for finding in free if finding.change is not None),
            unchanged=tuple(finding.logged.source for finding in free if finding.change is None),
            missing=missing,
            occupied=occupied,
            changed=changed,
            edited=edited,
            damage=damage,
            operations=operations,
            is_complete=not (blocked or edited or damage),
            is_dry_run=is_dry_run,
            unedited=tuple(sorted(finding.path for finding in self.edits if finding.obstacle is None)),
            untagged=tuple(sorted({finding.change.run_id for finding in self.tags if finding.change is not None})),
        )


def _was_migrated_again(finding: Finding) -> bool:
    """Say whether an undo that is repeated meets what a later apply did to a directory that it had brought back."""
    logged, change = finding.logged, finding.change
    if change is None or not logged.is_restored or logged.mtime_ns is not None:
        return False
    return change.source != change.target or any(file.before is not None for file in change.files)


def _line(finding: Finding) -> str:
    return f"{finding.logged.source}: {finding.obstacle}"
