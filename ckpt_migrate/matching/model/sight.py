"""Sight: what is known of each checkpoint, gathered from its name, its files and what readers found in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.patterns import compile_patterns
from ckpt_migrate.evidence.records import Evidence, FactKind
from ckpt_migrate.matching.families.file_times import newest_weights_s, own_times_s, weights_times_s
from ckpt_migrate.matching.families.keys import KeyPatterns
from ckpt_migrate.matching.families.parts import find_mixed
from ckpt_migrate.matching.families.references import named_in_config, written_as
from ckpt_migrate.matching.families.stamps import is_plausible
from ckpt_migrate.matching.families.values import comparable
from ckpt_migrate.matching.model.pair import NamedMetric, Seen

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ckpt_migrate.evidence.records import Fact
    from ckpt_migrate.matching.clock.fit import FittedClock, Reading
    from ckpt_migrate.matching.families.file_times import FileTimes
    from ckpt_migrate.matching.families.references import Reference
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import Checkpoint

WRITTEN_BEFORE_S = 60.0
"""Files older than the directory's stamp by more than this were put there from elsewhere."""
_RESUME_KEYS = KeyPatterns(("*resume*", "*restart*", "*continue*", "*ckpt_path*"))
_FEW_METRICS = frozenset({"file name", "torch"})
"""Readers whose metrics are few and were each chosen by the training script."""
_PARAM = FactKind.PARAM
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def ignored_keys(recipe: Recipe) -> KeyPatterns:
    """Return the keys whose values say nothing about identity."""
    return KeyPatterns((*recipe.ignored_params, *recipe.other_run_keys))


def see(
    checkpoints: Sequence[Checkpoint],
    evidence: Mapping[str, Evidence],
    references: Mapping[str, tuple[Reference, ...]],
    *,
    clocks: Mapping[str, FittedClock],
    times: FileTimes,
    run_ids: Collection[str],
    recipe: Recipe,
) -> dict[str, Seen]:
    """Return what is known of each checkpoint of a known name form, by path.

    Args:
        checkpoints: The directories.
        evidence: What readers found, by path.
        references: Where one side names the other, by path.
        clocks: By folder.
        times: When files were written.
        run_ids: All runs.
        recipe: Which keys are ignored, which files are configs.
    """
    ignored = ignored_keys(recipe)
    weights = compile_patterns(recipe.weights)
    manifests = frozenset(manifest.name for manifest in recipe.manifests)
    shift_s = times.shift_s or 0.0
    mixed = find_mixed(checkpoints, times.newest_s, recipe)
    seen = {}
    for checkpoint in checkpoints:
        if checkpoint.name is None:
            continue
        found = evidence.get(checkpoint.path, Evidence())
        clock = clocks[checkpoint.collection]
        local = checkpoint.name.local_time
        readings = clock.readings(local) if is_plausible(local) else ()
        written = times.newest_s.get(checkpoint.path)
        is_older = written is not None and _is_before(written, readings)
        # Most facts are params, and they are looked at once.
        params = [(fact.key, fact.value) for fact in found.facts if fact.kind is _PARAM]
        others = [fact for fact in found.facts if fact.kind is not _PARAM]
        seen[checkpoint.path] = Seen(
            path=checkpoint.path,
            local=local,
            clock=clock,
            readings=readings,
            newest_s=None if is_older else written,
            oldest_s=None if is_older or written is None else min(own_times_s(checkpoint, manifests)) - shift_s,
            older_s=written if is_older else None,
            last_s=None if times.shift_s is None else _earlier(newest_weights_s(checkpoint, weights), shift_s),
            weights_s=None if written is None else _both_earlier(weights_times_s(checkpoint, weights), shift_s),
            config_apart_s=None if written is None else _config_apart_s(checkpoint, written + shift_s, recipe),
            is_complete=any(file.path in recipe.configs for file in checkpoint.files),
            config=comparable(params, ignored),
            metrics=_named_metrics(others),
            last_step=_last_step(others),
            references=references.get(checkpoint.path, ()),
            other_name=written_as(checkpoint, others, run_ids),
            mixed_s=mixed.get(checkpoint.path),
            resumed_from=named_in_config(params, _RESUME_KEYS),
        )
    return seen


def _is_before(time_s: float, readings: Sequence[Reading]) -> bool:
    """Say whether files are older than the stamp, whatever it means."""
    return bool(readings) and time_s < min(one.instant_s for one in readings) - WRITTEN_BEFORE_S


def _last_step(facts: Sequence[Fact]) -> int | None:
    steps = [fact.value for fact in facts if fact.kind is FactKind.COUNT and fact.key == "step"]
    return max((step for step in steps if isinstance(step, int)), default=None)


def _earlier(time_s: float | None, shift_s: float) -> float | None:
    return None if time_s is None else time_s - shift_s


def _both_earlier(times_s: tuple[float, float] | None, shift_s: float) -> tuple[float, float] | None:
    return None if times_s is None else (times_s[0] - shift_s, times_s[1] - shift_s)


def _config_apart_s(checkpoint: Checkpoint, newest_s: float, recipe: Recipe) -> float | None:
    times_s = [file.mtime_ns / 1e9 for file in checkpoint.files if file.kind == "file" and file.path in recipe.configs]
    return newest_s - max(times_s) if times_s else None


def _named_metrics(facts: Sequence[Fact]) -> tuple[NamedMetric, ...]:
    """Return the metrics that a directory tells, sorted, each with the epoch that the same file tells.

    Of the many that a log or a table has of one moment only the one with the most digits counts: they rise and fall
    together, and to weigh each would be to count one thing many times.
    """
    epochs = {
        (fact.source, fact.reader): fact.value
        for fact in facts
        if fact.kind is FactKind.COUNT and fact.key == "epoch" and isinstance(fact.value, int)
    }
    told = [
        (fact, fact.value)
        for fact in facts
        if fact.kind is FactKind.METRIC and isinstance(fact.value, str) and _NUMBER.fullmatch(fact.value)
    ]
    alone = [one for one in told if one[0].reader in _FEW_METRICS]
    most_digits = sorted((one for one in told if one[0].reader not in _FEW_METRICS), key=lambda one: len(one[1]))
    kept = [*alone, *{(one[0].source, one[0].reader): one for one in most_digits}.values()]
    found = {NamedMetric(fact.key, text, epochs.get((fact.source, fact.reader))) for fact, text in kept}
    return tuple(sorted(found, key=lambda one: (one.key, one.text, -1 if one.epoch is None else one.epoch)))
