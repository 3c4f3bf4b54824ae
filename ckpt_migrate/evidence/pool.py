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
        self._known: dict[tuple[str, str, type, Scalar], Fact] = {}

    def params(self, pairs: Iterable[tuple[str, Scalar]], source: str) -> list[Fact]:
        """Return a fact for every key and value, in their order."""
        known, facts = self._known, []
        for key, value in pairs:
            # 1, 1.0 and True are equal, and not the same text.
            identity = (source, key, value.__class__, value)
            if value.__class__ is list:
                facts.append(Fact(FactKind.PARAM, key, value, source, self._reader))
                continue
            fact = known.get(identity)
            if fact is None:
                if len(known) >= MAX_POOLED:
                    known.clear()
                fact = Fact(FactKind.PARAM, sys.intern(key), value, source, self._reader)
                known[identity] = fact
            facts.append(fact)
        return facts
