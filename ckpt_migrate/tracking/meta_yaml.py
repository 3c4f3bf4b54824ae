"""The `meta.yaml` of runs and experiments, read as flat text: key to scalar, nothing else.

A store of 10,000 runs holds 10,000 of these, so the form that MLflow writes is read by one regular expression a
line. Everything else goes to PyYAML's event parser, where no alias is followed and nothing is constructed: a
malicious file costs no more than its length.
"""

from __future__ import annotations

import re

MAX_BYTES = 256 * 1024
"""Longest file that is read; MLflow writes about 500 bytes."""

_MAX_DEPTH = 32
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

# Groups: key, quoted text, plain text. Plain text here is what YAML reads as it stands in block context; a colon
# is part of it unless a blank follows, a blank unless a # or another blank follows.
_LINE = re.compile(
    r"([a-z_]{2,40}): (?:"
    r"'([ -&(-~\w]*)'|"
    r"([0-9A-Za-z/](?:[\w/.%+=~()@,\\-]|:(?=[\w/\\.%])| (?=[\w/(]))*)"
    r")",
)
_EMPTY_LIST = re.compile(r"[a-z_]{2,40}: \[\]")


class MetaError(ValueError):
    """The file is no flat YAML mapping; the message says why, without naming the file."""


def parse_meta(data: bytes) -> dict[str, str | None]:
    r"""Return the scalars of a `meta.yaml`, each as the text that stands there; None for null.

    Numbers stay text, so that an id keeps its leading zeros. Lists and mappings inside are left out.

    Raises:
        MetaError: It is too long, not UTF-8, not YAML, not a mapping, empty, or uses aliases.

    >>> parse_meta(b"artifact_uri: file:///a%20b\nend_time: null\nexperiment_id: 0\nname: ''\ntags: []\n")
    {'artifact_uri': 'file:///a%20b', 'end_time': None, 'experiment_id': '0', 'name': ''}
    """
    if len(data) > MAX_BYTES:
        raise MetaError(f"longer than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetaError("not UTF-8") from error
    found: dict[str, str | None] = {}
    lines = text.split("\n")
    if lines.pop():
        return _parse_unusual(text)
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is not None:
            key, quoted, plain = match.groups()
            found[key] = quoted if plain is None else None if plain in _NULLS else plain
        elif not _EMPTY_LIST.fullmatch(line):
            return _parse_unusual(text)
    return found or _parse_unusual(text)


def _parse_unusual(text: str) -> dict[str, str | None]:
    """Read any YAML mapping by its events: wrapped lines, escapes, comments, other quoting."""
    import yaml  # noqa: PLC0415 - most stores never need it, and it costs 20 ms

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, str | None] = {}
    depth = 0  # 1 is inside the mapping, 2 and more inside a value that is left out
    key: str | None = None
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise MetaError("aliases are not read")
            if isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                _check_collection(depth, is_mapping=isinstance(event, yaml.MappingStartEvent), key=key)
                key = None
            elif isinstance(event, yaml.ScalarEvent) and depth <= 1:
                if key is not None:
                    found[key] = None if not event.style and event.value in _NULLS else event.value
                key = event.value if key is None else None
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "unreadable"
        raise MetaError(f"not YAML ({problem})") from error
    if not found:
        raise MetaError("empty, or no mapping")
    return found


def _check_collection(depth: int, *, is_mapping: bool, key: str | None) -> None:
    if depth > _MAX_DEPTH:
        raise MetaError("nested too deeply")
    if depth == 1 and not is_mapping:
        raise MetaError("a list, no mapping")
    if depth - 1 == 1 and key is None:
        raise MetaError("a key is no plain text")
