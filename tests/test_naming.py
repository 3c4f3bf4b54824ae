"""Directory names: each form is read and written exactly, and what only looks like one is told why it is not."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_migrate.naming import DirectoryName, NameForm, check_renaming, check_template, is_run_id, parse_stamp

LEGACY = NameForm("{uuid}_{stamp}")
UID = "ac7c134d5a5a44c4ac38fbc83f650af0"
STAMP = "20260201_041227"
IDS = st.text("0123456789abcdef", min_size=32, max_size=32)
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda time: time.replace(microsecond=0))  # noqa: DTZ001 - local by nature
FIXED = st.text("abc-.+*()[]\\^$ é", max_size=4)


@given(time=TIMES)
def test_every_second_of_the_calendar_is_read_as_it_was_written(time: datetime) -> None:
    assert parse_stamp(f"{time.year:04d}{time:%m%d_%H%M%S}") == time


@pytest.mark.parametrize(
    "stamp",
    [
        "20260230_041227",  # a day that no calendar has
        "20261301_041227",
        "20260201_241227",
        "20260201_041260",
        "00000201_041227",
        "2026021_041227",  # which strptime takes for 2 January
        "20260201-041227",
        "20260201_04122",
        " 0260201_041227",
        "20260201_041227\n",
        "\u0662\u0660\u0662\u06660201_041227",  # digits, but not ours
        "",
    ],
)
def test_what_is_no_stamp_is_none(stamp: str) -> None:
    assert parse_stamp(stamp) is None


@given(fixed=st.tuples(FIXED, FIXED, FIXED), uid=IDS, time=TIMES, kind=st.sampled_from(["uuid", "run_id"]))
def test_a_form_reads_back_what_it_wrote_whatever_stands_around_its_fields(
    fixed: tuple[str, str, str], uid: str, time: datetime, kind: str
) -> None:
    """Characters that mean something to patterns stand for themselves."""
    before, between, after = fixed
    form = NameForm(f"{before}{{{kind}}}{between}{{stamp}}{after}")
    stamp = f"{time.year:04d}{time:%m%d_%H%M%S}"
    name = form.format(uid=uid, stamp=stamp)
    parsed = form.parse(name)
    assert parsed is not None
    assert (parsed.uid, parsed.stamp, parsed.local_time) == (uid, stamp, time)
    assert form.parse(name + "x") is None
    assert form.parse("x" + name) is None


@pytest.mark.parametrize(
    "name",
    [
        f"{UID}_{STAMP}\n",
        f"{UID}_{STAMP} ",
        f"{UID.upper()}_{STAMP}",
        f"{UID[:-1]}_{STAMP}",
        f"{UID}{STAMP}",
        f"{UID}_20260231_041227",
        f"{UID}_{STAMP}.bak",
        f"{UID}_{STAMP}/",
        "",
    ],
)
def test_a_form_takes_no_near_miss(name: str) -> None:
    assert LEGACY.parse(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (f"ac7c134d-5a5a-44c4-ac38-fbc83f650af0_{STAMP}", "the id is written with dashes"),
        (f"{UID.upper()}_{STAMP}", "the id has upper-case letters"),
        (f"{UID}_20260201-041227", "the time stamp 20260201-041227 is not written YYYYMMDD_HHMMSS"),
        (f"{UID}_20260201T041227", "the time stamp 20260201T041227 is not written YYYYMMDD_HHMMSS"),
        (f"{UID}_20260231_041227", "the time stamp 20260231_041227 is no date that exists"),
        (f"{UID}_{STAMP}", None),
        ("lightning_logs", None),
    ],
)
def test_a_near_miss_is_told_why(name: str, why: str | None) -> None:
    assert LEGACY.why_not(name) == why


@pytest.mark.parametrize(
    ("text", "expected"), [(UID, True), (UID.upper(), False), (UID[1:], False), (f"{UID}\n", False), ("", False)]
)
def test_a_run_id_is_32_lower_case_digits(text: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert is_run_id(text) is expected


@pytest.mark.parametrize(
    ("template", "problems"),
    [
        ("{uuid}_{stamp}", ()),
        ("run-{run_id}.{stamp}", ()),
        ("{uuid}", ()),
        ("{stamp}", ()),
        ("{name}_{date}_{time}", ()),
        ("{uuid}_{run_id}_{stamp}", ("needs no more than one of {uuid} and {run_id}",)),
        ("{uuid}_{stamp}_{stamp}", ("needs {stamp} no more than once",)),
        ("{date}", ("needs {date} and {time} together",)),
        ("{date}_{time}_{stamp}", ("needs {stamp} or {date} and {time}, not both",)),
        ("{uuid}_{stamp}_{host}", ("unknown field {host}",)),
        ("a/{uuid}_{stamp}", ("must be one directory name, without /",)),
        ("{uuid}_{stamp}_{", ("has a brace that belongs to no field",)),
        ("{uuid!r}_{stamp}", ("has a brace that belongs to no field",)),
        ("{uuid}\t{stamp}", ("has characters that cannot be shown",)),
    ],
)
def test_every_mistake_in_a_template_is_named(template: str, problems: tuple[str, ...]) -> None:
    assert check_template(template) == problems


@pytest.mark.parametrize("template", ["/{date}/{time}", "{date}/{time}/", "{date}//{time}"])
def test_a_path_of_a_template_is_made_of_names(template: str) -> None:
    assert check_template(template, is_path=True) == ("must be folder names with one / between them",)
    assert check_template(template.strip("/").replace("//", "/"), is_path=True) == ()


@pytest.mark.parametrize(
    ("legacy", "target", "problems"),
    [
        ("{uuid}_{stamp}", "{run_id}_{stamp}", ()),
        ("{name}_{date}_{time}", "{name}_{run_id}_{date}_{time}", ()),
        ("{uuid}", "{run_id}", ()),
        ("{name}", "{name}_{run_id}", ("legacy needs {uuid}, {stamp}, or {date} and {time}",)),
        ("{stamp}", "{stamp}", ("target needs {run_id}",)),
        ("{name}_{stamp}", "{run_id}", ("target must keep {name} of legacy", "target must keep {stamp} of legacy")),
        ("{uuid}", "{run_id}_{stamp}", ("target has {stamp}, which legacy has not",)),
        ("{stamp}_{number}", "{run_id}_{stamp}", ("legacy with {number} can be linked, not renamed",)),
    ],
)
def test_a_renaming_keeps_what_stands_in_a_name(legacy: str, target: str, problems: tuple[str, ...]) -> None:
    assert check_renaming(legacy, target) == problems


def test_a_form_spread_over_folders_is_read_from_the_end_of_a_path() -> None:
    """Of several forms the first that fits counts; a date that no calendar has fits none."""
    form = NameForm("{date}/{time}", ("{date}/{time}/{number}", "version_{number}"))
    first = form.parse("/data/outputs/2026-02-01/04-12-27")
    assert first == DirectoryName("", STAMP, datetime(2026, 2, 1, 4, 12, 27), depth=2)  # noqa: DTZ001 - naive by nature
    job = form.parse("multirun/2026-02-01/04-12-27/11")
    assert (job and job.stamp, job and job.depth) == (STAMP, 3)
    assert form.parse("lightning_logs/version_7") == DirectoryName("", "", None)
    assert form.parse("outputs/2026-02-31/04-12-27") is None
    assert form.parse("04-12-27") is None


def test_the_text_in_a_name_is_kept() -> None:
    form = NameForm("{name}_{run_id}_{date}_{time}")
    name = form.format(uid=UID, stamp=STAMP, label="gat_v2")
    assert name == f"gat_v2_{UID}_2026-02-01_04-12-27"
    assert form.parse(name) == DirectoryName(UID, STAMP, parse_stamp(STAMP), "gat_v2")
