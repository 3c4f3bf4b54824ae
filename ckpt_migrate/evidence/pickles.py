"""Pickles read as data: a small machine that knows every opcode and calls nothing, whatever the file says.

Python's own unpickler is no base for this. Even with `find_class` overridden it calls what a file puts on its stack,
allocates what a file claims (`BINBYTES8` before a byte is read, `LONG_BINPUT` the whole memo up to its index), and
reaches cached extension objects without asking. Here an object is an `Inert` record of its name, arguments and state.

What bounds it: time and memory grow with the operations run, of which there are at most `MAX_OPERATIONS`; nothing
is allocated before the bytes for it are there; content is shared and not copied; keys that a file could make collide
are never hashed by value; no function recurses.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import partial

from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.inert import Inert, PickleError, TruncatedError
from ckpt_migrate.evidence.opcodes import OPERATIONS
from ckpt_migrate.evidence.stretches import PASSED_KEYS, Memo, Stretches
from ckpt_migrate.evidence.tensors import pass_tensor

MAX_OPERATIONS = 2_000_000
"""Opcodes run for one pickle. A checkpoint with 10,000 tensors takes some 300,000; two million take about a second
and at most some 450 MB, were all of them empty sets and dictionaries."""

MAX_LINE_BYTES = 1 << 16
"""Longest text argument of the old, line-based opcodes, bytes."""

CUT_SHORT = "ends in the middle of its pickle"

# The six that make up most of every pickle of torch; the rest stand in OPERATIONS.
_TEXT, _GET, _LONG_GET, _SMALL, _PUT, _LONG_PUT = b"XhjKqr"
_STOP, _MARK = b".("
_PROTOCOL_2 = b"\x80\x02"
_MEMOIZE = 0x94
# What follows a value in a mapping: the next key, or the end of the mapping.
_AFTER_VALUE = frozenset(b"Xhju")
# Opcodes are read without asking whether the bytes end there; zero is no opcode.
_PADDING = bytes(16)
_LONGEST_FIXED = 9
_length = struct.Struct("<I").unpack_from


class OperationsError(PickleError):
    """More operations than are allowed."""


def load_pickle(data: bytes, start: int = 0, stretches: Stretches | None = None) -> tuple[object, int]:
    r"""Read one pickle as plain data and inert records.

    Sets come back as lists. The result may share or even contain itself: whoever walks it counts.

    Args:
        data: Bytes that hold the pickle.
        start: Where it begins.
        stretches: What was met in earlier pickles; values known from there come back as an inert record.

    Returns:
        The object, and the position after it.

    Raises:
        TruncatedError: The bytes end before the pickle does.
        PickleError: They are no pickle, or it is beyond the limits.

    >>> load_pickle(b"cos\nsystem\n(S'reboot'\ntR.")[0]
    <os.system>
    """
    machine = Machine(data, start)
    # Later protocols number the memo by its length, which a stretch cannot know.
    machine.stretches = stretches if data.startswith(_PROTOCOL_2, start) else None
    try:
        return machine.run(), machine.at
    except ReaderError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error) as error:
        if machine.has_passed:
            # It may ask for what was passed over.
            return load_pickle(data, start)
        # An argument of fixed length that was cut has been read with zeros in the place of what is missing.
        if machine.at + _LONGEST_FIXED >= len(data):
            raise TruncatedError(CUT_SHORT) from error
        raise PickleError(f"no valid pickle at byte {machine.at}") from error


class Machine:
    """The pickle machine: a stack, marks (older stacks below it), and a memo.

    Attributes:
        data: The bytes, padded.
        size: How many of them count.
        at: Position of the next byte.
        left: How many items may still be copied.
        stretches: What was met in earlier pickles; None where none may be passed.
        has_passed: Whether any was.
    """

    __slots__ = ("at", "data", "has_passed", "left", "marks", "memo", "size", "stack", "stretches")

    def __init__(self, data: bytes, start: int) -> None:
        self.data = data + _PADDING
        self.size = len(data)
        self.at = start
        self.left = MAX_OPERATIONS
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.stretches: Stretches | None = None
        self.has_passed = False

    def run(self, limit: int = MAX_OPERATIONS) -> object:  # noqa: PLR0912 - the commonest opcodes stand in line; a call for each doubles the time
        """Run to the end of the pickle and return what is on top of the stack.

        Raises:
            OperationsError: The limit of operations is reached; running may go on.
        """
        at = self.at
        data, size, memo, stack = self.data, self.size, self.memo, self.stack
        try:
            for _ in range(limit):
                opcode = data[at]
                if opcode == _TEXT:
                    start = at + 5
                    at = start + _length(data, at + 1)[0]
                    if at > size:
                        raise TruncatedError(CUT_SHORT)
                    # Half a surrogate pair, as JSON may have put it there, is let through.
                    text = str(data[start:at], "utf-8", "surrogatepass")
                    stack.append(text)
                    # A text is nearly always remembered at once.
                    if data[at] == _PUT:
                        memo[data[at + 1]] = text
                        at += 2
                    if text in PASSED_KEYS and self.stretches is not None and len(self.marks) == 1:
                        at = self._pass_value(text, at)
                elif opcode == _GET:
                    if data[at + 2] == _MARK == data[at + 3]:
                        passed = pass_tensor(data, at, memo)
                        if passed is not None:
                            stack.append(passed[0])
                            at = passed[1]
                            continue
                    stack.append(memo[data[at + 1]])
                    at += 2
                elif opcode == _LONG_GET:
                    stack.append(memo[_length(data, at + 1)[0]])
                    at += 5
                elif opcode == _SMALL:
                    stack.append(data[at + 1])
                    at += 2
                elif opcode == _PUT:
                    memo[data[at + 1]] = stack[-1]
                    at += 2
                elif opcode == _LONG_PUT:
                    memo[_length(data, at + 1)[0]] = stack[-1]
                    at += 5
                elif opcode == _STOP:
                    at += 1
                    return stack.pop()
                else:
                    self.at = at + 1
                    OPERATIONS[opcode](self)
                    at, stack = self.at, self.stack
        finally:
            self.at = max(at, self.at)
        raise OperationsError(f"its pickle has over {MAX_OPERATIONS:,} operations")

    def _pass_value(self, key: str, at: int) -> int:
        """Return the position after the value of a key when it was met before, else the position itself."""
        known = self.stretches
        if known is None:
            return at
        if self.data[at] == _LONG_PUT:
            # The key's own number, which depends on what stands before it.
            self.memo[_length(self.data, at + 1)[0]] = key
            at += 5
        end = known.passed(key, self.data, at, self.memo)
        if end is None:
            known.learn(key, self.data, at, self.memo, partial(self._run_value, at))
            return at
        self.has_passed = True
        self.stack.append(Inert("met before", ()))
        return end

    def _run_value(self, at: int, memo: Memo) -> int:
        """Run one value alone, by another machine, and return where it ends."""
        alone = Machine(b"", 0)
        alone.data, alone.size, alone.at, alone.memo = self.data, self.size, at, memo
        for _ in range(MAX_OPERATIONS):
            opcode = alone.data[alone.at]
            if len(alone.stack) == 1 and not alone.marks and opcode in _AFTER_VALUE:
                return alone.at
            if opcode in {_MEMOIZE, _STOP}:
                raise PickleError("no value of a mapping")
            with suppress(OperationsError):
                alone.run(1)
        raise OperationsError(f"its pickle has over {MAX_OPERATIONS:,} operations")

    def spend(self, count: int) -> None:
        """Count items that are copied; beyond the limit of operations that ends it too."""
        self.left -= count
        if self.left < 0:
            raise PickleError(f"its pickle has over {MAX_OPERATIONS:,} operations")

    def take(self, count: int) -> bytes:
        """Return the next bytes, all of them or none."""
        start = self.at
        end = start + count
        if end > self.size:
            raise TruncatedError(CUT_SHORT)
        self.at = end
        return self.data[start:end]

    def number(self, count: int) -> int:
        """Return the next bytes as a number without sign."""
        return int.from_bytes(self.take(count), "little")

    def line(self) -> bytes:
        """Return the bytes up to the end of the line."""
        end = self.data.find(b"\n", self.at, self.at + MAX_LINE_BYTES)
        if end < 0:
            if self.at + MAX_LINE_BYTES > self.size:
                raise TruncatedError(CUT_SHORT)
            raise PickleError(f"no valid pickle at byte {self.at}: a line is too long")
        line = self.data[self.at : end]
        self.at = end + 1
        return line

    def above_mark(self) -> list[object]:
        """Return what was pushed since the last mark, and forget the mark."""
        items = self.stack
        self.stack = self.marks.pop()
        return items
