"""YAML of training configs as plain data: no tag builds anything, no alias can multiply, no nesting can recurse.

Configs written by frameworks carry tags that a safe loader refuses (`!!python/tuple`) and anchors that a strict one
does; what can be understood of them is kept. Built from parser events, since the libraries' composers recurse in C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.flatten import MAX_DEPTH, MAX_VALUES, OPAQUE

if TYPE_CHECKING:
    from collections.abc import Iterator

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD = "tag:yaml.org,2002:"
_PYTHON = f"{_STANDARD}python/"
_MERGE = "<<"
LONGEST_NUMBER = 400
"""Characters up to which text is read as a number: the time that it takes grows with their square."""


def load_yaml(data: bytes) -> object:
    r"""Return the first document; a value of a tag that is not understood is `OPAQUE`.

    Raises:
        ReaderError: It is no YAML, or beyond the limits of `flatten`.

    >>> load_yaml(b"lr: 0.1\nbetas: !!python/tuple [0.9, 1]\nmodel: &m {size: 3}\nteacher: *m")
    {'lr': 0.1, 'betas': [0.9, 1], 'model': {'size': 3}, 'teacher': {'size': 3}}
    """
    try:
        return _Builder().build(yaml.parse(data, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise ReaderError(f"no YAML: {where}{error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ReaderError(f"no YAML: {' '.join(str(error).split())}") from error


def _implied_tag(text: str) -> str:
    """Return the tag that YAML gives to a value without quotes."""
    if len(text) > LONGEST_NUMBER:
        return f"{_STANDARD}str"
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ()):
        if pattern.match(text):
            return str(tag)
    return f"{_STANDARD}str"


class _Builder:
    """Builds one document; each open collection waits on a stack with its tag and its items so far."""

    def __init__(self) -> None:
        self.anchors: dict[str, object] = {}
        self.merged = 0
        self.constructor = yaml.constructor.SafeConstructor()

    def build(self, events: Iterator[yaml.Event]) -> object:
        open_ones: list[tuple[yaml.CollectionStartEvent, list[object]]] = []
        for event in events:
            if isinstance(event, yaml.CollectionStartEvent):
                if len(open_ones) >= MAX_DEPTH:
                    raise ReaderError(f"nested over {MAX_DEPTH} levels deep")
                open_ones.append((event, []))
                continue
            if isinstance(event, yaml.ScalarEvent):
                value, anchor = self.scalar(event), event.anchor
            elif isinstance(event, yaml.AliasEvent):
                # An alias to a collection that is still open would make it contain itself.
                value, anchor = self.anchors.get(event.anchor or "", OPAQUE), None
            elif isinstance(event, yaml.CollectionEndEvent):
                start, items = open_ones.pop()
                value, anchor = self.collection(start, items), start.anchor
            elif isinstance(event, yaml.DocumentEndEvent):
                break
            else:
                continue
            if anchor is not None:
                self.anchors[anchor] = value
            if not open_ones:
                return value
            open_ones[-1][1].append(value)
        return None

    def scalar(self, event: yaml.ScalarEvent) -> object:
        text = event.value
        tag = event.tag
        if tag is None or tag == "!":
            tag = _implied_tag(text) if event.implicit[0] else f"{_STANDARD}str"
        if tag.startswith(_PYTHON):
            kind = tag[len(_PYTHON) :]
            return text if kind in {"str", "unicode"} else OPAQUE
        if len(text) > LONGEST_NUMBER:
            return text
        node = yaml.ScalarNode(tag, text)
        try:
            if tag == f"{_STANDARD}int":
                return self.constructor.construct_yaml_int(node)
            if tag == f"{_STANDARD}float":
                return self.constructor.construct_yaml_float(node)
            if tag == f"{_STANDARD}bool":
                return self.constructor.construct_yaml_bool(node)
        except (LookupError, ValueError):
            # A tag that its value does not fit, such as `!!int x`.
            return text
        return None if tag == f"{_STANDARD}null" else text

    def collection(self, start: yaml.CollectionStartEvent, items: list[object]) -> object:
        tag = start.tag or ""
        made: object = items if isinstance(start, yaml.SequenceStartEvent) else self.mapping(items)
        if not tag.startswith(_PYTHON) or tag == f"{_PYTHON}tuple":
            return made
        if "pathlib." in tag and isinstance(made, list):
            parts = [part for part in made if isinstance(part, str)]
            return "/".join(parts).replace("//", "/", 1)
        if isinstance(made, dict):
            # `object/new` keeps what a dict subclass holds apart from its attributes.
            return made.get("dictitems", made)
        return OPAQUE

    def mapping(self, items: list[object]) -> dict[object, object]:
        own: dict[object, object] = {}
        inherited: dict[object, object] = {}
        for key, value in zip(items[0::2], items[1::2], strict=True):
            if key == _MERGE and isinstance(value, (dict, list)):
                for source in value if isinstance(value, list) else [value]:
                    self.merge(inherited, source)
            elif isinstance(key, (str, int, float)) or key is None:
                own[key] = value
        return {**inherited, **own} if inherited else own

    def merge(self, target: dict[object, object], source: object) -> None:
        if not isinstance(source, dict):
            return
        # Merging copies, and a copy can be merged again: counted, or a small file fills the memory.
        self.merged += len(source)
        if self.merged > MAX_VALUES:
            raise ReaderError(f"holds over {MAX_VALUES:,} values")
        for key, value in source.items():
            target.setdefault(key, value)
