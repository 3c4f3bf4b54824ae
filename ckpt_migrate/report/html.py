"""The page as one file: data, charting library, script and style, and nothing that is fetched.

What is shown travels as compressed JSON and reaches the page as text alone, so that no name can become markup; the
page's own policy forbids every request.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ckpt_migrate import __version__
from ckpt_migrate.scan.inspection import printable

if TYPE_CHECKING:
    from ckpt_migrate.report.records import Case, Page

MARK = "<!-- A report of ckpt-migrate."
"""How a report's second line begins; a file that has it may be written over."""


def render(page: Page) -> str:
    """Return the file of a page."""
    # Importing the library takes longer than all else here.
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - see above

    packed = gzip.compress(json.dumps(_data(page), separators=(",", ":")).encode(), 6, mtime=0)
    parts = {
        "mark": f"{MARK} Version {__version__}. -->",
        "title": html.escape(printable(page.title)),
        "style": _asset("page.css"),
        "facts": "".join(
            f"<dt>{html.escape(name)}</dt><dd>{html.escape(printable(text))}</dd>" for name, text in page.facts
        ),
        "data": base64.b64encode(packed).decode(),
        # The only sequence that ends a script early; in JavaScript texts the backslash changes nothing.
        "library": get_plotlyjs().replace("</script", "<\\/script"),
        "script": _asset("page.js"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return (files("ckpt_migrate.report") / name).read_text(encoding="utf-8")


def _data(page: Page) -> dict[str, Any]:
    """Return what the script needs, in short keys: a page of 10,000 directories says each of them 10,000 times."""
    return {
        "zone": page.zone,
        "command": page.command,
        "rows": [
            {
                "path": row.path,
                "found": row.found,
                "action": row.action,
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
