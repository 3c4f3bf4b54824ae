"""Trainings: what really happened, before any of it is seen through directories and stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from .formats import ParamFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .configs import Config, Schema

DAY_S = 86400.0


class Outcome(Enum):
    """How a training ended."""

    FINISHED = "FINISHED"
    CRASHED = "FAILED"
    KILLED = "KILLED"
    RUNNING = "RUNNING"


class Record(Enum):
    """What became of a training's run in the store.

    LOGGED: it is there. DELETED: deleted, and still there as such. GONE: purged, never logged, or in another store.
    """

    LOGGED = "logged"
    DELETED = "deleted"
    GONE = "gone"


class ConfigPlace(Enum):
    """Where a directory holds its config; NOWHERE when a crash came before anything was written."""

    JSON = "config.json"
    CHECKPOINT = "last.ckpt"
    NOWHERE = ""


@dataclass(frozen=True, slots=True)
class Host:
    """A training machine and its clock, which stamps directories and files.

    Attributes:
        root: Absolute directory that its checkpoint directories lie in.
        zones: Its time zones, each with the instant (UTC seconds) from which it holds; in order.
        skew_s: By how much its clock is ahead of the store's at `epoch_s`, seconds.
        drift_s_per_day: How much it gains a day, seconds.
        epoch_s: Where the drift is counted from, UTC seconds.
    """

    root: str
    zones: tuple[tuple[float, str], ...]
    skew_s: float = 0.0
    drift_s_per_day: float = 0.0
    epoch_s: float = 0.0

    def clock_s(self, utc_s: float) -> float:
        """Return what the machine takes for UTC at a true instant, seconds."""
        return utc_s + self.skew_s + self.drift_s_per_day * (utc_s - self.epoch_s) / DAY_S

    def zone_at(self, utc_s: float) -> str:
        """Return the zone that the machine is set to at an instant."""
        return [zone for since_s, zone in self.zones if since_s <= utc_s or since_s == self.zones[0][0]][-1]

    def stamp(self, utc_s: float) -> str:
        """Return the local stamp that a script writes at a true instant."""
        local = datetime.fromtimestamp(self.clock_s(utc_s), ZoneInfo(self.zone_at(utc_s)))
        return local.strftime("%Y%m%d_%H%M%S")

    def readings_s(self, utc_s: float) -> tuple[float, ...]:
        """Return the true instants that the stamp written at an instant may mean: two in a repeated hour."""
        zone = ZoneInfo(self.zone_at(utc_s))
        local = datetime.fromtimestamp(utc_s, zone).replace(tzinfo=None)
        instants = {local.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)}
        real = {each for each in instants if datetime.fromtimestamp(each, zone).replace(tzinfo=None) == local}
        return tuple(sorted(real))


@dataclass(frozen=True, slots=True)
class Training:
    """One start of the training script that has a run of its own.

    Attributes:
        run_id: The id of its run, whether the store has it or not.
        uids: The made-up ids of its directories: one, and one more for each time it was resumed.
        host: The machine it ran on.
        start_s: Start of its run, true UTC seconds.
        made_s: When each of its directories was made, true UTC seconds.
        end_s: Its end, true UTC seconds.
        config: Its config as it ran.
        losses: The loss of each epoch that came to its end, first to last.
        outcome: How it ended.
        record: What became of its run.
        config_place: Where its directories hold the config.
        has_directory: False when its directories were cleaned away, or it saved nothing.
        run_name: The run's name.
        tags: The run's tags.
        extra_params: Params that are no part of the config.
        extra_config: What config.json has beside the config.
        artifacts: The run's artifacts beside model and config.
        pointer: The run id that an MLFLOW_RUN_ID.txt in its directories names; None for no such file.
        is_current: Whether its directories are named after the run already.
        is_contested: Whether what the run says of its directory is a lie, or another's lie concerns it.
        moved_to: The name that its first directory was given by hand afterwards; empty for none.
        copied_s: When its directories alone were copied and lost their times, UTC seconds; None for never.
        shift_s: By how much an archive shifted the times of its files (zip keeps local times), seconds.
        recorded_s: Start and end that the store has of its run where they are not its own, UTC seconds.
        referred: The parts of it (0, 1, ...) where directory or run names the other, truly.
    """

    run_id: str
    uids: tuple[str, ...]
    host: Host
    start_s: float
    made_s: tuple[float, ...]
    end_s: float
    config: Config
    losses: tuple[float, ...]
    outcome: Outcome = Outcome.FINISHED
    record: Record = Record.LOGGED
    config_place: ConfigPlace = ConfigPlace.JSON
    has_directory: bool = True
    run_name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    extra_params: Mapping[str, str] = field(default_factory=dict)
    extra_config: Config = field(default_factory=dict)
    artifacts: Mapping[str, int] = field(default_factory=dict)
    pointer: str | None = None
    is_current: bool = False
    is_contested: bool = False
    moved_to: str = ""
    copied_s: float | None = None
    shift_s: float = 0.0
    recorded_s: tuple[float, float] | None = None
    referred: tuple[int, ...] = ()

    def directory_name(self, part: int = 0) -> str:
        """Return the name of its directory, or of the one made when it was resumed for the `part`-th time."""
        uid = self.run_id if self.is_current else self.uids[part]
        return f"{uid}_{self.host.stamp(self.made_s[part])}"

    def directory_path(self, part: int = 0) -> str:
        """Return the absolute path that one of its directories was made under."""
        return f"{self.host.root}/{self.directory_name(part)}"

    def present_name(self, part: int = 0) -> str:
        """Return the name that one of its directories has now."""
        return self.moved_to if self.moved_to and not part else self.directory_name(part)


@dataclass(frozen=True, slots=True)
class Habits:
    """How a project trains and logs; the same for all its trainings.

    Attributes:
        schema: Its config.
        lag_s: Directory made this much after the run's start, on average; negative for before. Seconds.
        jitter_s: Spread of that lag, seconds.
        format: How it logs params and writes configs.
        drifting: Config keys that are logged with another value than config.json has.
        unwritten: Config keys that are logged, but missing in config.json.
        unresolved: Config keys that config.json has as `${...}` only.
        unlogged: Config keys that are in config.json, but not logged.
        run_names: `words` (MLflow's own), `stamp` (phase2_<stamp>), or `plain` (one name for all).
        loss: The metric in file names.
        names_loss: Whether file names have it; else they have the epoch alone.
        copies_files: Whether model.pt and config.json are uploaded as artifacts too.
        has_torch: Whether .ckpt and .pt files can be read.
        logs_steps: Whether `loss` is logged by step, and by epoch as `<loss>_epoch`; else by epoch alone.
        loss_level: Typical first loss.
        replicates: How far the losses of two runs of one config lie apart, relative.
        is_deterministic: Whether fixed seeds make the losses of equal configs equal.
        epoch_step: Training steps in an epoch.
        first_day_s: When the project began, UTC seconds.
    """

    schema: Schema
    lag_s: float
    jitter_s: float
    format: ParamFormat
    drifting: tuple[str, ...]
    unwritten: tuple[str, ...]
    unresolved: tuple[str, ...]
    unlogged: tuple[str, ...]
    run_names: str
    loss: str
    names_loss: bool
    copies_files: bool
    has_torch: bool
    logs_steps: bool
    loss_level: float
    replicates: float
    is_deterministic: bool
    epoch_step: int
    first_day_s: float


def draw_habits(rng: Random, schema: Schema) -> Habits:
    """Return how one project trains: figures as they are found in real projects."""
    is_slow = rng.random() < 0.15
    lag_s = rng.uniform(5, 31) if is_slow else rng.uniform(0.4, 3.2)
    drifting = [key for key in schema.constants if key.endswith(("num_workers", "device", "gpus", "log_every"))]
    return Habits(
        schema=schema,
        lag_s=lag_s * rng.choice((-1, -1, 1)),
        jitter_s=lag_s * rng.uniform(0.05, 0.3),
        format=ParamFormat(separator=rng.choice(("/", "/", ".")), limit=rng.choice((250, 500, 6000))),
        drifting=tuple(rng.sample(drifting, min(len(drifting), rng.choice((0, 0, 0, 1, 2, 3))))),
        unwritten=(),
        unresolved=(),
        unlogged=(),
        run_names=rng.choice(("words", "words", "stamp", "plain")),
        loss=rng.choice(("train_loss", "train_loss", "val_loss")),
        names_loss=rng.random() < 0.8,
        copies_files=rng.random() < 0.3,
        has_torch=True,
        logs_steps=rng.random() < 0.4,
        loss_level=rng.uniform(0.5, 6.0),
        replicates=rng.choice((0.003, 0.01, 0.03)),
        is_deterministic=rng.random() < 0.25,
        epoch_step=rng.choice((59, 250, 1173, 4000)),
        first_day_s=datetime(2024, 1, 8, 9, tzinfo=timezone.utc).timestamp() + rng.randrange(0, 700) * DAY_S,
    )


def new_id(rng: Random) -> str:
    """Return 32 hexadecimal digits."""
    return f"{rng.getrandbits(128):032x}"


def seeded(text: str) -> Random:
    """Return a source of choices that is the same for the same text."""
    return Random(text)  # noqa: S311 - a world must come out the same every time
