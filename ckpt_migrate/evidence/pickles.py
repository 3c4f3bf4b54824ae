"""Pickles read as data: a small machine that knows every opcode and calls nothing, whatever the file says.

Python's own unpickler is no base for this. Even with `find_class` overridden it calls what a file puts on its stack,
allocates what a file claims (`BINBYTES8` before a byte is read, `LONG_BINPUT` the whole memo up to its index), and
reaches cached extension objects without asking. Here an object is an :class:`Inert` record of its name, arguments
and state.

What bounds it: time and memory grow with the operations run, of which there are at most `MAX_OPERATIONS`; nothing
is allocated before the bytes for it are there; keys that a file could make collide are never hashed by value; no
method recurses.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NoReturn

from ckpt_migrate.evidence.files import ReaderError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_OPERATIONS = 2_000_000
"""Opcodes run for one pickle. A checkpoint with 10,000 tensors takes some 300,000; two million take about a second
and at most some 450 MB, were all of them empty sets and dictionaries."""

MAX_LONG_BYTES = 1024
"""Longer integers stay inert, bytes: no config holds one, and printing it takes quadratic time."""

MAX_LINE_BYTES = 1 << 16
"""Longest text argument of the old, line-based opcodes, bytes."""

MAX_NAME_CHARACTERS = 2048
"""Longest name of a class with its module, characters."""

_HIGHEST_PROTOCOL = 5
_STOP = ord(".")
_MEMO_END = 1 << 32
# Hashes of integers below this differ, and so cannot be made to collide in a dictionary.
_SAFE_INTEGER = 1 << 60
_MAPPINGS = frozenset({"collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"})
_COLLECTIONS = frozenset(
    f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "frozenset", "list", "tuple")
)


class PickleError(ReaderError):
    """The bytes are no pickle, or one beyond the limits."""


class TruncatedError(PickleError):
    """The bytes end before the pickle does."""


class Inert:
    """What stands for an object: nothing of it was imported, made or called.

    Attributes:
        name: `module.name` of its class or of the function that would have made it.
        arguments: What would have been passed; None for the class or function itself.
        state: What would have been set on it, None when nothing.
        entries: What would have been stored in it as a mapping, None when nothing.
    """

    __slots__ = ("arguments", "entries", "name", "state")

    def __init__(self, name: str, arguments: object = None) -> None:
        self.name = name
        self.arguments = arguments
        self.state: object = None
        self.entries: dict[object, object] | None = None

    def __repr__(self) -> str:
        """Return the name alone; what it holds may be endless."""
        return f"<{self.name}>"


def load_pickle(data: bytes, start: int = 0) -> tuple[object, int]:
    r"""Read one pickle as plain data and inert records.

    Sets come back as lists. The result may share or even contain itself: whoever walks it counts.

    Returns:
        The object, and the position after it.

    Raises:
        TruncatedError: The bytes end before the pickle does.
        PickleError: They are no pickle, or it is beyond the limits.

    >>> load_pickle(b"cos\nsystem\n(S'reboot'\ntR.")[0]
    <os.system>
    """
    machine = _Machine(data, start)
    try:
        return machine.run(), machine.at
    except ReaderError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error) as error:
        raise PickleError(f"no valid pickle at byte {machine.at}") from error


class _Machine:
    """The pickle machine: a stack, marks into older stacks, and a memo."""

    __slots__ = ("at", "copied", "data", "marks", "memo", "size", "stack")

    def __init__(self, data: bytes, start: int) -> None:
        self.data = data
        self.size = len(data)
        self.at = start
        self.copied = 0
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        data, size, operations = self.data, self.size, _OPERATIONS
        for _ in range(MAX_OPERATIONS):
            at = self.at
            if at >= size:
                raise TruncatedError("ends in the middle of its pickle")
            self.at = at + 1
            opcode = data[at]
            if opcode == _STOP:
                return self.stack.pop()
            operations[opcode](self)
        raise PickleError(f"its pickle has over {MAX_OPERATIONS:,} operations")

    def take(self, count: int) -> bytes:
        start = self.at
        end = start + count
        if end > self.size:
            raise TruncatedError("ends in the middle of its pickle")
        self.at = end
        return self.data[start:end]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at, self.at + MAX_LINE_BYTES)
        if end < 0:
            if self.at + MAX_LINE_BYTES > self.size:
                raise TruncatedError("ends in the middle of its pickle")
            raise PickleError(f"no valid pickle at byte {self.at}: a line is too long")
        line = self.data[self.at : end]
        self.at = end + 1
        return line

    def above_mark(self) -> list[object]:
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def push(self, value: object) -> None:
        self.stack.append(value)


def _store(target: object, items: list[object]) -> None:
    """Store alternating keys and values in a mapping."""
    if isinstance(target, Inert):
        if target.entries is None:
            target.entries = {}
        target = target.entries
    if not isinstance(target, dict) or len(items) % 2:
        raise TypeError("no mapping, or a key without its value")
    for index in range(0, len(items), 2):
        target[_key(items[index])] = items[index + 1]


def _key(key: object) -> object:
    """Return what a key is stored under: itself, or a stand-in where a file could choose its hash."""
    if key is None or isinstance(key, (str, bytes, Inert)):
        return key
    if isinstance(key, int) and -_SAFE_INTEGER < key < _SAFE_INTEGER:
        return key
    return Inert(f"key of type {type(key).__name__}")


def _make(m: _Machine, function: object, arguments: object) -> object:
    """Return what stands for a call.

    Content is shared, not copied: a memo lets a few bytes pass the same million items a million times.
    """
    name = function.name if isinstance(function, Inert) and function.arguments is None else "unnamed"
    if name in _MAPPINGS:
        return _mapping(m, arguments)
    if name in _COLLECTIONS:
        content = arguments[0] if isinstance(arguments, tuple) and arguments else None
        return content if isinstance(content, (list, tuple)) else []
    if name in {"copyreg._reconstructor", "copy_reg._reconstructor"}:
        # How protocols 0 and 1 make objects: class, base class, and what the base class holds.
        if not isinstance(arguments, tuple):
            raise TypeError("arguments are no tuple")
        owner, _, content = arguments
        made = Inert(owner.name if isinstance(owner, Inert) else "unnamed", (content,))
        made.entries = content if isinstance(content, dict) else None
        return made
    return Inert(name, () if arguments is None else arguments)


def _mapping(m: _Machine, arguments: object) -> dict[object, object]:
    made: dict[object, object] = {}
    pairs = arguments[-1] if isinstance(arguments, tuple) and arguments else None
    if isinstance(pairs, dict):
        return pairs
    if isinstance(pairs, list):
        m.copied += len(pairs)
        if m.copied > MAX_OPERATIONS:
            raise PickleError(f"its pickle has over {MAX_OPERATIONS:,} operations")
        for pair in pairs:
            if isinstance(pair, (list, tuple)) and len(pair) == 2:  # noqa: PLR2004 - a key and a value
                _store(made, list(pair))
    return made


# What each opcode does, in the order of pickletools.


def _int_line(m: _Machine) -> None:
    line = m.line()
    m.push({b"00": False, b"01": True}[line] if line in {b"00", b"01"} else _decimal(line))


def _long_line(m: _Machine) -> None:
    m.push(_decimal(m.line().rstrip(b"L")))


def _decimal(line: bytes) -> object:
    return int(line) if len(line) <= MAX_LONG_BYTES else Inert("integer of many digits")


def _long(m: _Machine, count: int) -> None:
    data = m.take(count)
    m.push(int.from_bytes(data, "little", signed=True) if count <= MAX_LONG_BYTES else Inert("integer of many digits"))


def _string_line(m: _Machine) -> None:
    # Escapes stay as written: only Python 2 made such pickles, and decoding them warns about wrong ones.
    m.push(m.line().strip(b"'\"").decode("latin-1"))


def _name(m: _Machine) -> None:
    module, name = m.line(), m.line()
    m.push(Inert(f"{module.decode()}.{name.decode()}"))


def _stack_name(m: _Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise TypeError("a name is no text")
    if len(name) + len(module) > MAX_NAME_CHARACTERS:
        # The same long text from the memo would make a new, longer one each time.
        raise PickleError("a name in its pickle is too long")
    m.push(Inert(f"{module}.{name}"))


def _instance(m: _Machine) -> None:
    module, name = m.line(), m.line()
    arguments = tuple(m.above_mark())
    m.push(Inert(f"{module.decode()}.{name.decode()}", arguments))


def _object(m: _Machine) -> None:
    owner, *arguments = m.above_mark()
    m.push(_make(m, owner, tuple(arguments)))


def _call(m: _Machine) -> None:
    arguments = m.stack.pop()
    m.stack[-1] = _make(m, m.stack[-1], arguments)


def _call_with_keywords(m: _Machine) -> None:
    m.stack.pop()
    _call(m)


def _build(m: _Machine) -> None:
    state = m.stack.pop()
    target = m.stack[-1]
    # Only inert records keep it: what a state_dict carries besides its entries is of no interest.
    if isinstance(target, Inert):
        target.state = state


def _set_item(m: _Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    _store(m.stack[-1], [key, value])


def _set_items(m: _Machine) -> None:
    items = m.above_mark()
    _store(m.stack[-1], items)


def _dictionary(m: _Machine) -> None:
    made: dict[object, object] = {}
    _store(made, m.above_mark())
    m.push(made)


def _append(m: _Machine) -> None:
    value = m.stack.pop()
    _extend(m.stack[-1], [value])


def _extend_top(m: _Machine) -> None:
    items = m.above_mark()
    _extend(m.stack[-1], items)


def _extend(target: object, items: list[object]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Inert):
        raise TypeError("no list")


def _tuple_of(m: _Machine, count: int) -> None:
    if len(m.stack) < count:
        raise IndexError("the stack is too short")
    m.stack[-count:] = [tuple(m.stack[-count:])]


def _mark(m: _Machine) -> None:
    m.marks.append(m.stack)
    m.stack = []


def _pop(m: _Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.above_mark()


def _memoize(m: _Machine) -> None:
    m.memo[len(m.memo)] = m.stack[-1]


def _put(m: _Machine, index: int) -> None:
    if not 0 <= index < _MEMO_END:
        raise ValueError("no index of a memo")
    m.memo[index] = m.stack[-1]


def _protocol(m: _Machine) -> None:
    if m.number(1) > _HIGHEST_PROTOCOL:
        raise PickleError("a pickle of a protocol that this tool does not know")


def _extension(m: _Machine, count: int) -> None:
    m.push(Inert(f"extension.{m.number(count)}"))


def _refuse_buffer(_: _Machine) -> NoReturn:
    raise PickleError("its pickle refers to buffers outside of it")


def _unpack(layout: str) -> Callable[[_Machine], None]:
    unpacker = struct.Struct(layout)
    size, unpack = unpacker.size, unpacker.unpack

    def push_number(m: _Machine) -> None:
        m.stack.append(unpack(m.take(size))[0])

    return push_number


def _text(width: int) -> Callable[[_Machine], None]:
    def push_text(m: _Machine) -> None:
        m.stack.append(m.take(m.number(width)).decode("utf-8", "surrogatepass"))

    return push_text


def _bytes(width: int, encoding: str | None = None) -> Callable[[_Machine], None]:
    def push_bytes(m: _Machine) -> None:
        data = m.take(m.number(width))
        m.stack.append(data if encoding is None else data.decode(encoding))

    return push_bytes


_OPERATIONS: dict[int, Callable[[_Machine], object]] = {
    ord("I"): _int_line,
    ord("J"): _unpack("<i"),
    ord("K"): _unpack("<B"),
    ord("M"): _unpack("<H"),
    ord("L"): _long_line,
    0x8A: lambda m: _long(m, m.number(1)),
    0x8B: lambda m: _long(m, m.number(4)),
    ord("S"): _string_line,
    # Python 2 wrote text as bytes of unknown encoding; latin-1 never fails and keeps ASCII as it is.
    ord("T"): _bytes(4, "latin-1"),
    ord("U"): _bytes(1, "latin-1"),
    ord("B"): _bytes(4),
    ord("C"): _bytes(1),
    0x8E: _bytes(8),
    0x96: _bytes(8),
    0x97: _refuse_buffer,
    0x98: _refuse_buffer,
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),  # noqa: FBT003 - the value itself
    0x89: lambda m: m.push(False),  # noqa: FBT003 - the value itself
    ord("V"): lambda m: m.push(m.line().decode("raw_unicode_escape")),
    0x8C: _text(1),
    ord("X"): _text(4),
    0x8D: _text(8),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("G"): _unpack(">d"),
    ord("]"): lambda m: m.push([]),
    ord("a"): _append,
    ord("e"): _extend_top,
    ord("l"): lambda m: m.push(m.above_mark()),
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.above_mark())),
    0x85: lambda m: _tuple_of(m, 1),
    0x86: lambda m: _tuple_of(m, 2),
    0x87: lambda m: _tuple_of(m, 3),
    ord("}"): lambda m: m.push({}),
    ord("d"): _dictionary,
    ord("s"): _set_item,
    ord("u"): _set_items,
    0x8F: lambda m: m.push([]),
    0x90: _extend_top,
    0x91: lambda m: m.push(m.above_mark()),
    ord("0"): _pop,
    ord("2"): lambda m: m.push(m.stack[-1]),
    ord("("): _mark,
    ord("1"): lambda m: m.above_mark(),
    ord("g"): lambda m: m.push(m.memo[int(m.line())]),
    ord("h"): lambda m: m.push(m.memo[m.number(1)]),
    ord("j"): lambda m: m.push(m.memo[m.number(4)]),
    ord("p"): lambda m: _put(m, int(m.line())),
    ord("q"): lambda m: _put(m, m.number(1)),
    ord("r"): lambda m: _put(m, m.number(4)),
    0x94: _memoize,
    0x82: lambda m: _extension(m, 1),
    0x83: lambda m: _extension(m, 2),
    0x84: lambda m: _extension(m, 4),
    ord("c"): _name,
    0x93: _stack_name,
    ord("R"): _call,
    ord("b"): _build,
    ord("i"): _instance,
    ord("o"): _object,
    0x81: _call,
    0x92: _call_with_keywords,
    0x80: _protocol,
    ord("P"): lambda m: m.push(Inert("persistent", (m.line(),))),
    ord("Q"): lambda m: m.push(Inert("persistent", (m.stack.pop(),))),
    # A frame's length is advice for buffering; each argument is checked by itself.
    0x95: lambda m: m.take(8),
}
