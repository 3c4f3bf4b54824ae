"""YAML of frameworks: tags build nothing, aliases do not multiply, nesting does not recurse."""

from __future__ import annotations

import time

import pytest
import yaml

from ckpt_migrate.evidence.configs import parse_config
from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.evidence.yaml_values import load_yaml


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: -0x1F\nc: 1_000\nd: 0o17\ne: 017\n",
        "a: 1.5\nb: 1e-4\nc: .inf\nd: -.INF\ne: 1.0e+5\n",
        "a: yes\nb: off\nc: ~\nd:\ne: null\nf: 'null'\ng: \"1\"\n",
        "a: [1, [2, {b: 3}]]\nc: {d: {}, e: []}\n",
        "a: |\n  text\n  more\nb: >\n  folded\n  text\n",
        "a: &x {b: 1}\nc: *x\nd: &y [1]\ne: *y\n",
        "base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\nboth:\n  <<: [*b, {z: 4}]\n",
        "a: !!str 1\nb: !!int '2'\nc: !!float 3\n",
        "1: a\n2.5: b\ntrue: c\n~: d\n",
        "",
        "--- \n",
    ],
)
def test_plain_yaml_is_read_as_the_library_reads_it(text: str) -> None:
    assert load_yaml(text.encode()) == yaml.safe_load(text)


def test_tags_of_python_are_understood_or_left_out() -> None:
    """Nothing is imported or called: what is no tuple, path or mapping says nothing."""
    text = """
        tuple: !!python/tuple [1, 2]
        text: !!python/unicode x
        path: !!python/object/apply:pathlib.PosixPath [/, data, x]
        space: !!python/object:argparse.Namespace {lr: 0.1}
        attributes: !!python/object/new:lightning.AttributeDict {dictitems: {width: 3}}
        command: !!python/object/apply:os.system ['touch MARK']
        name: !!python/name:os.system ''
        own: !mine 5
    """
    assert parse_config(text.encode(), "hparams.yaml") == [
        ("tuple", [1, 2]),
        ("text", "x"),
        ("path", "/data/x"),
        ("space/lr", 0.1),
        ("attributes/width", 3),
        ("own", "5"),
    ]


def test_dates_stay_as_they_are_written() -> None:
    assert load_yaml(b"day: 2026-02-01\nmoment: 2026-02-01 04:12:27\n") == {
        "day": "2026-02-01",
        "moment": "2026-02-01 04:12:27",
    }


def test_bombs_are_refused_at_once() -> None:
    """Laughing aliases, merges of merges, nesting without end: each within seconds."""
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    wide = ", ".join(f"k{i}: {i}" for i in range(1000))
    merges = f"base: &b {{{wide}}}\n" + "".join(f"m{i}: {{<<: *b}}\n" for i in range(1000))
    started = time.perf_counter()
    for bomb in (laughs, merges, "a: " + "[" * 20_000, "{a: " * 20_000, "? " * 20_000, "- " * 20_000):
        with pytest.raises(ReaderError):
            parse_config(bomb.encode(), "hparams.yaml")
    assert time.perf_counter() - started < 10


def test_a_number_of_endless_length_is_text() -> None:
    """One in base 60 takes time that grows with the square of its length."""
    started = time.perf_counter()
    for text in ("1:" * 100_000 + "1", "1:" * 100_000 + "1.5", "0x" + "f" * 200_000):
        assert load_yaml(f"a: {text}\nb: !!int {text}\nc: 1:30\n".encode()) == {"a": text, "b": text, "c": 90}
    assert time.perf_counter() - started < 3


def test_an_alias_within_its_own_anchor_says_nothing() -> None:
    """It would make a list contain itself."""
    assert parse_config(b"a: &a [1, *a]\nb: 2\n", "hparams.yaml") == [("b", 2)]


def test_errors_name_the_line() -> None:
    with pytest.raises(ReaderError, match="line 2"):
        load_yaml(b"a: 1\nb: }\nc: 2\n")
