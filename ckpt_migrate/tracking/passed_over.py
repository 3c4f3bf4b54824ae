"""What a reader passed over: collected once each, in the order in which it was met."""

from __future__ import annotations

import re

from ckpt_migrate.tracking.records import StoreWarning

# What ends a line, moves a cursor or turns the direction of writing: a store's texts may hold anything, and a warning
# that quotes one must not look like something else.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(name: str) -> str:
    """Return a file name that can be printed: bytes that are no UTF-8 would end the program that prints them."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def quoted(text: str) -> str:
    r"""Return a text as one line in which everything can be seen.

    >>> quoted("loss\n\x1b[31m\u202e"), quoted("größe")
    ('loss\\n\\x1b[31m\\u202e', 'größe')
    """
    return _UNSEEN.sub(lambda match: ascii(match[0])[1:-1], printable(text))


class PassedOver:
    """A growing list of warnings without repeats; the same file may be read many times."""

    def __init__(self) -> None:
        self._seen: dict[StoreWarning, None] = {}

    def add(self, where: str, what: str) -> None:
        """Note that something was passed over; `where` names it, `what` says why."""
        self._seen.setdefault(StoreWarning(quoted(where), quoted(what)))

    def all(self) -> tuple[StoreWarning, ...]:
        """Return everything noted so far."""
        return tuple(self._seen)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the same as plain tuples of where and what, which pass from process to process."""
        return [(warning.where, warning.what) for warning in self._seen]
