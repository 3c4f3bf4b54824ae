"""Artifacts: a closer look, for directories that nothing else has decided, at what their candidates stored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.content import content_bits
from ckpt_migrate.matching.families.references import artifact_references, reference_bits
from ckpt_migrate.matching.model.cases import ranked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.matching.decision.decide import Decision
    from ckpt_migrate.matching.families.content import Contents
    from ckpt_migrate.matching.families.references import Reference
    from ckpt_migrate.matching.model.cases import Case
    from ckpt_migrate.matching.model.pair import World

MOST_ALIKE = 8
"""Runs of the same params, beside the candidates, that are asked whether they have the same bytes."""


def add_artifacts(decisions: Sequence[Decision], world: World, contents: Contents) -> list[Case]:
    """Return the cases with references in artifact paths and equal bytes, where nothing else was decided."""
    out = []
    for decision in decisions:
        case = decision.case
        if decision.best is not None or not case.scores:
            out.append(case)
            continue
        named = [
            reference
            for one in case.worth
            for reference in artifact_references(case.checkpoint, one.run_id, contents.files_of(one.run_id))
        ]
        alike = world.index.agreeing(case.seen.config, MOST_ALIKE)
        asked = sorted({one.run_id for one in case.worth} | set(alike))
        equal = content_bits(case.checkpoint, contents, asked)
        out.append(_with(case, named, equal, world) if named or equal else case)
    return out


def _with(case: Case, named: Sequence[Reference], equal: Mapping[str, tuple[float, str]], world: World) -> Case:
    references = tuple(sorted({*case.seen.references, *named}, key=lambda r: (r.run_id, r.place, r.text)))
    scores = []
    for one in case.scores:
        bits, words = equal.get(one.run_id, (0.0, ""))
        reference = reference_bits(references, one.run_id, world.run_total)
        told = {**one.words, "content": words} if bits else one.words
        scores.append(replace(one, reference=reference, content=bits, words=told))
    return ranked(case._replace(seen=replace(case.seen, references=references), scores=tuple(scores)))
