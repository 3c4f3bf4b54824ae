"""Tags of MLflow's runs as changes that know their reverse, logged like those of the disk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ckpt_migrate.executor.batches import GROUP_SIZE
from ckpt_migrate.executor.operations import Group, Step
from ckpt_migrate.executor.reconcile import Goal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckpt_migrate.executor.operations import Phase


class TagStore(Protocol):
    """Where tags are read and written."""

    uri: str
    """The store's address, credentials masked."""

    def tags(self, run_id: str) -> Mapping[str, str]:
        """Return the tags of a run."""

    def set(self, run_id: str, key: str, value: str | None) -> None:
        """Set a tag, or remove it for None."""


@dataclass(frozen=True, slots=True)
class SetTag:
    """A tag of a run gets another value; None stands for no tag.

    Attributes:
        number: Counted from 0 over the tags of a plan.
        run_id: The run.
        key: The tag.
        before: Its value before.
        after: Its value afterwards.
        store: Where it is set.
    """

    number: int
    run_id: str
    key: str
    before: str | None
    after: str | None
    store: TagStore

    def reverse(self) -> SetTag:
        """Return the change that undoes it."""
        return replace(self, before=self.after, after=self.before)

    def step(self) -> Step:
        """Return it for people."""
        what = f"run {self.run_id}, tag {self.key}"
        return Step("-", "remove", what) if self.after is None else Step("~", "set", f"{what} = {self.after}")

    def make(self) -> None:
        """Set it.

        Raises:
            OSError: The store could not.
        """
        self.store.set(self.run_id, self.key, self.after)

    def to_record(self) -> dict[str, Any]:
        """Return its record for the log."""
        return {
            "kind": "tag",
            "tag": self.number,
            "run_id": self.run_id,
            "key": self.key,
            "before": self.before,
            "after": self.after,
            "uri": self.store.uri,
        }


@dataclass(slots=True)
class LoggedTag:
    """A tag in the log; `is_applied` once its share of the apply was finished."""

    number: int
    run_id: str
    key: str
    before: str | None
    after: str | None
    uri: str
    is_applied: bool = False


def take_tag(record: Mapping[str, Any], known: dict[int, LoggedTag]) -> None:
    """Fold a record into what is known of its tag: the first one says what was before the apply."""
    if record["tag"] not in known:
        values = (record[name] for name in ("tag", "run_id", "key", "before", "after", "uri"))
        known[record["tag"]] = LoggedTag(*values)


@dataclass(frozen=True, slots=True)
class TagFinding:
    """What was found of a tag: what brings it to the goal, or why nothing does; both None when it is there."""

    logged: LoggedTag
    change: SetTag | None = None
    obstacle: str | None = None


def reconcile_tags(tags: Iterable[LoggedTag], goal: Goal, store: TagStore | None) -> list[TagFinding]:
    """Compare tags of a log with the store; without one nothing can be done."""
    found: dict[str, Mapping[str, str]] = {}
    findings = []
    for logged in tags:
        label = f"run {logged.run_id}, tag {logged.key}"
        wanted, other = (logged.before, logged.after) if goal is Goal.BEFORE else (logged.after, logged.before)
        if store is None:
            findings.append(TagFinding(logged, obstacle=f"{label}: give its store with --tracking-uri ({logged.uri})"))
            continue
        try:
            if logged.run_id not in found:
                found[logged.run_id] = store.tags(logged.run_id)
        except OSError as error:
            findings.append(TagFinding(logged, obstacle=f"{label}: {error.strerror}"))
            continue
        now = found[logged.run_id].get(logged.key)
        if now == wanted:
            findings.append(TagFinding(logged))
        elif now == other:
            change = SetTag(logged.number, logged.run_id, logged.key, other, wanted, store)
            findings.append(TagFinding(logged, change))
        else:
            findings.append(TagFinding(logged, obstacle=f"{label}: was set to {now!r} since"))
    return findings


def tag_groups(tags: Sequence[SetTag], number: int, phase: Phase) -> Iterator[Group]:
    """Yield the groups that set these tags, the first of this number."""
    for start in range(0, len(tags), GROUP_SIZE):
        batch = tuple(tags[start : start + GROUP_SIZE])
        yield Group(number + start // GROUP_SIZE, phase, (), (), (), tags=batch)
