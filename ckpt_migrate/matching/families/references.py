"""References: where one side names the other.

A run names a checkpoint directory in its own name, a tag, a param or an artifact path; a directory names a run in a
pointer file or in its config. Keys that name ANOTHER run's checkpoint (`resume_from`, `phase1_checkpoint_path`) are
never references. A text that stands in several runs (a config file copied again and again) narrows the choice to them
and decides no more.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.records import FactKind
from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.matching.families.paths import held_runs, named_paths

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ckpt_migrate.evidence.records import Evidence, Fact, Scalar
    from ckpt_migrate.naming import DirectoryName
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint
    from ckpt_migrate.tracking.records import ArtifactFile, RunStore

ID_PATTERN = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_STAMP_AFTER_ID = re.compile(r"_(\d{8}_\d{6})")
_SECOND = re.compile(r"(?<!\d)20\d{2}-?[01]\d-?[0-3]\d[-_T ]?[0-2]\d[-:]?[0-5]\d[-:]?[0-5]\d(?!\d)")
REFERENCE_BITS = 20.0
"""One side naming the other: by accident about once in a million."""
PATH_BITS = 12.0
"""A run naming the end of a directory's path: a folder of that name may have been deleted and made anew."""
SHARED_OTHER_BITS = -6.0
"""A run that is not among the several that name a directory."""
CHOSEN_BITS = 4.0
"""A run that names the best of its checkpoints, where most directories are named so."""
CHOSEN_SHARE = 0.5
"""Where fewer are, such a run has chosen among the checkpoints of others, which may not have been logged."""
CHOSEN_WORDS = frozenset({"best", "selected", "chosen", "winner", "winning", "champion"})
"""What such keys say."""
_BEST_CHECKPOINTS = frozenset({"best_model_path", "best_model_checkpoint"})
_OWN_RUN_KEYS = frozenset({"run_id", "mlflow_run_id"})
_OWN_NAME_KEYS = frozenset({"run_id", "dirpath"})
"""Where a file that torch wrote names the directory that it was written to: the script's own note, and Lightning's."""
_LONGEST_QUOTE = 120
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class Reference:
    """One side naming the other.

    Attributes:
        run_id: The run.
        place: Where, in words.
        text: What stands there.
        bits: What it is worth when it names one run alone; 0 where the run has chosen the directory among several.
        is_held: Whether the run itself lies in the directory: that is not copied with a config or a tag.
    """

    run_id: str
    place: str
    text: str
    bits: float = REFERENCE_BITS
    is_held: bool = False

    def words(self) -> str:
        """Return the reference as a person would say it."""
        text = self.text if len(self.text) <= _LONGEST_QUOTE else f"{self.text[:_LONGEST_QUOTE]}..."
        return f"{self.place} says {text!r}"


def find_references(
    checkpoints: Sequence[Checkpoint],
    evidence: Mapping[str, Evidence],
    store: RunStore,
    run_ids: Collection[str],
    recipe: Recipe,
    *,
    parents: Collection[str] = (),
) -> dict[str, tuple[Reference, ...]]:
    """Return the references of each checkpoint, by its path, sorted by run id and place.

    Args:
        checkpoints: The directories.
        evidence: By checkpoint path.
        store: The runs.
        run_ids: All runs.
        recipe: Which keys are references.
        parents: Runs that hold others: what their tags and params name may be a child's, logged or not.
    """
    found: defaultdict[str, list[Reference]] = defaultdict(list)
    for path, reference in _named_by_runs(checkpoints, store, recipe, parents):
        found[path].append(reference)
    for path, run_id, place, text in named_paths(checkpoints, store, recipe) if recipe.is_link else ():
        if not is_chosen(place) and run_id not in parents:
            found[path].append(Reference(run_id, place, text, PATH_BITS))
    for path, run_id, place in held_runs(checkpoints, store):
        found[path].append(Reference(run_id, "the store of the run, which lies in the directory,", place, is_held=True))
    other_run = KeyPatterns(recipe.other_run_keys)
    for checkpoint in checkpoints:
        for reference in _naming_runs(checkpoint, evidence.get(checkpoint.path), run_ids, other_run):
            found[checkpoint.path].append(reference)
    return {
        path: tuple(sorted(set(references), key=lambda r: (r.run_id, r.place, r.text)))
        for path, references in found.items()
    }


def reference_bits(references: Sequence[Reference], run_id: str, run_total: int) -> float:
    """Return the weight of all references of a checkpoint for one run.

    A place that names one run alone speaks with all its bits, for it and against all others. A place that names
    k runs says no more than that it is one of them: log2(N / k). A place that names it as the best of several says
    nothing against others.
    """
    bits = 0.0
    places: defaultdict[tuple[float, str], set[str]] = defaultdict(set)
    for reference in references:
        places[reference.bits, reference.place].add(reference.run_id)
    for (most, _), named in places.items():
        if most <= CHOSEN_BITS:
            one = most if run_id in named and len(named) == 1 else 0.0
        elif len(named) == 1:
            one = most if run_id in named else -most
        elif run_id in named:
            one = max(0.0, min(most, math.log2(run_total / len(named))))
        else:
            one = SHARED_OTHER_BITS
        bits = one if not bits else (min(bits, one) if min(bits, one) < 0 else max(bits, one))
    return bits


def named_runs(references: Sequence[Reference]) -> tuple[str, ...]:
    """Return the runs, sorted, that are each named for their own directory by some place that names no other."""
    places: defaultdict[str, set[str]] = defaultdict(set)
    for reference in references:
        if reference.bits > CHOSEN_BITS:
            places[reference.place].add(reference.run_id)
    return tuple(sorted({next(iter(named)) for named in places.values() if len(named) == 1}))


def is_named_by_path(references: Sequence[Reference], run_id: str) -> bool:
    """Say whether nothing but a path names a run: who wrote to it last, it does not say."""
    bits = [one.bits for one in references if one.run_id == run_id]
    return bool(bits) and max(bits) <= PATH_BITS


def is_made_once(name: DirectoryName) -> bool:
    """Say whether a name is given to one directory alone: it tells the second in which that was made, or has an id."""
    return bool(name.uid) or name.local_time is not None or _SECOND.search(name.label) is not None


def choosing_runs(references: Iterable[Sequence[Reference]]) -> frozenset[str]:
    """Return the runs that have chosen a directory among several."""
    return frozenset(one.run_id for some in references for one in some if not one.bits)


def artifact_references(checkpoint: Checkpoint, run_id: str, files: Sequence[ArtifactFile]) -> list[Reference]:
    """Return the references that a run's artifact paths make to a directory, at most one."""
    for file in files:
        if names_directory(file.path, checkpoint):
            return [Reference(run_id, "an artifact's path", file.path)]
    return []


def names_directory(text: str, checkpoint: Checkpoint) -> bool:
    """Say whether a text names this directory: its id, alone or followed by its own stamp."""
    name = checkpoint.name
    if name is None:
        return False
    for match in ID_PATTERN.finditer(text):
        if match[0] == name.uid:
            stamp = _STAMP_AFTER_ID.match(text, match.end())
            if stamp is None or stamp[1] == name.stamp:
                return True
    return False


def written_as(checkpoint: Checkpoint, facts: Iterable[Fact], run_ids: Collection[str]) -> str:
    """Return, in words, where files of a directory say that they were written under another name; empty for nowhere.

    A training script saves the directory's own name with the weights. Where that is another's, directories were
    swapped or files copied, and nothing that the name tells (its stamp, references to it) is about these weights.
    """
    own_uid = "" if checkpoint.name is None else checkpoint.name.uid
    for fact in facts if ID_PATTERN.fullmatch(own_uid) else ():
        if fact.kind is FactKind.MENTION and fact.key in _OWN_NAME_KEYS and isinstance(fact.value, str):
            named = ID_PATTERN.findall(fact.value)
            if named and own_uid not in named and not any(uid in run_ids for uid in named):
                return Reference("", f"{fact.source} ({fact.key})", fact.value).words()
    return ""


def named_in_config(params: Iterable[tuple[str, Scalar]], patterns: KeyPatterns) -> tuple[str, ...]:
    """Return the 32-digit ids that a config names under keys of these patterns."""
    texts = [value for key, value in params if isinstance(value, str) and patterns.matches(key)]
    return tuple([uid for text in texts for uid in ID_PATTERN.findall(text)])


def is_chosen(place: str) -> bool:
    """Say whether a place is one for the best of several checkpoints.

    >>> is_chosen("tag best_model_path"), is_chosen("tag checkpoint_dir"), is_chosen("param bestiary_dir")
    (True, False, False)
    """
    return not CHOSEN_WORDS.isdisjoint(_WORD.findall(place.lower()))


def _named_by_runs(
    checkpoints: Sequence[Checkpoint], store: RunStore, recipe: Recipe, parents: Collection[str]
) -> list[tuple[str, Reference]]:
    by_uid: defaultdict[str, list[Checkpoint]] = defaultdict(list)
    for checkpoint in checkpoints:
        if checkpoint.name is not None:
            by_uid[checkpoint.name.uid].append(checkpoint)
    other_run = KeyPatterns(recipe.other_run_keys)
    own = {"tag": KeyPatterns(recipe.reference_tags), "param": KeyPatterns(recipe.reference_params)}
    found: list[tuple[str, Reference]] = []
    choosing: list[tuple[str, Reference]] = []
    for mention in store.mentions(ID_PATTERN):
        kind, _, key = mention.place.partition(" ")
        if kind in own and (other_run.matches(key) or not own[kind].matches(key) or mention.run_id in parents):
            continue
        reference = Reference(mention.run_id, f"the run's {mention.place.replace('run name', 'name')}", mention.text)
        meant = choosing if kind in own and is_chosen(key) else found
        for uid in set(ID_PATTERN.findall(mention.text)) & by_uid.keys():
            meant += [(c.path, reference) for c in by_uid[uid] if names_directory(mention.text, c)]
    is_usual = len({path for path, _ in choosing}) > CHOSEN_SHARE * len(checkpoints)
    return found + [(path, replace(one, bits=CHOSEN_BITS if is_usual else 0.0)) for path, one in choosing]


def _naming_runs(
    checkpoint: Checkpoint, evidence: Evidence | None, run_ids: Collection[str], other_run: KeyPatterns
) -> list[Reference]:
    found = []
    for fact in () if evidence is None else evidence.facts:
        if not isinstance(fact.value, str) or other_run.matches(fact.key):
            continue
        last = fact.key.replace(".", "/").rsplit("/", maxsplit=1)[-1].lower()
        is_own = fact.kind is FactKind.MENTION and last not in _BEST_CHECKPOINTS
        if is_own or (fact.kind is FactKind.PARAM and last in _OWN_RUN_KEYS):
            own_uid = "" if checkpoint.name is None else checkpoint.name.uid
            found += [
                Reference(uid, f"{fact.source} in the directory ({fact.key})", fact.value)
                for uid in set(ID_PATTERN.findall(fact.value))
                if uid in run_ids and uid != own_uid
            ]
    return found
