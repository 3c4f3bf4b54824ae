"""Configs: JSON, YAML, TOML and Hydra's overrides become params, and broken ones say where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_migrate.evidence.configs import MAX_CONFIG_BYTES, ConfigReader, parse_config
from ckpt_migrate.evidence.files import ReaderError
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import FileStat

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {"learning_rate": 2e-4, "model": {"layers": 4, "name": "GAT"}, "seed": None}
PARAMS = [("learning_rate", 2e-4), ("model/layers", 4), ("model/name", "GAT"), ("seed", None)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_is_read_in_every_encoding_it_may_have(encoding: str) -> None:
    assert parse_config(json.dumps(CONFIG).encode(encoding), "config.json") == PARAMS


def test_yaml_is_read() -> None:
    text = "learning_rate: 0.0002\nmodel:\n  layers: 4\n  name: GAT\nseed:\n"
    assert parse_config(text.encode(), "hparams.yaml") == PARAMS
    assert parse_config(text.encode(), "x/config.YML") == PARAMS


def test_toml_is_read() -> None:
    text = "learning_rate = 0.0002\nday = 2026-02-01\n[model]\nlayers = 4\n[[cases]]\nx = 1\n"
    assert parse_config(text.encode(), "config.toml") == [
        ("learning_rate", 2e-4),
        ("day", "2026-02-01"),
        ("model/layers", 4),
        ("cases", "[{'x': 1}]"),
    ]


def test_overrides_of_hydra_are_params() -> None:
    """Added and forced keys count, deleted ones do not; values are read as YAML."""
    text = "- model.lr=0.1\n- +new=true\n- ++db@store.size=[1,2]\n- ~gone\n- ~gone=5\n- name=a=b\n- x='${y}'\n"
    assert parse_config(text.encode(), ".hydra/overrides.yaml") == [
        ("model/lr", 0.1),
        ("new", True),
        ("db", [1, 2]),
        ("name", "a=b"),
    ]
    assert parse_config(b"[]\n", ".hydra/overrides.yaml") == []


@pytest.mark.parametrize(
    ("data", "path", "what"),
    [
        (b"{", "config.json", "no JSON"),
        (b"", "config.json", "no JSON"),
        (b"\xff\xfe\x00", "config.json", "no JSON"),
        (b"[1]", "config.json", "no mapping"),
        (b"[" * 100_000, "config.json", "no JSON"),
        (b'{"a":' * 100_000, "config.json", "no JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "config.json", "no JSON"),
        (b"a: b: c", "hparams.yaml", "line 1"),
        (b"- 1", "hparams.yaml", "no mapping"),
        (b"a = \n", "config.toml", "TOML"),
        (b"a = " + b"[" * 50_000, "config.toml", "TOML"),
    ],
)
def test_broken_configs_say_what_is_wrong(data: bytes, path: str, what: str) -> None:
    with pytest.raises(ReaderError, match=what):
        parse_config(data, path)


def test_the_recipe_and_the_frameworks_say_what_is_a_config() -> None:
    """Names are compared without regard to case; a config deeper down is another's, a framework's is ours anywhere."""
    reader = ConfigReader(load_recipe())
    wanted = ["config.json", "Config.JSON", "hparams.yaml", "logs/version_0/hparams.yaml", ".hydra/config.yaml"]
    unwanted = ["tokenizer/config.json", "config.json.bak", "hydra/config.yaml", "results.json", ".hydra/hydra.yaml"]
    assert [name for name in (*wanted, *unwanted) if reader.wants(FileStat(name, "file", 1, 0))] == wanted
    assert not reader.wants(FileStat("config.json", "dir", 0, 0))
    assert not reader.wants(FileStat("config.json", "link", 0, 0))


def test_large_configs_are_not_read(tmp_path: Path) -> None:
    """At the limit exactly they are."""
    reader = ConfigReader(load_recipe())
    path = tmp_path / "config.json"
    for extra, count in ((0, 1), (1, None)):
        head, tail = b'{"a": "', b'"}'
        path.write_bytes(head + b"x" * (MAX_CONFIG_BYTES + extra - len(head + tail)) + tail)
        file = FileStat("config.json", "file", path.stat().st_size, 0)
        if count is None:
            with pytest.raises(ReaderError, match="larger than 4,096 KiB"):
                reader.read(str(path), file)
        else:
            assert len(list(reader.read(str(path), file))) == count


def test_facts_of_equal_value_and_other_kind_stay_apart(tmp_path: Path) -> None:
    """1, 1.0 and true are equal to Python and not to a logger; facts are shared only where both are the same."""
    reader = ConfigReader(load_recipe())
    path = tmp_path / "config.json"
    kinds = []
    for value in ("1", "1.0", "true", "1", '"1"'):
        path.write_text(f'{{"a": {value}}}')
        (fact,) = reader.read(str(path), FileStat("config.json", "file", 1, 0))
        kinds.append(type(fact.value))
    assert kinds == [int, float, bool, int, str]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(["config.json", "hparams.yaml", "config.toml", ".hydra/overrides.yaml"]),
)
def test_any_bytes_end_in_params_or_the_one_error(data: bytes, path: str) -> None:
    try:
        parse_config(data, path)
    except ReaderError:
        return


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from([*"abc:-?&*!|>'\"%@`{}[],#<~. \n\t01", "<<", "  ", "!!int ", "!!python/tuple "]), max_size=40
    )
)
def test_any_yaml_ends_in_params_or_the_one_error(parts: list[str]) -> None:
    """Text made of what YAML gives a meaning to."""
    try:
        parse_config("".join(parts).encode(), "hparams.yaml")
    except ReaderError:
        return
