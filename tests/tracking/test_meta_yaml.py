"""The flat reader of meta.yaml against PyYAML."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ckpt_migrate.tracking.meta_yaml import MetaError, parse_meta

KEYS = st.sampled_from(["artifact_uri", "end_time", "name", "run_id", "status", "user_id", "tags"])
SCALARS = (
    st.none()
    | st.integers()
    | st.text(st.characters(exclude_characters="\x85\u2028\u2029"), max_size=120)  # line ends that PyYAML folds
    | st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
    | st.from_regex(r"[a-z/.:#\- '\"0-9~%&*!|>@`{}\[\],]{0,100}", fullmatch=True)
    | st.sampled_from(["null", "~", "yes", "No", "1_000", "0o7", "012", "1:30", "2020-01-01", "1e5", ".inf", "="])
)


def as_text(value: object) -> str | None:
    return None if value is None else str(value)


@given(fields=st.dictionaries(KEYS, SCALARS, min_size=1), allow_unicode=st.booleans())
@example(fields={"name": "a b  c"}, allow_unicode=True)
@example(fields={"name": "x: y"}, allow_unicode=True)
@example(fields={"name": "a #b"}, allow_unicode=True)
@example(fields={"artifact_uri": "C:\\mlruns\\0"}, allow_unicode=True)
def test_whatever_mlflow_dumps_is_read_back(*, fields: dict[str, object], allow_unicode: bool) -> None:
    dumped = yaml.safe_dump(fields, default_flow_style=False, allow_unicode=allow_unicode)
    assert parse_meta(dumped.encode("utf-8", "surrogatepass")) == {k: as_text(v) for k, v in fields.items()}


def plain_scalars(text: str) -> dict[str, str | None] | None:
    """Read a flat mapping with PyYAML alone, every scalar as text; None when it is no YAML mapping.

    By the loader that MLflow reads with: libyaml, where it is built in, takes some headers that the other one refuses.
    """
    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return None
    if not isinstance(node, yaml.MappingNode):
        return None
    found: dict[str, str | None] = {}
    for key, value in node.value:
        if isinstance(value, yaml.ScalarNode):
            is_null = not value.style and value.value in ("", "~", "null", "Null", "NULL")
            found[key.value] = None if is_null else value.value
    return found


LINES = st.from_regex(r"(name|run_id|tags): ['\"a-z0-9:#%/\[\]{}&*!|>,. \\~-]{0,20}", fullmatch=True)


@given(st.lists(LINES, min_size=1, max_size=4, unique_by=lambda line: line.split(":")[0]))
@example(lines=["name: |#"])
def test_whatever_people_write_is_read_as_yaml_reads_it_or_refused(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    try:
        found = parse_meta(text.encode())
    except MetaError:
        return
    assert found == plain_scalars(text)


@pytest.mark.parametrize("data", [b"", b"\n", b"# only\n", b"just text\n", b"- a\n", b"{}\n", b"? [a]\n: b\n", b"\x00"])
def test_what_is_no_flat_mapping_is_refused(data: bytes) -> None:
    with pytest.raises(MetaError):
        parse_meta(data)


def test_a_byte_order_mark_and_windows_line_ends_are_no_hindrance() -> None:
    assert parse_meta(b"\xef\xbb\xbfrun_id: abc\r\nname: ''\r\n") == {"run_id": "abc", "name": ""}
