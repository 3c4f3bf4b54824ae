"""What shells offer after a tab: plans, logs, checkpoints of a plan, recipes, time zones."""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    import click

_STATE_FOLDERS = (".ckpt-migrate", "*/.ckpt-migrate", "*/*/.ckpt-migrate")
"""Where logs are looked for: a tab must not walk through a whole tree of checkpoints."""
_CHECKPOINT = re.compile(r'^- checkpoint: "?(.*?)"?$', re.MULTILINE)
_PLAN = re.compile(rb"^(# A migration plan|version: )", re.MULTILINE)
_HEAD_BYTES = 4096


def plans(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the plans in a folder; any file where there is none."""
    names = [path for path in sorted(glob.glob(f"{glob.escape(incomplete)}*")) if _is_plan(path)]
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


def plans_and_logs(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer plans, and logs."""
    return [*_logs(incomplete), *plans(context, param, incomplete)]


def logs(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer `latest` and the logs near by; any file where there is none."""
    return _logs(incomplete) or [CompletionItem(incomplete, type="file")]


def checkpoints(context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of the checkpoints in the plan that was given before."""
    try:
        with open(context.params.get("plan_path") or "", encoding="utf-8") as file:
            paths = _CHECKPOINT.findall(file.read())
    except (OSError, UnicodeDecodeError):
        return []
    names = sorted({os.path.basename(path) for path in paths})
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def recipes(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the shipped recipes, and files."""
    from ckpt_migrate.recipe import recipe_names

    shipped = [CompletionItem(name) for name in recipe_names() if name.startswith(incomplete)]
    return shipped or [CompletionItem(incomplete, type="file")]


def zones(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer time zones."""
    from zoneinfo import available_timezones

    return [CompletionItem(name) for name in sorted(available_timezones()) if name.startswith(incomplete)]


def _logs(incomplete: str) -> list[CompletionItem]:
    found = sorted(path for folder in _STATE_FOLDERS for path in glob.glob(f"{folder}/*.jsonl"))
    return [CompletionItem(name) for name in ("latest", *found) if name.startswith(incomplete)]


def _is_plan(path: str) -> bool:
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return _PLAN.search(file.read(_HEAD_BYTES)) is not None
    except OSError:
        return False
