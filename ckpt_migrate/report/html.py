"""The page as one file: data, charting library, script and style, and nothing that is fetched.

What is shown travels as compressed JSON and reaches the page as text alone, so that no name can become markup; the
page's own policy forbids every request, and every script but its own two, which it knows by their digests.

The library is Apache ECharts as its project publishes it, byte for byte, with its licence beside it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ckpt_migrate import __version__
from ckpt_migrate.plan.words import SYMBOLS
from ckpt_migrate.scan.inspection import printable

if TYPE_CHECKING:
    from ckpt_migrate.report.records import Case, Page

MARK = "<!-- A report of ckpt-migrate."
"""How a report's second line begins; a file that has it may be written over."""
_SCRIPTS = ("data", "table", "charts", "timeline", "case", "start")
"""The page's script in the order in which its parts build on one another."""


def render(page: Page) -> str:
    """Return the file of a page."""
    script = "(async () => {\n" + "".join(_asset("page", f"{name}.js") for name in _SCRIPTS) + "})();\n"
    library = _asset("library", "echarts.common.min.js")
    parts = {
        "mark": f"{MARK} Version {__version__}. -->",
        "hashes": " ".join(f"'sha256-{_digest(text)}'" for text in (script, library)),
        "title": html.escape(printable(page.title)),
        "style": _asset("page", "page.css"),
        "tallies": "What became of the directories" if page.is_log else "What apply does",
        "next": "To undo it" if page.is_log else "Next",
        "steps": "".join(f"<li>{html.escape(printable(step))}</li>" for step in page.steps),
        "facts": "".join(
            f"<dt>{html.escape(name)}</dt><dd>{html.escape(printable(text))}</dd>" for name, text in page.facts
        ),
        "data": _packed(json.dumps(_data(page), separators=(",", ":"))),
        "library": _packed(library),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("page", "page.html"))


def _asset(folder: str, name: str) -> str:
    return (files("ckpt_migrate.report") / folder / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _data(page: Page) -> dict[str, Any]:
    """Return what the script needs, in short keys: a page of 10,000 directories says each of them 10,000 times."""
    return {
        "zone": page.zone,
        "command": page.command,
        "symbols": SYMBOLS,
        "manifests": page.manifests,
        "rows": [
            {
                "path": row.path,
                "found": row.found,
                "action": row.action,
                "symbol": row.symbol,
                "stamp": row.stamp,
                "name": row.new_name,
                "case": None if row.case is None else _case(row.case),
                "why": row.reason,
                "others": [_case(one) for one in row.candidates],
                "proposal": None if row.proposal is None else _case(row.proposal),
                "doubts": list(row.doubts),
                "outcome": row.outcome,
            }
            for row in page.rows
        ],
        "runs": {
            run_id: {
                "name": run.name,
                "experiment": run.experiment,
                "status": run.status + (", DELETED" if run.is_deleted else ""),
                "start": page.starts.get(run_id),
                "params": dict(run.params),
                "metrics": {key: repr(value) for key, value in run.metrics.items()},
            }
            for run_id, run in page.runs.items()
        },
        "changes": [asdict(change) for change in page.changes],
    }


def _case(case: Case) -> list[Any]:
    lines = [[line.bits, line.family, line.text] for line in case.evidence]
    return [case.run_id, case.confidence, lines]
