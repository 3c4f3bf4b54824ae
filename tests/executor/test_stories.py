"""Random stories of plans, applies, crashes, continuations, rollbacks and other people's doings, held to a model.

The model knows of each directory where it must be and which log renamed it; after each step the disk and the logs must
say the same. At the end of each story everything is undone, newest log first, and the tree is as it was, byte for byte
and time for time. STORIES in the environment says how many are told.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from trees import LONG_AGO_NS, Tree, make_tree, run_id, set_time, stamp, uid

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import DriftError, PlanAppliedError, UnfinishedError
from ckpt_migrate.executor import batches
from ckpt_migrate.journal.fold import load
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.journal.logs import find_logs
from ckpt_migrate.plan.records import Action, Plan
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.rollback import roll_back
from ckpt_migrate.scan.listing import current_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = range(5)
CHAINED = 3
"""The one whose new name is the old one of the next."""
RECIPE = load_recipe()
CRASHING = ("append", "sync_log", "rename_noreplace", "stage_file", "sync_file", "exchange", "remove_file", "set_times")
CRASHES = st.integers(1, 30)
"""At which of those calls it ends: two directories make some twenty, so that most crashes strike."""
WAYS = st.sampled_from(["raised", "killed"] if hasattr(os, "fork") else ["raised"])
"""A crash is an exception that nobody catches, or SIGKILL to a process of its own: its lock and all that it knew go."""
IN_WAY = "left by somebody"
LATER, SAVED = "later.ckpt", b"saved by somebody\n"


class CrashError(BaseException):
    """Ends a run where it stands, as a kill would."""


class Stories(RuleBasedStateMachine):
    """One tree, at most one plan in work, any number of logs."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="stories_"))
        self.renamed: dict[int, str] = {}  # directory to the log that renamed it
        self.chosen: frozenset[int] = frozenset()
        self.cut_short: str | None = None  # log of the work that was cut short
        self.is_undoing = False
        self.in_way: Path | None = None
        self.grown: set[int] = set()  # directories in which somebody has put a file
        self.saved: set[int] = set()  # directories whose README.md somebody has written anew
        self.unseen: dict[int, str] = {}  # of these, those that no plan has seen, and the log that renamed them
        self.group_size, batches.GROUP_SIZE = batches.GROUP_SIZE, 2

    def teardown(self) -> None:
        """Undo the whole story and compare with how it began."""
        try:
            if hasattr(self, "tree"):
                self._clear_way()
                newest_first = [log.path for log in reversed(find_logs(str(self.tree.root)))]
                for log in [self.cut_short, *newest_first] if self.cut_short else newest_first:
                    result = roll_back(log)
                    assert (result.missing, result.occupied, result.changed, result.damage) == ((), (), (), ())
                    assert len(result.edited) <= len(self.saved)
                self._clear_directories()
                assert self.tree.snapshot() == self.before
        finally:
            batches.GROUP_SIZE = self.group_size
            shutil.rmtree(self.base)

    @initialize(with_readme=st.frozensets(st.sampled_from(NUMBERS)))
    def make(self, with_readme: frozenset[int]) -> None:
        """Make directories, some with notes of their owner."""
        self.tree: Tree = make_tree(self.base / "project")
        for number in NUMBERS:
            files = {"model.pt": b"w%d" % number, **({"README.md": b"notes"} if number in with_readme else {})}
            self.tree.add(number, files=files, new=self._new(number).name)
        self.with_readme = with_readme
        self.tree.settle()
        self.tree.refresh()
        self.before = self.tree.snapshot()

    @precondition(lambda self: self.cut_short is None and len(self.renamed) < len(NUMBERS))
    @rule(data=st.data())
    def plan(self, data: st.DataObject) -> None:
        """Plan some of those that are not renamed yet; editing a plan is choosing others."""
        left = sorted(set(NUMBERS) - self.renamed.keys())
        for number in left:
            fingerprint = current_fingerprint(str(self._old(number)))
            self.tree.entries[number] = replace(self.tree.entries[number], fingerprint=fingerprint)
        self.chosen = data.draw(st.frozensets(st.sampled_from(left), min_size=1))

    @precondition(lambda self: self.chosen and self.cut_short is None and not self.in_way)
    @rule()
    def apply(self) -> None:
        """What is planned is renamed, unless a name is taken by one that stays; a second time is refused."""
        if self._is_taken():
            now = self.tree.snapshot()
            with pytest.raises(DriftError, match="is taken"):
                apply_plan(self._plan(), RECIPE)
            assert self.tree.snapshot() == now
            return
        result = apply_plan(self._plan(), RECIPE)
        assert result.log is not None
        self.renamed |= dict.fromkeys(self.chosen, result.log)
        with pytest.raises(PlanAppliedError):
            apply_plan(self._plan(), RECIPE)
        self.chosen = frozenset()

    @precondition(lambda self: self.chosen and self.cut_short is None and not self.in_way and not self._is_taken())
    @rule(at=CRASHES, way=WAYS)
    def crash_while_applying(self, at: int, way: str) -> None:
        """Killed anywhere: it is unfinished, or finished, or was never begun."""
        known = {log.path for log in find_logs(str(self.tree.root))}
        self._crash(at, way, lambda: apply_plan(self._plan(), RECIPE))
        new = [log for log in find_logs(str(self.tree.root)) if log.path not in known]
        if new and new[0].state is LogState.UNFINISHED:
            self.cut_short = new[0].path
        elif new and new[0].state is LogState.FINISHED:
            self.renamed |= dict.fromkeys(self.chosen, new[0].path)
            self.chosen = frozenset()

    @precondition(lambda self: self.cut_short is not None and not self.is_undoing and not self.in_way)
    @rule()
    def carry_on(self) -> None:
        """The same command ends what was begun."""
        assert apply_plan(self._plan(), RECIPE).was_continued
        self.renamed |= dict.fromkeys(self.chosen, str(self.cut_short))
        self.cut_short, self.chosen = None, frozenset()

    @precondition(lambda self: self.cut_short is not None and not self.is_undoing and not self.in_way)
    @rule(at=CRASHES, way=WAYS)
    def crash_while_carrying_on(self, at: int, way: str) -> None:
        """Killed again: what the log said of the state before the first crash still counts."""
        log = str(self.cut_short)
        self._crash(at, way, lambda: apply_plan(self._plan(), RECIPE))
        if load(log).state is LogState.FINISHED:
            self.renamed |= dict.fromkeys(self.chosen, log)
            self.cut_short, self.chosen = None, frozenset()

    @precondition(lambda self: self.cut_short is not None)
    @rule()
    def begin_something_else(self) -> None:
        """Another plan is refused until the first is ended."""
        number = min(set(NUMBERS) - self.renamed.keys(), default=0)
        other = replace(self.tree.plan([self.tree.entries[number]]), digest="f" * 64)
        with pytest.raises(UnfinishedError, match=re.escape(str(self.cut_short))):
            apply_plan(other, RECIPE)

    @precondition(lambda self: self.cut_short is None and self.renamed)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        """All that a log renamed goes back, but for what somebody is in the way of."""
        log = data.draw(st.sampled_from(sorted(set(self.renamed.values()))))
        self._undo(log)

    @precondition(lambda self: self.cut_short is not None)
    @rule()
    def undo_what_was_cut_short(self) -> None:
        """So does all of an apply, or of an undo, that was cut short."""
        log, self.cut_short = str(self.cut_short), None
        if not self.is_undoing:
            self.renamed |= {n: log for n in self.chosen if self._is_at(n, self._new(n))}
        self._undo(log)
        self.is_undoing, self.chosen = False, frozenset()

    @precondition(lambda self: (self.cut_short or self.renamed) and not self.in_way)
    @rule(data=st.data(), at=CRASHES, way=WAYS)
    def crash_while_undoing(self, data: st.DataObject, at: int, way: str) -> None:
        """Killed anywhere, be it in the undo of what was cut short: the undo is unfinished, or done, or not begun."""
        log = self.cut_short or data.draw(st.sampled_from(sorted(set(self.renamed.values()))))
        self._crash(at, way, lambda: roll_back(log))
        state = load(log).state
        if state is LogState.UNFINISHED_ROLLBACK:
            if self.cut_short is not None and not self.is_undoing:
                self.renamed |= dict.fromkeys(self.chosen, log)
            self.cut_short, self.is_undoing, self.chosen = log, True, frozenset()
        elif state in {LogState.ROLLED_BACK, LogState.PARTLY_ROLLED_BACK}:
            kept = self._kept(log)
            self.renamed = {n: other for n, other in self.renamed.items() if other != log or n in kept}
            if self.cut_short is not None:
                self.cut_short, self.is_undoing, self.chosen = None, False, frozenset()

    @precondition(lambda self: self.in_way is None)
    @rule(number=st.sampled_from(NUMBERS))
    def somebody_is_in_the_way(self, number: int) -> None:
        """He makes a folder of a name that is free, and which we may need."""
        taken = self._old(number) if self._new(number).exists() else self._new(number)
        if not taken.exists():
            taken.mkdir()
            (taken / IN_WAY).touch()
            self.in_way = taken
            set_time(self.tree.root, LONG_AGO_NS)

    @precondition(lambda self: self.in_way is not None)
    @rule()
    def he_leaves(self) -> None:
        """He takes his folder with him."""
        self._clear_way()

    @precondition(lambda self: self.chosen and self.in_way is not None and self.cut_short is None)
    @rule()
    def apply_in_spite_of_him(self) -> None:
        """It is refused when he has a name that is needed, and nothing is changed."""
        if self.in_way in [self._new(number) for number in self.chosen]:
            now = self.tree.snapshot()
            with pytest.raises(DriftError):
                apply_plan(self._plan(), RECIPE)
            assert self.tree.snapshot() == now

    @precondition(lambda self: self.cut_short is None and self.renamed)
    @rule(data=st.data())
    def somebody_goes_on_with_one(self, data: st.DataObject) -> None:
        """He puts weights into a directory that was renamed: they stay with it, wherever it goes."""
        number = data.draw(st.sampled_from(sorted(self.renamed)))
        self._write(self._new(number) / LATER, b"later %d" % number)
        self.grown.add(number)

    @precondition(lambda self: self.cut_short is None and self.renamed)
    @rule(data=st.data())
    def somebody_writes_a_readme(self, data: st.DataObject) -> None:
        """He writes his own over ours: an undo leaves his and says so."""
        number = data.draw(st.sampled_from(sorted(self.renamed)))
        self._write(self._new(number) / "README.md", SAVED)
        self.saved.add(number)
        self.unseen[number] = self.renamed[number]

    @invariant()
    def every_directory_is_where_the_model_says(self) -> None:
        """It is nowhere twice, holds its weights, and what somebody left is as he left it."""
        for number in NUMBERS if hasattr(self, "tree") else ():
            places = [place for place in (self._old(number), self._new(number)) if self._is_at(number, place)]
            assert len(places) == 1 or self.cut_short is not None
            if self.cut_short is None:
                assert places == [self._new(number) if number in self.renamed else self._old(number)]
            for place in places:
                assert number not in self.grown or (place / LATER).read_bytes() == b"later %d" % number
                assert number not in self.saved or (place / "README.md").read_bytes().startswith(SAVED)
        assert self.in_way is None or [path.name for path in self.in_way.iterdir()] == [IN_WAY]

    def _old(self, number: int) -> Path:
        return self.tree.root / f"{uid(number)}_{stamp(number)}"

    def _new(self, number: int) -> Path:
        if number == CHAINED:
            return self._old(number + 1)
        return self.tree.root / f"{run_id(number)}_{stamp(number)}"

    def _is_at(self, number: int, place: Path) -> bool:
        with contextlib.suppress(OSError):
            return (place / "model.pt").read_bytes() == b"w%d" % number
        return False

    def _is_taken(self) -> bool:
        """Say whether the one in the middle of a chain would stay where another one goes."""
        return CHAINED in self.chosen and CHAINED + 1 not in {*self.chosen, *self.renamed}

    def _plan(self) -> Plan:
        entries = [
            entry if number in self.chosen else replace(entry, action=Action.SKIP)
            for number, entry in enumerate(self.tree.entries)
        ]
        return self.tree.plan(entries)

    def _undo(self, log: str) -> None:
        result = roll_back(log)
        mine = {number for number, other in self.renamed.items() if other == log}
        kept = self._kept(log)
        assert len(result.occupied) == len(kept)
        written = {number for number, other in self.unseen.items() if other == log} & (mine - kept)
        assert len(result.edited) >= len(written)
        assert not (result.is_complete and (kept or written))
        assert result.is_complete or kept or result.edited or result.changed
        for number in mine - kept:
            del self.renamed[number]

    def _kept(self, log: str) -> set[int]:
        """Return the directories of a log that cannot go back, since their old names are taken."""
        mine = {number for number, other in self.renamed.items() if other == log}
        kept = {number for number in mine if self._old(number) == self.in_way}
        if CHAINED + 1 in mine and CHAINED in self.renamed.keys() - (mine - kept):
            kept.add(CHAINED + 1)  # the other one of the chain is where this one was, and stays
        return kept

    def _write(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        for each in (path, path.parent):
            set_time(each, LONG_AGO_NS)

    def _clear_directories(self) -> None:
        """Take back what somebody did to directories, times included, so that they can be compared."""
        for number in self.grown:
            (self._old(number) / LATER).unlink()
        for number in self.saved:
            readme = self._old(number) / "README.md"
            readme.unlink()
            if number in self.with_readme:
                self._write(readme, b"notes")
        for number in self.grown | self.saved:
            set_time(self._old(number), LONG_AGO_NS)

    def _clear_way(self) -> None:
        if self.in_way is not None:
            shutil.rmtree(self.in_way)
            self.in_way = None
            set_time(self.tree.root, LONG_AGO_NS)

    def _crash(self, at: int, way: str, work: Callable[[], object]) -> None:
        left = at

        def crashing(real: Callable[..., object]) -> Callable[..., object]:
            def crash(*args: object, **kwargs: object) -> object:
                nonlocal left
                left -= 1
                if left == 0 and way == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                if left == 0:
                    raise CrashError
                return real(*args, **kwargs)

            return crash

        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(CrashError):
            for call in CRASHING:
                patch.setattr(storage, call, crashing(getattr(storage, call)))
            if way == "raised":
                work()
            else:
                _in_a_process(work)


def _in_a_process(work: Callable[[], object]) -> None:
    """Do something in a process of its own, which may be killed at it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - the child must not go on with pytest
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WIFSIGNALED(status)


TestStories = Stories.TestCase
TestStories.settings = settings(
    max_examples=int(os.environ.get("STORIES", "12")),
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
