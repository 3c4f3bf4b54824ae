"""What a reader passed over: collected once each, in the order in which it was met."""

from __future__ import annotations

from ckpt_migrate.tracking.records import StoreWarning


def printable(name: str) -> str:
    """Return a file name that can be printed: bytes that are no UTF-8 would end the program that prints them."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


class PassedOver:
    """A growing list of warnings without repeats; the same file may be read many times."""

    def __init__(self) -> None:
        self._seen: dict[StoreWarning, None] = {}

    def add(self, where: str, what: str) -> None:
        """Note that something was passed over; `where` names it, `what` says why."""
        self._seen.setdefault(StoreWarning(printable(where), what))

    def all(self) -> tuple[StoreWarning, ...]:
        """Return everything noted so far."""
        return tuple(self._seen)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the same as plain tuples of where and what, which pass from process to process."""
        return [(warning.where, warning.what) for warning in self._seen]
