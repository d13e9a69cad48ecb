"""The report in a real browser: no layout shift, nothing in the console, nothing for axe, wide and at 360 pixels."""

from typing import Any

from flask import Flask

from experiments.service.people import add_person
from experiments.storage.database import writing
from tests.chromium import assert_accessible, headless, needs_chromium
from tests.shop import Shop, experiment
from tests.ui.browser import PASSWORD
from tests.ui.test_reports import sell
from webapp.clock import now
from webapp.lab import new_token

pytestmark = needs_chromium
PATIENCE_MS = 120_000
SHIFTS = """window.shifted = 0;
new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) window.shifted += e.value })
  .observe({type: 'layout-shift', buffered: true})"""


def check_print(page: Any) -> None:
    """On paper it is white, as wide as the paper, without the frame, and unfolded."""
    size = page.viewport_size
    page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = false })")
    page.set_viewport_size({"width": 703, "height": 1000})  # A4 at 96 dots an inch, within its margins
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 703
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(27, 31, 36)"
    assert not page.locator("header.top").is_visible()
    assert not page.locator("figure table").first.is_visible()
    assert page.locator("#method").locator("xpath=ancestor::details").locator("dl").is_visible()
    page.emulate_media(media="screen")
    page.set_viewport_size(size)


def test_the_report_is_whole_in_every_size_and_light(app: Flask, shop: Shop, address: str) -> None:
    shop.define(experiment(analysis={"minimum_days": 0, "sequential": False, "target_mde": "5%"}))
    sell(shop)
    token = new_token()
    with writing(app.extensions["offerlab"].engine) as conn:
        add_person(conn, "reader@shop.example", "viewer", token, now())
    with headless() as browser:
        context = browser.new_context()
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(f"{address}/link/{token}")
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url(f"{address}/**", wait_until="domcontentloaded")
        state = context.storage_state()
        for width, scheme in ((1280, "light"), (360, "dark")):
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, storage_state=state
            )
            context.set_default_timeout(PATIENCE_MS)
            page = context.new_page()
            said: list[str] = []
            page.on("console", lambda m, said=said: said.append(m.text) if m.type in {"error", "warning"} else None)
            page.on("pageerror", lambda e, said=said: said.append(str(e)))
            page.add_init_script(SHIFTS)
            page.goto(f"{address}/s/shop/experiments/offers/report")
            assert page.evaluate("window.shifted") == 0
            assert said == []
            page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
            assert_accessible(page)
            pictures, tables = page.locator("figure svg").count(), page.locator("figure table").count()
            assert pictures == tables
            check_print(page)
            page.locator(".term").first.focus()
            assert page.locator(".term").first.locator(".definition").is_visible()
