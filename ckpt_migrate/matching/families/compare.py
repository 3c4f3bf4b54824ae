"""Comparison: params of a checkpoint's config against params that a run logged, after formats are set aside."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from operator import ne
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from ckpt_migrate.matching.families.keys import Layout
    from ckpt_migrate.matching.families.values import Params

MOST_FACING = 1 << 12
"""Pairs of sets of keys of which is remembered where their values stand."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A checkpoint's params beside a run's.

    Attributes:
        same: How many keys agree.
        differing: Keys that both have and that differ, sorted.
        absent: Keys of the config that the run did not log, sorted.
        unlike: Keys that show the run to be of another kind: of the config, which the run lacks though others log
            them, then of the run, which the config lacks though others have them; empty unless there are both.
    """

    same: int = 0
    differing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    @property
    def is_throughout(self) -> bool:
        """Whether the run logged all keys, and none differs."""
        return not (self.differing or self.absent or self.unlike)

    @property
    def compared(self) -> int:
        """How many keys both sides have."""
        return self.same + len(self.differing)

    def keys(self, config: Params) -> frozenset[str]:
        """Return the keys that both sides have; `config` as it was compared."""
        return config.names.difference(self.absent) if self.absent else config.names


def compare(config: Params, logged: Params, telling: AbstractSet[str] = frozenset()) -> Comparison:
    """Compare a checkpoint's params with a run's.

    Args:
        config: The checkpoint's.
        logged: The run's.
        telling: Keys whose presence tells kinds of runs apart. A log that lacks some of them may be cut short, and a
            config may hold a part; only where each has what the other lacks are they of two kinds.
    """
    facing = _facing(config.layout, logged.layout)
    mine, theirs = config.canonicals, logged.canonicals
    if config.layout is not logged.layout:
        mine, theirs = tuple([mine[i] for i in facing.here]), tuple([theirs[i] for i in facing.there])
    if mine == theirs and not facing.absent:
        return agreeing_throughout(len(mine))
    differing = tuple(compress(facing.keys, map(ne, mine, theirs)))
    if logged.may_be_cut:
        differing = tuple(key for key in differing if not config[key].agrees(logged[key]))
    missing = [key for key in facing.absent if key in telling]
    more = sorted((logged.names & telling) - config.names) if missing and logged else []
    return Comparison(len(mine) - len(differing), differing, facing.absent, (*missing, *more) if more else ())


def apart(one: Params, other: Params) -> frozenset[str]:
    """Return the keys in which two runs differ, or that only one of them has."""
    if one.layout is not other.layout:
        return frozenset(key for key in one.names | other.names if one.canonical(key) != other.canonical(key))
    return _one_copy(frozenset(compress(one.layout.keys, map(ne, one.canonicals, other.canonicals))))


@dataclass(frozen=True, slots=True)
class _Facing:
    """Keys that two layouts share, with the places of each in both, and keys that only the first has."""

    keys: tuple[str, ...]
    here: tuple[int, ...]
    there: tuple[int, ...]
    absent: tuple[str, ...]


@lru_cache(maxsize=MOST_FACING)
def _facing(one: Layout, other: Layout) -> _Facing:
    keys = tuple(key for key in one.keys if key in other.places)
    return _Facing(
        keys,
        tuple(one.places[key] for key in keys),
        tuple(other.places[key] for key in keys),
        tuple(key for key in one.keys if key not in other.places),
    )


@lru_cache(maxsize=MOST_FACING)
def agreeing_throughout(count: int) -> Comparison:
    """Return the comparison of params that agree throughout: nearly all of them, and one copy serves."""
    return Comparison(count)


@lru_cache(maxsize=MOST_FACING)
def _one_copy(keys: frozenset[str]) -> frozenset[str]:
    return keys
