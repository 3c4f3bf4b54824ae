"""Writing a plan: YAML made for reading and for diffs, the same bytes for the same plan."""

from __future__ import annotations

import math
import re
import shlex
from typing import TYPE_CHECKING, Any

from ckpt_migrate.plan.fields import (
    as_proposed,
    candidate_data,
    clock_data,
    entry_data,
    left_data,
    link_data,
    reference_data,
    references_top,
    run_data,
    sealed_top,
)
from ckpt_migrate.plan.records import PLAN_VERSION
from ckpt_migrate.plan.seal import checksum_line, seal
from ckpt_migrate.scan.inspection import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt_migrate.plan.records import Entry, Plan, RunFacts
    from ckpt_migrate.references.records import Reference, References

HEADER = """\
# A migration plan. Nothing has been changed yet.
#
# Read it, edit it, then:  ckpt-migrate apply {name} --dry-run   and   ckpt-migrate apply {name}
#
# What you may edit, entry by entry:
#   action: rename   rename the directory to its run's id, and write its manifests
#           repair   the name is right; write the manifests anew
#           skip     leave it alone
#   run_id: with action: rename, the run that made the checkpoint (32 hexadecimal digits). `target` follows from it.
# Everything else is the planner's; an edit there is refused with its line. To leave an entry out, set action: skip.
#
# status      matched: one run is singled out. ambiguous: several fit. unmatched: none does.
#             linked: named after its run already. busy: still being written. unreadable: could not be read.
# confidence  probability that run_id is right, as a lower bound; of candidates, how the probability is shared.
# evidence    strongest first, in bits: 10 bits make 1,000 times likelier, for or against.
# seal        tells the reader which keys were edited.
"""
_PLAIN = re.compile(r"(?:[A-Za-z_/]|\.{1,2}/)[A-Za-z0-9_/.+,()=<>%@ -]*")
_HEX_OR_NUMBER_LIKE = re.compile(r"[0-9a-f]{32}")
_NUMERIC = re.compile(r"[0-9_]+(e[0-9]+)?")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "none", "nan", "inf"})
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\x1b": "\\e"}


def render_plan(plan: Plan, name: str = "plan.yaml") -> str:
    """Return the plan as the text of its file.

    Args:
        plan: The plan.
        name: The file's name, for the commands in the comment on top.
    """
    parts = [HEADER.format(name=printable(shlex.quote(name))), "\n".join(_top(plan))]
    if plan.links:
        parts.append("\n# Symbolic links that lead nowhere once the directory that they name is renamed.\nlinks:")
        parts += ["\n" + "\n".join(_members(link_data(link), "- ")) for link in plan.links]
    if plan.references is not None:
        parts.append("\n" + "\n".join(_references(plan.references)))
    parts.append("\nentries:")
    parts += ["\n" + "\n".join(_entry(entry)) for entry in plan.entries] or [" []"]
    parts.append("\n\n# What the manifests say of each run that is named above.\nruns:")
    parts += ["\n" + "\n".join(_run(run)) for run in plan.runs.values()] or [" {}"]
    parts.append(
        f"\n\nseal: {scalar(seal(sealed_top(plan)))}\n# The next line tells whether a person has edited this file.\n"
    )
    text = "".join(parts)
    # A person's answers, kept from an earlier plan, must not be written over like what the planner can find again.
    return text if any(entry.proposal is not None for entry in plan.entries) else text + checksum_line(text)


def _top(plan: Plan) -> Iterator[str]:
    yield f"version: {PLAN_VERSION}"
    yield f"tool: {scalar(plan.tool)}"
    yield f"created: {scalar(plan.created)}"
    yield f"migration: {scalar(plan.migration)}"
    yield f"recipe_digest: {scalar(plan.recipe_digest)}"
    uris = list(plan.tracking_uri)
    yield f"tracking_uri: {flow(uris if len(uris) != 1 else uris[0])}"
    yield f"roots: {flow(list(plan.roots))}"
    yield "clock:"
    yield from (f"  {key}: {flow(value)}" for key, value in clock_data(plan.clock).items() if value not in (None, []))
    yield "summary:"
    yield from (f"  {key}: {flow(dict(counts))}" for key, counts in plan.summary.items())


def _entry(entry: Entry) -> Iterator[str]:
    sealed = entry_data(as_proposed(entry))
    data = {**sealed, "action": entry.action.value, "run_id": entry.run_id, "target": entry.target}
    yield from _members({key: data[key] for key in ("checkpoint", "status", "action", "run_id")}, "- ")
    yield from _members({key: data[key] for key in ("target", "confidence") if data[key] is not None}, "  ")
    if data["evidence"]:
        yield "  evidence:"
        yield from (f"  - {scalar(line)}" for line in data["evidence"])
    if entry.reason is not None:
        yield f"  reason: {flow(entry.reason)}"
    if entry.candidates:
        yield "  candidates:"
        for candidate in entry.candidates:
            yield from _candidate(candidate_data(candidate))
    if entry.fingerprint is not None:
        yield f"  fingerprint: {flow(entry.fingerprint)}"
    yield f"  seal: {scalar(seal(sealed))}"


def _candidate(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"  - run_id: {scalar(data['run_id'])}"
    yield f"    confidence: {flow(data['confidence'])}"
    yield f"    evidence:{'' if data['evidence'] else ' []'}"
    yield from (f"    - {scalar(line)}" for line in data["evidence"])


def _references(references: References) -> Iterator[str]:
    data = references_top(references)
    yield "# What names directories by their old names. In `files` you may set action: edit or skip."
    yield "references:"
    yield from (f"  {key}: {flow(data[key])}" for key in data if key not in {"files", "left"})
    yield f"  files:{'' if references.files else ' []'}"
    for reference in references.files:
        yield from _reference(reference)
    yield f"  left:{'' if references.left else ' []'}"
    for left in references.left:
        members = left_data(left)
        places = members.pop("where")
        yield from _members(members, "  - ", "    ")
        yield f"    where:{'' if places else ' []'}"
        yield from (f"    - {scalar(place)}" for place in places)


def _reference(reference: Reference) -> Iterator[str]:
    data = reference_data(reference)
    lines = data.pop("lines")
    first = {key: data[key] for key in ("file", "action", "kind", "count", "note") if data[key] is not None}
    yield from _members(first, "  - ", "    ")
    yield f"    lines:{'' if lines else ' []'}"
    for line in lines:
        yield f"    - line: {line['line']}"
        yield f"      before: {quoted(line['before'])}"
        yield f"      after:  {quoted(line['after'])}"
    yield from _members({key: data[key] for key in ("encoding", "at", "digest")}, "    ", "    ")
    yield f"    seal: {scalar(seal(reference_data(reference.as_proposed())))}"


def _run(run: RunFacts) -> Iterator[str]:
    data = run_data(run)
    yield f"  {scalar(run.run_id)}:"
    yield from _members({key: value for key, value in data.items() if value not in (None, {})}, "    ", "    ")
    yield f"    seal: {scalar(seal(data))}"


def _members(data: Mapping[str, object], first: str, rest: str = "  ") -> Iterator[str]:
    """Yield the members of a block mapping, a line each; `first` stands before the first one."""
    for place, (key, value) in enumerate(data.items()):
        yield f"{rest if place else first}{key}: {flow(value)}"


def flow(value: object) -> str:
    """Return plain data on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_in_flow(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    return _in_flow(str(value))


def _number(value: float) -> str:
    """Return a number as every YAML version reads it: 1.0e-05, which YAML 1.1 would take for text without its dot."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}[repr(value)]
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def scalar(text: str) -> str:
    """Return a text as a YAML scalar: plain where every YAML reader takes it for text, else double-quoted.

    >>> print(scalar("renamed to x"), scalar("20260201_041227"), scalar("a: b"), scalar("1e5"))
    renamed to x "20260201_041227" "a: b" "1e5"
    """
    if _HEX_OR_NUMBER_LIKE.fullmatch(text):
        return f'"{text}"' if _NUMERIC.fullmatch(text) else text
    if _PLAIN.fullmatch(text) and not text.endswith(" ") and text.lower() not in _WORDS:
        return text
    return quoted(text)


def _in_flow(text: str) -> str:
    out = scalar(text)
    return quoted(text) if "," in out and not out.startswith('"') else out


def quoted(text: str) -> str:
    """Return a text in double quotes, all that is not printable escaped."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_ESCAPES.get(char) or (char if char.isprintable() else _escape(char)) for char in text) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:  # noqa: PLR2004 - the widths of YAML's three escapes
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004
