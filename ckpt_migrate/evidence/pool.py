"""Facts, equal ones made once: the runs of a sweep share most of their config, and a fact is never changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.records import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt_migrate.evidence.records import Scalar

MAX_POOLED = 100_000
"""Facts kept for sharing; beyond it the pool starts anew, so that configs without anything in common cost no
memory twice."""


class FactPool:
    """Makes the params of one reader."""

    def __init__(self, reader: str) -> None:
        self._reader = reader
        self._known: dict[str, dict[tuple[str, Scalar], Fact]] = {}
        self._count = 0

    def params(self, pairs: Iterable[tuple[str, Scalar]], source: str) -> list[Fact]:
        """Return a fact for every key and value, in their order."""
        known = self._known.setdefault(source, {})
        facts = []
        for pair in pairs:
            key, value = pair
            if value.__class__ is list:
                facts.append(Fact(FactKind.PARAM, sys.intern(key), value, source, self._reader))
                continue
            fact = known.get(pair)
            # 1, 1.0 and True are equal, and not the same text.
            if fact is None or fact.value.__class__ is not value.__class__:
                fact = known[pair] = Fact(FactKind.PARAM, sys.intern(key), value, source, self._reader)
                self._count += 1
            facts.append(fact)
        if self._count > MAX_POOLED:
            self._known.clear()
            self._count = 0
        return facts
