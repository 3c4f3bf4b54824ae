"""Tensors passed over in one step: nothing that is read differs from running every opcode."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_migrate.evidence import pickles, tensors
from ckpt_migrate.evidence.inert import PickleError
from ckpt_migrate.evidence.pickles import load_pickle
from evidence.torch_format import FLOAT_STORAGE, REBUILD_TENSOR, Call, Storage, dumps

SIZES = st.lists(st.sampled_from([0, 1, 255, 256, 65_535, 65_536, 2**31 - 1]), max_size=9).map(tuple)


def load_without(data: bytes) -> tuple[object, int]:
    """Load a pickle with every opcode run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pickles, "pass_tensor", lambda *_: None)
        return load_pickle(data)


def weights(shapes: list[tuple[int, ...]], prefix: str = "") -> OrderedDict[str, object]:
    """Return tensors of these shapes, as a module's state."""
    made: OrderedDict[str, object] = OrderedDict()
    for number, shape in enumerate(shapes):
        storage = Storage(str(number), sum(shape) % 2**31)
        # As torch hands it over: a tuple of its own for each tensor.
        sizes = (*shape,)
        made[f"{prefix}layer.{number}"] = Call(
            REBUILD_TENSOR, storage, number, sizes, sizes[::-1], number % 2 == 0, OrderedDict()
        )
    return made


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(SIZES, max_size=40), st.integers(0, 300), st.sampled_from([2, 3, 4, 5]))
def test_the_result_is_the_same(shapes: list[tuple[int, ...]], before: int, protocol: int) -> None:
    """Whatever the shapes, the memo's width, and texts shared with the storages' keys."""
    config = {"text": "0", "texts": [str(i) for i in range(12)], "number": 7}
    content = {
        "many": [f"text {i}" for i in range(before)],
        "state": weights(shapes),
        "again": weights(shapes, "ema."),
        "config": config,
    }
    data = dumps(content, protocol)
    fast, slow = load_pickle(data), load_without(data)
    assert repr(fast) == repr(slow)
    assert isinstance(fast[0], dict)
    assert fast[0]["config"] == config


def test_most_tensors_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the first, which names what the others refer to."""
    passed: list[object] = []

    def watch(data: bytes, at: int, memo: dict[int, object]) -> object:
        found = tensors.pass_tensor(data, at, memo)
        passed.append(found)
        return found

    monkeypatch.setattr(pickles, "pass_tensor", watch)
    load_pickle(dumps(weights([(3, 4, 5, 6)] * 400)))
    assert sum(found is not None for found in passed) == 399


def test_a_shared_tensor_is_one() -> None:
    """Tied weights refer to the tensor's place in the memo."""
    state = weights([(2,), (2,), (2,)])
    state["tied"] = state["layer.2"]
    read, _ = load_pickle(dumps(state))
    assert isinstance(read, dict)
    assert read["tied"] is read["layer.2"]


def test_other_functions_are_not_taken_for_tensors() -> None:
    """The same opcodes around another function run one by one, and keep their arguments."""
    data = dumps([weights([(2,)] * 3), FLOAT_STORAGE])
    other = data.replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9")
    read, _ = load_pickle(other)
    assert repr(read) == repr(load_without(other)[0])
    assert "v9" in repr(read)


def test_memo_indexes_that_run_wild_are_left_to_the_machine() -> None:
    """A tensor whose parts claim the whole memo costs no memory."""
    data = dumps(weights([(2,)] * 300))
    last = data.rindex(b"R" + b"r", 0, -1)
    wild = data[: last + 2] + b"\xff\xff\xff\xff" + data[last + 6 :]
    assert repr(load_pickle(wild)[0]) == repr(load_without(wild)[0])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_flipped_bytes_end_in_a_value_or_the_one_error(draw: st.DataObject) -> None:
    """Wherever in a tensor the damage is."""
    damaged = bytearray(dumps(weights([(2, 3)] * 20)))
    damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    try:
        load_pickle(bytes(damaged))
    except PickleError:
        return
