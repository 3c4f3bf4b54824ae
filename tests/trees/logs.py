"""Log campaign: every prefix, every flipped byte and every repeated line of real logs is read or refused by its line.

    PYTHONPATH=.:tests python -m trees.logs [STEP]

The logs are those of an apply that failed, of a finished one, of a rollback that failed and of a finished one. What is
read of a damaged log must be what the whole one says, a part of it where something was lost; then it must say so, with
the line. Prefixes of a log are what crashes leave, so they are no damage as long as their extent does not say more.
STEP 1 (the default) takes every byte, STEP n every n-th one; repeated lines are always all tried.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import ExecutionError, JournalError
from ckpt_migrate.journal.extent import path_of
from ckpt_migrate.journal.fold import load
from ckpt_migrate.journal.logs import latest_log
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.rollback import roll_back
from trees.crash import make_referring_world, make_world, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ckpt_migrate.journal.history import History

SCENARIOS = ("failed apply", "finished apply", "failed rollback", "finished rollback")
FAILS_AT = 5
"""Which rename of a world's fails: not the first, not the last."""
_LINE = re.compile(r"lines? \d+|its end|every line of it|record \d+")
_FLIP = 0x10


@dataclass(frozen=True)
class Harm:
    """What is done to a log, and where; `is_lossless` when nothing that was acted upon is gone."""

    what: str
    data: bytes
    is_lossless: bool = False


def make_log(folder: Path, scenario: str, make: Callable[[Path], Any]) -> str:
    """Bring a fresh world to where the scenario ends and return the path of its log."""
    tree = make(folder / "project")
    recipe, plan = load_recipe(), tree.plan()
    _run(lambda: apply_plan(plan, recipe), does_fail=scenario == "failed apply")
    log = latest_log(str(tree.folder))
    if scenario.endswith("rollback"):
        _run(lambda: roll_back(log), does_fail=scenario.startswith("failed"))
    return log


def _run(work: Callable[[], object], *, does_fail: bool) -> None:
    if not does_fail:
        work()
        return
    with mock.patch.object(storage, "rename_noreplace", _failing()), contextlib.suppress(ExecutionError):
        work()


_real = storage.rename_noreplace


def _failing() -> Callable[[str, str], None]:
    calls = itertools.count(1)

    def rename(source: str, target: str) -> None:
        if next(calls) == FAILS_AT:
            raise OSError(errno.EIO, os.strerror(errno.EIO), source)
        _real(source, target)

    return rename


def harms(whole: bytes, step: int) -> Iterator[Harm]:
    """Yield everything that is done to a log."""
    for length in range(step // 2, len(whole), step):
        yield Harm(f"cut at byte {length}", whole[:length])
    for position in range(step // 2, len(whole), step):
        flipped = bytes([whole[position] ^ _FLIP])
        yield Harm(f"byte {position} flipped", whole[:position] + flipped + whole[position + 1 :])
    lines = whole.splitlines(keepends=True)
    for number, line in enumerate(lines):
        again = b"".join([*lines[: number + 1], line, *lines[number + 1 :]])
        yield Harm(f"line {number + 1} repeated", again, is_lossless=True)
        yield Harm(f"line {number + 1} repeated at the end", whole + line, is_lossless=True)


def campaign(
    folder: Path, *, step: int, make: Callable[[Path], Any] = make_world, scenarios: tuple[str, ...] = SCENARIOS
) -> Iterator[tuple[str, str, str]]:
    """Yield every harm, with an empty text or what was wrong with what was read of the log."""
    for position, scenario in enumerate(scenarios):
        log = make_log(folder / f"{make.__name__}{position}", scenario, make)
        whole, known = Path(log).read_bytes(), load(log)
        if known.contents.damage:
            yield scenario, "nothing", f"  damaged as it is: {known.contents.damage}"
        extent = Path(path_of(log)).read_bytes()
        for harm in harms(whole, step):
            Path(log).write_bytes(harm.data)
            if harm.what.startswith("cut"):
                Path(path_of(log)).write_bytes(b"")  # behind the log, as a crash leaves it
            else:
                Path(path_of(log)).write_bytes(extent)
            yield scenario, harm.what, _judge(log, harm, known)
        Path(log).write_bytes(whole)


def _judge(log: str, harm: Harm, known: History) -> str:
    try:
        found = load(log)
    except JournalError as error:
        is_named = _LINE.search(str(error)) is not None and not harm.is_lossless
        return "" if is_named else f"  refused: {error}"
    damage = found.contents.damage
    if any(_LINE.search(line) is None for line in damage):
        return f"  names no line: {damage}"
    if harm.is_lossless and (damage or found.state is not known.state):
        return f"  nothing is lost, and yet: {found.state} {damage}"
    places = {number: (item.source, item.target) for number, item in found.items.items()}
    if not places.items() <= {number: (item.source, item.target) for number, item in known.items.items()}.items():
        return f"  tells of other directories: {places}"
    paths = {number: edit.path for number, edit in found.edits.items()}
    if not paths.items() <= {number: edit.path for number, edit in known.edits.items()}.items():
        return f"  tells of other edits: {paths}"
    records = {record["seq"] for record in found.contents.records}
    lost = {record["seq"] for record in known.contents.records} - records
    if lost and not damage and not harm.what.startswith("cut"):
        return f"  lost records {sorted(lost)} in silence"
    return ""


def main() -> int:
    """Run the campaign on both worlds and print what went wrong."""
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as base:
        worlds = (campaign(Path(base), step=step, make=make) for make in (make_world, make_referring_world))
        return report("harmed logs", "harmed by", itertools.chain.from_iterable(worlds))


if __name__ == "__main__":
    sys.exit(main())
