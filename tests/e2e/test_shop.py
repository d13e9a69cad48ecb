"""The demo's shop in a real browser: one offer on every page load, at the promised price, and the report counts it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route

from experiments.demo import storefront
from experiments.service.settings import create_key
from experiments.storage.database import connect, writing
from experiments.storage.keys import KeyKind
from experiments.storage.storefronts import get_storefront
from tests.chromium import headless, needs_chromium
from tests.conftest import sqlite_copy
from tests.serving import Client, Server, start_server
from webapp.clock import now
from webapp.lab import new_token

pytestmark = needs_chromium

FEW = 0.02
"""Of the demo's shoppers: enough for every page to have its experiment."""
PRODUCT = "YIRG-250"
HERE = {"country": "DE"}
SIZES = {"wide": (1280, 900), "narrow": (360, 740)}
SHIFTS = """
  window.shifts = [];
  new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((e) => [e.value, e.hadRecentInput])))
    .observe({ type: "layout-shift", buffered: true });
"""
KINDS: tuple[KeyKind, ...] = ("public", "secret", "admin")


@pytest.fixture(autouse=True)
def _runtimes() -> None:
    """Node is not needed here."""


@dataclass(frozen=True)
class Demo:
    """The demo, served as `offerlab demo` does."""

    server: Server
    public: Client
    secret: Client
    admin: Client

    def met(self, visitor: str, placement: str, *cart: str) -> dict[str, Any]:
        """What a visitor would get; nothing is recorded."""
        context: dict[str, Any] = {"cart": [{"product_id": product_id} for product_id in cart]}
        context |= {"product_id": PRODUCT} if placement == "product_page" else {}
        body = {"visitor_id": visitor, "placement": placement, "attributes": HERE, "context": context, "record": False}
        answer: dict[str, Any] = self.secret.post("/v1/assignments", body).json()
        return answer

    def who_gets(self, **variants: str) -> str:
        """A visitor who is in these variants, by placement."""
        for number in range(20_000):
            visitor = f"shopper-{number}"
            if all(self.met(visitor, placement, PRODUCT)["variant"] == v for placement, v in variants.items()):
                return visitor
        raise LookupError(f"nobody gets {variants}")

    def report(self, experiment: str, variant: str) -> dict[str, tuple[float, float]]:
        """By metric, numerator and denominator of a variant."""
        told = self.admin.get(f"/api/v1/experiments/{experiment}/report").json()
        return {
            m["metric"]: (v["numerator"] or 0.0, v["denominator"] or 0.0)
            for m in told["metrics"]
            for v in m["variants"]
            if v["variant"] == variant
        }


@pytest.fixture(scope="module")
def demo(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo with few shoppers and its own keys."""
    directory = tmp_path_factory.mktemp("shop")
    url = sqlite_copy(template, directory)
    engine = connect(url)
    storefront.fill(engine, now(), FEW)
    with writing(engine) as conn:
        shop = get_storefront(conn, storefront.KEY)
        keys = {kind: create_key(conn, shop.id, kind, new_token(), now(), "test") for kind in KINDS}
    engine.dispose()
    file = directory / "demo_keys.json"
    file.write_text(json.dumps(keys))
    server = start_server(url, directory, workers=2, OFFERLAB_SHOP_KEYS=str(file))
    clients = [Client(server.url, keys[kind]) for kind in KINDS]
    yield Demo(server, *clients)
    for client in clients:
        client.session.close()
    assert server.stop() == 0, server.log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    with headless() as launched:
        yield launched


@dataclass
class Visit:
    """A visitor in the browser, and all that must not happen."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """A page of the shop, with its scripts done."""
        self.page.goto(self.url + path, wait_until="load")

    def offer(self) -> str:
        """What the offer on the page says, once it is there."""
        self.page.wait_for_selector(".offerlab-offer")
        return self.page.inner_text(".offerlab-offer")

    def look(self) -> None:
        """Nothing moved by itself, nothing sticks out, nothing is cut off, and axe finds nothing."""
        page = self.page
        assert [value for value, asked_for in page.evaluate("window.shifts") if not asked_for] == [], page.url
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
        cut = "[...document.querySelectorAll('.slot')].filter((s) => s.scrollHeight > s.clientHeight).length"
        assert page.evaluate(cut) == 0, page.url
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


@contextmanager
def visiting(
    browser: Browser, demo: Demo, size: str = "wide", visitor: str = "", scheme: str = "light"
) -> Iterator[Visit]:
    """A visit; with `visitor` by somebody who has said yes to being measured."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    context.add_init_script(SHIFTS)
    context.set_default_timeout(20_000)
    if visitor:
        context.add_cookies(
            [
                {"name": "exp_vid", "value": visitor, "url": demo.server.url},
                {"name": "shop_consent", "value": "yes", "url": f"{demo.server.url}/shop/"},
            ]
        )
    visit = Visit(context.new_page(), demo.server.url)
    visit.page.on("console", lambda m: visit.complaints.append(m.text) if m.type in {"error", "warning"} else None)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("request", lambda request: visit.asked.append(request.url.removeprefix(demo.server.url)))
    try:
        yield visit
    finally:
        context.close()


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_the_same_offer_on_every_load_the_promised_price_and_the_report_counts_it(
    demo: Demo, browser: Browser, size: str, scheme: str
) -> None:
    visitor = demo.who_gets(cart="bundle", post_purchase="biscotti" if size == "wide" else "bundle")
    after = demo.met(visitor, "post_purchase", PRODUCT)
    before = {e: demo.report(*e) for e in (("cart-offers", "bundle"), ("after-purchase", after["variant"]))}
    with visiting(browser, demo, size, visitor, scheme) as visit:
        visit.open(f"/shop/p/{PRODUCT}")
        visit.look()
        visit.page.click("form.buy button")
        texts = [visit.offer()]
        visit.look()
        for _ in range(3):
            visit.page.reload()
            texts.append(visit.offer())
        visit.open("/shop/")
        visit.open("/shop/cart")
        assert {*texts, visit.offer()} == {texts[0]}
        assert "€25.08" in texts[0]
        visit.page.click(".offerlab-accept")
        visit.page.wait_for_selector(".taken")
        assert "€25.08 instead of €28.50" in visit.page.inner_text(".taken")
        visit.look()
        visit.page.click("text=Go to checkout")
        visit.page.wait_for_load_state()
        assert "€39.88" in visit.page.inner_text("aside button")  # 9.90 and 25.08, and 4.90 for shipping
        visit.look()
        visit.page.click("aside button")
        assert after["offer"]["headline"] in visit.offer()
        visit.look()
        visit.page.click(".offerlab-accept")
        visit.page.wait_for_selector("#order .taken:nth-of-type(2)")
        paid = 3498 + round(float(after["offer"]["price"]) * 100)
        assert f"€{(paid + 490) / 100:.2f}" in visit.page.inner_text("#paid")
        visit.look()
        assert visit.complaints == []
    for (experiment, variant), then in before.items():
        found = demo.report(experiment, variant)
        assert found["revenue_per_visitor"][0] - then["revenue_per_visitor"][0] == pytest.approx(paid / 100), experiment
        assert found["revenue_per_visitor"][1] - then["revenue_per_visitor"][1] == 1
        assert found["conversion"][0] - then["conversion"][0] == 1
        assert found["offer_acceptance"][0] - then["offer_acceptance"][0] == 1


@pytest.mark.parametrize("size", SIZES)
def test_the_header_keeps_its_places_while_its_words_arrive(demo: Demo, browser: Browser, size: str) -> None:
    parts = "[...document.querySelectorAll('.brand, .top nav, .to-cart')]"
    places = f"{parts}.map((part) => JSON.stringify(part.getBoundingClientRect()))"
    with visiting(browser, demo, size) as visit:
        visit.open("/shop/")
        whole = visit.page.evaluate(places)
        visit.page.evaluate("document.querySelectorAll('.to-cart > :not(svg)').forEach((e) => e.remove())")
        assert visit.page.evaluate(places) == whole


def test_the_whole_way_goes_by_keyboard_from_the_first_question_on(demo: Demo, browser: Browser) -> None:
    with visiting(browser, demo) as visit:
        page = visit.page
        visit.open(f"/shop/p/{PRODUCT}")
        visit.look()
        _press(page, "Yes, you may")
        page.wait_for_function("document.cookie.includes('exp_vid')")
        _press(page, "Add to cart", "#quantity")
        page.wait_for_url("**/shop/cart")
        _press(page, "Go to checkout")
        page.wait_for_url("**/shop/checkout")
        _press(page, "Pay ")
        page.wait_for_url("**/shop/thanks")
        assert "is placed" in page.inner_text("main")
        assert visit.complaints == []


def _press(page: Page, words: str, start: str | None = None) -> None:
    """Go from stop to stop until one says this, and press it."""
    if start:
        page.focus(start)
    for _ in range(80):
        page.keyboard.press("Tab")
        held = page.evaluate("(document.activeElement.innerText || '').trim()")
        outlined = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if held.startswith(words):
            assert outlined != "none", words
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"no stop says {words!r}")


def test_a_no_leads_to_something_for_less_and_focus_follows(demo: Demo, browser: Browser) -> None:
    visitor = demo.who_gets(product_page="bundle")
    with visiting(browser, demo, "narrow", visitor) as visit:
        visit.open(f"/shop/p/{PRODUCT}")
        assert "€17.76" in visit.offer()
        visit.page.focus(".offerlab-dismiss")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_selector("text=Only the biscotti, then?")
        assert visit.page.evaluate("document.activeElement.className") == "offerlab-offer"
        visit.look()
        visit.page.keyboard.press("Tab")
        visit.page.click(".offerlab-accept")
        visit.page.wait_for_selector(".taken")
        assert "€6.21 instead of €6.90" in visit.page.inner_text(".taken")
        assert visit.complaints == []


def test_without_consent_nobody_is_asked_and_nothing_is_kept(demo: Demo, browser: Browser) -> None:
    with visiting(browser, demo) as visit:
        visit.open(f"/shop/p/{PRODUCT}")
        visit.page.click("text=No, thank you")
        visit.page.wait_for_selector("#consent", state="detached")
        visit.page.click("form.buy button")
        visit.page.wait_for_load_state("networkidle")
        assert not [path for path in visit.asked if path.startswith("/v1/")]
        assert "exp_vid" not in {cookie["name"] for cookie in visit.page.context.cookies()}
        assert visit.page.query_selector(".offerlab-offer") is None
        visit.look()
        assert visit.complaints == []


@pytest.mark.parametrize("blocked", ["**/snippet*.js", "**/v1/**"])
def test_the_shop_is_the_same_where_offerlab_cannot_be_reached(demo: Demo, browser: Browser, blocked: str) -> None:
    visitor = demo.who_gets(cart="bundle")

    def refuse(route: Route) -> None:
        route.abort()

    with visiting(browser, demo, "wide", visitor) as visit:
        visit.page.route(blocked, refuse)
        visit.open(f"/shop/p/{PRODUCT}")
        visit.page.click("form.buy button")
        visit.page.wait_for_selector("text=You can change your mind")
        visit.look()
        visit.page.click("text=Go to checkout")
        visit.page.click("aside button")
        visit.page.wait_for_url("**/shop/thanks")
        assert "is placed" in visit.page.inner_text("main")
        assert not [said for said in visit.complaints if "Failed to load resource" not in said]


def test_a_preview_link_shows_a_draft_in_the_shop_until_it_is_ended(demo: Demo, browser: Browser) -> None:
    made = demo.admin.post("/api/v1/experiments/advent-bundle/preview", {"variant": "tin"}).json()
    with visiting(browser, demo, "wide", "somebody") as visit:
        visit.page.goto(made["url"])
        visit.open(f"/shop/p/{PRODUCT}")
        assert "A present that is ready" in visit.offer()
        assert "or 3 payments of €12.98" in visit.offer()
        assert "You are looking at a preview" in visit.page.inner_text("body")
        visit.look()
        visit.page.click("text=End the preview")
        visit.page.wait_for_selector("form.preview", state="detached")
