"""A run of changes from its lock to its last record: what apply and rollback share."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_migrate import storage
from ckpt_migrate.errors import ExecutionError
from ckpt_migrate.executor import lock
from ckpt_migrate.executor.groups import ChangeFailedError, Executor
from ckpt_migrate.executor.interrupt import Interrupt, StopNow
from ckpt_migrate.records import STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ckpt_migrate.executor.lock import Held
    from ckpt_migrate.executor.operations import Group, Phase, Step
    from ckpt_migrate.journal.log_file import Journal

LOG_REMEDY = (
    f"Let this user write in {STATE_DIRECTORY} of each root, on a disk that is mounted to be written and not full"
)
"""What makes the log and its lock possible, for messages."""


def state_folders(folders: Collection[str]) -> tuple[str, ...]:
    """Return these folders and all above them that have a state directory, sorted.

    A root may lie in another root of an earlier run: its logs and its lock count as well.
    """
    found: set[str] = set()
    seen: set[str] = set()
    for folder in folders:
        path = folder
        while path not in seen:
            seen.add(path)
            if os.path.isdir(os.path.join(path, STATE_DIRECTORY)):
                found.add(path)
            path = os.path.dirname(path)
    return tuple(sorted(found))


@contextmanager
def hold_roots(
    roots: Iterable[str],
    folders: Iterable[str],
    *,
    timeout_s: float,
    on_wait: Callable[[str], None] | None,
) -> Iterator[Held]:
    """Hold the locks of the roots, and of the state directories around them that we may write in.

    Raises:
        ExecutionError: A state directory or lock file cannot be made.
        LockedError: Another process is at work.
    """
    with contextlib.ExitStack() as stack:
        try:
            for root in roots:
                _make_state_directory(root)
            others = [path for path in folders if os.access(os.path.join(path, STATE_DIRECTORY), os.W_OK)]
            held = stack.enter_context(lock.hold([*roots, *others], timeout_s=timeout_s, on_wait=on_wait))
        except OSError as error:
            what = f"the log folder or its lock cannot be made: {error.strerror}; no checkpoint was changed"
            remedy = f"{LOG_REMEDY}, then run the same command again."
            raise ExecutionError(what, where=error.filename, remedy=remedy) from error
        yield held


@dataclass(frozen=True, slots=True)
class Done:
    """What groups came to: the operations in order, and a line for each time that could not be put back."""

    operations: tuple[Step, ...]
    losses: tuple[str, ...]


def begin_record(phase: Phase) -> dict[str, Any]:
    """Return the record that starts a stretch of a log."""
    return {
        "kind": "begin",
        "phase": phase.value,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "at_s": int(time.time()),
    }


def run_groups(
    groups: Iterable[Group],
    journal: Journal,
    root: str,
    held: Held,
    *,
    start: list[dict[str, Any]],
    end: Callable[[Sequence[str]], dict[str, Any]],
    commands: str,
    on_start: Callable[[], None] | None = None,
) -> Done:
    """Make groups of changes one after another; stop between two of them when a signal asks for it.

    Args:
        groups: What is to be done.
        journal: The log, open.
        root: The root that the log lies in.
        held: The locks; when one was lost, or the log, the work stops before the next group.
        start: Records that start the stretch, synced before anything else.
        end: Returns the record that ends it, given what could not be put back.
        commands: How to go on and how to undo, for messages.
        on_start: Called between the first records and the first group.

    Raises:
        ExecutionError: A change failed or a signal came.
    """
    executor = Executor(journal, root)
    with Interrupt() as interrupt:
        try:
            run = _Run(executor, journal, held, interrupt)
            what = run.until_stopped(groups, start=start, end=end, on_start=on_start)
        except StopNow:
            what = f"stopped at once by {interrupt.asked}"
    if what is None:
        return Done(tuple(executor.completed), tuple(executor.losses))
    renamed = sum(step.new_path is not None for step in executor.completed)
    summary = f"{len(executor.completed)} operations were done before that in this run, {renamed} of them renames"
    problem = f"{summary}; all are in the log" if executor.completed else "nothing was changed in this run"
    raise ExecutionError(what, where=journal.path, problems=(problem,), remedy=commands)


@dataclass(frozen=True, slots=True)
class _Run:
    executor: Executor
    journal: Journal
    held: Held
    interrupt: Interrupt

    def until_stopped(
        self,
        groups: Iterable[Group],
        *,
        start: list[dict[str, Any]],
        end: Callable[[Sequence[str]], dict[str, Any]],
        on_start: Callable[[], None] | None,
    ) -> str | None:
        """Run to the end and return None, or stop and return why."""
        try:
            self.journal.append(start)
            if on_start is not None:
                on_start()
            for group in groups:
                self.held.check()
                self.journal.check()
                self.executor.run(group)
                if self.interrupt.asked is not None:
                    break
            else:
                self.journal.append([end(self.executor.losses)])
                return None
            what = f"stopped by {self.interrupt.asked}"
        except ChangeFailedError as error:
            what = str(error)
        except OSError as error:
            what = f"{error.filename or self.journal.path}: {error.strerror}"
        with contextlib.suppress(OSError):
            self.journal.append([{"kind": "stopped", "what": what}])
        return what


def _make_state_directory(root: str) -> None:
    path = os.path.join(root, STATE_DIRECTORY)
    if not os.path.isdir(path):
        with contextlib.suppress(FileExistsError):
            storage.make_directory(path)
