"""References as data: files that name directories by their old names, and what is done about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class EditAction(str, Enum):
    """What apply does with a file that mentions old names."""

    EDIT = "edit"
    SKIP = "skip"


class MentionKind(str, Enum):
    """What holds the mentions: the text of a file, or what a symbolic link says."""

    TEXT = "text"
    LINK = "link"


class LeftKind(str, Enum):
    """Why mentions are left alone.

    BINARY: the file is no text.
    PICKLED: the path stands in what torch wrote.
    WORD: the name is a part of a longer word, such as a run's name or that of an archive.
    ELSEWHERE: the path leads to another directory of the same name, or to another machine.
    NAME: a file or folder bears the name itself.
    LARGE: the file is too large to be searched or edited.
    MLFLOW: a run's name, param or tag.
    STORE: the folder is MLflow's own.
    UNREADABLE: it could not be read, so nothing can be said.
    """

    BINARY = "binary"
    PICKLED = "pickled"
    WORD = "word"
    ELSEWHERE = "elsewhere"
    NAME = "name"
    LARGE = "large"
    MLFLOW = "mlflow"
    STORE = "store"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line with old names in it.

    Attributes:
        line: Counted from 1; 1 for a link.
        before: The line, or of a long one the stretch around the names.
        after: The same with the names that the plan gives; equal while none of its directories gets another name.
    """

    line: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A file or link that mentions old names and can be edited.

    Attributes:
        file: Its path, `/`-separated, relative to the plan's folder or absolute.
        action: What apply does with it.
        kind: Text or link.
        lines: What becomes of each line, in order; the first ones of very many.
        at: Byte offsets of the mentions, ascending.
        encoding: Python's name of the encoding of the names in it.
        digest: SHA-256 of its bytes (of a link: of what it says) as planned, hexadecimal.
        note: What a person should know before it is edited; None for nothing.
        proposed: The planner's action, where a person has set another.
        line: Line in the plan file, 1-based; 0 for a plan that was not read from a file.
    """

    file: str
    action: EditAction
    kind: MentionKind
    lines: tuple[LineChange, ...]
    at: tuple[int, ...]
    encoding: str
    digest: str
    note: str | None = None
    proposed: EditAction | None = None
    line: int = 0

    @property
    def follows(self) -> bool:
        """Whether nothing of it changes as planned: the directories that it names are still to be decided."""
        return bool(self.lines) and all(each.before == each.after for each in self.lines)

    def as_proposed(self) -> Reference:
        """Return it as the planner had it."""
        return self if self.proposed is None else replace(self, action=self.proposed, proposed=None)

    def with_action(self, action: EditAction) -> Reference:
        """Return it with the action that a person wants."""
        own = self.as_proposed()
        return own if action is own.action else replace(own, action=action, proposed=own.action)


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Mentions that are left alone for one reason.

    Attributes:
        kind: The reason.
        what: The same in words, with what follows from it.
        count: How many files (for MLFLOW: texts) there are.
        where: Their paths, the first ones of very many, sorted.
    """

    kind: LeftKind
    what: str
    count: int
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class References:
    """All that a plan says of mentions of old names.

    Attributes:
        paths: Where was searched, as the plan shows paths; the roots' checkpoint directories always are.
        searched: How many files were searched.
        ignored: How many files and folders `.gitignore` files made it pass over.
        files: What can be edited, sorted by path.
        left: What cannot, by reason.
        leave_links: Whether a link from each old name to the new one is left.
        tag_runs: Whether MLflow's runs get tags.
    """

    paths: tuple[str, ...] = ()
    searched: int = 0
    ignored: int = 0
    files: tuple[Reference, ...] = ()
    left: tuple[LeftAlone, ...] = ()
    leave_links: bool = False
    tag_runs: bool = False

    def mended_links(self, paths: Iterable[str]) -> frozenset[str]:
        """Return those of these links that do not dangle afterwards.

        A link whose text has no old name leads on over another link; it is mended when no link is left as it is.
        """
        listed = tuple(paths)
        if self.leave_links:
            return frozenset(listed)
        links = {file.file: file.action for file in self.files if file.kind is MentionKind.LINK}
        are_all_edited = all(action is EditAction.EDIT for action in links.values())
        return frozenset(
            path for path in listed if links.get(path) is EditAction.EDIT or (path not in links and are_all_edited)
        )
