"""What reading a pickle may build: plain data, and inert records in the place of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError

if TYPE_CHECKING:
    from collections.abc import Callable

# Hashes of integers below this differ, and so cannot be made to collide in a dictionary.
_SAFE_INTEGER = 1 << 60
_MAPPINGS = frozenset({"collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"})
_COLLECTIONS = frozenset(
    f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "frozenset", "list", "tuple")
)
_RECONSTRUCTORS = frozenset({"copyreg._reconstructor", "copy_reg._reconstructor"})


class PickleError(ReaderError):
    """The bytes are no pickle, or one beyond the limits."""


class TruncatedError(PickleError):
    """The bytes end before the pickle does."""


class Inert:
    """What stands for an object: nothing of it was imported, made or called.

    Attributes:
        name: `module.name` of its class or of the function that would have made it.
        arguments: What would have been passed; None for the class or function itself.
        state: What would have been set on it, None when nothing.
        entries: What would have been stored in it as a mapping, None when nothing.
    """

    __slots__ = ("arguments", "entries", "name", "state")

    def __init__(self, name: str, arguments: object = None) -> None:
        self.name = name
        self.arguments = arguments
        self.state: object = None
        self.entries: dict[object, object] | None = None

    def __repr__(self) -> str:
        """Return the name alone; what it holds may be endless."""
        return f"<{self.name}>"


def store(target: object, items: list[object]) -> None:
    """Store alternating keys and values in a mapping.

    Raises:
        TypeError: It is no mapping.
        ValueError: A key is without its value.
    """
    if isinstance(target, Inert):
        if target.entries is None:
            target.entries = {}
        target = target.entries
    if not isinstance(target, dict):
        raise TypeError("no mapping")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[key if isinstance(key, str) else _key(key)] = value


def _key(key: object) -> object:
    """Return what a key is stored under: itself, or a stand-in where a file could choose its hash."""
    if key is None or isinstance(key, (bytes, Inert)):
        return key
    if isinstance(key, int) and -_SAFE_INTEGER < key < _SAFE_INTEGER:
        return key
    return Inert(f"key of type {type(key).__name__}")


def make(function: object, arguments: object, spend: Callable[[int], None]) -> object:
    """Return what stands for a call.

    Content is shared, not copied: a memo lets a few bytes pass the same million items a million times.

    Args:
        function: What would be called.
        arguments: What it would be called with.
        spend: Told how many items are copied after all.

    Raises:
        TypeError: The arguments cannot be those of the function.
        ValueError: Likewise.
    """
    name = function.name if isinstance(function, Inert) and function.arguments is None else "unnamed"
    if name in _MAPPINGS:
        return _mapping(arguments, spend)
    if name in _COLLECTIONS:
        content = arguments[0] if isinstance(arguments, tuple) and arguments else None
        return content if isinstance(content, (list, tuple)) else []
    if name in _RECONSTRUCTORS:
        # How protocols 0 and 1 make objects: class, base class, and what the base class holds.
        if not isinstance(arguments, tuple):
            raise TypeError("arguments are no tuple")
        owner, _, content = arguments
        made = Inert(owner.name if isinstance(owner, Inert) else "unnamed", (content,))
        made.entries = content if isinstance(content, dict) else None
        return made
    return Inert(name, () if arguments is None else arguments)


def _mapping(arguments: object, spend: Callable[[int], None]) -> dict[object, object]:
    pairs = arguments[-1] if isinstance(arguments, tuple) and arguments else None
    if isinstance(pairs, dict):
        return pairs
    made: dict[object, object] = {}
    if isinstance(pairs, list):
        spend(len(pairs))
        for pair in pairs:
            if isinstance(pair, (list, tuple)) and len(pair) == 2:  # noqa: PLR2004 - a key and a value
                store(made, list(pair))
    return made
