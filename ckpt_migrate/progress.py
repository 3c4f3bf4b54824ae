"""Progress as the core sees it: something that may watch a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


class Progress(Protocol):
    """Watches loops that can take over a second."""

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterable[T]:
        """Yield the items unchanged, showing how many have gone by; `total` when `items` has no length."""


class Silent:
    """Shows nothing."""

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterable[T]:  # noqa: ARG002 - the protocol's signature
        """Return the items as they are."""
        return items


SILENT = Silent()
