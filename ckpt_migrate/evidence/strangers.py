"""Readers of other packages: whatever they do, the rest of the scan goes on.

They run in threads of their own, so that one that never comes back is given up, and what they yield is looked at
before anything relies on it. No thread can be ended from outside: one that hangs is left behind and, being a daemon,
does not keep the program from ending.
"""

from __future__ import annotations

import errno
import threading
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.records import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

    R = TypeVar("R")

LIMIT_S = 60.0
"""Longest that a reader may take for one file, seconds; no reader of this package takes one."""

MAX_FACTS = 100_000
"""Facts taken from one file; a reader that gives more has misread it."""

_LONGEST_LIST_DEPTH = 32
_PLAIN = (str, int, float, type(None))
_KEY = attrgetter("key")


class Stranger:
    """A reader of another package, guarded.

    Args:
        name: What its entry point is called; how it is told of until it tells its own name.
        load: Returns what makes it of a recipe.
        recipe: The recipe.

    Raises:
        Exception: Whatever it raises while it is made; what would end the program comes as a ReaderError.
    """

    def __init__(self, name: str, load: Callable[[], Callable[[Recipe], object]], recipe: Recipe) -> None:
        self.name = name
        self._is_given_up = False
        self._reader: object = self._guarded(lambda: load()(recipe))
        own, version = self._guarded(
            lambda: (getattr(self._reader, "name", name), getattr(self._reader, "version", ""))
        )
        self.name = own if isinstance(own, str) and own else name
        self.version = version if isinstance(version, str) else ""

    def wants(self, file: FileStat) -> bool:
        """Say whether it reads this file."""
        return bool(self._guarded(lambda: self._reader.wants(file)))  # type: ignore[attr-defined] # checked by doing

    def read(self, path: str, file: FileStat) -> list[Fact]:
        """Return its facts, sorted by key.

        Raises:
            ReaderError: It yields too many, or what is no fact.
            TimeoutError: It took too long, now or with an earlier file.
            Exception: Whatever else it raises.
        """
        return self._guarded(lambda: self._facts(path, file))

    def _facts(self, path: str, file: FileStat) -> list[Fact]:
        facts = list(islice(self._reader.read(path, file), MAX_FACTS + 1))  # type: ignore[attr-defined] # likewise
        if len(facts) > MAX_FACTS:
            raise ReaderError(f"gives over {MAX_FACTS:,} facts")
        if not all(map(_is_fact, facts)):
            raise ReaderError("its reader gives what is no fact: see docs/readers.md")
        return sorted(facts, key=_KEY)

    def _guarded(self, action: Callable[[], R]) -> R:
        """Return what an action returns, in time."""
        if self._is_given_up:
            raise TimeoutError(errno.ETIMEDOUT, f"its reader took over {LIMIT_S:g} s before, and is not asked again")
        results: list[R] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(action())
            except BaseException as error:  # noqa: BLE001 - SystemExit too: it is handed over to who asked
                errors.append(error)

        thread = threading.Thread(target=run, name=f"reader {self.name}", daemon=True)
        thread.start()
        thread.join(LIMIT_S)
        if results:
            return results[0]
        if errors and isinstance(errors[0], Exception):
            raise errors[0]
        if errors:
            raise ReaderError(f"its reader would end the program: {type(errors[0]).__name__}")
        self._is_given_up = True
        raise TimeoutError(errno.ETIMEDOUT, f"its reader took over {LIMIT_S:g} s")


def _is_fact(one: object) -> bool:
    return (
        isinstance(one, Fact)
        and isinstance(one.kind, FactKind)
        and all(isinstance(text, str) for text in (one.key, one.source, one.reader))
        and _is_scalar(one.value, 0)
    )


def _is_scalar(value: object, depth: int) -> bool:
    if isinstance(value, list):
        return depth < _LONGEST_LIST_DEPTH and all(_is_scalar(item, depth + 1) for item in value)
    return isinstance(value, _PLAIN)
