"""Moves: in which order directories change names so that no name is taken, be it in a chain or in a circle."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, TypeVar

from ckpt_migrate.executor.operations import Change, Rename

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Moving(Protocol):
    """Something that goes from one path to another."""

    @property
    def source(self) -> str:
        """Absolute path before."""

    @property
    def target(self) -> str:
        """Absolute path after."""


M = TypeVar("M", bound=Moving)


def order_moves(moving: Iterable[M]) -> list[tuple[M, ...]]:
    """Return what moves in units that must stay together, each in an order in which no target is taken.

    A unit is one move, a chain (A becomes B while B becomes C: B first), or a cycle. A cycle starts with the member
    that `unit_renames` sends over a temporary name. Targets are distinct; the order of independent units is kept.
    """
    listed = list(moving)
    by_source = {one.source: one for one in listed}
    placed: set[str] = set()
    units: list[tuple[M, ...]] = []
    for one in listed:
        if one.source in placed:
            continue
        if one.target not in by_source:
            placed.add(one.source)
            units.append((one,))
            continue
        chain = [one]
        placed.add(one.source)
        while chain[-1].target != chain[-1].source:
            blocker = by_source.get(chain[-1].target)
            if blocker is None or blocker.source in placed:
                break
            chain.append(blocker)
            placed.add(blocker.source)
        is_cycle = len(chain) > 1 and chain[-1].target == one.source
        units.append((chain[0], *reversed(chain[1:])) if is_cycle else tuple(reversed(chain)))
    return units


def unit_renames(unit: Sequence[Change], temporary: str) -> list[Rename]:
    """Return the renames of a unit of `order_moves`; `temporary` is a free name for a cycle's first directory."""
    first = unit[0]
    is_cycle = any(change.source == first.target for change in unit[1:])
    if not is_cycle:
        return [_rename(change, change.source, change.target) for change in unit if change.source != change.target]
    aside = os.path.join(os.path.dirname(first.source), temporary)
    return [
        _rename(first, first.source, aside),
        *(_rename(change, change.source, change.target) for change in unit[1:]),
        _rename(first, aside, first.target),
    ]


def _rename(change: Change, source: str, target: str) -> Rename:
    return Rename(change.item, source, target, change.identity.inode)
