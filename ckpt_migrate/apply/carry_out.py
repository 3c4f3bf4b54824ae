"""Apply: carry out a plan, or refuse. It decides nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ckpt_migrate import __version__, manifest, storage
from ckpt_migrate.apply.gone import moved_plan_words
from ckpt_migrate.apply.preflight import Inspected, Preflight, read_manifest
from ckpt_migrate.apply.references import ReferenceEdits, places_after
from ckpt_migrate.apply.tags import PlannedTags
from ckpt_migrate.apply.task import read_tasks
from ckpt_migrate.collector import collector_paused
from ckpt_migrate.errors import DriftError, ExecutionError
from ckpt_migrate.executor.batches import batches, make_group, remaining_groups
from ckpt_migrate.executor.edit_groups import edit_groups
from ckpt_migrate.executor.filestate import AS_CREATED, FileState
from ckpt_migrate.executor.identity import TEMPORARY_PREFIX, list_files
from ckpt_migrate.executor.kept import kept_path
from ckpt_migrate.executor.moves import order_moves
from ckpt_migrate.executor.operations import Change, Phase, WriteFile
from ckpt_migrate.executor.reconcile import Goal, reconcile
from ckpt_migrate.executor.reconcile_edits import EditFinding, reconcile_edits
from ckpt_migrate.executor.session import LOG_REMEDY, begin_record, hold_roots, run_groups, state_folders
from ckpt_migrate.executor.spelling import spelling_among
from ckpt_migrate.journal.log_file import LOG_FORMAT, SUFFIX, Journal
from ckpt_migrate.journal.logs import commands, guard, log_sizes
from ckpt_migrate.plan.records import Action
from ckpt_migrate.progress import SILENT
from ckpt_migrate.records import STATE_DIRECTORY
from ckpt_migrate.scan.listing import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ckpt_migrate.apply.task import Task
    from ckpt_migrate.executor.lock import Held
    from ckpt_migrate.executor.operations import Group, Step
    from ckpt_migrate.executor.tags import TagStore
    from ckpt_migrate.journal.history import History, LoggedItem
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.progress import Progress
    from ckpt_migrate.recipe import Recipe


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What apply did, or would do.

    Attributes:
        log: Absolute path of the log; None for a dry run and when there was nothing to do.
        renamed: Directories renamed by this plan, in all its runs.
        repaired: Directories whose manifests were repaired, likewise.
        skipped: Entries left alone.
        operations: What was done (or would be), in order.
        edited: Files and links edited that mentioned old names, and links left at old names, likewise.
        was_continued: Whether an apply that was cut short was carried on.
        is_dry_run: Whether nothing was changed.
    """

    log: str | None
    renamed: int
    repaired: int
    skipped: int
    operations: tuple[Step, ...]
    edited: int = 0
    was_continued: bool = False
    is_dry_run: bool = False


@collector_paused()
def apply_plan(
    plan: Plan,
    recipe: Recipe,
    *,
    is_dry_run: bool = False,
    progress: Progress = SILENT,
    lock_timeout_s: float = 0.0,
    on_wait: Callable[[str], None] | None = None,
    tag_store: TagStore | None = None,
) -> ApplyResult:
    """Do what a plan says, or refuse with every reason at once; carry on when its apply was cut short.

    Args:
        plan: The plan, validated.
        recipe: The recipe that it was made with.
        is_dry_run: Return the operations without making them; no byte and no time stamp changes.
        progress: Watches the loops.
        lock_timeout_s: How long to wait for another process at work on the same roots, seconds.
        on_wait: Called once with a text for people when that wait lasts.
        tag_store: Where the runs are tagged of a plan that asks for it.

    Raises:
        PlanError: An entry cannot be carried out as it stands in the plan.
        DriftError: The disk is not as planned; nothing was changed in this run.
        PlanAppliedError: The plan was applied already.
        UnfinishedError: Other work was cut short and must be ended first.
        LockedError: Another process is at work.
        JournalError: The log to be carried on is damaged.
        ExecutionError: A change failed, or a signal asked to stop; the message says how to go on and undo.
    """
    run = _Apply(plan, recipe, progress, tag_store, is_dry_run=is_dry_run)
    if not run.tasks:
        return run.result(None, (), was_continued=False)
    history = run.find_history() if is_dry_run or run.lacks_state() else None
    logs = log_sizes(run.folders)
    if is_dry_run or run.lacks_state():
        run.check(history)  # before the first thing is made, be it a log folder
    if is_dry_run:
        operations = tuple(operation.step() for group in run.groups(history) for operation in group.operations())
        return run.result(None, operations, was_continued=history is not None)
    is_checked = run.lacks_state()
    with hold_roots(run.roots, run.folders, timeout_s=lock_timeout_s, on_wait=on_wait) as held:
        if not is_checked or log_sizes(run.folders) != logs:
            history = run.find_history()
            run.check(history)
        return run.execute(history, held)


class _Apply:
    def __init__(
        self, plan: Plan, recipe: Recipe, progress: Progress, tag_store: TagStore | None, *, is_dry_run: bool
    ) -> None:
        self.plan = plan
        self.recipe = recipe
        self.progress = progress
        self.is_dry_run = is_dry_run
        self.digest = plan.digest or hashlib.sha256(repr((plan.folder, plan.entries)).encode()).hexdigest()
        self.tasks = read_tasks(plan, recipe)
        self.references = ReferenceEdits(plan, recipe, self.tasks)
        self.tags = PlannedTags(plan, recipe, self.tasks, tag_store)
        self.roots = tuple(dict.fromkeys(task.root for task in self.tasks))
        self._holding = {task.folder for task in self.tasks} | set(self.roots)
        self.inspected: dict[int, Inspected] = {}
        self.tag = f"{TEMPORARY_PREFIX}{self.digest[:8]}"

    @property
    def folders(self) -> tuple[str, ...]:
        """All folders whose logs and locks count."""
        return state_folders(self._holding)

    @property
    def state(self) -> str:
        """The state directory that the log lies in."""
        return os.path.join(self.roots[0], STATE_DIRECTORY)

    def lacks_state(self) -> bool:
        return not all(os.path.isdir(os.path.join(root, STATE_DIRECTORY)) for root in self.roots)

    def find_history(self) -> History | None:
        return guard(self.folders, plan_digest=self.digest)

    def check(self, history: History | None) -> None:
        """Raise DriftError when anything speaks against going on."""
        problems: list[str] = []
        pending = _pending(history)
        for finding in reconcile(pending, Goal.AFTER, tag=self.tag):
            label = self.plan.entries[finding.logged.item].checkpoint
            problems += [f"{label}: {finding.obstacle}"] if finding.obstacle else []
            problems += finding.kept()
        vacated = [place for item in pending for place in item.places]
        fresh = self._fresh(history)
        preflight = Preflight(self.recipe, vacated=vacated)
        preflight.check(fresh, self.roots, is_dry_run=self.is_dry_run, progress=self.progress)
        problems += preflight.problems
        known = () if history is None else history.edits
        problems += self.references.check(known, () if history is None else history.items)
        problems += (finding.obstacle for finding in self._pending_edits(history, 0) if finding.obstacle)
        problems += self.tags.problems({} if history is None else history.tags)
        self.inspected = preflight.inspected
        if problems:
            raise DriftError(
                "the plan cannot be applied as it stands; nothing was changed",
                where=self.plan.path or None,
                problems=tuple(problems),
                remedy=f"Make a new plan, or set the action of these entries to skip.{moved_plan_words(self.plan)}",
            )

    def groups(self, history: History | None) -> Iterator[Group]:
        """Yield what is to be done; each group is looked at afresh just before it is made."""
        number = 0
        if history is not None:
            number = history.next_group
            findings = reconcile(_pending(history), Goal.AFTER, tag=f"{self.tag}-{number}")
            changes = [finding.change for finding in findings if finding.change is not None]
            for group in remaining_groups(changes, history, Phase.CONTINUE, tag=self.tag):
                yield group
                number = group.number + 1
        units = order_moves(self._fresh(history))
        tracked = self.progress.track(units, label="Applying", total=len(units))
        for tasks in batches(tracked, is_names_only=not self.recipe.manifests):
            changing = [unit for unit in [self._prepare_unit(unit, number) for unit in tasks] if unit]
            if changing:
                yield make_group(number, Phase.APPLY, changing, tag=self.tag)
                number += 1
        for group in self._edit_groups(history, number):
            yield group
            number = group.number + 1
        yield from self.tags.groups({} if history is None else history.tags, number)

    def _edit_groups(self, history: History | None, number: int) -> Iterator[Group]:
        """Yield the edits of what names the directories: when all of those have their new names."""
        known = {} if history is None else history.edits
        folders = {} if history is None else history.folders
        findings = self._pending_edits(history, number)
        pending = [finding.located for finding in findings if finding.located is not None]
        sweeps = [sweep for finding in findings for sweep in finding.sweeps]
        for group in edit_groups(pending, sweeps, number, Phase.CONTINUE, folders=folders):
            yield group
            number = group.number + 1
        fresh = list(self.references.edits(known, tag=f"{self.tag}-{number}", state=self.state))
        now_at = self.references.now_at
        yield from edit_groups(fresh, (), number, Phase.APPLY, folders=folders, now_at=now_at)

    def _pending_edits(self, history: History | None, number: int) -> list[EditFinding]:
        pending = () if history is None else [edit for edit in history.edits.values() if not edit.is_applied]
        tag = f"{self.tag}-{number}"
        places = places_after(self.tasks) if pending else {}
        return reconcile_edits(pending, Goal.AFTER, places=places, tag=tag)

    def execute(self, history: History | None, held: Held) -> ApplyResult:
        """Make the changes, logged."""
        try:
            journal = self._create_log() if history is None else Journal.reopen(history.contents)
        except OSError as error:
            what = f"the log cannot be written: {error.strerror}; nothing was changed"
            raise ExecutionError(what, where=error.filename, remedy=f"{LOG_REMEDY}, then apply again.") from error
        with journal:
            root = os.path.dirname(os.path.dirname(journal.path))
            phase = Phase.APPLY if history is None else Phase.CONTINUE
            start = [begin_record(phase)]
            if history is None:
                start = [self._header(root), *start]
            done = run_groups(
                self.groups(history),
                journal,
                root,
                held,
                start=start,
                end=lambda _: {"kind": "end"},
                on_start=lambda: self._point_to(journal.path, root),
                commands=commands(journal.path, self.plan.path),
            )
        return self.result(journal.path, done.operations, was_continued=history is not None)

    def result(self, log: str | None, operations: tuple[Step, ...], *, was_continued: bool) -> ApplyResult:
        counts = self._counts()
        return ApplyResult(
            log=log,
            renamed=counts["rename"],
            repaired=counts["repair"],
            skipped=counts["skip"],
            operations=operations,
            edited=self.references.count,
            was_continued=was_continued,
            is_dry_run=self.is_dry_run,
        )

    def _counts(self) -> dict[str, int]:
        actions = [entry.action for entry in self.plan.entries]
        return {action.value: actions.count(action) for action in Action}

    def _fresh(self, history: History | None) -> list[Task]:
        known = {} if history is None else history.items
        return [task for task in self.tasks if task.item not in known]

    def _prepare_unit(self, unit: tuple[Task, ...], number: int) -> tuple[Change, ...]:
        if len(unit) == 1:  # nearly all are: this is done for each directory
            change = self._prepare(unit[0], number)
            return (change,) if change.source != change.target or change.files else ()
        prepared = [self._prepare(task, number) for task in unit]
        return tuple([change for change in prepared if change.source != change.target or change.files])

    def _prepare(self, task: Task, number: int) -> Change:
        """Look at a directory once more and return what is to be done to it."""
        item, source = task.item, task.source
        identity, mtime_ns = self.inspected.pop(item)  # each is prepared once, and a hundred thousand take 30 MB
        files: tuple[WriteFile, ...] = ()
        if self.recipe.manifests or not self.is_dry_run:  # of a name alone, a dry run has just checked all
            found = os.lstat(source)
            if found.st_ino != identity.inode or found.st_mtime_ns != mtime_ns:
                raise OSError(errno.ESTALE, "it was changed since it was checked", source)
            if self.recipe.manifests:
                files = self._manifests(task, found, number)
        return Change(item, source, task.target, identity, mtime_ns, files)

    def _manifests(self, task: Task, found: os.stat_result, number: int) -> tuple[WriteFile, ...]:
        files = list_files(task.source)
        if fingerprint(found.st_ino, files) != task.fingerprint:
            raise OSError(errno.ESTALE, "it was changed since it was checked", task.source)
        subject = manifest.Subject(task.shown_target, task.name, task.run, self.recipe)
        writes: list[WriteFile] = []
        for position, template in enumerate(self.recipe.manifests):
            path = os.path.join(task.source, template.name)
            before, found_content = read_manifest(path)
            content = self.references.manifest(task.item, template.name, found_content)
            if (
                content is not None
                and content == found_content
                and not manifest.find_faults(template, content, subject)
            ):
                continue
            data = manifest.compose(template, manifest.render(template, subject, files), content)
            staged = f"{self.tag}-{number}-{task.item}-{position}"
            after = _new_state(data, before, found)
            kept = kept_path(path, self.state, f"{task.item}-{position}")
            name = template.name if before is None else spelling_among((file.path for file in files), template.name)
            writes.append(WriteFile(task.item, task.target, name, staged, before, after, kept))
        return tuple(writes)

    def _create_log(self) -> Journal:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        journal = Journal.create(os.path.join(self.state, f"{stamp}-{self.digest[:8]}{SUFFIX}"))
        storage.sync_directory(self.state)
        return journal

    def _header(self, root: str) -> dict[str, Any]:
        return {
            "kind": "header",
            "format": LOG_FORMAT,
            "tool": f"ckpt-migrate {__version__}",
            "plan": self.digest,
            "migration": self.plan.migration,
            "plan_path": os.path.abspath(self.plan.path) if self.plan.path else "",
            "recipe": self.recipe.digest,
            "manifests": [template.name for template in self.recipe.manifests],
            "created_s": int(time.time()),
            "roots": [os.path.relpath(other, root) for other in self.roots],
            "counts": self._counts(),
        }

    def _point_to(self, log: str, root: str) -> None:
        """Leave a pointer to the log in every other root, so that an apply that is cut short is seen from there."""
        for other in self.roots:
            if other == root:
                continue
            folder = os.path.join(other, STATE_DIRECTORY)
            path = os.path.join(folder, os.path.basename(log))
            if os.path.lexists(path):
                continue
            with Journal.create(path) as pointer:
                pointer.append([{"kind": "pointer", "format": LOG_FORMAT, "log": os.path.relpath(log, other)}])
            storage.sync_directory(folder)


def _pending(history: History | None) -> list[LoggedItem]:
    return [] if history is None else [item for item in history.items.values() if not item.is_applied]


def _new_state(data: bytes, before: FileState | None, directory: os.stat_result) -> FileState:
    """Return a manifest to be written: as its predecessor in all but content and time.

    A new one takes the directory's permissions for files. Its time is the directory's own: the time of the migration
    would make an old checkpoint look new to whatever sorts by newest file, this tool included.
    """
    time_ns = directory.st_mtime_ns
    if before is not None and not before.is_link:
        return replace(before, data=data, atime_ns=time_ns, mtime_ns=time_ns)
    mode = stat.S_IMODE(directory.st_mode) & 0o666
    return FileState(
        is_link=False, data=data, mode=mode, uid=AS_CREATED, gid=AS_CREATED, atime_ns=time_ns, mtime_ns=time_ns
    )
