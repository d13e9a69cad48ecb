"""The header in a real browser: one row from 1024 pixels up in every language, without scripts, by the keyboard."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from sqlalchemy import update

from experiments.service.people import add_person
from experiments.storage.database import writing
from experiments.storage.tables import storefront
from tests.chromium import Seat, assert_accessible, headless, needs_chromium, press, reach
from tests.shop import Shop
from tests.ui.browser import PASSWORD
from webapp.clock import now
from webapp.lab import new_token
from webapp.ui.language import languages

pytestmark = needs_chromium
HOME = "/s/shop/home"
ROW = 60
"""Pixels: two rows are higher."""


@pytest.fixture
def seat(address: str) -> Iterator[Seat]:
    """A browser, and the application."""
    with headless() as browser:
        yield Seat(browser, address)


@pytest.fixture
def state(seat: Seat, shop: Shop) -> object:
    """A session of somebody with a long address, in a shop with a long name."""
    token = new_token()
    with writing(shop.engine) as conn:
        add_person(conn, "katarzyna.of-the-product@shop.example", "editor", token, now())
        conn.execute(update(storefront).values(name="The Morgen & Blatt trading company of Berlin"))
    with seat.page() as page:
        page.goto(f"/link/{token}")
        page.fill("#password", PASSWORD)
        page.click("main button")
        return page.context.storage_state()


def test_the_header_is_one_row_in_every_language(seat: Seat, state: object) -> None:
    for language in languages():
        with seat.page(scripts=False, state=state) as page:
            page.goto(HOME)
            page.click(".account > summary")
            with page.expect_navigation(wait_until="load"):  # with its style, not as soon as it begins to arrive
                page.click(f"button[name=language][value={language}]")
            for width in (1024, 1280, 1440, 1920):
                page.set_viewport_size({"width": width, "height": 900})
                assert page.locator("header.top").bounding_box()["height"] <= ROW, (language, width)  # type: ignore[index]  # it is there
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (language, width)
                ends = page.eval_on_selector_all(
                    ".top-in > *", "all => all.map(e => e.getBoundingClientRect()).map(r => [r.left, r.right])"
                )
                assert all(a[1] <= b[0] for a, b in pairwise(ends)), (language, width, ends)
            page.set_viewport_size({"width": 360, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), language


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_language_and_light_are_chosen_in_the_menu_by_the_keyboard(
    seat: Seat, state: object, width: int, scheme: str
) -> None:
    with seat.page(width=width, scheme=scheme, scripts=False, state=state) as page:
        page.goto(HOME)
        reach(page, page.locator(".account > summary"))
        page.keyboard.press("Enter")
        press(page, page.locator("button[name=theme][value=dark]"))
        assert page.locator("html").get_attribute("data-theme") == "dark"
    with seat.page(width=width, scheme=scheme, state=state) as page:
        page.goto(HOME)
        page.click(".account > summary")
        assert_accessible(page)
        page.keyboard.press("Escape")
        assert not page.locator(".account").get_attribute("open")
