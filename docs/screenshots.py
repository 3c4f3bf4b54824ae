"""The pictures of the report in the documentation: the page of the demo tree's plan, in Chromium.

`make pictures` writes them anew; needs playwright, and a Chromium on the path or named by CHROMIUM.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from ckpt_migrate import api
from ckpt_migrate.demo import Kind, build_demo

HERE = Path(__file__).parent
WIDTH, HEIGHT, CASE_WIDTH, CASE_HEIGHT = 1280, 1250, 1000, 900


def main() -> None:
    """Write the pictures."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        world = build_demo(f"{folder}/demo")
        os.chdir(world.folder)
        api.plan("checkpoints/phase2", tracking_uri="sqlite:///mlflow.db", output="plan.yaml", references=["configs"])
        page_file = Path(world.folder, "report.html")
        api.report("plan.yaml", output=page_file)
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-ready=all]")
        page.screenshot(path=HERE / "report.png")
        page.set_viewport_size({"width": CASE_WIDTH, "height": CASE_HEIGHT})
        page.fill("#text", next(one.name for one in world.checkpoints if one.kind is Kind.SWEEP))
        page.locator("#rows button.name").first.click()
        page.wait_for_selector("#fall-0 svg")
        page.screenshot(path=HERE / "case.png")
        browser.close()


if __name__ == "__main__":
    main()
