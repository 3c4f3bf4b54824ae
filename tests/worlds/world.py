"""Worlds: a legacy tree, a store, and the truth about both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt_migrate.records import State

from .observer import observe
from .readings import evidence
from .store import MemoryStore, RecordedRun, record
from .traces import Directory, checkpoint, directories
from .trainings import DAY_S, Outcome, Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.evidence.records import Evidence
    from ckpt_migrate.records import Checkpoint

    from .trainings import Habits, Training

PHASE2 = "phase2_training_with_pretrained_aligner"


@dataclass(frozen=True, slots=True)
class Project:
    """The trainings of one experiment.

    Attributes:
        habits: How it trains and logs.
        trainings: All its trainings.
        experiment: The experiment's name.
        experiment_id: The experiment's id.
        is_migrated: Whether its directories are part of the tree; other projects only share the store.
    """

    habits: Habits
    trainings: tuple[Training, ...]
    experiment: str = PHASE2
    experiment_id: str = "1"
    is_migrated: bool = True


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, of which a world is what is left.

    Attributes:
        name: The scenario's name.
        seed: What it was drawn from.
        projects: All projects that share the store.
        is_copied: Whether the tree was copied after the last training and lost its modification times.
        is_steady: False when zone or skew change in the course of the project.
        alias_s: Period at which all starts repeat, seconds; None for none.
        junk: What else lies in the tree.
    """

    name: str
    seed: int
    projects: tuple[Project, ...]
    is_copied: bool = False
    is_steady: bool = True
    alias_s: float | None = None
    junk: tuple[Checkpoint, ...] = ()

    @property
    def copied_s(self) -> float | None:
        """When the tree was copied, UTC seconds: some days after the last training; None when it was not."""
        if not self.is_copied:
            return None
        return max(training.end_s for project in self.projects for training in project.trainings) + 3 * DAY_S


@dataclass(frozen=True, slots=True)
class World:
    """A legacy tree and a store with known truth.

    Attributes:
        name: The scenario's name.
        seed: What it was drawn from.
        checkpoints: What scan would report, sorted by path.
        evidence: What the readers would find, by path; only for checkpoints that have any.
        store: The store.
        truth: The run that made each checkpoint, by path; None when that run is not in the store.
        identifiable: Paths of legacy directories whose run is in the store, and that an ideal observer could decide.
        hopeless: Paths of legacy directories whose run is in the store, but that nobody could decide.
        timezone: The zone of all stamps; None when there are several.
        zones: The zone of each stamp, by path.
        story: What happened.
    """

    name: str
    seed: int
    checkpoints: tuple[Checkpoint, ...]
    evidence: Mapping[str, Evidence]
    store: MemoryStore
    truth: Mapping[str, str | None]
    identifiable: frozenset[str]
    hopeless: frozenset[str]
    timezone: str | None
    zones: Mapping[str, str]
    story: Story = field(repr=False)

    @property
    def orphans(self) -> frozenset[str]:
        """Paths of legacy directories whose run is not in the store."""
        return frozenset(
            each.path for each in self.checkpoints if each.state is State.LEGACY and self.truth[each.path] is None
        )


def assemble(
    name: str,
    seed: int,
    projects: Sequence[Project],
    *,
    is_copied: bool = False,
    is_steady: bool = True,
    alias_s: float | None = None,
    junk: Sequence[Checkpoint] = (),
) -> World:
    """Return the world that these projects leave behind; arguments as the attributes of `Story`."""
    return tell(Story(name, seed, tuple(projects), is_copied, is_steady, alias_s, tuple(junk)))


def tell(story: Story, *, recorded: Sequence[RecordedRun] | None = None) -> World:
    """Return the world that a story leads to.

    Args:
        story: What happened.
        recorded: Runs to put into the store instead of those that the trainings would have logged; runs that are
            gone are left out.
    """
    runs = recorded_runs(story.projects) if recorded is None else _without_gone(story, recorded)
    logged = None if recorded is None else {each.run.run_id: each.details.params for each in recorded}
    found: list[tuple[Directory, Project]] = []
    identifiable: set[str] = set()
    hopeless: set[str] = set()
    for project in story.projects:
        if not project.is_migrated:
            continue
        observer = observe(
            project.habits,
            project.trainings,
            has_mtimes=not story.is_copied,
            is_steady=story.is_steady,
            alias_s=story.alias_s,
            logged=logged,
        )
        for training in project.trainings:
            for directory in directories(training, project.habits):
                found.append((directory, project))
                if _is_to_be_renamed(training):
                    (identifiable if observer.can_decide(directory) else hopeless).add(directory.path)
    checkpoints = [checkpoint(each, copied_s=story.copied_s) for each, _ in found]
    zones = {each.path: each.training.host.zone_at(each.training.made_s[each.part]) for each, _ in found}
    truth = {each.path: None if each.training.record is Record.GONE else each.training.run_id for each, _ in found}
    return World(
        name=story.name,
        seed=story.seed,
        checkpoints=tuple(sorted([*checkpoints, *story.junk], key=lambda each: each.path)),
        evidence={each.path: evidence(each, project.habits) for each, project in found},
        store=MemoryStore(runs),
        truth=truth | {each.path: None for each in story.junk},
        identifiable=frozenset(identifiable),
        hopeless=frozenset(hopeless),
        timezone=next(iter(zones.values())) if len(set(zones.values())) == 1 else None,
        zones=zones,
        story=story,
    )


def _is_to_be_renamed(training: Training) -> bool:
    """Say whether renaming would be right: not when it is done, the run still runs, or was deleted."""
    return training.record is Record.LOGGED and training.outcome is not Outcome.RUNNING and not training.is_current


def recorded_runs(projects: Sequence[Project]) -> list[RecordedRun]:
    """Return every run that the store has."""
    found: list[RecordedRun] = []
    for project in projects:
        found += (
            record(each, project.habits, experiment_id=project.experiment_id, experiment=project.experiment)
            for each in project.trainings
            if each.record is not Record.GONE
        )
    return found


def _without_gone(story: Story, recorded: Sequence[RecordedRun]) -> list[RecordedRun]:
    gone = {
        training.run_id
        for project in story.projects
        for training in project.trainings
        if training.record is Record.GONE
    }
    return [each for each in recorded if each.run.run_id not in gone]
