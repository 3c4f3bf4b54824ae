"""Reading a plan in the form in which plans are written: many times faster than YAML, and in little memory.

A plan of 100,000 entries has millions of lines, and a YAML parser makes an event of each scalar. Here an entry is taken
by one regular expression, and only when its seal says that it is as the planner wrote it. Whatever is not exactly so
goes to the strict reader: an edited entry by itself, everything else with the whole file. So nothing here judges or
tells what is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from sys import intern
from typing import TYPE_CHECKING

from ckpt_migrate.plan.fields import entry_data, run_data
from ckpt_migrate.plan.records import Action, Candidate, Entry, RunFacts, Status
from ckpt_migrate.plan.seal import broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Without colon, #, quote, bracket or brace a text is one plain scalar wherever it stands.
_PLAIN = r"(?:[A-Za-z0-9_/]|\.{1,2}/)[A-Za-z0-9_/.+,()=<>%@ -]*(?<! )"
_RAW = '[^"\\\\\x00-\x1f\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]*'
_ESCAPE = r'\\(?:[\\"ntre]|x[0-9a-f]{2}|u(?!d[89a-f])[0-9a-f]{4}|U00(?:0[1-9a-f]|10)[0-9a-f]{4})'
_QUOTED = f'"{_RAW}(?:{_ESCAPE}{_RAW})*"'
_TEXT = f"(?:{_PLAIN}|{_QUOTED})"
_TOKEN = f"(?:{_PLAIN.replace(',', '')}|{_QUOTED})"
_PAIRS = rf"\{{({_TOKEN}: {_TOKEN}(?:, {_TOKEN}: {_TOKEN})*)\}}"
_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?"
_ITEM = rf"- {_TEXT}\n"
_CANDIDATE = (
    rf"  - run_id: (?P<run_id>{_TEXT})\n    confidence: (?P<confidence>{_NUMBER})\n"
    rf"    evidence:(?: \[\]\n|\n(?P<evidence>(?:    {_ITEM})+))"
)
_UNNAMED = re.sub(r"\?P<\w+>", "?:", _CANDIDATE)
_ENTRY = re.compile(
    rf"- checkpoint: ({_TEXT})\n  status: ([a-z]+)\n  action: ([a-z]+)\n  run_id: ({_TEXT})\n"
    rf"(?:  target: ({_TEXT})\n)?(?:  confidence: ({_NUMBER})\n)?(?:  evidence:\n((?:  {_ITEM})+))?"
    rf"(?:  reason: ({_TEXT})\n)?(?:  candidates:\n((?:{_UNNAMED})+))?"
    rf"(?:  fingerprint: ({_TEXT})\n)?  seal: ({_TEXT})\n"
)
_RUN = re.compile(
    rf"  ({_TOKEN}):\n    name: ({_TEXT})\n    experiment: ({_TEXT})\n    experiment_id: ({_TEXT})\n"
    rf"    status: ({_TEXT})\n    is_deleted: (true|false)\n(?:    start: ({_TEXT})\n)?"
    rf"(?:    artifact_uri: ({_TEXT})\n)?(?:    params: {_PAIRS}\n)?(?:    metrics: {_PAIRS}\n)?    seal: ({_TEXT})\n"
)
_CANDIDATES = re.compile(_CANDIDATE)
_ITEMS = re.compile(rf"^ *- ({_TEXT})$", re.MULTILINE)
_TOKENS = re.compile(_TOKEN)
_ESCAPES = re.compile(_ESCAPE)
_NAMED = {'\\"': '"', "\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\r": "\r", "\\e": "\x1b"}
_NULLS = frozenset({"null", "Null", "NULL"})
_STATUS = {status.value: status for status in Status}
_ACTION = {action.value: action for action in Action}
_LINE_END = re.compile("[\r\x85\u2028\u2029]")
"""Ends a line as well, in YAML, and would put its numbers out."""
_LONGEST_KEY = 500
"""Characters of a key; YAML ends at 1,024, quotes and escapes included."""


class OtherFormError(Exception):
    """The text is not as plans are written; it may be a plan all the same."""


_LONGEST_ITEM = 1 << 25
"""Characters of an entry or a run, or of all above the entries; there are plans of 200 million."""


@dataclass(frozen=True, slots=True)
class Unread:
    """The text of an entry that is not as it was written, and the 1-based line before it."""

    text: str
    line: int


class WrittenText:
    """The text of a plan, taken from its beginning to its end and never held as a whole.

    Ask for `entries`, then `runs`, then `frame`, each to its end.

    Attributes:
        head: All above the entries.

    Raises:
        OtherFormError: It is not as plans are written; so does all that is asked for.
    """

    def __init__(self, chunks: Iterable[str]) -> None:
        """Take the text in chunks of any size."""
        self._chunks = iter(chunks)
        # What was not taken yet begins with the end of the line before it.
        self._text = "\n"
        self.head = "".join(self._until("\nentries:\n", lambda _: 0))

    def entries(self, root_of: Callable[[str], str | None], *, with_evidence: bool) -> Iterator[Entry | Unread]:
        """Yield the entries, those that are not as they were written as their text.

        Args:
            root_of: Returns the root of a checkpoint as the plan has it, None when it lies in none.
            with_evidence: Whether evidence and candidates are kept of entries that are as they were written.
        """
        line = self.head.count("\n") + 1
        for text in self._until("\nruns:\n", lambda text: text.rfind("\n- checkpoint: ")):
            start = 0
            while text.startswith("- ", start):
                match = _ENTRY.match(text, start)
                entry = None if match is None else _entry(match, line, root_of)
                if match is None or entry is None:
                    stop = text.find("\n- checkpoint: ", start) + 1 or len(text)
                    yield Unread(text[start:stop], line)
                else:
                    stop = match.end()
                    yield entry if with_evidence else replace(entry, evidence=(), candidates=())
                line += text.count("\n", start, stop)
                start = stop
            _check_rest(text, start)
            line += text.count("\n", start)

    def runs(self) -> Iterator[RunFacts]:
        """Yield the runs."""
        for text in self._until("\nseal: ", lambda text: text.find("\n", text.rfind("\n    seal: ") + 1)):
            start = 0
            while (match := _RUN.match(text, start)) is not None:
                yield _run(match)
                start = match.end()
            _check_rest(text, start)

    def frame(self) -> str:
        """Return all of the text but its entries and runs, which are empty in it."""
        rest = self._text[1:] + "".join(self._chunks)
        if _LINE_END.search(rest) is not None:
            raise OtherFormError
        return f"{self.head}entries: []\nruns: {{}}\nseal: {rest}"

    def _until(self, mark: str, last_end: Callable[[str], int]) -> Iterator[str]:
        """Yield the text up to a mark, which begins with the end of a line, in pieces; the mark is taken as well.

        Args:
            mark: The mark.
            last_end: Returns where in a text the line ends that is the last one of an item; not above 0 for nowhere.

        Raises:
            OtherFormError: The mark is not there.
        """
        text = self._text
        while (end := text.find(mark)) < 0:
            stop = last_end(text)
            if stop > 0:
                yield text[1 : stop + 1]
                text = text[stop:]
            elif len(text) > _LONGEST_ITEM:
                raise OtherFormError
            text += self._next()
        yield text[1 : end + 1]
        self._text = text[end + len(mark) - 1 :]

    def _next(self) -> str:
        chunk = next(self._chunks, None)
        if chunk is None or _LINE_END.search(chunk) is not None:
            raise OtherFormError
        return chunk


def _run(match: re.Match[str]) -> RunFacts:
    values = [None if value is None else _text(value) for value in match.group(1, 2, 3, 4, 5, 7, 8)]
    run_id, name, experiment, experiment_id, status, began, artifact_uri = values
    if None in values[:5]:
        raise OtherFormError
    run = RunFacts(
        run_id=str(run_id),
        name=str(name),
        experiment=intern(str(experiment)),
        experiment_id=intern(str(experiment_id)),
        status=intern(str(status)),
        is_deleted=match[6] == "true",
        start=began,
        artifact_uri=artifact_uri,
        params=dict(_pairs(match[9])),
        metrics={key: _number(value) for key, value in _pairs(match[10])},
    )
    if broken(_text(match[11]) or "", run_data(run)) != ():
        raise OtherFormError
    return run


def _entry(match: re.Match[str], line: int, root_of: Callable[[str], str | None]) -> Entry | None:
    """Return the entry that was matched; None when it is not as it was written."""
    texts = [None if value is None else _text(value) for value in match.group(1, 4, 5, 8, 10, 11)]
    checkpoint, run_id, target, reason, fingerprint, sealed = texts
    status, action = _STATUS.get(match[2]), _ACTION.get(match[3])
    root = None if checkpoint is None else root_of(checkpoint)
    if checkpoint is None or root is None or status is None or action is None or sealed is None:
        return None
    entry = Entry(
        checkpoint=checkpoint,
        root=root,
        status=status,
        action=action,
        run_id=run_id,
        target=target,
        confidence=None if match[6] is None else float(match[6]),
        evidence=_items(match[7]),
        reason=reason,
        candidates=tuple(_candidates(match[9])),
        fingerprint=fingerprint,
        line=line + 1,
        run_id_line=line + 4,
    )
    return entry if broken(sealed, entry_data(entry)) == () else None


def _candidates(written: str | None) -> Iterator[Candidate]:
    for run_id, confidence, evidence in _CANDIDATES.findall(written or ""):
        yield Candidate(_text(run_id) or "", float(confidence), _items(evidence))


def _items(written: str | None) -> tuple[str, ...]:
    return tuple([_text(item) or "" for item in _ITEMS.findall(written)]) if written else ()


def _pairs(written: str | None) -> Iterator[tuple[str, str]]:
    tokens = _TOKENS.findall(written) if written else ()
    for key, value in zip(tokens[::2], tokens[1::2], strict=True):
        if len(key) > _LONGEST_KEY or value in _NULLS:
            raise OtherFormError
        name = _text(key)
        yield intern(key if name is None else name), _text(value) or ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OtherFormError from None


def _text(written: str) -> str | None:
    """Return the text of a scalar, None for null."""
    if not written.startswith('"'):
        return None if written in _NULLS else written
    inner = written[1:-1]
    return _ESCAPES.sub(_unescape, inner) if "\\" in inner else inner


def _unescape(match: re.Match[str]) -> str:
    digits = match[0][2:]
    return chr(int(digits, 16)) if digits else _NAMED[match[0]]


def _check_rest(text: str, start: int) -> None:
    """Raise unless nothing but blank lines and comments is left."""
    for line in text[start:].split("\n"):
        if line and (line[0] != "#" or not line.isascii() or not line.isprintable()):
            raise OtherFormError
