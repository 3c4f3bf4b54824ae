"""The two forms of a directory name, legacy and target, and nothing else.

A form is a template such as ``{uuid}_{stamp}``. Its fields:

======== =====================================================
uuid     32 lower-case hexadecimal digits
run_id   the same form, naming an MLflow run
stamp    a local date and time, ``YYYYMMDD_HHMMSS``
======== =====================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

STAMP_FORMAT = "%Y%m%d_%H%M%S"
_FIELDS = {"uuid": r"[0-9a-f]{32}", "run_id": r"[0-9a-f]{32}", "stamp": r"[0-9]{8}_[0-9]{6}"}
_LOOSE_HEX = r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}"
_LOOSE_STAMP = r"[0-9]{8}[_-]?T?[0-9]{6}"
_STAMP = re.compile(_FIELDS["stamp"])
RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class DirectoryName:
    """A directory name in its parts.

    Attributes:
        uid: The 32 digits: a made-up uuid in a legacy name, a run id in a target name.
        stamp: The stamp as written.
        local_time: The stamp as naive local time, whole seconds; its time zone is not in the name.
    """

    uid: str
    stamp: str
    local_time: datetime


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
    """A name template, used in both directions.

    >>> form = NameForm("{uuid}_{stamp}")
    >>> form.parse("ac7c134d5a5a44c4ac38fbc83f650af0_20260201_041227").stamp
    '20260201_041227'
    >>> form.parse("ac7c134d5a5a44c4ac38fbc83f650af0_20260231_041227") is None
    True
    """

    template: str

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self._expand(_FIELDS))

    @cached_property
    def _loose_pattern(self) -> re.Pattern[str]:
        loose = {"uuid": _LOOSE_HEX, "run_id": _LOOSE_HEX, "stamp": _LOOSE_STAMP}
        return re.compile(self._expand(loose))

    def _expand(self, fields: dict[str, str]) -> str:
        parts = re.split(r"\{(\w+)\}", self.template)
        literal, named = parts[0::2], parts[1::2]
        out = re.escape(literal[0])
        for name, text in zip(named, literal[1:], strict=True):
            out += f"(?P<{name}>{fields[name]}){re.escape(text)}"
        return out

    @property
    def id_field(self) -> str:
        """The name of the field that holds the 32 digits: `uuid` or `run_id`."""
        return "run_id" if "{run_id}" in self.template else "uuid"

    def parse(self, name: str) -> DirectoryName | None:
        """Return the parts of a name of exactly this form, or None."""
        match = self._pattern.fullmatch(name)
        if match is None:
            return None
        stamp = match["stamp"]
        local_time = parse_stamp(stamp)
        return None if local_time is None else DirectoryName(match[self.id_field], stamp, local_time)

    def format(self, *, uid: str, stamp: str) -> str:
        """Return the name that has these parts."""
        return self.template.format(**{self.id_field: uid, "stamp": stamp})

    def why_not(self, name: str) -> str | None:
        """Return why a name that looks like this form is not of it; None when it does not even look so.

        >>> NameForm("{uuid}_{stamp}").why_not("AC7C134D5A5A44C4AC38FBC83F650AF0_20260201_041227")
        'the id has upper-case letters'
        """
        match = self._loose_pattern.fullmatch(name)
        if match is None:
            return None
        uid, stamp = match[self.id_field], match["stamp"]
        if "-" in uid:
            return "the id is written with dashes"
        if uid != uid.lower():
            return "the id has upper-case letters"
        if re.fullmatch(_FIELDS["stamp"], stamp) is None:
            return f"the time stamp {stamp} is not written YYYYMMDD_HHMMSS"
        if parse_stamp(stamp) is None:
            return f"the time stamp {stamp} is no date that exists"
        return None


def check_template(template: str) -> tuple[str, ...]:
    """Return what is wrong with a name template, nothing when it can be used."""
    fields = re.findall(r"\{(\w*)\}", template)
    problems = [f"unknown field {{{name}}}" for name in fields if name not in _FIELDS]
    if fields.count("stamp") != 1:
        problems.append("needs {stamp} exactly once")
    if fields.count("uuid") + fields.count("run_id") != 1:
        problems.append("needs exactly one of {uuid} and {run_id}")
    if "/" in template:
        problems.append("must be one directory name, without /")
    if re.search(r"[{}]", re.sub(r"\{\w*\}", "", template)) is not None:
        problems.append("has a brace that belongs to no field")
    if not template.isprintable():
        problems.append("has characters that cannot be shown")
    return tuple(problems)
