"""The parts of the documentation that are made from the code: commands, errors, the schema of a plan.

MkDocs calls `on_page_markdown` for each page; a mark such as ``<!-- errors -->`` is replaced by what the code says.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import ckpt_migrate
from ckpt_migrate import errors
from ckpt_migrate.cli import COMMANDS, cli
from ckpt_migrate.cli.settings import long_name, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

PACKAGE = Path(ckpt_migrate.__file__).parent
CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.CkptMigrateError)
}
_MARK = re.compile(r"<!-- (commands|errors|schema plan|settings|json) -->")
_WIDTH = 100


@dataclass(frozen=True)
class Raised:
    """A place where an error is made: which, what it says, what it tells to do."""

    kind: str
    what: str
    remedy: str
    place: str


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


@lru_cache(maxsize=1)
def raised() -> tuple[Raised, ...]:
    """Return every place in the package where an error is made."""
    return tuple(_raised())


def _raised() -> Iterator[Raised]:
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_bytes())
        for scope in ast.walk(tree):
            if not isinstance(scope, (ast.FunctionDef, ast.Module)):
                continue
            for call in _own_calls(scope):
                name = getattr(call.func, "id", None)
                if name in CLASSES and name is not None:
                    remedy = next((word.value for word in call.keywords if word.arg == "remedy"), None)
                    what = call.args[0] if call.args else None
                    place = f"{path.relative_to(PACKAGE)}:{call.lineno}"
                    yield Raised(name, _text(what, scope, tree), _text(remedy, scope, tree), place)


def _own_calls(scope: ast.FunctionDef | ast.Module) -> Iterator[ast.Call]:
    """Yield the calls in a function, those of functions inside it left out."""
    pending: list[ast.AST] = list(scope.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        if isinstance(node, ast.Call):
            yield node
        pending += ast.iter_child_nodes(node)


def _text(node: ast.expr | None, scope: ast.AST, tree: ast.Module) -> str:
    """Return a text as the code writes it, what is filled in between braces."""
    if node is None:
        return ""
    if isinstance(node, ast.Constant):
        return str(node.value or "")
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value).split('.')[-1]}}}"
            for part in node.values
            if isinstance(part, (ast.Constant, ast.FormattedValue))
        )
    if isinstance(node, ast.IfExp):
        return f"{_text(node.body, scope, tree)}; or: {_text(node.orelse, scope, tree)}"
    if isinstance(node, ast.BinOp):
        return _text(node.left, scope, tree) + _text(node.right, scope, tree)
    if isinstance(node, ast.Name):
        values = [
            value
            for place in (scope, tree)
            for statement in ast.walk(place)
            if isinstance(statement, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == node.id for target in statement.targets)
            and (value := _text(statement.value, scope, tree))
        ]
        return "; or: ".join(dict.fromkeys(values)) or f"{{{node.id}}}"
    return f"{{{ast.unparse(node).split('.')[-1]}}}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
