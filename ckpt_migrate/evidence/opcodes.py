"""What each opcode of a pickle does to the machine; `pickletools` documents them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NoReturn

from ckpt_migrate.evidence.inert import Inert, PickleError, make, store

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt_migrate.evidence.pickles import Machine

MAX_LONG_BYTES = 1024
"""Longer integers stay inert, bytes: no config holds one, and printing it takes quadratic time."""

MAX_NAME_CHARACTERS = 2048
"""Longest name of a class with its module, characters."""

_HIGHEST_PROTOCOL = 5
_MEMO_END = 1 << 32


def _decimal(line: bytes) -> object:
    return int(line) if len(line) <= MAX_LONG_BYTES else Inert("integer of many digits")


def _int_line(m: Machine) -> None:
    line = m.line()
    m.stack.append(line == b"01" if line in {b"00", b"01"} else _decimal(line))


def _long(m: Machine, count: int) -> None:
    data = m.take(count)
    is_short = count <= MAX_LONG_BYTES
    m.stack.append(int.from_bytes(data, "little", signed=True) if is_short else Inert("integer of many digits"))


def _string_line(m: Machine) -> None:
    # Escapes stay as written: only Python 2 made such pickles, and decoding them warns about wrong ones.
    m.stack.append(m.line().strip(b"'\"").decode("latin-1"))


def _name(m: Machine) -> None:
    module, name = m.line(), m.line()
    m.stack.append(Inert(f"{module.decode()}.{name.decode()}"))


def _stack_name(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise TypeError("a name is no text")
    if len(name) + len(module) > MAX_NAME_CHARACTERS:
        # The same long text from the memo would make a new, longer one each time.
        raise PickleError("a name in its pickle is too long")
    m.stack.append(Inert(f"{module}.{name}"))


def _instance(m: Machine) -> None:
    module, name = m.line(), m.line()
    arguments = tuple(m.above_mark())
    m.stack.append(Inert(f"{module.decode()}.{name.decode()}", arguments))


def _object(m: Machine) -> None:
    owner, *arguments = m.above_mark()
    m.stack.append(make(owner, tuple(arguments), m.spend))


def _call(m: Machine) -> None:
    arguments = m.stack.pop()
    m.stack[-1] = make(m.stack[-1], arguments, m.spend)


def _call_with_keywords(m: Machine) -> None:
    m.stack.pop()
    _call(m)


def _build(m: Machine) -> None:
    state = m.stack.pop()
    target = m.stack[-1]
    # Only inert records keep it: what a state_dict carries besides its entries is of no interest.
    if isinstance(target, Inert):
        target.state = state


def _set_item(m: Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    store(m.stack[-1], [key, value])


def _set_items(m: Machine) -> None:
    items = m.above_mark()
    store(m.stack[-1], items)


def _dictionary(m: Machine) -> None:
    made: dict[object, object] = {}
    store(made, m.above_mark())
    m.stack.append(made)


def _append(m: Machine) -> None:
    value = m.stack.pop()
    _extend(m.stack[-1], [value])


def _append_all(m: Machine) -> None:
    items = m.above_mark()
    _extend(m.stack[-1], items)


def _extend(target: object, items: list[object]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Inert):
        raise TypeError("no list")


def _tuple_1(m: Machine) -> None:
    m.stack[-1] = (m.stack[-1],)


def _tuple_2(m: Machine) -> None:
    last = m.stack.pop()
    m.stack[-1] = (m.stack[-1], last)


def _tuple_3(m: Machine) -> None:
    last, middle = m.stack.pop(), m.stack.pop()
    m.stack[-1] = (m.stack[-1], middle, last)


def _collect(m: Machine) -> None:
    items = m.above_mark()
    m.stack.append(items)


def _collect_tuple(m: Machine) -> None:
    items = m.above_mark()
    m.stack.append(tuple(items))


def _mark(m: Machine) -> None:
    m.marks.append(m.stack)
    m.stack = []


def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.above_mark()


def _put(m: Machine, index: int) -> None:
    if not 0 <= index < _MEMO_END:
        raise ValueError("no index of a memo")
    m.memo[index] = m.stack[-1]


def _protocol(m: Machine) -> None:
    if m.number(1) > _HIGHEST_PROTOCOL:
        raise PickleError("a pickle of a protocol that this tool does not know")


def _persistent(m: Machine) -> None:
    m.stack[-1] = Inert("persistent", (m.stack[-1],))


def _extension(m: Machine, count: int) -> None:
    m.stack.append(Inert(f"extension.{m.number(count)}"))


def _refuse_buffer(_: Machine) -> NoReturn:
    raise PickleError("its pickle refers to buffers outside of it")


def _number(layout: str) -> Callable[[Machine], None]:
    unpacker = struct.Struct(layout)
    size, unpack = unpacker.size, unpacker.unpack_from

    def push_number(m: Machine) -> None:
        # Past the end there are zeros, and the machine stops at the first of them.
        at = m.at
        m.stack.append(unpack(m.data, at)[0])
        m.at = at + size

    return push_number


def _text(width: int, encoding: str = "utf-8") -> Callable[[Machine], None]:
    def push_text(m: Machine) -> None:
        m.stack.append(m.take(m.number(width)).decode(encoding, "surrogatepass"))

    return push_text


def _bytes(width: int) -> Callable[[Machine], None]:
    def push_bytes(m: Machine) -> None:
        m.stack.append(m.take(m.number(width)))

    return push_bytes


# All but the stop and the six that the machine does by itself.
OPERATIONS: dict[int, Callable[[Machine], object]] = {
    # Numbers.
    ord("I"): _int_line,
    ord("J"): _number("<i"),
    ord("M"): _number("<H"),
    ord("L"): lambda m: m.stack.append(_decimal(m.line().rstrip(b"L"))),
    0x8A: lambda m: _long(m, m.number(1)),
    0x8B: lambda m: _long(m, m.number(4)),
    ord("F"): lambda m: m.stack.append(float(m.line())),
    ord("G"): _number(">d"),
    # None, true, false.
    ord("N"): lambda m: m.stack.append(None),
    0x88: lambda m: m.stack.append(True),
    0x89: lambda m: m.stack.append(False),
    # Texts and bytes. Python 2 wrote bytes of unknown encoding; latin-1 never fails and keeps ASCII as it is.
    ord("S"): _string_line,
    ord("T"): _text(4, "latin-1"),
    ord("U"): _text(1, "latin-1"),
    ord("V"): lambda m: m.stack.append(m.line().decode("raw_unicode_escape")),
    0x8C: _text(1),
    0x8D: _text(8),
    ord("B"): _bytes(4),
    ord("C"): _bytes(1),
    0x8E: _bytes(8),
    0x96: _bytes(8),
    0x97: _refuse_buffer,
    0x98: _refuse_buffer,
    # Lists, sets and tuples.
    ord("]"): lambda m: m.stack.append([]),
    ord("a"): _append,
    ord("e"): _append_all,
    ord("l"): _collect,
    0x8F: lambda m: m.stack.append([]),
    0x90: _append_all,
    0x91: _collect,
    ord(")"): lambda m: m.stack.append(()),
    ord("t"): _collect_tuple,
    0x85: _tuple_1,
    0x86: _tuple_2,
    0x87: _tuple_3,
    # Dictionaries.
    ord("}"): lambda m: m.stack.append({}),
    ord("d"): _dictionary,
    ord("s"): _set_item,
    ord("u"): _set_items,
    # The stack and the memo.
    ord("("): _mark,
    ord("0"): _pop,
    ord("1"): lambda m: m.above_mark(),
    ord("2"): lambda m: m.stack.append(m.stack[-1]),
    ord("g"): lambda m: m.stack.append(m.memo[int(m.line())]),
    ord("p"): lambda m: _put(m, int(m.line())),
    0x94: lambda m: _put(m, len(m.memo)),
    # Classes, functions, objects: named, never looked up, never called.
    ord("c"): _name,
    0x93: _stack_name,
    ord("R"): _call,
    ord("b"): _build,
    ord("i"): _instance,
    ord("o"): _object,
    0x81: _call,
    0x92: _call_with_keywords,
    0x82: lambda m: _extension(m, 1),
    0x83: lambda m: _extension(m, 2),
    0x84: lambda m: _extension(m, 4),
    ord("P"): lambda m: m.stack.append(Inert("persistent", (m.line(),))),
    ord("Q"): _persistent,
    # A frame's length is advice for buffering; each argument is checked by itself.
    0x80: _protocol,
    0x95: lambda m: m.take(8),
}
