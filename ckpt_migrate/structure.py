"""A checkpoint directory's listing as a tree, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ckpt_migrate.records import FileStat

MAX_PER_DIRECTORY = 40
MAX_LINES = 200
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP = 1000


def draw_tree(name: str, files: Sequence[FileStat], *, manifests: Collection[str]) -> list[str]:
    """Return a directory's tree, one line each, names as they are (they may hold anything).

    Manifests are shown whether they are there yet or not, and without a size: the tree stands in one of them.
    Directories of more than `MAX_PER_DIRECTORY` members are cut, and the whole after `MAX_LINES`.
    """
    children: dict[str, dict[str, FileStat | None]] = {"": dict.fromkeys(manifests)}
    for file in files:
        parent, _, leaf = file.path.rpartition("/")
        members = children.setdefault(parent, {})
        if parent or leaf not in members:
            members[leaf] = file
    lines = [f"{name}/"]
    _draw(children, "", "", lines)
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"… {len(lines) - MAX_LINES} more lines"]
    return lines


def human_size(size_bytes: int) -> str:
    """Return a size for people, in powers of 1,000.

    >>> human_size(0), human_size(999), human_size(1_234_567)
    ('0 B', '999 B', '1.2 MB')
    """
    size = float(size_bytes)
    for unit in _UNITS[:-1]:
        if size < _STEP:
            return f"{size_bytes} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} {_UNITS[-1]}"


def _draw(children: dict[str, dict[str, FileStat | None]], parent: str, indent: str, lines: list[str]) -> None:
    members = sorted(children.get(parent, {}).items())
    shown = members[:MAX_PER_DIRECTORY]
    hidden = len(members) - len(shown)
    for position, (leaf, file) in enumerate(shown, 1):
        is_last = position == len(shown) and not hidden
        is_directory = file is not None and file.kind == "dir"
        lines.append(f"{indent}{'└── ' if is_last else '├── '}{leaf}{_suffix(file)}")
        if is_directory and len(lines) <= MAX_LINES:
            path = f"{parent}/{leaf}" if parent else leaf
            _draw(children, path, f"{indent}{'    ' if is_last else '│   '}", lines)
    if hidden:
        lines.append(f"{indent}└── … {hidden} more")


def _suffix(file: FileStat | None) -> str:
    if file is None:
        return ""
    if file.kind == "dir":
        return "/"
    return {"link": " (link)", "other": " (special)"}.get(file.kind) or f" ({human_size(file.size_bytes)})"
