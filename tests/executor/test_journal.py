"""The log file: what can be read of it after a crash, after damage, and after both."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees.logs import SCENARIOS, campaign

from ckpt_migrate import storage
from ckpt_migrate.apply.carry_out import apply_plan
from ckpt_migrate.errors import JournalError
from ckpt_migrate.executor.identity import Identity
from ckpt_migrate.executor.operations import Change
from ckpt_migrate.journal.ends import Ended, read_ends
from ckpt_migrate.journal.extent import path_of
from ckpt_migrate.journal.fold import load
from ckpt_migrate.journal.history import LogState
from ckpt_migrate.journal.intents import intent
from ckpt_migrate.journal.line import decode, encode
from ckpt_migrate.journal.log_file import Journal, read
from ckpt_migrate.rollback import roll_back

if TYPE_CHECKING:
    from trees import Tree

    from ckpt_migrate.recipe import Recipe

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _write(path: Path, count: int, *, first: int = 0) -> None:
    contents = read(str(path)) if path.exists() else None
    journal = Journal.create(str(path)) if contents is None else Journal.reopen(contents)
    with journal:
        journal.append({"kind": "note", "number": first + i} for i in range(count))


def _numbers(path: Path) -> list[int]:
    return [record["number"] for record in read(str(path)).records]


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_record_comes_back_as_it_was(record: dict[str, object]) -> None:
    """Newlines, quotes, lone surrogates: a record is always one line, and that line is the record."""
    record = {**record, "seq": 3}
    line = encode(record).encode("ascii")
    assert b"\n" not in line
    assert decode(line) == record


def test_records_are_numbered_across_sessions(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    _write(path, 2)
    _write(path, 3, first=2)
    assert [record["seq"] for record in read(str(path)).records] == [0, 1, 2, 3, 4]
    assert read(str(path)).damage == ()


def test_a_new_log_never_replaces_one(tmp_path: Path) -> None:
    _write(tmp_path / "log.jsonl", 1)
    with pytest.raises(FileExistsError):
        Journal.create(str(tmp_path / "log.jsonl"))


def test_every_prefix_can_be_read_and_carried_on(tmp_path: Path) -> None:
    """A torn last line is no damage, before and after somebody has gone on writing behind it."""
    path = tmp_path / "log.jsonl"
    _write(path, 4)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        extent = Path(path_of(str(path)))
        extent.write_bytes(b"\0" * (length % 22))  # a crash may leave it behind, never ahead
        contents = read(str(path))
        complete = sum(end - 1 <= length for end in ends)
        assert _numbers(path) == list(range(complete)), length
        assert contents.damage == (), length
        _write(path, 2, first=complete)
        assert _numbers(path) == list(range(complete + 2)), length
        assert read(str(path)).damage == (), length
        assert path.read_bytes().startswith(whole[:length])


@pytest.mark.parametrize("bit", [0, 7])
def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, bit: int) -> None:
    """Every record is either right or reported as lost, whichever byte is damaged."""
    path = tmp_path / "log.jsonl"
    _write(path, 4)
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ (1 << bit)]) + whole[position + 1 :])
        contents = read(str(path))
        numbers = _numbers(path)
        assert set(numbers) <= set(range(4))
        assert len(numbers) == 4 or contents.damage, position
        assert len(numbers) >= 2


def test_a_lost_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    _write(path, 5)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert read(str(path)).damage == ("line 3: 1 record(s) before it are missing",)
    lines[2] = b"#" + lines[2]
    path.write_bytes(b"".join(lines))
    assert read(str(path)).damage == ("line 3: damaged; what was recorded there is not known",)


def test_a_damaged_line_that_has_an_end_is_not_taken_for_a_torn_one(tmp_path: Path) -> None:
    """A crash never leaves a newline behind half a line; so this was a record, and it may have been acted upon."""
    path = tmp_path / "log.jsonl"
    _write(path, 2)
    path.write_bytes(path.read_bytes()[:-3] + b"?}\n")
    assert read(str(path)).damage == ("line 2: damaged; what was recorded there is not known",)


@pytest.mark.parametrize("data", [b"version: 1\nentries: []\n", b"\x89PNG\r\n\x1a\n", b"{}\n{}\n"])
def test_what_is_no_log_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(data)
    with pytest.raises(JournalError, match=r"no log of ckpt-migrate") as caught:
        read(str(path))
    assert caught.value.remedy is not None


def test_a_log_knows_how_many_records_it_had(tmp_path: Path) -> None:
    """What is cut off is said, and stays said when somebody goes on behind it; its numbers are not given again."""
    path = tmp_path / "log.jsonl"
    _write(path, 5)
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in (0, 1, 4):
        path.write_bytes(b"".join(lines[:kept]))
        Path(path_of(str(path))).write_bytes(b"%020d\n" % 5)
        contents = read(str(path))
        assert contents.is_cut
        assert contents.damage == (
            f"its end was cut off: {kept} records are left of 5; what the others recorded is not known",
        )
        _write(path, 1, first=9)
        assert read(str(path)).records[-1]["seq"] == 5
        assert read(str(path)).damage == (f"line {kept + 1}: {5 - kept} record(s) before it are missing",)


def test_without_its_extent_a_log_is_trusted_by_its_last_record_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Journal.create(str(path)) as journal:
        journal.append([{"kind": "begin"}])
        journal.append([{"kind": "end"}])
    Path(path_of(str(path))).unlink()
    assert read(str(path)).damage == ()
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert read(str(path)).is_cut
    assert "log.jsonl.extent, which tells, is missing" in read(str(path)).damage[0]


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "endless line"])
def test_what_is_no_file_or_has_no_end_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """Nobody waits at a pipe, and a sparse file of 60 GB is not taken into memory."""
    path = tmp_path / "log.jsonl"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        _write(path, 2)
        os.truncate(path, 60_000_000_000)
    with pytest.raises(JournalError, match=r"no regular file|Is a directory|line 3 is longer than any record"):
        read(str(path))


def test_a_full_disk_in_the_middle_of_a_record_leaves_a_log_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many bytes still went onto the disk: the next records follow on the whole ones, and none is missed."""
    real = storage.append
    records = [{"kind": "note", "number": number} for number in range(3)]
    whole = len("".join(encode({"seq": 0, **record}) + "\n" for record in records))
    for written in range(whole):
        path = tmp_path / f"{written}.jsonl"

        def full(handle: int, data: bytes, written: int = written) -> None:
            real(handle, data[:written])
            raise OSError(errno.ENOSPC, "No space left on device")

        with Journal.create(str(path)) as journal:
            with monkeypatch.context() as patch:
                patch.setattr(storage, "append", full)
                with pytest.raises(OSError, match="No space"):
                    journal.append(records)
            journal.append([{"kind": "stopped", "number": 8}])
        contents = read(str(path))
        numbers = [record["number"] for record in contents.records]
        assert (numbers, contents.damage) == ([*[0, 1, 2][: len(numbers) - 1], 8], ()), written
        assert [record["seq"] for record in contents.records] == list(range(len(numbers)))


def test_a_missing_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file"):
        read(str(tmp_path / "none.jsonl"))


def test_the_ends_of_a_log_tell_what_the_whole_of_it_does(small: Tree, recipe: Recipe) -> None:
    """Applied, undone, undone in part: its first and last record say how it stands, as reading all of it would."""
    plan = small.plan()
    log = apply_plan(plan, recipe).log
    assert log is not None
    states = {_same_by_ends(log)}
    roll_back(log)
    states.add(_same_by_ends(log))
    blocked = apply_plan(plan, recipe).log
    assert blocked is not None
    (small.folder / plan.entries[0].checkpoint).mkdir()
    roll_back(blocked)
    states.add(_same_by_ends(blocked))
    assert states == {LogState.FINISHED, LogState.ROLLED_BACK, LogState.PARTLY_ROLLED_BACK}


def test_ends_tell_nothing_of_a_log_that_did_not_end_or_lost_its_end(small: Tree, recipe: Recipe) -> None:
    """Cut at each byte, a flipped byte in its first or last line, an extent of more records: all of it is read."""
    log = apply_plan(small.plan(), replace(recipe, manifests=())).log
    assert log is not None
    path, extent = Path(log), Path(path_of(log))
    whole, records = path.read_bytes(), extent.read_bytes()
    assert read_ends(log) is not None
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read_ends(log) is None
    for place in (*range(whole.index(b"\n")), *range(whole.rindex(b"\n", 0, -1) + 1, len(whole))):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert read_ends(log) is None
    path.write_bytes(whole)
    extent.write_bytes(b"%020d\n" % (int(records) + 1))
    assert read_ends(log) is None


def _same_by_ends(log: str) -> LogState:
    whole, ended = load(log), read_ends(log)
    assert ended == Ended(whole.plan_digest, whole.state)
    return whole.state


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_real_log_is_read_or_refused_by_its_line(tmp_path: Path, scenario: str) -> None:
    """A slice of the campaign: cut and flipped at every 701st byte, each line repeated, also of runs that failed.

    What was only repeated says nothing else than before; nothing is lost without a line that says so.
    """
    states = list(campaign(tmp_path, step=701, scenarios=(scenario,)))
    assert len(states) > 50
    assert [state for state in states if state[2]] == []


def test_a_record_under_another_ones_number_is_passed_over_and_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    _write(path, 3)
    line = encode({"seq": 1, "kind": "another"}).encode()
    path.write_bytes(path.read_bytes() + line + b"\n")
    _write(path, 1, first=3)
    contents = read(str(path))
    assert [record["seq"] for record in contents.records] == [0, 1, 2, 3]
    assert contents.damage == ("line 4: its number is that of another record before it; it is passed over",)


@given(st.text(), st.text(), st.none() | st.text(), st.none() | st.text(), st.lists(st.dictionaries(st.text(), JSON)))
def test_an_intent_put_together_is_what_an_encoder_writes(
    source: str, target: str, via: str | None, oldest: str | None, files: list[dict[str, object]]
) -> None:
    """Whatever stands in names, the record is one line of ASCII that says the same; so it is with its number."""
    witness = None if oldest is None else (oldest, 7, -5)
    change = Change(3, "/a", "/b", Identity(17, 1_769_918_347_000_000_001, "00ff", witness), -1)
    text = intent(2, change, source=source, target=target, via=via, files=files)
    record = json.loads(text)
    assert text.isascii()
    assert text.isprintable()
    assert Identity.from_json(record.pop("identity")) == change.identity
    named = {"source": source, "target": target, "via": via, "files": files}
    assert record == {"kind": "intent", "group": 2, "item": 3, "mtime_ns": -1, **named}


def test_records_given_as_text_are_numbered_and_sealed_like_others(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Journal.create(str(path)) as journal:
        journal.append([{"kind": "note"}, '{"kind":"text"}'])
        journal.append(['{"kind":"text"}'])
    assert [(record["seq"], record["kind"]) for record in read(str(path)).records] == [
        (0, "note"),
        (1, "text"),
        (2, "text"),
    ]


def test_records_can_be_taken_one_by_one(tmp_path: Path) -> None:
    """The same in the same order, with the same findings, and none is kept."""
    path = tmp_path / "log.jsonl"
    _write(path, 3)
    path.write_bytes(path.read_bytes().replace(b"note", b"noto", 1))
    taken: list[dict[str, object]] = []
    contents = read(str(path), taken.append)
    assert contents.records == ()
    assert replace(contents, records=tuple(taken)) == read(str(path))
