"""What `--format json` prints is what its schema says, of every command, and not a key more."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from ckpt_migrate.cli import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from project import Project

    from cli.conftest import Ended

    Call = Callable[..., Ended]

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema, which checks by a schema, is not installed")

STORE = ("--tracking-uri", "mlruns")
PRINT_NO_DATA = {"review", "schema", "completions", "demo"}
SCHEMA = json.loads((files("ckpt_migrate.schemas") / "output.json").read_text(encoding="utf-8"))


def strict(schema: Any) -> Any:
    """Return a schema that refuses every key that it does not list."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    return {"additionalProperties": False, **made} if isinstance(schema.get("properties"), dict) else made


DEFINITIONS = strict(SCHEMA["$defs"])


def check(command: str, data: object) -> None:
    """Hold what a command printed against its schema."""
    validator = jsonschema.Draft202012Validator({"$ref": f"#/$defs/{command}", "$defs": DEFINITIONS})
    assert [f"{error.json_path}: {error.message:.200}" for error in validator.iter_errors(data)] == []


def keys(data: object) -> Iterator[str]:
    """Yield every key in some data."""
    if isinstance(data, list):
        for item in data:
            yield from keys(item)
    elif isinstance(data, dict):
        for key, value in data.items():
            yield key
            yield from keys(value)


def story(project: Project) -> Iterator[tuple[str, ...]]:
    """Yield the commands of a migration in which everything is met that JSON has a record for."""
    first, twin = project.training(0), project.training(5)
    yield "scan", "checkpoints", "--evidence"
    yield "plan", "checkpoints", *STORE, "--references", "conf", "--leave-links", "--audit"
    yield "report", "plan.yaml"
    _edit(project, twin.run_id)
    yield "show", "plan.yaml"
    yield "apply", "plan.yaml", "--dry-run"
    yield "apply", "plan.yaml", "--yes"
    yield "log", "checkpoints"
    yield "links", "checkpoints"
    yield "verify", "checkpoints", *STORE
    yield "find", first.uid, "no such name", "--root", "checkpoints", *STORE
    yield "rollback", "latest", "--dry-run"
    yield "rollback", "latest", "--yes"
    yield "plan", "checkpoints", *STORE, "-o", "other.yaml"
    yield ("recipes",)


def _edit(project: Project, run_id: str) -> None:
    """Give the first undecided directory to some run, and name an old name somewhere, as a person would."""
    path = project.folder / "plan.yaml"
    text = path.read_text(encoding="utf-8")
    edited = re.sub(
        r"(status: unmatched\n  action: )skip(\n  run_id: )null", rf"\g<1>rename\g<2>{run_id}", text, count=1
    )
    assert edited != text
    path.write_text(edited, encoding="utf-8")
    (project.folder / "conf" / "late.yaml").write_text(f"at: {project.training(0).legacy}\n", encoding="utf-8")


def test_every_command_prints_what_its_schema_says(ckpt: Call, project: Project) -> None:
    """And every key that the schema requires of a record is met in one of them."""
    made = [project.training(8), project.training(8, "twin")]
    for training in made:
        project.add_directory(training)
        project.add_run(training)
    old = project.training(0).legacy
    (project.folder / "conf").mkdir()
    (project.folder / "conf" / "a.yaml").write_text(f"adapter: checkpoints/phase2/{old}/last.ckpt\n", encoding="utf-8")
    (project.folder / "conf" / "b.bin").write_bytes(b"\0" + old.encode())
    (project.root / project.training(1).legacy / "broken.safetensors").write_bytes(b"x" * 9)
    (project.folder / "mlruns" / "1" / "no_run").mkdir()
    called, met = set(), set()
    for command, *arguments in story(project):
        data = ckpt(command, *arguments, "--format", "json").data
        check(command, data)
        called.add(command)
        met |= set(keys(data))
    assert called == set(COMMANDS) - PRINT_NO_DATA
    assert sorted(required(SCHEMA) - met) == []


def required(schema: Any) -> set[str]:
    """Return the keys that a schema requires anywhere."""
    if isinstance(schema, list):
        return {key for item in schema for key in required(item)}
    if not isinstance(schema, dict):
        return set()
    found = schema.get("required", [])
    return {*(found if isinstance(found, list) else ()), *(key for part in schema.values() for key in required(part))}


def test_a_schema_that_programs_use_allows_keys_to_come() -> None:
    """Keys are only ever added: the printed schema forbids none."""
    assert '"additionalProperties": false' not in json.dumps(SCHEMA)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_is_printed(ckpt: Call) -> None:
    assert ckpt("schema", "output").data == SCHEMA
