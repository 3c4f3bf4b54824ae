"""The tags of a plan: what today's training script says of a checkpoint, and where the checkpoint was before."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ckpt_migrate.executor.operations import Phase
from ckpt_migrate.executor.reconcile import Goal
from ckpt_migrate.executor.tags import SetTag, reconcile_tags, tag_groups
from ckpt_migrate.manifest import checkpoint_dir

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ckpt_migrate.apply.task import Task
    from ckpt_migrate.executor.operations import Group
    from ckpt_migrate.executor.tags import LoggedTag, TagFinding, TagStore
    from ckpt_migrate.plan.records import Plan
    from ckpt_migrate.recipe import Recipe

PREVIOUS = "ckpt_migrate.previous_checkpoint_dir"
"""The tag that says where a checkpoint was before it was renamed."""


class PlannedTags:
    """The tags that a plan sets; none where it was not asked for.

    Args:
        plan: The plan.
        recipe: Which part of a path is shown.
        tasks: What is carried out; of several directories of a run the one with the latest stamp is tagged.
        store: Where; None where the plan asks for no tags.
    """

    def __init__(self, plan: Plan, recipe: Recipe, tasks: Sequence[Task], store: TagStore | None) -> None:
        is_asked = plan.references is not None and plan.references.tag_runs
        self.store = store if is_asked else None
        self._values: list[tuple[int, str, str, str]] = []
        latest: dict[str, Task] = {}
        for task in tasks if is_asked else ():
            known = latest.get(task.run.run_id)
            if task.source != task.target and (known is None or known.name.stamp < task.name.stamp):
                latest[task.run.run_id] = task
        for run_id, task in sorted(latest.items()):
            for key, value in (
                ("checkpoint_dir", checkpoint_dir(task.shown_target, recipe.path_from)),
                ("timestamp", task.name.stamp),
                (PREVIOUS, checkpoint_dir(plan.absolute(task.label), recipe.path_from)),
            ):
                self._values.append((len(self._values), run_id, key, value))

    def problems(self, known: Mapping[int, LoggedTag]) -> list[str]:
        """Return why the tags cannot be set, a line each."""
        try:
            deque(self._fresh(known), maxlen=0)
        except OSError as error:
            return [f"{'' if self.store is None else self.store.uri}: {error.strerror}"]
        return [finding.obstacle for finding in self._pending(known) if finding.obstacle is not None]

    def groups(self, known: Mapping[int, LoggedTag], number: int) -> Iterator[Group]:
        """Yield the groups that set the tags, those first that a crash cut short.

        Raises:
            OSError: The store cannot be read.
        """
        pending = [finding.change for finding in self._pending(known) if finding.change is not None]
        yield from tag_groups(pending, number, Phase.CONTINUE)
        yield from tag_groups(list(self._fresh(known)), number + len(pending), Phase.APPLY)

    def _pending(self, known: Mapping[int, LoggedTag]) -> list[TagFinding]:
        pending = [tag for tag in known.values() if not tag.is_applied]
        return reconcile_tags(pending, Goal.AFTER, self.store)

    def _fresh(self, known: Collection[int]) -> Iterator[SetTag]:
        """Yield the tags that no log has yet and that are not as they shall be."""
        if self.store is None:
            return
        run, found = "", dict[str, str]()
        for number, run_id, key, value in self._values:
            if number in known:
                continue
            if run_id != run:
                run, found = run_id, dict(self.store.tags(run_id))
            if found.get(key) != value:
                yield SetTag(number, run_id, key, found.get(key), value, self.store)
