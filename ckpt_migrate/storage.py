"""Every change that this tool makes to a file system, one primitive each.

Nothing else in the package writes. Each function does one durable step, raises `OSError` when it cannot, and never
replaces something that it was not told to replace.

How a rename refuses to replace:

- Linux: `renameat2(RENAME_NOREPLACE)`; macOS: `renamex_np(RENAME_EXCL)`; Windows: its rename refuses by itself.
- Where the file system answers that it cannot (NFS, many FUSE file systems), a directory's target name is claimed
  first with `mkdir`, which refuses to replace by itself, and the rename then replaces that empty claim. A claim has
  mode 000, so that one left behind by a crash is known for what it is. A newcomer that puts anything in the claim
  makes the rename fail. A file's target name is claimed by `link`, which refuses to replace by itself too.
- Where neither works, the target is looked at and then renamed onto. Between the two calls an empty directory or a
  file that appears there would be lost; the window is some microseconds, and this is the only such window.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ckpt_migrate.executor.filestate import FileState

CLAIM_MODE = 0o000
"""Mode of the empty directory that claims a target name where the file system lacks a refusing rename."""
_PART_BYTES = 1 << 20
_NO_SURPRISE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
READ_QUIETLY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags to open what may turn out to be a pipe or a device without waiting for it."""
_IN_PATHS = (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
"""What `os.fsencode` uses, and asks for each time anew."""
_AT_FDCWD = -100
_NOREPLACE, _EXCHANGE = 1, 2
_SWAP_MACOS, _EXCLUDE_MACOS = 2, 4
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR}
_NO_LINKS = {*_UNSUPPORTED, errno.EPERM, errno.EMLINK}


def rename_noreplace(source: str, target: str) -> None:
    """Rename a file, link or directory, never onto something.

    Raises:
        FileExistsError: Something is at `target`, be it an empty directory or a dangling link.
    """
    if sys.platform == "win32":
        os.rename(source, target)
    elif not _rename_with(_NOREPLACE, source, target):
        _rename_claimed(source, target)


def exchange(one: str, other: str) -> bool:
    """Swap two names in one step; False, with nothing done, where the file system cannot."""
    return sys.platform != "win32" and _rename_with(_EXCHANGE, one, other)


def make_directory(path: str) -> None:
    """Make one directory that outlives a power cut, and leave its parent's modification time as it was.

    In a shared parent that others own the time cannot be put back, and is not.

    Raises:
        FileExistsError: Something is there already.
    """
    parent = os.path.dirname(path)
    before = os.stat(parent)
    os.mkdir(path)
    with contextlib.suppress(PermissionError):
        os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))
    sync_directory(parent)


def stage_file(path: str, state: FileState) -> None:
    """Write a new file (or make a new link) with its mode, owner, extended attributes and times; not synced yet.

    Raises:
        FileExistsError: Something is there already.
    """
    if state.is_link:
        os.symlink(os.fsdecode(state.data), path)
        os.utime(path, ns=(state.atime_ns, state.mtime_ns), follow_symlinks=False)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o600)
    try:
        _write_all(handle, state.data)
        _set_owner(handle, state)
        if sys.platform != "win32":
            os.fchmod(handle, state.mode)
        if sys.platform == "linux":
            for name, value in state.xattrs:
                os.setxattr(handle, name, value)
            # Starts the write-out now, so that the syncs that follow for a whole group wait once, not once a file.
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
    os.utime(path, ns=(state.atime_ns, state.mtime_ns))


def sync_file(path: str) -> None:
    """Wait until a file's bytes are on the disk; links have none of their own."""
    if os.path.islink(path):
        return
    handle = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    try:
        _sync(handle)
    finally:
        os.close(handle)


def link_file(path: str, other: str) -> bool:
    """Give a file one more name; False, with nothing done, where the file system cannot or this user may not.

    Raises:
        FileExistsError: Something is at `other`.
    """
    try:
        _link(path, other)
    except OSError as error:
        if error.errno not in {*_NO_LINKS, errno.EXDEV}:
            raise
        return False
    return True


def _link(path: str, other: str) -> None:
    if os.link in os.supports_follow_symlinks:
        os.link(path, other, follow_symlinks=False)
    else:  # Windows, which follows none
        os.link(path, other)


def remove_file(path: str) -> None:
    """Remove one file or link."""
    os.unlink(path)


def remove_claim(path: str) -> bool:
    """Remove an empty directory that `rename_noreplace` left behind in a crash; False when it is none."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or stat.S_IMODE(found.st_mode) != CLAIM_MODE:
        return False
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def set_times(path: str, *, atime_ns: int, mtime_ns: int) -> None:
    """Set the times of a directory, nanoseconds since 1970-01-01 UTC."""
    os.utime(path, ns=(atime_ns, mtime_ns))


def sync_directory(path: str) -> None:
    """Wait until the names in a directory, and its times, are on the disk."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(handle)
    except OSError as error:
        # Some network file systems have no such call for directories; their server orders the names itself.
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(handle)


def ask_for_room(folder: str, size_bytes: int) -> None:
    """Take room in a folder's file system and give it back at once, by a file that has no name (Linux).

    Raises:
        OSError: It was refused: a quota, a full disk; or the file system cannot be asked.
    """
    flag: int = getattr(os, "O_TMPFILE", 0)
    if not flag or not hasattr(os, "posix_fallocate"):
        return
    handle = os.open(folder, os.O_WRONLY | flag, 0o600)
    try:
        os.posix_fallocate(handle, 0, size_bytes)
    finally:
        os.close(handle)


def open_log(path: str, *, is_new: bool) -> int:
    """Open a log for appending; a new one must not be there yet."""
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags | os.O_CREAT | os.O_EXCL if is_new else flags, 0o644)


def append(handle: int, data: bytes) -> None:
    """Append bytes to an open log."""
    _write_all(handle, data)


def sync_log(handle: int) -> None:
    """Wait until an open log's bytes are on the disk."""
    if sys.platform == "linux":
        os.fdatasync(handle)
    else:
        _sync(handle)


def _sync(handle: int) -> None:
    """Wait until the disk has it; on macOS `fsync` waits for the way to the disk alone."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 - not on Windows

        # Network file systems do not know it.
        with contextlib.suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def open_small(path: str) -> int:
    """Open a small file of ours for reading and writing, making it when there is none; no link, no pipe."""
    return os.open(path, os.O_RDWR | os.O_CREAT | _NO_SURPRISE, 0o644)


def create_exclusively(path: str) -> int:
    """Make a file that must not be there yet, open for writing.

    Raises:
        FileExistsError: Something is there already.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)


def write_over(handle: int, data: bytes) -> None:
    """Write over the beginning of an open small file; not synced."""
    os.lseek(handle, 0, os.SEEK_SET)
    _write_all(handle, data)


def write_record(handle: int, data: bytes) -> None:
    """Replace the whole content of an open small file; not synced."""
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    _write_all(handle, data)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _set_owner(handle: int, state: FileState) -> None:
    if sys.platform == "win32" or state.uid < 0:
        return
    found = os.fstat(handle)
    if (found.st_uid, found.st_gid) != (state.uid, state.gid):
        os.fchown(handle, state.uid, state.gid)


@lru_cache(maxsize=1)
def _renamer() -> Callable[[int, bytes, bytes], int] | None:
    """Return the system's rename with flags, taking Linux' flag values; None when the C library has none."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        renamex = getattr(library, "renamex_np", None)
        if renamex is None:
            return None
        flags_macos = {_NOREPLACE: _EXCLUDE_MACOS, _EXCHANGE: _SWAP_MACOS}
        renamex.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint]
        return lambda flag, one, other: int(renamex(one, other, flags_macos[flag]))
    renameat2 = getattr(library, "renameat2", None)
    if renameat2 is None:
        return None
    # No argument types: ctypes takes numbers and bytes for what they are, and checking them costs as much as the call.
    return lambda flag, one, other: int(renameat2(_AT_FDCWD, one, _AT_FDCWD, other, flag))


def _rename_with(flag: int, source: str, target: str) -> bool:
    """Rename with a flag; False, with nothing done, where the system or the file system does not know it."""
    renamer = _renamer()
    if renamer is None:
        return False
    if renamer(flag, source.encode(*_IN_PATHS), target.encode(*_IN_PATHS)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), source, None, target)


def _rename_claimed(source: str, target: str) -> None:
    if not stat.S_ISDIR(os.lstat(source).st_mode):
        _rename_linked(source, target)
        return
    os.mkdir(target, CLAIM_MODE)
    try:
        os.rename(source, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.rmdir(target)
        if error.errno in {errno.EEXIST, errno.EPERM, errno.EACCES} and not os.path.lexists(target):
            # Such file systems (some FUSE ones) do not rename onto an empty directory either.
            _rename_looking(source, target)
            return
        raise


def _rename_linked(source: str, target: str) -> None:
    try:
        _link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_looking(source, target)
        return
    os.unlink(source)


def _rename_looking(source: str, target: str) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), source, None, target)
    os.rename(source, target)


def replace_file(path: str, data: bytes | Iterable[bytes], *, with_folder: bool = False) -> None:
    """Replace a file (a plan, a cache) as a whole: its old bytes or the new ones; `with_folder` makes its folder.

    Parts are written as they come, so that a long file needs no room in memory. The mode of the file that was there
    stays, and its owner and group where this user may set them.
    """
    target = os.path.realpath(path)
    if with_folder:
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    # A process that was killed leaves its own behind, and in containers the next one often has the same number.
    staged = f"{target}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    replaced = os.stat(target) if os.path.exists(target) else None
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(staged, flags, 0o666 if replaced is None else 0o600)
    try:
        try:
            if replaced is not None:
                _take_over_rights(handle, replaced)
            for part in _gathered([data] if isinstance(data, bytes) else data):
                _write_all(handle, part)
            _sync(handle)
        finally:
            os.close(handle)
        os.replace(staged, target)
    except BaseException:
        os.unlink(staged)
        raise
    sync_directory(os.path.dirname(target))


def _gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield parts joined to some size: a system call for each line would take longer than the lines."""
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= _PART_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def _take_over_rights(handle: int, replaced: os.stat_result) -> None:
    if sys.platform == "win32":
        return
    mode = stat.S_IMODE(replaced.st_mode)
    for user, group in ((-1, replaced.st_gid), (replaced.st_uid, -1)):
        with contextlib.suppress(PermissionError):
            os.fchown(handle, user, group)
    if os.fstat(handle).st_gid != replaced.st_gid:
        mode &= ~stat.S_IRWXG  # what one group might do is not for another
    os.fchmod(handle, mode)
