"""Edits of files outside the manifests, as data that knows its reverse: texts, links, links that are made.

A text is not kept in the log. What is kept is where which bytes became which, and a digest of the whole on either
side: enough to undo it exactly and to see that nobody else has changed it, and little even for a large file.
"""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt_migrate import storage
from ckpt_migrate.executor.filestate import AS_CREATED, FileState, read_state, state_or_none
from ckpt_migrate.executor.operations import Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ASIDE = "-old"
"""Ending of the temporary name under which an old file lies while a new one takes its name in two steps."""
LARGEST_BYTES = 64 << 20
"""A larger file is not edited: it is held in memory as a whole."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file or link holds.

    Attributes:
        digest: SHA-256 of a text's bytes or of what a link says, hexadecimal.
        link: What a link says; None for a text.
    """

    digest: str
    link: str | None = None

    def is_in(self, state: FileState | None) -> bool:
        """Say whether a file or link found is this one."""
        if state is None or state.is_link is not (self.link is not None):
            return False
        return hashlib.sha256(state.data).hexdigest() == self.digest

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"digest": self.digest} if self.link is None else {"digest": self.digest, "link": self.link}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Content:
        """Return what `to_json` was given."""
        return cls(record["digest"], record.get("link"))


def link_content(text: str) -> Content:
    """Return a link's content."""
    return Content(hashlib.sha256(os.fsencode(text)).hexdigest(), text)


@dataclass(frozen=True, slots=True)
class Patch:
    """Some bytes that become others; `offset` is where they stand before any patch of the same text is made."""

    offset: int
    old: bytes
    new: bytes


def patched(data: bytes, patches: Sequence[Patch]) -> bytes:
    """Return a text with its patches made.

    Raises:
        ValueError: The bytes to be changed are not there.
    """
    parts, end = [], 0
    for patch in patches:
        if patch.offset < end or data[patch.offset : patch.offset + len(patch.old)] != patch.old:
            raise ValueError(f"the name is not at byte {patch.offset}")
        parts += [data[end : patch.offset], patch.new]
        end = patch.offset + len(patch.old)
    return b"".join([*parts, data[end:]])


def reversed_patches(patches: Sequence[Patch]) -> tuple[Patch, ...]:
    """Return the patches that undo these.

    >>> there = (Patch(0, b"a", b"bcd"), Patch(5, b"e", b""))
    >>> patched(patched(b"a....e", there), reversed_patches(there))
    b'a....e'
    """
    back, moved = [], 0
    for patch in patches:
        back.append(Patch(patch.offset + moved, patch.new, patch.old))
        moved += len(patch.new) - len(patch.old)
    return tuple(back)


@dataclass(frozen=True, slots=True)
class EditFile:
    """A text is patched, or a link is made, changed or removed.

    Attributes:
        number: Counted from 0 over the edits of a plan.
        path: Its absolute path at that moment.
        staged: Name, in the same directory, under which the new one is prepared and the old one put aside.
        before: What is there; None for nothing.
        after: What is there afterwards; None for nothing.
        patches: What becomes of a text.
        time_ns: Both times of a link that is made anew, nanoseconds since 1970-01-01 UTC.
        source: Absolute path that a text is read from; another than `path` where a crash left the text there alone.
        kept: Absolute path of the extra name that the old file gets, or has; empty where it has no further names.
    """

    number: int
    path: str
    staged: str
    before: Content | None
    after: Content | None
    patches: tuple[Patch, ...] = ()
    time_ns: int = 0
    source: str = ""
    kept: str = ""

    @property
    def staged_path(self) -> str:
        """Absolute path under which it is prepared."""
        return os.path.join(os.path.dirname(self.path), self.staged)

    def reverse(self) -> EditFile:
        """Return the edit that undoes it."""
        return replace(self, before=self.after, after=self.before, patches=reversed_patches(self.patches))

    def step(self) -> Step:
        """Return it for people."""
        if self.after is None:
            return Step("-", "remove link", self.path)
        if self.after.link is not None:
            return Step("+" if self.before is None else "~", "link", self.path, new_path=self.after.link)
        return Step(
            "~", f"edit {len(self.patches):,} {'mention' if len(self.patches) == 1 else 'mentions'} in", self.path
        )


def stage(edit: EditFile) -> None:
    """Prepare the new file or link beside the old one, with its mode, owner, attributes and times; not synced yet.

    Raises:
        OSError: The system refused, or what is there is not what was planned on.
    """
    if edit.after is None:
        return
    found = read_state(edit.source or edit.path, limit_bytes=LARGEST_BYTES)
    if edit.before is not None and not edit.before.is_in(found):
        raise _changed(edit.path)
    if edit.after.link is not None:
        storage.stage_file(edit.staged_path, _link_state(edit.after.link, found, edit.time_ns))
        return
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), edit.path)
    try:
        data = patched(found.data, edit.patches)
    except ValueError as error:
        raise _changed(edit.path) from error
    if hashlib.sha256(data).hexdigest() != edit.after.digest:
        raise _changed(edit.path)
    storage.stage_file(edit.staged_path, replace(found, data=data))


def publish(edit: EditFile) -> None:
    """Put the new file or link in its place in one step, never over anything but what was read.

    Raises:
        OSError: The system refused, or somebody changed it in the meantime; then it is as that one left it.
    """
    if edit.before is None or edit.source:
        storage.rename_noreplace(edit.staged_path, edit.path)
        if edit.source:
            storage.remove_file(edit.source)
    elif edit.after is None:
        _put_aside(edit, edit.staged_path)
        storage.remove_file(edit.staged_path)
    elif storage.exchange(edit.staged_path, edit.path):
        if not edit.before.is_in(state_or_none(edit.staged_path, limit_bytes=LARGEST_BYTES)):
            storage.exchange(edit.staged_path, edit.path)
            raise _changed(edit.path)
        storage.remove_file(edit.staged_path)
    else:
        aside = f"{edit.staged_path}{ASIDE}"
        _put_aside(edit, aside)
        storage.rename_noreplace(edit.staged_path, edit.path)
        storage.remove_file(aside)


def _put_aside(edit: EditFile, aside: str) -> None:
    storage.rename_noreplace(edit.path, aside)
    if edit.before is None or not edit.before.is_in(state_or_none(aside, limit_bytes=LARGEST_BYTES)):
        storage.rename_noreplace(aside, edit.path)
        raise _changed(edit.path)


def _changed(path: str) -> OSError:
    return OSError(errno.ESTALE, "it was changed in the meantime", path)


def _link_state(text: str, found: FileState | None, time_ns: int) -> FileState:
    atime_ns, mtime_ns = (time_ns, time_ns) if found is None else (found.atime_ns, found.mtime_ns)
    return FileState(
        is_link=True,
        data=os.fsencode(text),
        mode=0o777,
        uid=AS_CREATED,
        gid=AS_CREATED,
        atime_ns=atime_ns,
        mtime_ns=mtime_ns,
    )
