"""What an ideal observer could decide: one who has all the evidence and knows how the project trains.

The question is never what a matcher's model says, but whether the generator's own knowledge tells the true run from
every other training there was, those without a run in the store among them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .store import logged_params
from .trainings import DAY_S, Outcome, Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .traces import Directory
    from .trainings import Habits, Host, Training

DECIDED_NATS = math.log(1000)
"""How much likelier the true run must make the evidence than any other training does."""
_REFERENCE_NATS = 14.0
_PARAM_NATS = 9.0
_LOSS_NATS = 9.0
_INTERVAL_NATS = 8.0
_NAME_NATS = 8.0
_LONGEST_OFFSET_S = 15 * 3600.0
_END_SPREAD_S = 4.0
_FEW = 3


@dataclass(frozen=True, slots=True)
class Observer:
    """Judges the directories of one project.

    Attributes:
        habits: How the project trains.
        trainings: All its trainings, with and without a run in the store.
        has_mtimes: Whether modification times are those of the training.
        known_clocks: Hosts whose local time can be worked out.
        params: What each training logged, by run id.
    """

    habits: Habits
    trainings: Sequence[Training]
    has_mtimes: bool
    known_clocks: frozenset[Host]
    params: Mapping[str, Mapping[str, str]]

    def can_decide(self, directory: Directory) -> bool:
        """Say whether a directory's evidence tells its training from every other one."""
        if directory.training.is_contested:
            return False
        return all(
            self._nats(directory, other) >= DECIDED_NATS
            for other in self.trainings
            if other.run_id != directory.training.run_id
        )

    def _nats(self, directory: Directory, other: Training) -> float:
        """Return how much likelier the evidence is from its training than from another, natural log."""
        total = _REFERENCE_NATS if directory.part in directory.training.referred else 0.0
        for part in (self._time_nats, self._interval_nats, self._config_nats, self._loss_nats, self._name_nats):
            total += part(directory, other)
            if total >= DECIDED_NATS:  # parts only add, but for a lag that fits the other better
                break
        return total

    def _time_nats(self, directory: Directory, other: Training) -> float:
        """Return what the stamp says: little more than the day while the clock is unknown."""
        made_s = directory.training.made_s[directory.part]
        if directory.training.host not in self.known_clocks:
            return _NAME_NATS if abs(other.start_s - made_s) > 2 * _LONGEST_OFFSET_S else 0.0
        if directory.part > 0:  # made when the run was resumed: any time within the run
            return 0.0 if _within(other, made_s) else _INTERVAL_NATS
        readings = directory.training.host.readings_s(made_s)
        others = min(self._lag_surprise(each - other.start_s) for each in readings)
        return others - min(self._lag_surprise(each - directory.training.start_s) for each in readings)

    def _lag_surprise(self, lag_s: float) -> float:
        """Return the surprise of a lag (nats up to a constant), heavy-tailed: some starts are slow."""
        spread_s = max(self.habits.jitter_s, 0.5)
        deviation = (lag_s - self.habits.lag_s) / spread_s
        return 2.5 * math.log1p(deviation * deviation / 4)

    def _interval_nats(self, directory: Directory, other: Training) -> float:
        """Return what modification times say: written within the run, and at its end."""
        if not self.has_mtimes or directory.training.host not in self.known_clocks:
            return 0.0
        if not _within(other, directory.written_s):
            return _INTERVAL_NATS
        if not directory.is_complete:
            return 0.0
        own = (directory.training.end_s - directory.written_s) / _END_SPREAD_S
        others = (other.end_s - directory.written_s) / _END_SPREAD_S
        return min(_INTERVAL_NATS, 1.5 * (math.log1p(others * others) - math.log1p(own * own)))

    def _config_nats(self, directory: Directory, other: Training) -> float:
        """Return what the config says: keys that both sides show, and whose values differ."""
        if directory.config is None:
            return 0.0
        own, others = self.params[directory.training.run_id], self.params[other.run_id]
        habits = self.habits
        blind = {
            habits.format.logged_key(key)
            for key in habits.drifting + habits.unwritten + habits.unresolved + habits.unlogged
        }
        differing = sum(
            key not in blind and key not in directory.training.extra_params and others.get(key) != text
            for key, text in own.items()
        )
        return _PARAM_NATS * differing

    def _loss_nats(self, directory: Directory, other: Training) -> float:
        """Return what the loss in the file name says."""
        if not directory.loss_text or directory.best_epoch >= len(other.losses):
            return _LOSS_NATS if directory.loss_text else 0.0
        return 0.0 if f"{other.losses[directory.best_epoch]:.4f}" == directory.loss_text else _LOSS_NATS

    def _name_nats(self, directory: Directory, other: Training) -> float:
        """Return what the stamp in the run's name says, where names have one."""
        if self.habits.run_names != "stamp" or directory.part > 0:
            return 0.0
        return 0.0 if abs(other.made_s[0] - directory.training.made_s[0]) <= 2 else _NAME_NATS


def _within(training: Training, instant_s: float) -> bool:
    return training.start_s - 60 <= instant_s <= training.end_s + 60


def known_clocks(
    trainings: Sequence[Training], *, has_mtimes: bool, is_steady: bool, alias_s: float | None
) -> frozenset[Host]:
    """Return the hosts whose local time can be worked out.

    Args:
        trainings: All trainings of the project.
        has_mtimes: Whether modification times, which are in UTC, are those of the training.
        is_steady: False when zone or skew change in the course of the project.
        alias_s: Period at which all starts repeat, so that a shift by it goes unnoticed; None for none.
    """
    seen: dict[Host, list[float]] = {}
    for training in trainings:
        if training.has_directory and training.record is Record.LOGGED and training.outcome is not Outcome.RUNNING:
            seen.setdefault(training.host, []).extend(training.made_s[:1])
    needed = _FEW if is_steady else 3 * _FEW
    if not has_mtimes:
        needed = needed + 1 if alias_s is None or alias_s >= DAY_S else 10**9
    return frozenset(host for host, made_s in seen.items() if len(made_s) >= needed)


def observe(
    habits: Habits,
    trainings: Sequence[Training],
    *,
    has_mtimes: bool,
    is_steady: bool = True,
    alias_s: float | None = None,
    logged: Mapping[str, Mapping[str, str]] | None = None,
) -> Observer:
    """Return the ideal observer of a project; see `known_clocks` for what it takes to know its clock.

    Args:
        habits: How the project trains.
        trainings: All its trainings.
        has_mtimes: As for `known_clocks`.
        is_steady: As for `known_clocks`.
        alias_s: As for `known_clocks`.
        logged: Params by run id, where they do not follow from the trainings.
    """
    clocks = known_clocks(trainings, has_mtimes=has_mtimes, is_steady=is_steady, alias_s=alias_s)
    params = logged or {training.run_id: logged_params(training, habits) for training in trainings}
    return Observer(habits, tuple(trainings), has_mtimes, clocks, params)
