"""The page in a real browser: it shows, filters and explains, asks nobody for anything, and suits eyes and hands."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from plan.plans import RECIPE, ROOT, entry, run, small_plan, uid

from ckpt_migrate.plan.records import Status
from ckpt_migrate.report.html import render
from ckpt_migrate.report.plan_page import plan_page
from ckpt_migrate.review.doubts import Doubt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ckpt_migrate.plan.records import Plan

playwright = pytest.importorskip("playwright.sync_api", reason="playwright, which drives a browser, is not installed")
BROWSER = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is on the path; it shows the page in this test")
NASTY = "<script>document.title='broken'</script>&lt;<b>\u202eevil\x1b[2J"
MOST_MS = 3000
MOST_BYTES = 15_000_000


def plan_of(count: int) -> Plan:
    """Return a plan of many entries, a tenth of them ambiguous and a few unmatched."""
    entries, runs = [], {}
    for number in range(count):
        at = datetime.fromisoformat("2025-01-01T00:00:00") + timedelta(minutes=47 * number)
        stamp = f"{at:%Y%m%d_%H%M%S}"
        status = Status.AMBIGUOUS if number % 10 == 1 else Status.UNMATCHED if number % 23 == 2 else Status.MATCHED
        made = entry(number, status, checkpoint=f"{ROOT}/{uid(f'old {number}')}_{stamp}")
        if made.run_id is not None:
            made = replace(made, target=f"{ROOT}/{made.run_id}_{stamp}", confidence=1 - 10 ** -(3 + number % 40 / 10))
        entries.append(made)
        for run_id in filter(None, (made.run_id, *(one.run_id for one in made.candidates))):
            runs[run_id] = run(
                run_id, start=f"{at - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}", params={"seed": str(number)}
            )
    return small_plan(entries=tuple(entries), runs=runs, links=(), path="plan.yaml")


def small() -> Plan:
    """Return a plan with a case of every kind, and with names that would like to be markup."""
    plan = plan_of(30)
    entries = list(plan.entries)
    entries[0] = replace(entries[0], evidence=(f"for 20.0 bits, reference: {NASTY}", "against 6.0 bits, prior: one"))
    entries[3] = replace(entries[3], checkpoint=f"{ROOT}/{NASTY}", reason=NASTY, status=Status.UNREADABLE)
    first = entries[0].run_id or ""
    return replace(
        plan, entries=tuple(entries), runs={**plan.runs, first: run(first, name=NASTY, params={NASTY: NASTY})}
    )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Headless Chromium."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open the page of a plan; whatever it says on the console, and every request, fails the test."""
    seen: list[str] = []
    contexts = []

    def call(plan: Plan, **settings: Any) -> Any:
        path = tmp_path / "report.html"
        doubts = [Doubt(one.checkpoint, one.run_id or "", "it starts 40 days later") for one in plan.entries[:1]]
        path.write_text(render(plan_page(plan, RECIPE, doubts)), encoding="utf-8")
        assert path.stat().st_size < MOST_BYTES
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: seen.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: seen.append(f"error: {error}"))
        page.on("request", lambda asked: seen.append(asked.url) if asked.url != path.as_uri() else None)
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=all]")
        return page

    yield call
    for context in contexts:
        context.close()
    assert seen == []


def names(page: Any) -> list[str]:
    """Return the names of the directories in the table."""
    found: list[str] = page.locator("#rows tbody button").all_inner_texts()
    return found


def test_it_filters_sorts_and_tells_a_case(opened: Callable[..., Any]) -> None:
    plan = small()
    page = opened(plan)
    assert len(names(page)) == len(plan.entries)
    assert page.locator("#rows tbody tr").first.inner_text().startswith("unmatched")  # what needs a person comes first
    page.select_option("#found", "ambiguous")
    assert page.locator("#count").inner_text() == "3 of 30 directories"
    page.click("text=All")
    wanted = plan.entries[4]
    page.fill("#text", f"{uid('old 4')[:8]} {(wanted.run_id or '')[:6]}".upper())
    page.wait_for_function("document.querySelector('#count').textContent.startsWith('1 of')")
    assert names(page) == [wanted.checkpoint.rpartition("/")[2]]
    page.click("text=All")
    page.fill("#below", "0.9991")
    assert all(0 < float(text) < 0.9991 for text in page.locator("#rows td.number").all_inner_texts() if text)
    page.click("text=All")
    page.click(f"text={plan.entries[1].checkpoint.rpartition('/')[2]}")
    case = page.locator("dialog")
    assert case.locator("h3").all_inner_texts()[:2] == [f"Candidate {one.run_id}" for one in plan.entries[1].candidates]
    page.click("text=Close")
    page.click(f"text={plan.entries[0].checkpoint.rpartition('/')[2]}")
    assert case.locator(".waterfalllayer .point").count() == 3
    assert "Doubt: it starts 40 days later" in case.inner_text()


def test_names_are_text_wherever_they_are_shown(opened: Callable[..., Any]) -> None:
    plan = small()
    page = opened(plan)
    page.click(f"text={plan.entries[0].checkpoint.rpartition('/')[2]}")
    told = page.locator("dialog").inner_text()
    assert "<script>document.title='broken'</script>&lt;<b>\\u202eevil\\u001b[2J" in told
    page.keyboard.press("Escape")
    assert any("\\u202eevil" in name for name in names(page))
    assert page.title() == "Migration plan plan.yaml"
    assert page.locator("main b, main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_passes_the_rules_of_axe_in_light_and_dark(opened: Callable[..., Any], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
    plan = small()
    page = opened(plan, color_scheme=scheme)
    for step in ("page", "case"):
        if step == "case":
            page.click(f"text={plan.entries[1].checkpoint.rpartition('/')[2]}")
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_it_can_be_used_by_keyboard_alone(opened: Callable[..., Any]) -> None:
    plan = small()
    page = opened(plan)
    page.keyboard.press("/")
    page.keyboard.type(uid("old 5")[:8])
    page.wait_for_function("document.querySelector('#count').textContent.startsWith('1 of')")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "name":
            break
    page.keyboard.press("Enter")
    assert page.locator("dialog h2").inner_text() == plan.entries[5].checkpoint.rpartition("/")[2]
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert page.evaluate("document.activeElement.className") == "name"  # where one was


def test_in_print_the_whole_table_stands_in_black(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened(plan_of(130), color_scheme="dark")
    assert len(names(page)) == 100
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(names(page)) == 130
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.locator("#filters").is_hidden()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(names(page)) == 100
    page.pdf(path=str(tmp_path / "page.pdf"))
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


def test_a_narrow_window_scrolls_the_table_and_not_the_page(opened: Callable[..., Any]) -> None:
    page = opened(small(), viewport={"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_ten_thousand_entries_are_at_hand_within_three_seconds(opened: Callable[..., Any]) -> None:
    """By the page's own clock, when the table can be used; the charts follow."""
    page = opened(plan_of(10_000))
    table_ms = page.evaluate("performance.getEntriesByName('table')[0].startTime")
    assert table_ms < MOST_MS
    assert page.locator("#count").inner_text() == "10,000 of 10,000 directories"
    page.click("text=Later")
    assert page.locator("#place").inner_text() == "101 to 200 of 10,000"


def test_a_plan_without_entries_and_one_without_times_are_pages_too(opened: Callable[..., Any]) -> None:
    page = opened(small_plan(entries=(), runs={}, links=()))
    assert page.locator("#count").inner_text() == "0 of 0 directories"
    page = opened(small_plan(entries=(entry(1, checkpoint=f"{ROOT}/of no form"),), runs={}, links=()))
    assert page.locator("#count").inner_text() == "1 of 1 directories"
