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

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; `make test-browser` does")
BROWSER = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is on the path, nor named by CHROMIUM")
NASTY = "<script>document.title='broken'</script>&lt;<b>\u202eevil\x1b[2J\u2028\u200b{a|b}"
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
                run_id,
                start=f"{at - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
                params={"seed": str(number), "host": run_id[:4]},
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
        page.set_default_timeout(20_000)
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
    page.click("text=Clear filters")
    wanted = plan.entries[4]
    page.fill("#text", f"{uid('old 4')[:8]} {(wanted.run_id or '')[:6]}".upper())
    playwright.expect(page.locator("#count")).to_contain_text("1 of 30")
    assert names(page) == [wanted.checkpoint.rpartition("/")[2]]
    page.click("text=Clear filters")
    page.fill("#below", "0.9991")
    assert all(0 < float(text) < 0.9991 for text in page.locator("#rows td.number").all_inner_texts() if text)
    page.click("text=Clear filters")
    page.click(f"text={plan.entries[1].checkpoint.rpartition('/')[2]}")
    case = page.locator("dialog")
    assert case.locator("h3").all_inner_texts()[:2] == [f"Candidate {one.run_id}" for one in plan.entries[1].candidates]
    assert case.locator("tr.differs td").first.inner_text() == "≠ host"
    assert "3 alike" in case.inner_text()
    page.click("#close")
    page.click(f"text={plan.entries[0].checkpoint.rpartition('/')[2]}")
    fall = case.locator("#fall-0")
    assert "prior \u22126.0, reference +20.0, in sum +14.0" in (fall.get_attribute("aria-label") or "")
    assert {"prior", "reference", "in sum", "99.9024 %"} <= set(fall.locator("svg text").all_text_contents())
    assert case.locator("tbody td:last-child").first.inner_text() == "1.5 %"  # 6 bits against, before all else
    assert "Doubt: it starts 40 days later" in case.inner_text()


OVERLAPS = """() => {
  const marks = document.querySelectorAll("#time svg path[fill='#0067a3']");
  const boxes = [...marks].map((one) => one.getBoundingClientRect());
  return boxes.filter((a, at) => boxes.some((b, other) => at < other && a.left < b.right && b.left < a.right)).length;
}"""
"""How many marks of the lane of the matched ones hide another."""


@pytest.mark.parametrize("width", [400, 1400])
def test_no_mark_of_the_time_line_hides_another(opened: Callable[..., Any], width: int) -> None:
    page = opened(plan_of(300), viewport={"width": width, "height": 900})
    marks = page.locator("#time svg path[fill='#0067a3']")
    assert marks.count() > 3
    assert page.evaluate(OVERLAPS) == 0
    assert "258 matched, 30 ambiguous, 12 unmatched" in (page.locator("#time").get_attribute("aria-label") or "")


def test_the_part_of_the_time_that_is_shown_and_the_counts_are_filters_too(opened: Callable[..., Any]) -> None:
    page = opened(plan_of(100))
    count = page.locator("#count")
    page.click("#zoom-in")
    assert count.inner_text() == "52 of 100 directories, of the time that the time line shows"
    page.click("#zoom-all")
    assert count.inner_text() == "100 of 100 directories"
    page.locator("#time svg path[fill='#0067a3']").nth(1).click()  # it stands for several
    playwright.expect(count).to_contain_text("of the time that")
    assert not page.locator("#case").is_visible()
    page.click("text=Clear filters")
    tally = page.locator("button.tally", has_text="for a person to decide")
    tally.click()
    assert (count.inner_text(), tally.get_attribute("aria-pressed")) == ("14 of 100 directories", "true")
    page.click("text=Clear filters")
    playwright.expect(count).to_have_text("100 of 100 directories")


def test_a_single_mark_tells_of_its_directory_and_opens_the_case(opened: Callable[..., Any]) -> None:
    plan = small()
    page = opened(replace(plan, entries=plan.entries[4:6]))
    page.locator("#time svg path[fill='#0067a3']").first.hover()
    assert plan.entries[4].checkpoint.rpartition("/")[2] in page.locator("#time .tip").inner_text()
    page.mouse.down()
    page.mouse.up()
    assert page.locator("#case-title").inner_text() == plan.entries[4].checkpoint.rpartition("/")[2]
    page.keyboard.press("Escape")
    page.mouse.wheel(0, 120)
    page.wait_for_function("() => scrollY > 0")  # the chart does not hold the wheel


def test_one_walks_from_case_to_case(opened: Callable[..., Any]) -> None:
    page = opened(plan_of(130))
    page.locator("#rows tbody button").nth(99).click()
    page.click("#case-on")
    assert page.locator("#case-place").inner_text() == "101 of 130"
    title = page.locator("#case-title").inner_text()
    page.keyboard.press("Escape")
    playwright.expect(page.get_by_role("button", name=title)).to_be_focused()  # its page of the table is open


def test_names_are_text_wherever_they_are_shown(opened: Callable[..., Any]) -> None:
    plan = small()
    page = opened(plan)
    page.click(f"text={plan.entries[0].checkpoint.rpartition('/')[2]}")
    told = page.locator("dialog").inner_text()
    assert "<script>document.title='broken'</script>&lt;<b>\\u202eevil\\u001b[2J\\u2028\\u200b{a|b}" in told
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
    playwright.expect(page.locator("#count")).to_contain_text("1 of 30")
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
    page.click("#pages >> text=Later")
    assert page.locator("#pages span").inner_text() == "101 to 200 of 10,000"


def test_a_plan_without_entries_and_one_without_times_are_pages_too(opened: Callable[..., Any]) -> None:
    page = opened(small_plan(entries=(), runs={}, links=()))
    assert page.locator("#none").inner_text() == "There is nothing in this plan to rename, to repair or to decide."
    assert page.locator("#time, #sure, #rows, #filters").locator("visible=true").count() == 0
    page = opened(small_plan(entries=(entry(1, checkpoint=f"{ROOT}/of no form"),), runs={}, links=()))
    assert page.locator("#count").inner_text() == "1 of 1 directories"
    assert page.locator("#time").inner_text() == "No directory that fits the filters has a time stamp."
