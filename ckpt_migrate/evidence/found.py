"""What was read from one directory, in little room: params as pairs, equal ones of several files once.

Facts are made of it when somebody asks: a scan of ten thousand directories finds more than a million.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.records import Evidence, Fact, FactKind, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ckpt_migrate.evidence.records import Scalar
    from ckpt_migrate.records import Checkpoint

MAX_POOLED = 100_000
"""Facts kept for sharing; beyond it the pool starts anew, so that configs without anything in common cost no
memory twice."""

Pairs = tuple[tuple[str, "Scalar"], ...]

_FEWEST_SHARED = 4
_KEY = attrgetter("key")


@dataclass(frozen=True, slots=True)
class Block:
    """Facts of one kind that one reader found in one file.

    Attributes:
        source: The file.
        reader: Who read it.
        kind: Of all of them.
        pairs: Key and value of each, in their order.
    """

    source: str
    reader: str
    kind: FactKind
    pairs: Pairs

    def facts(self) -> list[Fact]:
        """Return its facts."""
        return [Fact(self.kind, key, value, self.source, self.reader) for key, value in self.pairs]


@dataclass(frozen=True, slots=True)
class Found:
    """What one directory holds.

    Attributes:
        files: The blocks of each file that tells anything, in the order of files and readers.
        problems: What could not be read.
    """

    files: tuple[tuple[Block, ...], ...]
    problems: tuple[Problem, ...]

    def evidence(self, pool: FactPool) -> Evidence:
        """Return it as facts, by file, then key."""
        facts: list[Fact] = []
        for blocks in self.files:
            found = [fact for block in blocks for fact in pool.facts(block)]
            found.sort(key=_KEY)
            facts += found
        return Evidence(tuple(facts), self.problems)


class FactPool:
    """Makes facts, equal ones once: the runs of a sweep share most of their config, and a fact is never changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, FactKind], dict[tuple[str, Scalar], Fact]] = {}
        self._count = 0

    def facts(self, block: Block) -> list[Fact]:
        """Return the facts of a block, in their order."""
        known = self._known.setdefault((block.source, block.reader, block.kind), {})
        facts = []
        for pair in block.pairs:
            key, value = pair
            if value.__class__ is list:
                facts.append(Fact(block.kind, key, value, block.source, block.reader))
                continue
            fact = known.get(pair)
            # 1, 1.0 and True are equal, and not the same text.
            if fact is None or fact.value.__class__ is not value.__class__:
                fact = known[pair] = Fact(block.kind, key, value, block.source, block.reader)
                self._count += 1
            facts.append(fact)
        if self._count > MAX_POOLED:
            self._known.clear()
            self._count = 0
        return facts


class Sharing:
    """Keeps equal pairs of the blocks of one directory once: its config mostly stands in several files."""

    def __init__(self) -> None:
        self._met: list[Pairs] = []

    def shared(self, pairs: Sequence[tuple[str, Scalar]]) -> Pairs:
        """Return pairs as a tuple; the same one for equal pairs."""
        made = tuple(pairs)
        if len(made) < _FEWEST_SHARED:
            return made
        for met in self._met:
            if met == made and all(
                one[1].__class__ is other[1].__class__ for one, other in zip(met, made, strict=True)
            ):
                return met
        made = tuple([(sys.intern(key), value) for key, value in made])
        self._met.append(made)
        return made


class Findings(Mapping[str, Evidence]):
    """Evidence by path, made of what was found when it is asked for: who lists directories asks for none of it.

    Args:
        checkpoints: The directories, in their order.
        take: Returns what was found in one of them, once.
    """

    def __init__(self, checkpoints: Iterable[Checkpoint], take: Callable[[Checkpoint], Found]) -> None:
        self._checkpoints = {checkpoint.path: checkpoint for checkpoint in checkpoints}
        self._take = take
        self._made: dict[str, Evidence] = {}
        self._pool = FactPool()

    def __getitem__(self, path: str) -> Evidence:
        made = self._made.get(path)
        if made is None:
            made = self._made[path] = self._take(self._checkpoints[path]).evidence(self._pool)
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._checkpoints)

    def __len__(self) -> int:
        return len(self._checkpoints)
