"""Values met before are passed over: what is read of a file is the same, whichever files were read before it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.evidence import stretches as stretches_module
from ckpt_migrate.evidence.inert import Inert
from ckpt_migrate.evidence.pickles import load_pickle
from ckpt_migrate.evidence.stretches import MAX_KNOWN, MOST_IN_VAIN, Memo, Stretches
from ckpt_migrate.evidence.torch_facts import TorchReader
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import FileStat
from evidence.torch_format import dumps, lightning, zip_file

if TYPE_CHECKING:
    from pathlib import Path

PROTOCOL_2, OTHERS = 2, (3, 4, 5)


def checkpoint(seed: int, protocol: int = PROTOCOL_2) -> bytes:
    """Return a Lightning checkpoint's pickle; each seed has another config and count."""
    return dumps(lightning({"seed": seed, "out": f"runs/{seed}"}, global_step=800 + seed), protocol)


def passed(data: bytes, known: Stretches) -> list[str]:
    """Return the keys whose values were passed over."""
    value, end = load_pickle(data, 0, known)
    alone, end_alone = load_pickle(data)
    assert end == end_alone
    assert isinstance(value, dict)
    assert isinstance(alone, dict)
    keys = [key for key, item in value.items() if isinstance(item, Inert) and item.name == "met before"]
    rest = [{key: item for key, item in one.items() if key not in keys} for one in (value, alone)]
    assert repr(rest[0]) == repr(rest[1])
    return keys


def test_what_two_files_share_is_passed_over_in_the_third() -> None:
    """The first begins it, the second learns it, from then on it is known; all else is read of each."""
    known = Stretches()
    found = [passed(checkpoint(seed), known) for seed in range(4)]
    assert found == [[], [], ["state_dict", "loops"], ["state_dict", "loops"]]


@pytest.mark.parametrize("protocol", OTHERS)
def test_other_protocols_are_run_as_ever(protocol: int) -> None:
    known = Stretches()
    assert [passed(checkpoint(seed, protocol), known) for seed in range(3)] == [[], [], []]


def test_facts_are_the_same_in_any_company(tmp_path: Path) -> None:
    """Read after many of its kind, or alone."""
    reader = TorchReader(load_recipe())
    path = tmp_path / "last.ckpt"
    file = FileStat("last.ckpt", "file", 1, 0)
    for seed in range(6):
        path.write_bytes(zip_file(lightning({"seed": seed}, global_step=seed)))
        assert reader.read(str(path), file) == TorchReader(load_recipe()).read(str(path), file)


def test_who_shares_nothing_is_soon_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that begin alike and differ later are learned in vain a few times, not for each file."""
    learned: list[int] = []

    class Counted(Memo):
        def __init__(self, before: dict[int, object]) -> None:
            learned.append(1)
            super().__init__(before)

    monkeypatch.setattr(stretches_module, "Memo", Counted)
    known = Stretches()
    for seed in range(3 * MOST_IN_VAIN):
        load_pickle(pickle.dumps({"epoch": 1, "state_dict": {"w": list(range(300)), "seed": seed}}, 2), 0, known)
    assert len(learned) == MOST_IN_VAIN


def _mapping(state: bytes, rest: bytes, *, before: bytes = b"") -> bytes:
    """Return a pickle of a mapping: something put in the memo, a state, and more."""
    return b"\x80\x02}q\x00(" + before + b"X\x0a\x00\x00\x00state_dictq\x01" + state + rest + b"u."


@pytest.fixture(autouse=True)
def _short_ones_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches_module, "MIN_STRETCH_BYTES", 1)


STATE = b"}q\x02X\x01\x00\x00\x00aq\x03K\x01s"


def test_who_asks_for_what_was_passed_over_gets_it() -> None:
    """A config may share an object with the weights: such a file is run from its start."""
    plain = _mapping(STATE, b"X\x01\x00\x00\x00bq\x04K\x02")
    sharing = _mapping(STATE, b"X\x06\x00\x00\x00configq\x04h\x02")
    known = Stretches()
    for data in (plain, plain, plain):
        load_pickle(data, 0, known)
    assert load_pickle(sharing, 0, known) == load_pickle(sharing)
    assert load_pickle(sharing)[0] == {"state_dict": {"a": 1}, "config": {"a": 1}}


def test_a_hostile_file_changes_nothing_of_the_next() -> None:
    """What it stores in objects of a known value, or in a name that the value made, is its own."""
    name = b"cmodule\nname\nq\x02"
    plain = _mapping(name, b"X\x06\x00\x00\x00configq\x04h\x02")
    hostile = _mapping(name, b"X\x06\x00\x00\x00configq\x04h\x02X\x01\x00\x00\x00aK\x01s")
    known = Stretches()
    expected = "<module.name>"
    for data in (plain, plain, hostile, hostile, plain):
        value, _ = load_pickle(data, 0, known)
    assert isinstance(value, dict)
    assert repr(value["config"]) == expected
    assert isinstance(value["config"], Inert)
    assert value["config"].entries is None


def test_equal_bytes_over_another_memo_are_another_value() -> None:
    """The value asks the memo for what stood before it: it is known only where that is the same."""
    asking = b"(h\x05t"
    one, other = (
        _mapping(asking, b"X\x01\x00\x00\x00bK\x02", before=b"X\x01\x00\x00\x00" + text + b"q\x05K\x00")
        for text in (b"x", b"y")
    )
    known = Stretches()
    for data in (one, one):
        load_pickle(data, 0, known)
    assert isinstance(load_pickle(one, 0, known)[0]["state_dict"], Inert)  # type: ignore[index] # it is a mapping
    assert load_pickle(other, 0, known)[0] == {"y": 0, "state_dict": ("y",), "b": 2}
    one_mutable = _mapping(asking, b"", before=b"X\x01\x00\x00\x00c]q\x05")
    for _ in range(3):
        assert load_pickle(one_mutable, 0, known) == load_pickle(one_mutable)


def test_what_ends_within_a_value_or_counts_by_the_memo_is_not_kept() -> None:
    """Cut short, numbered by the memo's length, or damaged: the error is that of reading it alone."""
    for state in (b"}q\x02(X\x01\x00\x00\x00a", b"}\x94", b"}q\x02h\x63", b"\xff"):
        data = _mapping(state, b"")
        known = Stretches()
        results = []
        for stretches in (None, known, known, known):
            try:
                results.append(repr(load_pickle(data, 0, stretches)))
            except ValueError:
                raise
            except Exception as error:  # noqa: BLE001 - compared below, whatever it is
                results.append(repr(error))
        assert len(set(results)) == 1


def test_few_and_short_stretches_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest of each key, none over the limit: a tree of many models needs no more room than one of few."""
    known = Stretches()
    for width in range(70, 80):
        data = pickle.dumps({"epoch": 1, "state_dict": {"v": 1, "w": [width] * width}}, 2)
        for _ in range(2):
            load_pickle(data, 0, known)
    assert len(known._known["state_dict"]) == MAX_KNOWN
    monkeypatch.setattr(stretches_module, "MAX_STRETCH_BYTES", 8)
    known = Stretches()
    for _ in range(3):
        load_pickle(data, 0, known)
    assert not known._known
