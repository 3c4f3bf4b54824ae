"""Groups of changes, made so that a crash at any point loses nothing.

The invariant: whatever differs from the state before the migration is in the log, on the disk, before it differs.
From it follows the order in a group:

1. intents into the log, synced;
2. leftovers of a crash away, then renames;
3. manifests under temporary names, synced, then each put in its place in one step;
4. modification times put back, directories synced;
5. the done mark, synced with the next group's intents: it says only that nothing needs to be looked at again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ckpt_migrate import storage
from ckpt_migrate.executor.edits import EditFile, publish, stage
from ckpt_migrate.executor.filestate import state_or_none
from ckpt_migrate.executor.kept import is_original, is_restored, keep
from ckpt_migrate.executor.operations import (
    Group,
    Phase,
    Rename,
    SetTimes,
    Sweep,
    WriteFile,
)
from ckpt_migrate.executor.rights import may_set_times
from ckpt_migrate.journal.intents import intent
from ckpt_migrate.journal.logged_edits import to_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ckpt_migrate.executor.operations import Operation, Step
    from ckpt_migrate.journal.log_file import Journal

SYNC_THREADS = 8
"""Syncs under way at once; on ext4 eight take a third of the time of one after another, sixteen no less than eight."""
ASIDE = "-old"
"""Ending of the temporary name under which an old file lies while a new one takes its name in two steps."""


class ChangeFailedError(Exception):
    """A change could not be made; the text says which, and what the system said."""

    def __init__(self, what: str, error: OSError) -> None:
        super().__init__(f"{what}: {error.strerror or error}")


class Executor:
    """Makes groups of changes and logs them.

    Attributes:
        completed: Every operation that was done, in order.
        losses: A line for each modification time that a rollback could not put back.
    """

    def __init__(self, journal: Journal, root: str) -> None:
        self.completed: list[Step] = []
        self.losses: list[str] = []
        self._journal = journal
        self._root = root
        self._inside = os.path.join(root, "")

    def run(self, group: Group) -> None:
        """Log a group, make its changes, mark it done.

        Raises:
            ChangeFailedError: One of them failed; those before it are done, those after it are not.
        """
        try:
            self._journal.append(self._intents(group))
        except OSError as error:
            raise ChangeFailedError("the log cannot be written", error) from error
        late: list[int] = []
        try:
            self._change(group, group.times(), late)
        except ChangeFailedError:
            for times in group.times():
                with contextlib.suppress(OSError):  # what was not reached needs none
                    _keep_time(times)
            raise
        try:
            done = {"kind": "done", "group": group.number}
            self._journal.append([{**done, "late": late} if late else done], is_synced=False)
        except OSError as error:
            raise ChangeFailedError("the log cannot be written", error) from error

    def _intents(self, group: Group) -> Iterator[dict[str, Any] | str]:
        # What goes over a temporary name is renamed twice: the source of its last rename is not its own.
        via = {rename.item: rename.source for rename in group.renames}
        # The number of records tells a group that was written whole from one whose writing was cut short.
        size = len(group.changes) + len(group.edits) + len(group.tags) + len(group.folders)
        yield {"kind": "group", "group": group.number, "phase": group.phase.value, "size": size}
        number, relative = group.number, self._relative
        for change in group.changes:
            item, source, target, _, _, files, *_ = change
            aside = via.get(item)
            yield intent(
                number,
                change,
                source=relative(source),
                target=relative(target),
                via=None if aside is None or aside == source else relative(aside),
                files=[self._file_record(file, group.phase) for file in files] if files else (),
            )
        for located in group.edits:
            record = to_record(located, self._relative, is_first=group.phase is Phase.APPLY)
            yield {**record, "group": group.number}
        for tag in group.tags:
            yield {**tag.to_record(), "group": group.number}
        for folder in group.folders:
            yield {
                "kind": "folder",
                "group": group.number,
                "path": self._relative(folder.path),
                "mtime_ns": folder.mtime_ns,
            }

    def _file_record(self, file: WriteFile, phase: Phase) -> dict[str, Any]:
        record: dict[str, Any] = {"name": file.name, "staged": file.staged}
        if phase is Phase.APPLY:  # later stretches of a log repeat what this one has said
            record["before"] = None if file.before is None else file.before.to_json()
            record["after"] = None if file.after is None else file.after.to_json()
            if file.kept:
                record["kept"] = self._relative(file.kept)
        return record

    def _relative(self, path: str) -> str:
        if path.startswith(self._inside):
            return path[len(self._inside) :]
        return os.path.relpath(path, self._root)

    def _change(self, group: Group, times: Sequence[SetTimes], late: list[int]) -> None:
        """Make the changes; note in `late` the entries whose time a rollback could not put back."""
        operation: Operation | None = None
        what = ""
        try:
            for operation in (*(sweep for change in group.changes for sweep in change.sweeps), *group.sweeps):
                _sweep(operation)
                self.completed.append(operation.step())
            for operation in group.renames:
                _rename(operation)
                self.completed.append(operation.step())
            files: list[WriteFile | EditFile] = [file for change in group.changes for file in change.files]
            files += [located.edit for located in group.edits]
            is_undo = group.phase is Phase.ROLLBACK
            for operation in files:
                _stage(operation, is_undo=is_undo)
            staged = [file.staged_path for file in files if file.after is not None]
            operation, what = None, "new files cannot be brought to the disk"
            _at_once(storage.sync_file, staged)
            if not is_undo:
                _keep(files)
            for operation in files:
                _publish(operation)
                self.completed.append(operation.step())
            if is_undo:
                _let_go(files)
            for operation in times:
                try:
                    _keep_time(operation)
                except PermissionError as error:
                    # An apply stops here and can be undone; an undo that stopped here could never be ended.
                    if group.phase is not Phase.ROLLBACK or operation.item is None:
                        raise
                    late.append(operation.item)
                    self.losses.append(f"{operation.path}: its modification time stays another one ({error.strerror})")
                else:
                    self.completed.append(operation.step())
            operation, what = None, "new names cannot be brought to the disk"
            _at_once(storage.sync_directory, [each.path for each in times])
            for operation in group.tags:
                operation.make()
                self.completed.append(operation.step())
        except OSError as error:
            raise ChangeFailedError(what if operation is None else operation.step().describe(), error) from error


def _at_once(sync: Callable[[str], None], paths: Sequence[str]) -> None:
    """Sync many paths, several at a time: the file system then commits them together."""
    if len(paths) <= SYNC_THREADS:
        for path in paths:
            sync(path)
        return
    with ThreadPoolExecutor(SYNC_THREADS) as pool:
        for _ in pool.map(sync, paths):
            pass


def _sweep(operation: Sweep) -> None:
    found = os.lstat(operation.path)
    if stat.S_ISDIR(found.st_mode):
        if not storage.remove_claim(operation.path):
            raise FileExistsError(errno.EEXIST, "it was taken in the meantime", operation.path)
    else:
        storage.remove_file(operation.path)


def _rename(operation: Rename) -> None:
    _, source, target, inode = operation
    storage.rename_noreplace(source, target)
    if os.lstat(target).st_ino != inode:
        # Somebody swapped the directory since it was looked at: what was moved was not meant.
        storage.rename_noreplace(target, source)
        raise FileExistsError(errno.EEXIST, "another directory has taken its place", source)


def _keep(files: Sequence[WriteFile | EditFile]) -> None:
    """Give old files with further names their extra ones, on the disk before anything takes their place."""
    replaced = [file for file in files if file.kept and os.path.lexists(file.path)]
    for file in replaced:
        keep(file.path, file.kept)
    for folder in {os.path.dirname(file.kept) for file in replaced}:
        storage.sync_directory(folder)


def _let_go(files: Sequence[WriteFile | EditFile]) -> None:
    """Take extra names away from files that have their own ones again."""
    for file in files:
        if is_restored(file.path, file.kept):
            storage.remove_file(file.kept)


def _stage(operation: WriteFile | EditFile, *, is_undo: bool) -> None:
    if (
        is_undo
        and is_original(operation.kept, operation.kept)
        and storage.link_file(operation.kept, operation.staged_path)
    ):
        return
    if isinstance(operation, EditFile):
        stage(operation)
    elif operation.after is not None:
        storage.stage_file(operation.staged_path, operation.after)


def _publish(operation: WriteFile | EditFile) -> None:
    if isinstance(operation, EditFile):
        publish(operation)
    elif operation.before is None:
        storage.rename_noreplace(operation.staged_path, operation.path)
    elif operation.after is None:
        _put_aside(operation, operation.staged_path)
        storage.remove_file(operation.staged_path)
    elif storage.exchange(operation.staged_path, operation.path):
        if not operation.before.is_like(state_or_none(operation.staged_path)):
            storage.exchange(operation.staged_path, operation.path)
            raise _edited(operation.path)
        storage.remove_file(operation.staged_path)
    else:
        aside = f"{operation.staged_path}{ASIDE}"
        _put_aside(operation, aside)
        storage.rename_noreplace(operation.staged_path, operation.path)
        storage.remove_file(aside)


def _put_aside(operation: WriteFile, aside: str) -> None:
    storage.rename_noreplace(operation.path, aside)
    if operation.before is None or not operation.before.is_like(state_or_none(aside)):
        storage.rename_noreplace(aside, operation.path)
        raise _edited(operation.path)


def _edited(path: str) -> OSError:
    return FileExistsError(errno.EEXIST, "it was edited in the meantime", path)


def _keep_time(operation: SetTimes) -> None:
    found = os.stat(operation.path)
    if found.st_mtime_ns == operation.mtime_ns:
        return
    try:
        storage.set_times(operation.path, atime_ns=found.st_atime_ns, mtime_ns=operation.mtime_ns)
    except PermissionError:
        if operation.item is not None or may_set_times(found.st_uid):
            raise  # that of a shared folder belongs to its owner
