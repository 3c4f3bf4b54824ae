"""What shells offer after a tab: plans, logs, checkpoints and runs, folders, stores, recipes, time zones."""

from __future__ import annotations

import glob
import os
import re
from itertools import islice
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

_STATE_FOLDERS = (".ckpt-migrate", "*/.ckpt-migrate", "*/*/.ckpt-migrate")
"""Where logs are looked for: a tab must not walk through a whole tree of checkpoints."""
_CHECKPOINT = re.compile(r'^- checkpoint: "?(.*?)"?$', re.MULTILINE)
_RUN_ID = re.compile(r"\brun_id: \"?([0-9a-f]{32})\b")
_PLAN = re.compile(rb"^(# A migration plan|version: )", re.MULTILINE)
_HEAD_BYTES = 4096
_MOST_NAMES = 20_000
"""Names of a folder that are looked at: what follows a tab follows at once."""


def plans(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the plans in a folder; any file where there is none."""
    found = [path for path in glob.glob(f"{glob.escape(incomplete)}*") if _is_plan(path)]
    return _items(found, incomplete) or files(_context, _param, incomplete)


def plans_and_logs(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer plans, and logs."""
    return [*_logs(incomplete), *plans(context, param, incomplete)]


def logs(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer `latest` and the logs near by; any file where there is none."""
    return _logs(incomplete) or files(_context, _param, incomplete)


def checkpoints(context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of the checkpoints in the plan that was given before."""
    return _items(_names_in(context.params.get("plan_path") or ""), incomplete)


def ids(context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer names of directories and ids of runs: those of the plans here, and what lies in the roots given before.

    No tree is walked and no store is opened.
    """
    names: set[str] = set()
    for path in glob.glob("*.y*ml"):
        if _is_plan(path):
            names |= {*_names_in(path), *_RUN_ID.findall(_text(path))}
    for root in context.params.get("roots") or ():
        names |= set(_folders_in(root))
    return _items(names, incomplete)


def folders(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer folders."""
    return [CompletionItem(incomplete, type="dir")]


def files(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer files."""
    return [CompletionItem(incomplete, type="file")]


def stores(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the databases here, as addresses, and folders."""
    found = [f"sqlite:///{path}" for path in sorted(glob.glob("*.db"))]
    return [item for item in _items(found, incomplete) if incomplete] or folders(_context, _param, incomplete)


def recipes(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the shipped recipes, and files."""
    from ckpt_migrate.recipe import recipe_names

    return _items(recipe_names(), incomplete) or files(_context, _param, incomplete)


def zones(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer time zones."""
    from zoneinfo import available_timezones

    return _items(available_timezones(), incomplete)


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(set(names)) if name.startswith(incomplete)]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def _names_in(plan: str) -> list[str]:
    return [os.path.basename(path) for path in _CHECKPOINT.findall(_text(plan))]


def _folders_in(root: str) -> list[str]:
    """Return the folders that lie in a root."""
    try:
        with os.scandir(root) as entries:
            return [entry.name for entry in islice(entries, _MOST_NAMES) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _logs(incomplete: str) -> list[CompletionItem]:
    found = sorted(path for folder in _STATE_FOLDERS for path in glob.glob(f"{folder}/*.jsonl"))
    return _items(("latest", *found), incomplete)


def _is_plan(path: str) -> bool:
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return _PLAN.search(file.read(_HEAD_BYTES)) is not None
    except OSError:
        return False
