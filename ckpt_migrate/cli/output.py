"""What commands print: text for people and JSON from the same records; progress; the question before a change."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ckpt_migrate.cli.loudness import Loudness, current
from ckpt_migrate.cli.terminal import can_move, dressed, folded, is_terminal, painted
from ckpt_migrate.errors import CkptMigrateError, UsageError
from ckpt_migrate.plan.fields import link_data
from ckpt_migrate.progress import SILENT
from ckpt_migrate.scan.inspection import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.progress import Progress

T = TypeVar("T")
MOST_PROBLEMS = 1_000
MOST_LINKS = 20
LINES_AT_ONCE = 1_000
# What JSON leaves as it is beyond ASCII; of it, all without a glyph of its own is written out.
_RAW_IN_JSON = re.compile("[\x7f-\U0010ffff]")


def plain(value: object) -> Any:  # noqa: ANN401 - plain data is of many types
    """Return a record as plain data for JSON; field names as they are, enums by value, bytes never.

    JSON has no infinity and no NaN; they become text.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value


def print_json(value: object) -> None:
    """Print plain data as JSON; control characters are written out, those included that JSON itself lets through."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False, default=str)
    echo(_RAW_IN_JSON.sub(lambda match: match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1], text))


def echo(text: str = "", *, nl: bool = True) -> None:
    """Print data to standard output, control characters but newlines written out.

    A reader that goes away (`| head -1`) has seen what it wanted: the command carries on and keeps its exit code.

    Raises:
        CkptMigrateError: It cannot be written for another reason, such as a full disk.
    """
    _write(printable_lines(text), nl=nl)


def echo_painted(lines: Iterable[str]) -> None:
    """Print lines whose parts come from names and may hold anything, in colours where the terminal shows them.

    A newline in a name makes no line of its own.

    Raises:
        CkptMigrateError: As `echo`.
    """
    _write_lines(dressed(map(shown, lines), sys.stdout, is_folded=False))


def echo_lines(lines: Iterable[str]) -> None:
    """Print such lines; on a terminal, long ones are broken between words, and go on below their own beginning.

    Raises:
        CkptMigrateError: As `echo`.
    """
    _write_lines(dressed(map(shown, lines), sys.stdout, is_folded=True))


def _write_lines(lines: Iterator[str]) -> None:
    """Write lines in blocks: neither a system call for each, nor the text of a hundred thousand in memory."""
    is_first = True
    while block := list(islice(lines, LINES_AT_ONCE)):
        text = "\n".join(block)
        if text or not is_first:
            _write(text)
        is_first = False


def tell(text: str = "") -> None:
    """Print sentences to standard output, broken between words on a terminal.

    Raises:
        CkptMigrateError: As `echo`.
    """
    for line in text.split("\n"):
        for part in folded(shown(line), sys.stdout):
            _write(part)


def _write(text: str, *, nl: bool = True) -> None:
    try:
        click.echo(text, nl=nl)
    except OSError as error:
        # The descriptor, not the object: what is still buffered is flushed when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            remedy = "What the command had done by then is done; `ckpt-migrate log` lists applies."
            raise CkptMigrateError(f"standard output cannot be written ({error.strerror})", remedy=remedy) from error


def hint(text: str) -> None:
    """Print what to do next to standard output, unless the command is to be quiet."""
    if current() is not Loudness.QUIET:
        echo(text)


def say(text: str) -> None:
    """Print a remark to standard error; a progress bar that stands there makes room for it."""
    lines = [shown(line) for line in text.split("\n")]
    out = "\n".join(painted(part, sys.stderr) for line in lines for part in folded(line, sys.stderr))
    bar = sys.modules.get("tqdm")
    if bar is not None and can_move(sys.stderr):
        bar.tqdm.write(out, file=sys.stderr)
    else:
        click.echo(out, err=True)


def say_error(error: CkptMigrateError) -> None:
    """Print an error to standard error: what, where, all problems, what to do next."""
    where = "" if error.where is None else f"{shown(error.where)}: "
    lines = [f"Error: {where}{printable_lines(error.what)}"]
    lines += [f"  - {shown(problem)}" for problem in error.problems[:MOST_PROBLEMS]]
    if len(error.problems) > MOST_PROBLEMS:
        lines.append(f"  - and {len(error.problems) - MOST_PROBLEMS:,} more")
    if error.where is not None and (near := _near(error.where)) is not None:
        lines.append(f"  Did you mean {shown(near)}?")
    if error.remedy is not None:
        lines.append(f"  {printable_lines(error.remedy)}")
    say("\n".join(lines))


def _near(path: str) -> str | None:
    """Return what a mistyped path may have meant: its first part that is not there, as its folder spells it."""
    parts = path.rstrip("/").split("/")
    for end in range(1, len(parts) + 1):
        if os.path.lexists("/".join(parts[:end]) or "/"):
            continue
        folder = "/".join(parts[: end - 1])
        try:
            names = os.listdir(folder or ("/" if path.startswith("/") else "."))
        except OSError:
            return None
        near = get_close_matches(parts[end - 1], names, n=1)
        return "/".join([*parts[: end - 1], near[0], *parts[end:]]) if near else None
    return None


def say_links(plan: Plan) -> None:
    """Print which symbolic links lead nowhere once a plan is applied to standard error."""
    links = plan.dangling_links()
    for link in links[:MOST_LINKS]:
        what = f"{shown(link.path)} -> {shown(link.text)}"
        say(f"Warning: the link {what} will lead nowhere: the directory is renamed")
    if len(links) > MOST_LINKS:
        say(f"Warning: and {len(links) - MOST_LINKS:,} more such links; the plan lists them all under `links`")
    if links and (plan.references is None or not plan.references.paths):
        say("  To take links along, plan with --references PATH; to leave a link at each old name, with --leave-links.")
    elif links:
        say("  To take a link along, set its action to edit in the plan; or plan with --leave-links.")


def dangling_links(plan: Plan) -> list[dict[str, str | None]]:
    """Return those links for JSON, each with the path that it should lead to."""
    targets = {entry.checkpoint: entry.target for entry in plan.entries}
    return [{**link_data(link), "target": targets[link.checkpoint]} for link in plan.dangling_links()]


def shown(text: str) -> str:
    """Return a name for people: what moves a cursor, ends a line or turns the direction of writing is written out."""
    return printable(text)


def printable_lines(text: str) -> str:
    """Return text whose lines hold no control characters."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "\n".join(shown(line) for line in text.split("\n"))


def size(count: int) -> str:
    """Return a number of bytes for people.

    >>> size(1536)
    '1.5 KiB'
    """
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:  # noqa: PLR2004 - bytes in a KiB
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


class _Bars:
    """Progress bars on a terminal, drawn by tqdm."""

    def __init__(self, bar: Callable[..., Any]) -> None:
        self._bar = bar

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterable[T]:
        look = {"leave": False, "delay": 0.5, "dynamic_ncols": True, "miniters": 1}
        return self._bar(items, desc=label, total=total, file=sys.stderr, **look)  # type: ignore[no-any-return] # tqdm has no types


class _Timed:
    """Says how long each loop took, whatever else shows it."""

    def __init__(self, inner: Progress) -> None:
        self._inner = inner

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterable[T]:
        began, count = time.monotonic(), 0
        for item in self._inner.track(items, label=label, total=total):
            yield item
            count += 1
        say(f"{label}: {count:,} in {time.monotonic() - began:.1f} s")


def bars() -> Progress:
    """Return progress bars when standard error is a terminal that can show them, else silence; as loud as is wanted."""
    loudness = current()
    if loudness is Loudness.VERBOSE:
        return _Timed(_bars())
    return SILENT if loudness is Loudness.QUIET else _bars()


def _bars() -> Progress:
    if not can_move(sys.stderr):
        return SILENT
    try:
        from tqdm import tqdm
    except ImportError:  # the environment lost it; bars are no reason to fail
        return SILENT
    # Its monitor is a thread, and where there is a second one, checks are made without a second process.
    tqdm.monitor_interval = 0
    return _Bars(tqdm)


def confirm(question: str, *, yes: bool) -> bool:
    """Ask before a change; only `yes` is a yes.

    Raises:
        UsageError: There is no terminal to ask on and --yes was not given.
    """
    if yes:
        return True
    if not is_terminal(sys.stdin):
        remedy = "Look at --dry-run first, then give --yes."
        raise UsageError("there is no terminal to confirm on", remedy=remedy)
    say(question)
    click.echo("  Only 'yes' is accepted: ", nl=False, err=True)
    return sys.stdin.readline().strip() == "yes"
