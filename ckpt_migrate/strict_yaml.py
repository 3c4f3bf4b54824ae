"""YAML read strictly: plain data only, line numbers kept, every problem collected.

Refused with their line: anchors and aliases (alias bombs), tags beyond plain data, duplicate keys, tabs as
indentation, several documents. Values are handed over as :class:`Field`, which knows its line and its path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PREFIX = "tag:yaml.org,2002:"
_PLAIN_TAGS = {f"{_PREFIX}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")}


@dataclass(slots=True)
class Problems:
    """Problems of one file, in the order found; `limit` of them are kept."""

    found: list[str] = field(default_factory=list)
    limit: int = 50
    count: int = 0

    def add(self, line: int, text: str) -> None:
        """Note a problem at a 1-based line."""
        self.count += 1
        if len(self.found) < self.limit:
            self.found.append(f"line {line}: {text}")

    def lines(self) -> tuple[str, ...]:
        """Return the problems, the last one saying how many more there are."""
        more = self.count - len(self.found)
        return (*self.found, f"and {more} more") if more else tuple(self.found)


@dataclass(frozen=True, slots=True)
class Field:
    """A value in a document: where it stands and what it is.

    Attributes:
        node: The composed YAML node.
        path: Keys and positions from the top, for messages: `entries[3].action`.
        problems: Where accessors note what is wrong; they then return an empty value of their type.
    """

    node: yaml.Node
    path: str
    problems: Problems

    @property
    def line(self) -> int:
        """The 1-based line that the value starts on."""
        return int(self.node.start_mark.line) + 1

    @property
    def is_null(self) -> bool:
        """Whether the value is null."""
        return bool(self.node.tag == f"{_PREFIX}null")

    def refuse(self, text: str) -> None:
        """Note a problem with this value."""
        self.problems.add(self.line, f"{self.path}: {text}" if self.path else text)

    def mapping(self, *, required: Sequence[str] = (), optional: Sequence[str] | None = ()) -> dict[str, Field]:
        """Return the members of a mapping; `optional=None` allows any key."""
        if not isinstance(self.node, yaml.MappingNode):
            self.refuse("must be a mapping")
            return {}
        members: dict[str, Field] = {}
        for key_node, value_node in self.node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.refuse("keys must be plain text")
                continue
            key = str(key_node.value)
            path = f"{self.path}.{key}" if self.path else key
            line = int(key_node.start_mark.line) + 1
            if key in members:
                self.problems.add(line, f"{path}: the key stands twice")
            elif optional is not None and key not in required and key not in optional:
                self.problems.add(line, f"{path}: unknown key")
            else:
                members[key] = Field(value_node, path, self.problems)
        for key in required:
            if key not in members:
                self.refuse(f"the key {key!r} is missing")
        return members

    def sequence(self) -> list[Field]:
        """Return the items of a sequence."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.refuse("must be a list")
            return []
        return [Field(item, f"{self.path}[{i}]", self.problems) for i, item in enumerate(self.node.value)]

    def text(self) -> str:
        """Return a scalar as text; numbers and dates as they are written."""
        if not isinstance(self.node, yaml.ScalarNode) or self.is_null:
            self.refuse("must be text")
            return ""
        return str(self.node.value)

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
            self.refuse(f"must be a number, not {text!r}")
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
            self.refuse(f"must be a whole number, not {text!r}")
            return 0

    def boolean(self) -> bool:
        """Return true or false."""
        if isinstance(self.node, yaml.ScalarNode) and self.node.value in {"true", "false"}:
            return bool(self.node.value == "true")
        self.refuse("must be true or false")
        return False


def compose(text: str, problems: Problems) -> Field | None:
    """Parse a document; None (and a noted problem) when it is no usable YAML."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "not YAML"
        if "\\t" in what or "'\t'" in what:
            what = "a tab is used for indentation; use spaces"
        problems.add(1 if mark is None else int(mark.line) + 1, what)
        return None
    except (yaml.YAMLError, RecursionError) as error:
        problems.add(1, " ".join(str(error).split()) or "nested too deeply")
        return None
    if node is None:
        problems.add(1, "the file is empty")
        return None
    _refuse_clever_yaml(node, problems)
    return None if problems.count else Field(node, "", problems)


def _refuse_clever_yaml(top: yaml.Node, problems: Problems) -> None:
    seen: set[int] = set()
    stack = [top]
    while stack:
        node = stack.pop()
        line = int(node.start_mark.line) + 1
        if id(node) in seen:
            problems.add(line, "anchors and aliases (& and *) are not allowed")
            return
        seen.add(id(node))
        if node.tag not in _PLAIN_TAGS:
            problems.add(line, f"the tag {node.tag.replace(_PREFIX, '!!')} is not allowed; plain data only")
        if isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                stack += (key, value)
