"""A small file as it was: all that is needed to make it again exactly.

Only manifests are kept this way, so files are read whole and a size limit guards the log.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_BYTES = 4 * 1024 * 1024
"""A manifest larger than this is no manifest; its old bytes would swell the log."""
AS_CREATED = -1
"""User and group id of a file that takes those of its maker."""
_KEPT_XATTRS = ("user.", "system.posix_acl_")
_O_QUIET = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class FileState:
    """A file or symbolic link.

    Attributes:
        is_link: True for a symbolic link.
        data: The file's bytes, or the link's target.
        mode: Permission bits.
        uid: Owner's user id, or `AS_CREATED`.
        gid: Owner's group id, or `AS_CREATED`.
        atime_ns: Access time, nanoseconds since 1970-01-01 UTC.
        mtime_ns: Modification time, likewise.
        xattrs: Extended attributes that its owner may set (`user.…` and access lists), sorted by name.
    """

    is_link: bool
    data: bytes
    mode: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    xattrs: tuple[tuple[str, bytes], ...] = ()

    def is_like(self, other: FileState | None) -> bool:
        """Say whether the other has the same bytes and is the same kind of thing; times do not count."""
        return other is not None and self.is_link == other.is_link and self.data == other.data

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; text stays readable."""
        record: dict[str, Any] = {
            "kind": "link" if self.is_link else "file",
            **_data_to_json(self.data),
            "mode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
            "atime_ns": self.atime_ns,
            "mtime_ns": self.mtime_ns,
        }
        if self.xattrs:
            record["xattrs"] = {name: base64.b64encode(value).decode("ascii") for name, value in self.xattrs}
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> FileState:
        """Return what `to_json` was given."""
        data = record["text"].encode("utf-8") if "text" in record else base64.b64decode(record["base64"])
        xattrs = record.get("xattrs", {})
        return cls(
            is_link=record["kind"] == "link",
            data=data,
            mode=record["mode"],
            uid=record["uid"],
            gid=record["gid"],
            atime_ns=record["atime_ns"],
            mtime_ns=record["mtime_ns"],
            xattrs=tuple((name, base64.b64decode(xattrs[name])) for name in sorted(xattrs)),
        )


def read_state(path: str, *, limit_bytes: int = LIMIT_BYTES) -> FileState | None:
    """Read a file or link; None when nothing is there.

    Raises:
        OSError: It cannot be read, is neither file nor link, or is larger than `limit_bytes`.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return _state(found, os.fsencode(os.readlink(path)), (), is_link=True)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "neither a file nor a link", path)
    if found.st_size > limit_bytes:
        raise _too_large(path, limit_bytes)
    return _state(found, read_quietly(path, limit_bytes=limit_bytes), _read_xattrs(path), is_link=False)


def state_or_none(path: str, *, limit_bytes: int = LIMIT_BYTES) -> FileState | None:
    """Read a file or link; None, too, when it is none, is larger or cannot be read: surely not what is looked for."""
    try:
        return read_state(path, limit_bytes=limit_bytes)
    except OSError:
        return None


def read_quietly(path: str, *, follow_links: bool = False, limit_bytes: int = LIMIT_BYTES) -> bytes:
    """Read a small file, leaving even its access time alone where the system lets us.

    Raises:
        OSError: It cannot be read, is no file, or is larger than `limit_bytes`.
    """
    flags = os.O_RDONLY | (_O_QUIET & ~getattr(os, "O_NOFOLLOW", 0) if follow_links else _O_QUIET)
    try:
        handle = os.open(path, flags | getattr(os, "O_NOATIME", 0))
    except PermissionError:
        handle = os.open(path, flags)  # only the owner may leave access times alone
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no regular file", path)
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise _too_large(path, limit_bytes)
    return data


def _too_large(path: str, limit_bytes: int) -> OSError:
    what = ", so it is no manifest" if limit_bytes == LIMIT_BYTES else ""
    return OSError(errno.EFBIG, f"larger than {limit_bytes >> 20} MiB{what}", path)


def _state(found: os.stat_result, data: bytes, xattrs: tuple[tuple[str, bytes], ...], *, is_link: bool) -> FileState:
    return FileState(
        is_link=is_link,
        data=data,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        atime_ns=found.st_atime_ns,
        mtime_ns=found.st_mtime_ns,
        xattrs=xattrs,
    )


def _read_xattrs(path: str) -> tuple[tuple[str, bytes], ...]:
    if sys.platform != "linux":
        return ()
    with contextlib.suppress(OSError):  # the file system has none
        names = [name for name in sorted(os.listxattr(path)) if name.startswith(_KEPT_XATTRS)]
        return tuple((name, os.getxattr(path, name)) for name in names)
    return ()


def _data_to_json(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}
