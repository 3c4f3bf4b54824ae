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

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = range(5)
RECIPE = load_recipe()
CRASHING = ("append", "sync_log", "rename_noreplace", "stage_file", "sync_file", "exchange", "remove_file", "set_times")
CRASHES = st.integers(1, 30)
"""At which of those calls it ends: two directories make some twenty, so that most crashes strike."""
IN_WAY = "left by somebody"


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
        self.group_size, batches.GROUP_SIZE = batches.GROUP_SIZE, 2

    def teardown(self) -> None:
        """Undo the whole story and compare with how it began."""
        try:
            if hasattr(self, "tree"):
                self._clear_way()
                newest_first = [log.path for log in reversed(find_logs(str(self.tree.root)))]
                for log in [self.cut_short, *newest_first] if self.cut_short else newest_first:
                    assert roll_back(log).is_complete
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
            self.tree.add(number, files=files)
        self.tree.settle()
        self.tree.refresh()
        self.before = self.tree.snapshot()

    @precondition(lambda self: self.cut_short is None and len(self.renamed) < len(NUMBERS))
    @rule(data=st.data())
    def plan(self, data: st.DataObject) -> None:
        """Plan some of those that are not renamed yet; editing a plan is choosing others."""
        left = sorted(set(NUMBERS) - self.renamed.keys())
        self.chosen = data.draw(st.frozensets(st.sampled_from(left), min_size=1))

    @precondition(lambda self: self.chosen and self.cut_short is None and not self.in_way)
    @rule()
    def apply(self) -> None:
        """What is planned is renamed; a second time is refused."""
        result = apply_plan(self._plan(), RECIPE)
        assert result.log is not None
        self.renamed |= dict.fromkeys(self.chosen, result.log)
        with pytest.raises(PlanAppliedError):
            apply_plan(self._plan(), RECIPE)
        self.chosen = frozenset()

    @precondition(lambda self: self.chosen and self.cut_short is None and not self.in_way)
    @rule(at=CRASHES)
    def crash_while_applying(self, at: int) -> None:
        """Killed anywhere: it is unfinished, or finished, or was never begun."""
        known = {log.path for log in find_logs(str(self.tree.root))}
        self._crash(at, lambda: apply_plan(self._plan(), RECIPE))
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
    @rule(at=CRASHES)
    def crash_while_carrying_on(self, at: int) -> None:
        """Killed again: what the log said of the state before the first crash still counts."""
        log = str(self.cut_short)
        self._crash(at, lambda: apply_plan(self._plan(), RECIPE))
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
            self.renamed |= {n: log for n in self.chosen if (self._new(n) / "model.pt").exists()}
        self._undo(log)
        self.is_undoing, self.chosen = False, frozenset()

    @precondition(lambda self: (self.cut_short or self.renamed) and not self.in_way)
    @rule(data=st.data(), at=CRASHES)
    def crash_while_undoing(self, data: st.DataObject, at: int) -> None:
        """Killed anywhere, be it in the undo of what was cut short: the undo is unfinished, or done, or not begun."""
        log = self.cut_short or data.draw(st.sampled_from(sorted(set(self.renamed.values()))))
        self._crash(at, lambda: roll_back(log))
        state = load(log).state
        if state is LogState.UNFINISHED_ROLLBACK:
            if self.cut_short is not None and not self.is_undoing:
                self.renamed |= dict.fromkeys(self.chosen, log)
            self.cut_short, self.is_undoing, self.chosen = log, True, frozenset()
        elif state is LogState.ROLLED_BACK:
            self.renamed = {number: other for number, other in self.renamed.items() if other != log}
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

    @invariant()
    def every_directory_is_where_the_model_says(self) -> None:
        """It is nowhere twice, holds its weights, and what somebody left is as he left it."""
        for number in NUMBERS if hasattr(self, "tree") else ():
            places = [p for p in (self._old(number), self._new(number)) if (p / "model.pt").exists()]
            assert len(places) == 1 or self.cut_short is not None
            assert all((place / "model.pt").read_bytes() == b"w%d" % number for place in places)
            if self.cut_short is None:
                assert places == [self._new(number) if number in self.renamed else self._old(number)]
        assert self.in_way is None or [path.name for path in self.in_way.iterdir()] == [IN_WAY]

    def _old(self, number: int) -> Path:
        return self.tree.root / f"{uid(number)}_{stamp(number)}"

    def _new(self, number: int) -> Path:
        return self.tree.root / f"{run_id(number)}_{stamp(number)}"

    def _plan(self) -> Plan:
        entries = [
            entry if number in self.chosen else replace(entry, action=Action.SKIP)
            for number, entry in enumerate(self.tree.entries)
        ]
        return self.tree.plan(entries)

    def _undo(self, log: str) -> None:
        result = roll_back(log)
        mine = {number for number, other in self.renamed.items() if other == log}
        kept = {number for number in mine if self._old(number) == self.in_way}
        assert len(result.occupied) == len(kept)
        assert result.is_complete is not bool(kept)
        for number in mine - kept:
            del self.renamed[number]

    def _clear_way(self) -> None:
        if self.in_way is not None:
            shutil.rmtree(self.in_way)
            self.in_way = None
            set_time(self.tree.root, LONG_AGO_NS)

    def _crash(self, at: int, work: Callable[[], object]) -> None:
        left = at

        def crashing(real: Callable[..., object]) -> Callable[..., object]:
            def crash(*args: object, **kwargs: object) -> object:
                nonlocal left
                left -= 1
                if left == 0:
                    raise CrashError
                return real(*args, **kwargs)

            return crash

        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(CrashError):
            for call in CRASHING:
                patch.setattr(storage, call, crashing(getattr(storage, call)))
            work()


TestStories = Stories.TestCase
TestStories.settings = settings(
    max_examples=int(os.environ.get("STORIES", "12")),
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
