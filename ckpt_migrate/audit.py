"""Audit: match again with evidence hidden, runs hidden, or rivals added, and see whether any match turns false.

Three kinds of trial, each on the same directories and store:

- references hidden: what was matched by a name on the other side must be found again without it, or left alone;
- runs hidden, a fifth at a time, their references with them: their directories must be left alone;
- rivals added: beside each matched run a run of equal params that started a little earlier or later; no directory
  may go to one.

A person's answers stand in all trials, as they did when the plan was made; where the run of an answer is hidden, its
directory must be left alone as well.

Any hit fails the plan. No hit proves nothing: it says only that these trials found no fault.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.errors import AuditError
from ckpt_migrate.evidence.records import Evidence, FactKind
from ckpt_migrate.matching.families.references import ID_PATTERN
from ckpt_migrate.matching.link import link
from ckpt_migrate.matching.records import Verdict
from ckpt_migrate.plan.records import Status
from ckpt_migrate.progress import SILENT
from ckpt_migrate.tracking.records import RunDetails

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ckpt_migrate.matching.records import Matching
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import ArtifactFile, Mention, MetricPoint, Run, RunStore, StoreWarning

FOLDS = 5
"""Runs are hidden a fifth at a time: few enough that the model still believes in its store, with every run tried."""
RIVAL_OFFSETS_S = (60.0, 3600.0)
"""A rival starts so much before or after the run: beyond the lag of any stamp, within a working day."""
SEED = 20_260_201
"""The audit of one plan is the same each time."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A directory that a trial attached to a run that cannot be its run."""

    path: str
    run_id: str
    wrong_run_id: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What one kind of trial found.

    Attributes:
        name: `references hidden`, `runs hidden` or `rivals added`.
        what: What was hidden or added, in words.
        directories: How many directories it was about.
        found_again: Matched to the same run; for hidden runs always 0.
        left_alone: Not matched.
        hits: Matched to another run.
    """

    name: str
    what: str
    directories: int
    found_again: int
    left_alone: int
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """All trials of one plan."""

    trials: tuple[Trial, ...]

    @property
    def hits(self) -> tuple[Hit, ...]:
        """All hits, in the order of the trials."""
        return tuple(hit for trial in self.trials for hit in trial.hits)

    def checked(self) -> Audit:
        """Return it when no trial hit.

        Raises:
            AuditError: One did; no match of the plan deserves trust before it is known why.
        """
        if self.hits:
            raise AuditError(
                f"the audit attached {len(self.hits)} of its directories to runs that cannot be theirs",
                remedy="No plan was written. Without --audit one is; then compare the runs named here with `show`.",
                problems=tuple(
                    f"{trial.name}: {hit.path} went to {hit.wrong_run_id}, planned for {hit.run_id}"
                    for trial in self.trials
                    for hit in trial.hits
                ),
            )
        return self


def audit(
    matching: Matching,
    evidence: Mapping[str, Evidence],
    store: RunStore,
    recipe: Recipe,
    *,
    timezone: str | None = None,
    answered: Sequence[tuple[Checkpoint, str]] = (),
) -> Audit:
    """Try what was matched as the module says; takes about seven times as long as matching did.

    Args:
        matching: What is tried.
        evidence: By checkpoint path, as it was matched.
        store: The runs that it was matched with.
        recipe: As it was matched.
        timezone: As it was matched.
        answered: Directories with the runs that a person gave them, which have no verdict.

    Raises:
        StoreError: The store could not be read to its end.
    """
    settled = {v.checkpoint.path: v for v in matching.verdicts if v.status in {Status.MATCHED, Status.LINKED}}
    matched = [verdict for verdict in settled.values() if verdict.status is Status.MATCHED]
    given = [Verdict(checkpoint, Status.MATCHED, run_id, 1.0) for checkpoint, run_id in answered]
    checkpoints = [verdict.checkpoint for verdict in (*matching.verdicts, *given)]
    bare = {path: _without_references(one, store) for path, one in evidence.items()}
    uids = frozenset(c.uid for c in checkpoints)

    def again(found: Mapping[str, Evidence], altered: _Altered) -> Mapping[str, Verdict]:
        here = {run.run_id for run in altered.runs()}
        answers = {checkpoint.path: run_id for checkpoint, run_id in answered if run_id in here}
        made = link(checkpoints, found, altered, recipe, timezone=timezone, answers=answers, progress=SILENT)
        return {verdict.checkpoint.path: verdict for verdict in made.verdicts}

    referenced = [v for v in matched if any(w.family == "reference" and w.bits > 0 for w in v.weights)]
    what = f"what names the runs of {len(referenced):,} directories was hidden, in runs and in files"
    trials = [_compare("references hidden", what, referenced, again(bare, _Altered(store, nameless=uids)))]
    hidden_from = [*settled.values(), *given]
    trials.append(_hide_runs(hidden_from, lambda hidden: again(bare, _Altered(store, hidden, nameless=uids))))
    rivals = _rivals(matched, store)
    what = f"{len(rivals):,} runs were added that are like the matched ones and began a little earlier or later"
    trials.append(_compare("rivals added", what, matched, again(evidence, _Altered(store, rivals=rivals))))
    return Audit(tuple(trials))


def _compare(name: str, what: str, subjects: Sequence[Verdict], outcome: Mapping[str, Verdict]) -> Trial:
    """Return what a trial made of directories whose own runs were there to be found."""
    hits, found_again = [], 0
    for subject in subjects:
        verdict = outcome[subject.checkpoint.path]
        if verdict.status is Status.MATCHED and verdict.run_id is not None:
            if verdict.run_id == subject.run_id:
                found_again += 1
            else:
                hits.append(Hit(subject.checkpoint.path, subject.run_id or "", verdict.run_id))
    return Trial(name, what, len(subjects), found_again, len(subjects) - found_again - len(hits), tuple(hits))


def _hide_runs(settled: Collection[Verdict], again: Callable[[frozenset[str]], Mapping[str, Verdict]]) -> Trial:
    """Return what became of directories whose runs were hidden, all folds together."""
    owners = sorted({verdict.run_id for verdict in settled if verdict.run_id is not None})
    random.Random(SEED).shuffle(owners)  # noqa: S311 - which runs are hidden together, no secret
    hits: list[Hit] = []
    for fold in range(min(FOLDS, len(owners))):
        hidden = frozenset(owners[fold::FOLDS])
        subjects = [verdict for verdict in settled if verdict.run_id in hidden]
        hits += _compare("", "", subjects, again(hidden)).hits
    turns = min(FOLDS, len(owners))
    what = f"{len(owners):,} runs were hidden, in {turns} turns, and what names them"
    return Trial("runs hidden", what, len(settled), 0, len(settled) - len(hits), tuple(hits))


def _without_references(evidence: Evidence, store: RunStore) -> Evidence:
    """Return evidence without the facts that name a run of the store."""
    run_ids = {run.run_id for run in store.runs()}

    def names_a_run(text: object) -> bool:
        return isinstance(text, str) and not run_ids.isdisjoint(ID_PATTERN.findall(text))

    kinds = {FactKind.MENTION, FactKind.PARAM}
    facts = tuple(fact for fact in evidence.facts if fact.kind not in kinds or not names_a_run(fact.value))
    return replace(evidence, facts=facts)


def _rivals(matched: Sequence[Verdict], store: RunStore) -> Mapping[str, tuple[Run, str]]:
    """Return a rival for each matched run: by its id, the run itself and the id of the run it is like."""
    rng = random.Random(SEED)  # noqa: S311 - where rivals start, no secret
    runs = {run.run_id: run for run in store.runs()}
    rivals = {}
    for run_id in sorted({verdict.run_id for verdict in matched if verdict.run_id is not None}):
        run = runs[run_id]
        shift_ms = round(rng.uniform(*RIVAL_OFFSETS_S) * rng.choice((-1000, 1000)))
        rival_id = f"{rng.getrandbits(128):032x}"
        start, end = run.start_utc_ms, run.end_utc_ms
        rivals[rival_id] = (
            replace(
                run,
                run_id=rival_id,
                start_utc_ms=None if start is None else start + shift_ms,
                end_utc_ms=None if end is None else end + shift_ms,
                artifact_uri=None,
            ),
            run_id,
        )
    return rivals


class _Altered:
    """A store seen with runs hidden, directories' ids hidden from its texts, or rivals added."""

    def __init__(
        self,
        store: RunStore,
        hidden: frozenset[str] = frozenset(),
        *,
        nameless: frozenset[str] = frozenset(),
        rivals: Mapping[str, tuple[Run, str]] | None = None,
    ) -> None:
        self._store = store
        self._hidden = hidden
        self._nameless = nameless
        self._rivals = rivals or {}

    @property
    def uri(self) -> str:
        return self._store.uri

    @property
    def warnings(self) -> Sequence[StoreWarning]:
        return self._store.warnings

    def runs(self) -> Sequence[Run]:
        kept = [run for run in self._store.runs() if run.run_id not in self._hidden]
        return sorted([*kept, *(rival for rival, _ in self._rivals.values())], key=lambda run: run.run_id)

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        asked = [run_id for run_id in run_ids if run_id not in self._hidden]
        likes = {run_id: self._rivals[run_id][1] for run_id in asked if run_id in self._rivals}
        found = self._store.details({*(set(asked) - likes.keys()), *likes.values()})
        own = {run_id: self._bare(found[run_id]) for run_id in asked if run_id in found}
        # A rival has the params of the run that it is like; its tags and metrics would be its own.
        rivals = {run_id: RunDetails(params=found[like].params) for run_id, like in likes.items() if like in found}
        return {**own, **rivals}

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[Mention]:
        for mention in self._store.mentions(pattern):
            if mention.run_id not in self._hidden and not self._names_directory(mention.text):
                yield mention

    def metric_histories(self, run_id: str) -> Mapping[str, Sequence[MetricPoint]]:
        return {} if run_id in self._rivals else self._store.metric_histories(run_id)

    def artifact_files(self, run_id: str) -> Sequence[ArtifactFile]:
        if run_id in self._rivals:
            return ()
        return [file for file in self._store.artifact_files(run_id) if not self._names_directory(file.path)]

    def close(self) -> None:
        """Leave the store to its owner."""

    def _names_directory(self, text: str) -> bool:
        return bool(self._nameless) and not self._nameless.isdisjoint(ID_PATTERN.findall(text))

    def _bare(self, details: RunDetails) -> RunDetails:
        if not self._nameless:
            return details
        params = {key: text for key, text in details.params.items() if not self._names_directory(text)}
        tags = {key: text for key, text in details.tags.items() if not self._names_directory(text)}
        return replace(details, params=params, tags=tags)
