"""Every place in the package where an error is made, and its words, read from the code without running it."""

from __future__ import annotations

import ast
import importlib
import inspect
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import ckpt_migrate
from ckpt_migrate import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(ckpt_migrate.__file__).parent
CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.CkptMigrateError)
}
OR = "; or: "


@dataclass(frozen=True)
class Raised:
    """A place where an error is made: which, what it says, what it tells to do."""

    kind: str
    what: str
    remedy: str
    place: str


@lru_cache(maxsize=1)
def raised() -> tuple[Raised, ...]:
    """Return every place in the package where an error is made."""
    return tuple(found for path in sorted(PACKAGE.rglob("*.py")) for found in _Module(path).raised())


class _Module:
    """A module as it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path.relative_to(PACKAGE)
        self.tree = ast.parse(path.read_bytes())
        self.functions = [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)]
        self.pending: list[ast.expr] = []

    def raised(self) -> Iterator[Raised]:
        scopes: tuple[ast.FunctionDef | ast.Module, ...] = (self.tree, *self.functions)
        for scope in scopes:
            for call in _own_calls(scope):
                name = getattr(call.func, "id", None)
                if name in CLASSES and name is not None:
                    remedy = next((word.value for word in call.keywords if word.arg == "remedy"), None)
                    what = call.args[0] if call.args else None
                    place = f"{self.path}:{call.lineno}"
                    yield Raised(name, self.text(what, scope), self.text(remedy, scope), place)

    def text(self, node: ast.expr | None, scope: ast.AST) -> str:
        """Return a text as the code writes it, what is filled in between braces, several that it may be with `or:`."""
        if node is None or node in self.pending:  # a text that is made of itself says nothing new
            return ""
        self.pending.append(node)
        try:
            return self._text(node, scope)
        finally:
            self.pending.pop()

    def _text(self, node: ast.expr, scope: ast.AST) -> str:
        if isinstance(node, ast.Constant):
            return str(node.value or "")
        if isinstance(node, ast.JoinedStr):
            return "".join(self._part(part, scope) for part in node.values)
        if isinstance(node, ast.IfExp):
            return _either([self.text(node.body, scope), self.text(node.orelse, scope)])
        if isinstance(node, ast.BinOp):
            return self.text(node.left, scope) + self.text(node.right, scope)
        if isinstance(node, ast.Name):
            return self._values(node.id, scope) or self._constant(node.id) or f"{{{node.id}}}"
        if isinstance(node, ast.Call):
            return self._called(node, scope) or _filled_in(node)
        return _filled_in(node)

    def _part(self, part: ast.expr, scope: ast.AST) -> str:
        """Return a part of a text with values in it: a constant or a function of the module by its words."""
        if not isinstance(part, ast.FormattedValue):
            return str(getattr(part, "value", ""))
        if isinstance(part.value, ast.Name):
            return self._constant(part.value.id) or _filled_in(part.value)
        if isinstance(part.value, ast.Call):
            return self._called(part.value, scope) or _filled_in(part.value)
        return _filled_in(part.value)

    def _values(self, name: str, scope: ast.AST) -> str:
        """Return what a name is given in a function or the module, in an assignment or a loop over a table."""
        found = []
        inside = () if scope is self.tree else ast.walk(scope)
        for node in (*inside, *self.tree.body):
            if isinstance(node, ast.Assign) and any(isinstance(x, ast.Name) and x.id == name for x in node.targets):
                found.append(self.text(node.value, scope))
            if isinstance(node, ast.For) and isinstance(node.target, ast.Tuple) and isinstance(node.iter, ast.Name):
                names = [getattr(target, "id", "") for target in node.target.elts]
                table = self._module_value(node.iter.id)
                if name in names and isinstance(table, tuple):
                    found += [row[names.index(name)] for row in table]
        return _either(found)

    def _constant(self, name: str) -> str:
        value = self._module_value(name)
        return value if isinstance(value, str) else ""

    def _module_value(self, name: str) -> object:
        dotted = ".".join(("ckpt_migrate", *self.path.with_suffix("").parts)).removesuffix(".__init__")
        return None if dotted.endswith("__main__") else getattr(importlib.import_module(dotted), name, None)

    def _called(self, call: ast.Call, scope: ast.AST) -> str:
        """Return what a function or method of this module returns, or a text with its first letter made large."""
        name = getattr(call.func, "id", None) or getattr(call.func, "attr", None)
        if name == "capitalize" and isinstance(call.func, ast.Attribute):
            return self.text(call.func.value, scope).capitalize()
        returns = [
            self.text(node.value, function)
            for function in self.functions
            if function.name == name
            for node in ast.walk(function)
            if isinstance(node, ast.Return)
        ]
        return _either(returns)


def _either(texts: list[str]) -> str:
    return OR.join(dict.fromkeys(filter(None, texts)))


def _filled_in(node: ast.expr) -> str:
    return f"{{{_name(node)}}}"


def _name(node: ast.expr) -> str:
    """Return what a reader would call a value: the last name in it."""
    if isinstance(node, ast.Call):
        return _name(node.args[0] if node.args else node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.BoolOp):
        return _name(node.values[0])
    if isinstance(node, (ast.Subscript, ast.Starred)):
        return _name(node.value)
    if isinstance(node, ast.IfExp):
        return f"{_name(node.body)} or {_name(node.orelse)}"
    if isinstance(node, ast.Constant):
        return str(node.value)
    return node.id if isinstance(node, ast.Name) else ast.unparse(node)


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
