"""The pickle machine: all that Python can write is read, and nothing that a file says is done."""

from __future__ import annotations

import argparse
import collections
import copyreg
import os
import pickle
import pickletools
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_migrate.evidence import pickles
from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.inert import Inert, PickleError, TruncatedError
from ckpt_migrate.evidence.opcodes import MAX_NAME_CHARACTERS, OPERATIONS
from ckpt_migrate.evidence.pickles import MAX_OPERATIONS, load_pickle

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(-(2**59), 2**59), inner) | st.tuples(inner, inner)
    ),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(plain_values, st.integers(0, 5))
def test_plain_data_comes_back_as_python_wrote_it(value: object, protocol: int) -> None:
    """Whatever the protocol, the machine and Python's unpickler agree on plain data."""
    data = pickle.dumps(value, protocol)
    assert load_pickle(data) == (value, len(data))


def test_every_opcode_is_known() -> None:
    """The table and the machine together know all that `pickletools` documents, and nothing else."""
    in_machine = {ord(char) for char in "XhjKqr."}
    documented = {ord(opcode.code) for opcode in pickletools.opcodes}
    assert in_machine | set(OPERATIONS) == documented
    assert not in_machine & set(OPERATIONS)


def test_objects_become_records_of_their_parts() -> None:
    """A namespace, an ordered dictionary, sets and a path are readable without any of them being made."""
    value = {
        "arguments": argparse.Namespace(lr=0.1),
        "ordered": collections.OrderedDict(a=1),
        "default": collections.defaultdict(int, b=2),
        "set": {7},
        "frozen": frozenset({8}),
        "path": Path("/data/x"),
    }
    for protocol in range(6):
        read, _ = load_pickle(pickle.dumps(value, protocol))
        assert isinstance(read, dict)
        assert read["arguments"].name == "argparse.Namespace"
        assert read["arguments"].state == {"lr": 0.1}
        assert (read["ordered"], read["default"], read["set"], read["frozen"]) == ({"a": 1}, {"b": 2}, [7], [8])
        assert read["path"].arguments in {("/", "data", "x"), ("/data/x",)}


class Touch:
    """Writes a file when it is unpickled."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_calls_are_recorded_and_never_made(tmp_path: Path, protocol: int) -> None:
    """What would run a command, open a file or evaluate a text leaves no trace, however deep it stands."""
    mark = tmp_path / "mark"
    attacks = [
        Touch(os.system, f"touch {mark}"),
        Touch(eval, f"open({str(mark)!r}, 'w')"),
        Touch(exec, f"open({str(mark)!r}, 'w')"),
        Touch(open, str(mark), "w"),
        Touch(subprocess.run, ["touch", str(mark)]),
        Touch(Touch, os.mkdir, str(mark)),
        Touch(__import__, "antigravity"),
        Touch(getattr, Touch(__import__, "os"), "mkdir"),
    ]
    data = pickle.dumps({"a": [{"b": attack} for attack in attacks], "callable": os.system}, protocol)
    read, _ = load_pickle(data)
    assert not mark.exists()
    assert isinstance(read, dict)
    assert {item["b"].name.rpartition(".")[2] for item in read["a"]} >= {"system", "eval", "exec", "open", "run"}


@pytest.mark.parametrize(
    "data",
    [
        b"(S'touch MARK'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch MARK'\no.",
        b"cos\nsystem\n(S'touch MARK'\ntR.",
        b"\x80\x02cos\nsystem\nU\x0atouch MARK\x85\x81.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0atouch MARK\x85}\x92.",
        b"\x80\x02cos\nsystem\nU\x0atouch MARK\x85R}U\x01xK\x01sb.",
        b"\x80\x02cbuiltins\neval\nX\x16\x00\x00\x00open('MARK', 'w').w(1)\x85R.",
    ],
)
def test_every_opcode_that_calls_is_inert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """INST, OBJ, REDUCE, NEWOBJ, NEWOBJ_EX and BUILD by hand, as no pickler would write them."""
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_pickle(data)[0], Inert)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def registered_extension() -> Iterator[int]:
    """Register `os.getpid` as extension 77, and make Python cache it, as some library in the process may."""
    copyreg.add_extension("os", "getpid", 77)
    assert pickle.loads(b"\x80\x02\x82\x4d.") is os.getpid  # noqa: S301 - that is the point
    yield 77
    copyreg.remove_extension("os", "getpid", 77)
    copyreg._extension_cache.pop(77, None)  # type: ignore[attr-defined]


def test_cached_extensions_stay_out_of_reach(registered_extension: int) -> None:
    """EXT1 gives a record even where Python's unpickler would hand out a live function."""
    read, _ = load_pickle(b"\x80\x02\x82" + bytes([registered_extension]) + b")R.")
    assert isinstance(read, Inert)
    assert isinstance(read.name, str)


def peak_bytes(data: bytes) -> int:
    """Return the most memory that reading a pickle takes."""
    tracemalloc.start()
    try:
        load_pickle(data)
    except ReaderError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"x",
        b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"x",
        b"\x80\x05\x96" + (2**63).to_bytes(8, "little") + b"x",
        b"\x80\x02X\xff\xff\xff\xffx",
        b"\x80\x02T\xff\xff\xff\xffx",
        b"\x80\x03B\xff\xff\xff\xffx",
        b"\x80\x02\x8b\xff\xff\xff\x7fx",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.",
        b"\x80\x02}r\xff\xff\xff\xff.",
        b"}p4294967295\n.",
    ],
)
def test_claimed_sizes_allocate_nothing(data: bytes) -> None:
    """A length or memo index of terabytes costs no memory."""
    assert peak_bytes(data) < MIB


def test_shared_content_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memo entry passed to `list`, `dict` or a name again and again does not multiply it."""
    items = b"](" + b"K\x01" * 10_000 + b"eq\x00"
    copies = b"c__builtin__\nlist\nq\x01" + b"h\x01h\x00\x85R0" * 10_000
    assert peak_bytes(b"\x80\x02" + items + copies + b".") < 2 * MIB
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 200_000)
    pairs = b"](" + b"K\x01K\x02\x86" * 10_000 + b"eq\x00"
    copies = b"ccollections\nOrderedDict\nq\x01" + b"h\x01h\x00\x85R" * 10_000
    with pytest.raises(PickleError, match="operations"):
        load_pickle(b"\x80\x02" + pairs + copies + b".")
    name = b"x" * (MAX_NAME_CHARACTERS + 1)
    long_name = b"X" + len(name).to_bytes(4, "little") + name + b"q\x00h\x00\x93."
    with pytest.raises(PickleError, match="name"):
        load_pickle(b"\x80\x04" + long_name)


def test_operations_are_bounded() -> None:
    """Bytes that only push stop at the limit, in seconds."""
    started = time.perf_counter()
    with pytest.raises(PickleError, match="operations"):
        load_pickle(b"}" * (MAX_OPERATIONS + 1))
    assert time.perf_counter() - started < 20


def test_keys_cannot_collide() -> None:
    """Keys of equal hash, which would take a dictionary hours, take no longer than others."""
    modulus = sys.hash_info.modulus
    count = 30_000
    integers = b"".join(b"\x8a\x10" + (i * modulus).to_bytes(16, "little") + b"N" for i in range(1, count))
    floats = b"".join(pickle.dumps(2.0 ** (61 * (i % 16)) * (i + 1), 2)[2:-1] + b"N" for i in range(count))
    started = time.perf_counter()
    for pairs in (integers, floats, b"K\x01\x85N" * count):
        read, _ = load_pickle(b"\x80\x02}(" + pairs + b"u.")
        assert isinstance(read, dict)
    assert time.perf_counter() - started < 5


def test_memo_indexes_cannot_collide() -> None:
    """Indexes are below 2**32, where hashes differ."""
    with pytest.raises(PickleError):
        load_pickle(f"}}p{sys.hash_info.modulus}\n.".encode())
    with pytest.raises(PickleError):
        load_pickle(b"}p-1\n.")


@pytest.mark.parametrize("wrap", [b"\x85", b"}U\x01a\x86", b"q\x00]h\x00a"])
def test_deep_nesting_ends_without_recursion(wrap: bytes) -> None:
    """A hundred thousand levels are built and taken apart again."""
    read, _ = load_pickle(b"\x80\x02N" + wrap * 100_000 + b".")
    assert read is not None
    del read


def test_nested_tuples_are_no_keys() -> None:
    """Hashing a tuple recurses in C; as a key it is never hashed."""
    read, _ = load_pickle(b"\x80\x02}N" + b"\x85" * 200_000 + b"Ns.")
    assert isinstance(read, dict)
    assert [type(key) for key in read] == [Inert]


def test_self_containing_lists_are_read() -> None:
    """A cycle is no error here; whoever walks the result counts."""
    loop: list[object] = []
    loop.append(loop)
    read, _ = load_pickle(pickle.dumps(loop, 2))
    assert isinstance(read, list)
    assert read[0] is read


def test_laughs_share_one_list() -> None:
    """A billion laughs take a few kilobytes: each level holds the one before twice."""
    laughs = b"]q\x00" + b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60))
    assert peak_bytes(b"\x80\x02" + laughs + b".") < MIB


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_cut_anywhere_says_so(protocol: int) -> None:
    """Every part of a pickle is told apart from a damaged one; reading ever more of a file rests on it."""
    value = {"a": [1, 2.5, "text", None, True, 2**70, 70_000, -1], "b": {"c": (1, 2, 3, 4)}, "m": ["x"] * 3}
    value.update({f"key {i}": [f"value {i}", {}, i] for i in range(70)})
    data = pickle.dumps(value, protocol)
    for end in range(len(data)):
        with pytest.raises(TruncatedError):
            load_pickle(data[:end])


@pytest.mark.parametrize(
    "data",
    [b".", b"R.", b"\x80\x06N.", b"\xff" * 40, b"h\x05" + b"N" * 20, b"tN" + b"N" * 20, b"NNsNNNNNNNNNNNN.",
     b"\x80\x05\x97" + b"N" * 20, b"I1e5\n" + b"N" * 20, b"X\x01\x00\x00\x00\xff" + b"N" * 20],
)  # fmt: skip
def test_damaged_pickles_are_refused(data: bytes) -> None:
    """An empty stack, an unknown opcode, protocol or memo entry, a missing mark, no text: one error class."""
    with pytest.raises(PickleError):
        load_pickle(data)


def test_huge_integers_stay_inert() -> None:
    """An integer of many kilobytes is never turned into one: printing it takes quadratic time."""
    long = (1 << 80_000).to_bytes(10_001, "little")
    assert isinstance(load_pickle(b"\x80\x02\x8b" + len(long).to_bytes(4, "little") + long + b".")[0], Inert)
    assert isinstance(load_pickle(b"L" + b"9" * 5000 + b"L\n.")[0], Inert)
    assert load_pickle(pickle.dumps(2**200, 2))[0] == 2**200


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.binary(max_size=200) | st.lists(st.sampled_from([*OPERATIONS, *b"XhjKqr."]), max_size=60).map(bytes))
def test_any_bytes_end_in_a_value_or_the_one_error(data: bytes) -> None:
    """Random bytes and random opcodes raise nothing but PickleError."""
    try:
        load_pickle(data)
    except PickleError:
        return


@settings(max_examples=300, deadline=None, derandomize=True)
@given(plain_values, st.integers(0, 5), st.data())
def test_flipped_bytes_end_in_a_value_or_the_one_error(value: object, protocol: int, draw: st.DataObject) -> None:
    """A pickle with any one byte changed raises nothing but PickleError."""
    damaged = bytearray(pickle.dumps(value, protocol))
    damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    try:
        load_pickle(bytes(damaged))
    except PickleError:
        return
