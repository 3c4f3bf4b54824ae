"""Stretches of a pickle met before: weights and optimizer states, which the files of one sweep share byte for byte.

What a stretch does depends on its bytes and on the memo entries that it asks for. Where both are those of an earlier
file, so is the result, and the machine passes on to its end. Nothing that could be changed is carried over from one
file to the next: a hostile one must not be able to alter what is read of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.inert import Inert

if TYPE_CHECKING:
    from collections.abc import Callable

PASSED_KEYS = frozenset(
    {"state_dict", "model_state_dict", "optimizer_states", "optimizer_state_dict", "lr_schedulers", "loops"}
)
"""Keys of a checkpoint whose values are long, much alike, and no evidence."""

MAX_KNOWN = 4
"""Stretches kept of each key: the files of a tree come sorted, so that those of one model mostly follow each other."""

MAX_STRETCH_BYTES = 4 << 20
"""Longest stretch kept, bytes; some 20,000 tensors."""

MIN_STRETCH_BYTES = 64
"""Shortest stretch kept, bytes; running such a one is as fast as looking it up."""

MOST_IN_VAIN = 8
"""Stretches of a key learned without one being met again, until it is left alone: learning runs the value twice."""

_FIRST_BYTES = 256
_PLAIN = frozenset({str, bytes, int, float, bool, type(None)})


class Memo(dict[int, object]):
    """The memo while a stretch is run alone: it notes which earlier entries are asked for."""

    def __init__(self, before: dict[int, object]) -> None:
        super().__init__()
        self._before = before
        self.asked: dict[int, object] = {}

    def __missing__(self, index: int) -> object:
        """Return an entry from before the stretch."""
        value = self.asked[index] = self._before[index]
        return value

    def get(self, index: int, default: object = None) -> object:
        """Return an entry, noted likewise; a dictionary's own would not."""
        return self[index] if index in self or index in self._before else default


@dataclass(frozen=True, slots=True)
class Stretch:
    """One that was run.

    Attributes:
        data: Its bytes.
        asked: The memo entries from before it that it depends on.
        plain: The memo entries that it makes and that nobody can change.
        names: Those of them that are classes or functions.
    """

    data: bytes
    asked: tuple[tuple[int, object], ...]
    plain: dict[int, object]
    names: tuple[tuple[int, str], ...]

    def holds(self, memo: dict[int, object]) -> bool:
        """Say whether what it depends on is there."""
        return all(index in memo and _constant(memo[index]) == constant for index, constant in self.asked)

    def enter(self, memo: dict[int, object]) -> None:
        """Put into a memo what it makes, as far as anything may ask for it."""
        memo.update(self.plain)
        for index, name in self.names:
            memo[index] = Inert(name)


class Stretches:
    """The stretches met in the files that one reader has read."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Stretch, ...]] = {}
        self._begun: dict[str, bytes] = {}
        self._in_vain: dict[str, int] = {}

    def passed(self, key: str, data: bytes, at: int, memo: dict[int, object]) -> int | None:
        """Return the position after a value that is known, once the memo is as it would have left it; else None."""
        for stretch in self._known.get(key, ()):
            if data.startswith(stretch.data, at) and stretch.holds(memo):
                stretch.enter(memo)
                self._in_vain[key] = 0
                return at + len(stretch.data)
        return None

    def learn(self, key: str, data: bytes, at: int, before: dict[int, object], run: Callable[[Memo], int]) -> None:
        """Keep the value that begins at a position, when one that began alike was the last of its key.

        Args:
            key: Its key.
            data: The pickle.
            at: Where it begins.
            before: The memo there.
            run: Runs it alone, with a memo, and returns where it ends.
        """
        begun, in_vain = data[at : at + _FIRST_BYTES], self._in_vain.get(key, 0)
        if self._begun.get(key) != begun or in_vain >= MOST_IN_VAIN:
            self._begun[key] = begun
            return
        self._in_vain[key] = in_vain + 1
        memo = Memo(before)
        try:
            end = run(memo)
        except (ReaderError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return
        asked = [(index, _constant(value)) for index, value in memo.asked.items()]
        if not MIN_STRETCH_BYTES <= end - at <= MAX_STRETCH_BYTES or any(constant is None for _, constant in asked):
            return
        made = Stretch(
            data[at:end],
            tuple(asked),
            {index: value for index, value in memo.items() if _is_plain(value)},
            tuple((index, value.name) for index, value in memo.items() if isinstance(value, Inert) and _is_name(value)),
        )
        self._known[key] = (made, *self._known.get(key, ())[: MAX_KNOWN - 1])


def _is_plain(value: object) -> bool:
    return value.__class__ in _PLAIN or (isinstance(value, tuple) and all(item.__class__ in _PLAIN for item in value))


def _is_name(record: Inert) -> bool:
    return record.arguments is None and record.state is None and record.entries is None


def _constant(value: object) -> tuple[str, object] | None:
    """Return what tells a memo entry apart for good; None where it may change."""
    if value.__class__ in _PLAIN:
        return value.__class__.__name__, value
    return ("name", value.name) if isinstance(value, Inert) and _is_name(value) else None
