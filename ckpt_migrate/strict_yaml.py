"""YAML read strictly: plain data only, line numbers kept, every problem collected.

Refused with their line: anchors and aliases (alias bombs), tags beyond plain data, merge keys, duplicate keys, tabs
as indentation, several documents, and nesting deeper than any file of this tool has. Values are handed over as
:class:`Field`, which knows its line and its path.

The tree is built here from the parser's events, not by the library's composer: that one recurses, so that a file of
nothing but brackets ends the process, and it guesses a type for every scalar, which is most of its time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

DEEPEST = 32
"""Levels of nesting read; plans and recipes have at most six."""
MOST_KEPT = 10_000
MOST_SHOWN = 50
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ScalarEvent = yaml.ScalarEvent
_PREFIX = "tag:yaml.org,2002:"
_NULL_TAG = f"{_PREFIX}null"
_PLAIN_TAGS = {f"{_PREFIX}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(slots=True)
class Problems:
    """Problems of one file; at most MOST_KEPT are kept."""

    found: list[tuple[int, str]] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, text: str) -> None:
        """Note a problem at a 1-based line."""
        self.count += 1
        if len(self.found) < MOST_KEPT:
            self.found.append((line, text))

    def lines(self) -> tuple[str, ...]:
        """Return the first MOST_SHOWN problems by line, and at the end how many more there are."""
        shown = [f"line {line}: {text}" for line, text in sorted(self.found)[:MOST_SHOWN]]
        more = self.count - len(shown)
        return (*shown, f"and {more:,} more") if more else tuple(shown)


class _Scalar:
    __slots__ = ("is_null", "line", "text")

    def __init__(self, line: int, text: str, is_null: bool) -> None:  # noqa: FBT001 - made a million times, by position
        self.line = line
        self.text = text
        self.is_null = is_null


class _List:
    __slots__ = ("items", "line")

    def __init__(self, line: int) -> None:
        self.line = line
        self.items: list[_Node] = []


class _Mapping:
    """A mapping; `items` holds keys and values in turn."""

    __slots__ = ("items", "line")

    def __init__(self, line: int) -> None:
        self.line = line
        self.items: list[_Node] = []

    def pairs(self) -> Iterator[tuple[_Node, _Node]]:
        return zip(self.items[0::2], self.items[1::2], strict=True)


_Node: TypeAlias = "_Scalar | _List | _Mapping"


class Field:
    """A value in a document: where it stands and what it is.

    Its accessors note what is wrong in the document's problems and then return an empty value of their type.

    Args:
        node: The value.
        line: The 1-based line that it stands on; of a mapping's member, that of its key.
        above: What it is a part of; None for the whole document.
        key: Its key or position there.
        problems: Where problems are noted.
    """

    __slots__ = ("_above", "_key", "_node", "_problems", "line")

    def __init__(self, node: _Node, line: int, above: Field | None, key: str | int, problems: Problems) -> None:
        self._node = node
        self._above = above
        self._key = key
        self._problems = problems
        self.line = line

    @property
    def path(self) -> str:
        """Keys and positions from the top, for messages: `entries[3].action`."""
        if self._above is None:
            return ""
        above = self._above.path
        if isinstance(self._key, int):
            return f"{above}[{self._key}]"
        return f"{above}.{self._key}" if above else self._key

    @property
    def is_null(self) -> bool:
        """Whether the value is null."""
        return isinstance(self._node, _Scalar) and self._node.is_null

    @property
    def is_list(self) -> bool:
        """Whether the value is a list."""
        return isinstance(self._node, _List)

    def refuse(self, text: str) -> None:
        """Note a problem with this value."""
        path = self.path
        self._problems.add(self.line, f"{path}: {text}" if path else text)

    def peek(self, key: str) -> str | None:
        """Return the text of a member without noting any problem; None when it is no text or is not there."""
        if isinstance(self._node, _Mapping):
            for name, value in self._node.pairs():
                if isinstance(name, _Scalar) and name.text == key:
                    return value.text if isinstance(value, _Scalar) else None
        return None

    def mapping(self, *, required: Collection[str] = (), optional: Collection[str] | None = ()) -> dict[str, Field]:
        """Return the members of a mapping; `optional=None` allows any key."""
        if not isinstance(self._node, _Mapping):
            self.refuse("must be a mapping")
            return {}
        members: dict[str, Field] = {}
        for name, value in self._node.pairs():
            if not isinstance(name, _Scalar):
                self._problems.add(name.line, f"{self.path}: keys must be plain text".removeprefix(": "))
                continue
            member = Field(value, name.line, self, name.text, self._problems)
            if name.text in members:
                member.refuse("the key stands twice")
            elif optional is not None and name.text not in required and name.text not in optional:
                member.refuse("unknown key")
            else:
                members[name.text] = member
        for key in required:
            if key not in members:
                self.refuse(f"the key {key!r} is missing")
        return members

    def sequence(self) -> list[Field]:
        """Return the items of a list."""
        if not isinstance(self._node, _List):
            self.refuse("must be a list")
            return []
        return [Field(item, item.line, self, place, self._problems) for place, item in enumerate(self._node.items)]

    def text(self) -> str:
        """Return a scalar as text; numbers and dates as they are written."""
        if not isinstance(self._node, _Scalar) or self._node.is_null:
            self.refuse("must be text")
            return ""
        return self._node.text

    def text_or_none(self) -> str | None:
        """Return a scalar as text, or None for null."""
        return None if self.is_null else self.text()

    def texts(self) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(item.text() for item in self.sequence())

    def number(self) -> float:
        """Return a number."""
        text = self.text()
        try:
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self.refuse(f"must be a number, not {text!r:.80}")
            return 0.0

    def number_or_none(self) -> float | None:
        """Return a number, or None for null."""
        return None if self.is_null else self.number()

    def integer(self) -> int:
        """Return a whole number."""
        text = self.text()
        try:
            return int(text)
        except ValueError:
            self.refuse(f"must be a whole number, not {text!r:.80}")
            return 0

    def boolean(self) -> bool:
        """Return true or false."""
        if isinstance(self._node, _Scalar) and self._node.text in {"true", "false"}:
            return self._node.text == "true"
        self.refuse("must be true or false")
        return False


def compose(text: str, problems: Problems) -> Field | None:
    """Parse a document; None (and a noted problem) when it is no usable YAML."""
    try:
        top = _build(_Loader(text), problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 0 if mark is None else int(mark.line)
        problems.add(line + 1, _words(error, text, line))
        return None
    except yaml.YAMLError as error:
        problems.add(*_unreadable(error, text))
        return None
    if problems.count:
        return None
    if top is None:
        problems.add(1, "the file is empty")
        return None
    return Field(top, top.line, None, "", problems)


def _build(parser: Any, problems: Problems) -> _Node | None:  # noqa: ANN401 - the library has no types
    """Build the tree of one document; the parser sees to it that starts and ends are balanced."""
    root = _List(1)
    stack: list[_List | _Mapping] = [root]
    items = root.items
    while (event := parser.get_event()) is not None:
        kind = type(event)
        if kind is _ScalarEvent:
            text, line, is_plain = event.value, event.start_mark.line + 1, event.implicit[0]
            if event.tag is not None or event.anchor is not None:
                _check_properties(event, problems)
            if is_plain and text == "<<":
                problems.add(line, "merge keys (<<) are not allowed")
            items.append(_Scalar(line, text, (is_plain and text in _NULLS) or event.tag == _NULL_TAG))
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            stack.pop()
            items = stack[-1].items
        elif kind is yaml.SequenceStartEvent or kind is yaml.MappingStartEvent:
            line = event.start_mark.line + 1
            _check_properties(event, problems)
            if len(stack) > DEEPEST:
                problems.add(line, f"nested more than {DEEPEST} levels deep")
                return None
            node: _List | _Mapping = _List(line) if kind is yaml.SequenceStartEvent else _Mapping(line)
            items.append(node)
            stack.append(node)
            items = node.items
        elif kind is yaml.AliasEvent:
            line = event.start_mark.line + 1
            problems.add(line, f"the alias *{event.anchor} is not allowed; plain data only")
            items.append(_Scalar(line, "", is_null=True))
        elif kind is yaml.DocumentStartEvent and root.items:
            problems.add(event.start_mark.line + 1, "a second document starts here; only one is allowed")
            return None
    return root.items[0] if root.items else None


def _check_properties(event: Any, problems: Problems) -> None:  # noqa: ANN401 - the library has no types
    line = event.start_mark.line + 1
    if event.anchor is not None:
        problems.add(line, f"the anchor &{event.anchor} is not allowed; plain data only")
    if event.tag is not None and event.tag not in _PLAIN_TAGS:
        problems.add(line, f"the tag {event.tag.replace(_PREFIX, '!!')} is not allowed; plain data only")


def _words(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    """Return what is wrong in words; a tab is named, since editors show it as spaces."""
    lines = text.splitlines()[line : line + 1]
    indentation = lines[0][: len(lines[0]) - len(lines[0].lstrip())] if lines else ""
    if "\t" in indentation:
        return "a tab is used for indentation; use spaces"
    return ", ".join(part for part in (error.context, error.problem) if part) or "not YAML"


def _unreadable(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    position = getattr(error, "position", None)
    line = 1
    if isinstance(position, int):
        line += text.encode()[:position].count(b"\n")
    return line, " ".join(str(getattr(error, "reason", error)).split()) or "not YAML"
