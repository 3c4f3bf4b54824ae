"""A file system in user space that lacks what the usual ones have: it keeps its files in a folder elsewhere.

    python -m trees.fuse FOLDER MOUNTPOINT [blind]

It knows neither a refusing rename nor an exchange, no hard links, no extended attributes and no owners but one, as
network file systems and memory cards do. `blind`: it ignores case, and keeps it. Needs libfuse 2 and mfusepy.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 20.0
MOUNT_POLL_S = 0.02
_STAT_KEYS = ("st_atime", "st_gid", "st_mode", "st_mtime", "st_nlink", "st_size", "st_uid", "st_ino", "st_ctime")


def serve(folder: str, mountpoint: str, *, is_blind: bool) -> None:
    """Serve until it is unmounted."""
    import mfusepy  # noqa: PLC0415 - optional, and loads the system's library

    class Lacking(mfusepy.Operations):  # type: ignore[misc] # it has no types
        """Passes most on to the folder."""

        use_ns = True

        def _real(self, path: str) -> str:
            real = folder
            for part in path.strip("/").split("/") if path != "/" else ():
                real = os.path.join(real, _spelled(real, part) if is_blind else part)
            return real

        def getattr(self, path: str, _fh: int | None = None) -> dict[str, int]:
            found = os.lstat(self._real(path))
            values = {key: getattr(found, key) for key in _STAT_KEYS}
            return {**values, **{f"st_{kind}time": getattr(found, f"st_{kind}time_ns") for kind in "amc"}}

        def readdir(self, path: str, _fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
            real = self._real(path)
            for name in [".", "..", *os.listdir(real)]:
                found = os.lstat(os.path.join(real, name))
                yield name, {"st_mode": found.st_mode, "st_ino": found.st_ino}, 0

        def readlink(self, path: str) -> str:
            return os.readlink(self._real(path))

        def mkdir(self, path: str, mode: int) -> None:
            os.mkdir(self._real(path), mode)

        def rmdir(self, path: str) -> None:
            os.rmdir(self._real(path))

        def unlink(self, path: str) -> None:
            os.unlink(self._real(path))

        def symlink(self, target: str, source: str) -> None:
            os.symlink(source, self._real(target))

        def rename(self, old: str, new: str) -> None:
            parent, name = os.path.split(new)
            target = os.path.join(self._real(parent), name)
            taken, source = self._real(new), self._real(old)
            os.rename(source, taken)
            if taken != target:
                os.rename(taken, target)

        def link(self, _target: str, _source: str) -> None:
            raise mfusepy.FuseOSError(errno.EPERM)

        def chmod(self, path: str, mode: int) -> None:
            os.chmod(self._real(path), mode)

        def chown(self, path: str, uid: int, gid: int) -> None:
            found = os.lstat(self._real(path))
            if (uid, gid) != (found.st_uid, found.st_gid):
                raise mfusepy.FuseOSError(errno.EPERM)

        def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
            os.utime(self._real(path), ns=times or (time.time_ns(), time.time_ns()), follow_symlinks=False)

        def create(self, path: str, mode: int, _fi: Any = None) -> int:
            return os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

        def open(self, path: str, flags: int) -> int:
            return os.open(self._real(path), flags & ~os.O_APPEND)

        def read(self, _path: str, size: int, offset: int, fh: int) -> bytes:
            return os.pread(fh, size, offset)

        def write(self, _path: str, data: bytes, offset: int, fh: int) -> int:
            return os.pwrite(fh, data, offset)

        def truncate(self, path: str, length: int, _fh: int | None = None) -> None:
            os.truncate(self._real(path), length)

        def fsync(self, _path: str, _datasync: int, fh: int) -> None:
            os.fsync(fh)

        def release(self, _path: str, fh: int) -> None:
            os.close(fh)

    mfusepy.FUSE(Lacking(), mountpoint, foreground=True, nothreads=True, use_ino=True)


def _spelled(folder: str, name: str) -> str:
    """Return how a name is spelled that is there in another case."""
    try:
        names = os.listdir(folder)
    except OSError:
        return name
    return name if name in names else next((each for each in names if each.casefold() == name.casefold()), name)


@contextmanager
def mounted(base: Path, *, is_blind: bool) -> Iterator[Path]:
    """Mount one while the block runs; skip the test where that cannot be done."""
    pytest.importorskip("mfusepy", reason="mfusepy or libfuse is missing", exc_type=ImportError)
    folder, mountpoint = base / "folder", base / "mounted"
    folder.mkdir()
    mountpoint.mkdir()
    call = [sys.executable, "-m", "trees.fuse", str(folder), str(mountpoint), *(["blind"] if is_blind else [])]
    top = Path(__file__).resolve().parents[1]
    path = os.pathsep.join([str(top), str(top.parent)])
    server = subprocess.Popen(call, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + WAIT_S
        while not os.path.ismount(mountpoint):
            if server.poll() is not None or time.monotonic() > until:
                said = b"" if server.stderr is None else server.stderr.read()
                pytest.skip(f"no file system can be mounted from user space here: {said.decode()[-200:]}")
            time.sleep(MOUNT_POLL_S)
        yield mountpoint
    finally:
        subprocess.run([shutil.which("fusermount") or "fusermount3", "-uz", str(mountpoint)], check=False)
        server.terminate()
        server.communicate()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], is_blind="blind" in sys.argv[3:])
