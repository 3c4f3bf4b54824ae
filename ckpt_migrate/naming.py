"""The forms of a directory name, legacy and target, and nothing else.

A form is a template such as ``{uuid}_{stamp}``, or, where a framework spreads the name over folders, of several parts
such as ``{date}/{time}``. Its fields:

======== =====================================================
uuid     32 lower-case hexadecimal digits
run_id   the same form, naming an MLflow run
stamp    a local date and time, ``YYYYMMDD_HHMMSS``
date     a local date, ``YYYY-MM-DD``
time     a local time, ``HH-MM-SS``
number   decimal digits
name     any text
======== =====================================================
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

STAMP_FORMAT = "%Y%m%d_%H%M%S"
_FIELDS = {
    "uuid": r"[0-9a-f]{32}",
    "run_id": r"[0-9a-f]{32}",
    "stamp": r"[0-9]{8}_[0-9]{6}",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "time": r"[0-9]{2}-[0-9]{2}-[0-9]{2}",
    "number": r"[0-9]+",
    "name": r"[^/]+",
}
_IDS = ("uuid", "run_id")
_LOOSE_HEX = r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}"
_LOOSE_STAMP = r"[0-9]{8}[_-]?T?[0-9]{6}"
_LOOSENED = ("uuid", "run_id", "stamp")
_STAMP = re.compile(_FIELDS["stamp"])
RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class DirectoryName:
    """A directory name in its parts.

    Attributes:
        uid: The 32 digits: a made-up uuid in a legacy name, a run id in a target name; empty where it has none.
        stamp: The stamp, as ``YYYYMMDD_HHMMSS``; empty where it has none.
        local_time: The stamp as naive local time, whole seconds; its time zone is not in the name. None without stamp.
        label: What stands in ``{name}``; empty where it has none.
        depth: Over how many folders the name is spread.
    """

    uid: str
    stamp: str
    local_time: datetime | None
    label: str = ""
    depth: int = 1


def parse_stamp(stamp: str) -> datetime | None:
    """Return the naive local time of a stamp, or None when no calendar has it.

    >>> parse_stamp("20260201_041227")
    datetime.datetime(2026, 2, 1, 4, 12, 27)
    >>> parse_stamp("20260230_041227") is None
    True
    """
    if _STAMP.fullmatch(stamp) is None:
        return None
    year, month, day = int(stamp[:4]), int(stamp[4:6]), int(stamp[6:8])
    hour, minute, second = int(stamp[9:11]), int(stamp[11:13]), int(stamp[13:])
    try:
        # Local by nature: only `clock` knows the zone. Ten times as fast as strptime, which takes " 1" for a day, too.
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - see above
    except ValueError:
        return None


def is_run_id(text: str) -> bool:
    """Say whether a text has the form of an MLflow run id.

    >>> is_run_id("94525c6650a3407985928d7c2f83f9eb"), is_run_id("94525C66-50a3")
    (True, False)
    """
    return RUN_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class NameForm:
    """A name template, used in both directions; or several, of which the first that fits counts.

    Attributes:
        template: The template, or the first of several.
        others: The rest of them.

    >>> form = NameForm("{uuid}_{stamp}")
    >>> form.parse("ac7c134d5a5a44c4ac38fbc83f650af0_20260201_041227").stamp
    '20260201_041227'
    >>> form.parse("ac7c134d5a5a44c4ac38fbc83f650af0_20260231_041227") is None
    True
    >>> NameForm("{date}/{time}").parse("/data/outputs/2026-02-01/04-12-27").stamp
    '20260201_041227'
    """

    template: str
    others: tuple[str, ...] = ()

    @property
    def templates(self) -> tuple[str, ...]:
        """All templates, in order."""
        return (self.template, *self.others)

    @cached_property
    def _patterns(self) -> tuple[tuple[int, re.Pattern[str]], ...]:
        return tuple((text.count("/") + 1, re.compile(_expand(text, _FIELDS))) for text in self.templates)

    @cached_property
    def _loose_patterns(self) -> tuple[re.Pattern[str], ...]:
        loose = {**_FIELDS, "uuid": _LOOSE_HEX, "run_id": _LOOSE_HEX, "stamp": _LOOSE_STAMP}
        return tuple(re.compile(_expand(text, loose)) for text in self.templates if fields_of(text) <= set(_LOOSENED))

    @property
    def id_field(self) -> str:
        """The name of the field that holds the 32 digits: `uuid` or `run_id`."""
        return "run_id" if "{run_id}" in self.template else "uuid"

    def parse(self, path: str) -> DirectoryName | None:
        """Return the parts of a name of exactly this form, or None.

        Args:
            path: A name, or a path whose last parts are it.
        """
        for depth, pattern in self._patterns:
            match = pattern.fullmatch(path if depth == 1 and "/" not in path else _tail(path, depth))
            name = None if match is None else _name_of(match.groupdict(), depth)
            if name is not None:
                return name
        return None

    def format(self, *, uid: str, stamp: str, label: str = "") -> str:
        """Return the name that has these parts."""
        date, time = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}", f"{stamp[9:11]}-{stamp[11:13]}-{stamp[13:]}"
        return self.template.format(**{self.id_field: uid, "stamp": stamp, "date": date, "time": time, "name": label})

    def why_not(self, name: str) -> str | None:
        """Return why a name that looks like this form is not of it; None when it does not even look so.

        >>> NameForm("{uuid}_{stamp}").why_not("AC7C134D5A5A44C4AC38FBC83F650AF0_20260201_041227")
        'the id has upper-case letters'
        """
        for pattern in self._loose_patterns:
            match = pattern.fullmatch(name)
            if match is not None:
                return _why_not(match.groupdict())
        return None


def fields_of(template: str) -> set[str]:
    """Return the fields that stand in a template."""
    return set(re.findall(r"\{(\w*)\}", template))


def _expand(template: str, fields: dict[str, str]) -> str:
    parts = re.split(r"\{(\w+)\}", template)
    literal, named = parts[0::2], parts[1::2]
    out = re.escape(literal[0])
    for name, text in zip(named, literal[1:], strict=True):
        out += f"(?P<{name}>{fields[name]}){re.escape(text)}"
    return out


def _tail(path: str, depth: int) -> str:
    return "/".join(path.replace(os.sep, "/").rsplit("/", depth)[-depth:])


def _name_of(found: dict[str, str], depth: int) -> DirectoryName | None:
    uid = next((found[field] for field in _IDS if field in found), "")
    stamp = found.get("stamp", "")
    if "date" in found:
        stamp = f"{found['date'].replace('-', '')}_{found['time'].replace('-', '')}"
    local_time = parse_stamp(stamp)
    if stamp and local_time is None:
        return None
    return DirectoryName(uid, stamp, local_time, found.get("name", ""), depth)


def _why_not(found: dict[str, str]) -> str | None:
    uid = next((found[field] for field in _IDS if field in found), "")
    if "-" in uid:
        return "the id is written with dashes"
    if uid != uid.lower():
        return "the id has upper-case letters"
    stamp = found.get("stamp")
    if stamp is None:
        return None
    if _STAMP.fullmatch(stamp) is None:
        return f"the time stamp {stamp} is not written YYYYMMDD_HHMMSS"
    if parse_stamp(stamp) is None:
        return f"the time stamp {stamp} is no date that exists"
    return None


def check_template(template: str, *, is_path: bool = False) -> tuple[str, ...]:
    """Return what is wrong with a name template, nothing when it can be used.

    Args:
        template: The template.
        is_path: Whether it may be spread over several folders.
    """
    fields = re.findall(r"\{(\w*)\}", template)
    problems = [f"unknown field {{{name}}}" for name in dict.fromkeys(fields) if name not in _FIELDS]
    problems += [f"needs {{{name}}} no more than once" for name in _FIELDS if fields.count(name) > 1]
    if "uuid" in fields and "run_id" in fields:
        problems.append("needs no more than one of {uuid} and {run_id}")
    if ("date" in fields) != ("time" in fields):
        problems.append("needs {date} and {time} together")
    if "date" in fields and "stamp" in fields:
        problems.append("needs {stamp} or {date} and {time}, not both")
    if "/" in template and not is_path:
        problems.append("must be one directory name, without /")
    if template.startswith("/") or template.endswith("/") or "//" in template:
        problems.append("must be folder names with one / between them")
    if re.search(r"[{}]", re.sub(r"\{\w*\}", "", template)) is not None:
        problems.append("has a brace that belongs to no field")
    if not template.isprintable():
        problems.append("has characters that cannot be shown")
    return tuple(problems)


def check_renaming(legacy: str, target: str) -> tuple[str, ...]:
    """Return what keeps names of one form from being renamed to another.

    A legacy name needs an id or a stamp, or any folder would be one; a target names its run and keeps the rest.
    """
    before, after = fields_of(legacy), fields_of(target)
    problems = []
    if before.isdisjoint({"uuid", "run_id", "stamp", "date"}):
        problems.append("legacy needs {uuid}, {stamp}, or {date} and {time}")
    if "run_id" not in after:
        problems.append("target needs {run_id}")
    if "number" in before:
        problems.append("legacy with {number} can be linked, not renamed")
    lost = before - after - {"uuid", "run_id", "number"}
    problems += [f"target must keep {{{name}}} of legacy" for name in sorted(lost)]
    problems += [f"target has {{{name}}}, which legacy has not" for name in sorted(after - before - {"run_id", "uuid"})]
    if "uuid" in after:
        problems.append("target must not have {uuid}")
    return tuple(problems)
