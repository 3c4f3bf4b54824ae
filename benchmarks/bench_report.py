# ruff: noqa: INP001 - a script, run from the root of the repository
"""How large the page of a plan of N directories is, and how soon it can be used in headless Chromium.

    python -m benchmarks.bench_report --count 10000

The plan is that of a project of `bench_plan`. Of each page: seconds to make it, its size, and by the page's own clock,
at the middle of five loads, until its table can be used and until all charts are drawn; then, for one word typed into
the search, until the table has followed. A page that is larger than 15 MB, or takes longer than 3 s to its table, ends
the script with 1. Needs playwright, and a Chromium on the path or named by CHROMIUM.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.bench_plan import make_project, planned
from ckpt_migrate import api

MOST_BYTES = 15_000_000
MOST_MS = 3000
LOADS = 5
FOLLOWED = """async () => {
  const began = performance.now();
  const field = document.getElementById("text");
  field.value = "20250";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - began;
}"""


def measured(browser: Any, page_file: Path) -> tuple[float, float, float]:  # noqa: ANN401 - playwright is optional
    """Return milliseconds to the table, to the charts, and from a word typed to the table of it; middle ones."""
    seen = []
    for _ in range(LOADS):
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        page = context.new_page()
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-ready=all]")
        marks = page.evaluate("performance.getEntriesByType('mark').map((mark) => mark.startTime)")
        seen.append((*marks, page.evaluate(FOLLOWED)))
        context.close()
    table_ms, charts_ms, search_ms = (statistics.median(column) for column in zip(*seen, strict=True))
    return table_ms, charts_ms, search_ms


def main() -> int:
    """Measure, and print a table."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - optional

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, action="append", help="directories (default 10, 1000 and 10000)")
    parser.add_argument("--keep", type=Path, help="a folder for the pages")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    rows = [("directories", "made in s", "MB", "table ms", "charts ms", "search ms")]
    is_within = True
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as temporary:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for count in options.count or [10, 1000, 10_000]:
            folder = f"{temporary}/{count}"
            os.mkdir(folder)
            make_project(folder, count, "sqlite")
            planned(folder, "sqlite")
            page_file = (options.keep or Path(folder)) / f"{count}.html"
            began = time.perf_counter()
            api.report(f"{folder}/plan.yaml", output=page_file)
            made_s, size = time.perf_counter() - began, page_file.stat().st_size
            times = measured(browser, page_file)
            is_within &= size < MOST_BYTES and times[0] < MOST_MS
            table_ms, charts_ms, search_ms = (f"{ms:,.0f}" for ms in times)
            rows.append((f"{count:,}", f"{made_s:.1f}", f"{size / 1e6:.2f}", table_ms, charts_ms, search_ms))
        browser.close()
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        sys.stdout.write("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + "\n")
    return int(not is_within)


if __name__ == "__main__":
    sys.exit(main())
