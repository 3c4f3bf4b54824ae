"""The parts of the documentation that are made from the code: commands, errors, the schema of a plan.

MkDocs calls `on_page_markdown` for each page; a mark such as ``<!-- errors -->`` is replaced by what the code says.
"""

from __future__ import annotations

import inspect
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from raised import CLASSES, raised

from ckpt_migrate.cli import COMMANDS, cli
from ckpt_migrate.cli.settings import long_name, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

_MARK = re.compile(r"<!-- (commands|errors|schema plan|settings|json) -->")
_WIDTH = 100


def on_config(config: MutableMapping[str, Any]) -> None:
    """List every page that the navigation forgot under its end: none is out of reach."""
    folder = Path(config["docs_dir"])
    listed = set(listed_pages(config["nav"]))
    pages = sorted(page.relative_to(folder).as_posix() for page in folder.rglob("*.md"))
    forgotten = [page for page in pages if page not in listed]
    if forgotten:
        config["nav"] = [*config["nav"], {"More": forgotten}]


def listed_pages(part: Any) -> list[str]:  # noqa: ANN401 - a navigation is nested lists, mappings and texts
    """Return the pages of a navigation."""
    if isinstance(part, str):
        return [part]
    return [name for item in (part.values() if isinstance(part, dict) else part) for name in listed_pages(item)]


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return a page with its marks filled in."""
    makers = {
        "commands": commands,
        "errors": error_list,
        "schema plan": plan_fields,
        "settings": settings,
        "json": json_output,
    }
    return _MARK.sub(lambda match: makers[match[1]](), markdown)


def commands() -> str:
    """Return the help of every command."""
    parts = []
    for name in COMMANDS:
        context = click.Context(cli, info_name="ckpt-migrate", max_content_width=_WIDTH, terminal_width=_WIDTH)
        command = cli.get_command(context, name)
        assert command is not None  # noqa: S101 - it is in the list
        inner = click.Context(command, info_name=name, parent=context, max_content_width=_WIDTH, terminal_width=_WIDTH)
        parts.append(f"## {name}\n\n```text\n{command.get_help(inner)}\n```\n")
    return "\n".join(parts)


def settings() -> str:
    """Return the variables of the environment as a table, those of all commands first."""
    rows: dict[str, tuple[str, list[str]]] = {}
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None  # noqa: S101 - it is in the list
        for variable, option in settings_of(command).items():
            rows.setdefault(variable, (long_name(option), []))[1].append(name)
    ordered = sorted(rows.items(), key=lambda row: -len(row[1][1]))
    told = [
        f"| `{variable}` | `{option}` of {'every command' if len(names) == len(COMMANDS) else ', '.join(names)} |"
        for variable, (option, names) in ordered
    ]
    return "\n".join(["| variable | stands in for |", "| --- | --- |", *told])


def plan_fields() -> str:
    """Return the keys of a plan's entry as a table."""
    schema = json.loads((files("ckpt_migrate.schemas") / "plan.json").read_text(encoding="utf-8"))
    rows = [f"| `{key}` | {value['description']} |" for key, value in schema["$defs"]["entry"]["properties"].items()]
    return "\n".join(["| key of an entry | meaning |", "| --- | --- |", *rows])


def json_output() -> str:
    """Return what each command prints as JSON, key by key, then the records that several commands share."""
    definitions = json.loads((files("ckpt_migrate.schemas") / "output.json").read_text(encoding="utf-8"))["$defs"]
    parts = []
    for name, schema in definitions.items():
        inner, listed = (schema["items"], "A list. ") if schema.get("type") == "array" else (schema, "")
        rows = [f"| `{key}` | {meaning} |" for key, meaning in _keys(inner)]
        parts.append(f"## {name}\n\n{listed}{schema['description']}\n")
        parts.append("\n".join(["| key | meaning |", "| --- | --- |", *rows]) + "\n")
    return "\n".join(parts)


def _keys(schema: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the keys of a record and of those in it, with what they mean; `[]` stands for each of a list."""
    for branch in (schema, *schema.get("oneOf", ())):
        for key, value in branch.get("properties", {}).items():
            many = "[]" if value.get("type") == "array" else ""
            inner = value["items"] if many else value
            record = inner.get("$ref", "").rpartition("/")[2]
            told = [value.get("description", ""), f"See [{record}](#{record})." if record else ""]
            if "enum" in value:
                told.append(" ".join(f"`{word}`" for word in value["enum"]))
            yield f"{before}{key}{many}", " ".join(filter(None, told))
            yield from _keys(inner, f"{before}{key}{many}.")


def error_list() -> str:
    """Return every error class with its exit code and cause, and every message with its remedy."""
    found = list(raised())
    parts = []
    for name, kind in CLASSES.items():
        parts.append(
            f"## {name}\n\n{inspect.cleandoc(kind.__doc__ or '').splitlines()[0]} Exit code {kind.exit_code}.\n"
        )
        messages = dict.fromkeys((one.what, one.remedy) for one in found if one.kind == name)
        if messages:
            parts.append("| what it says | what to do |\n| --- | --- |")
            parts += [f"| {_cell(what)} | {_cell(remedy)} |" for what, remedy in messages]
            parts.append("")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
