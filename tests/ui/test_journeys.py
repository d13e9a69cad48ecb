"""Whole ways through the pages in Chromium: by keyboard alone, on a phone, in the dark, without scripts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from experiments.service.people import add_person
from experiments.storage.database import connect, reading, writing
from experiments.storage.registry import Experiment, get_experiment
from experiments.storage.users import Role
from tests.chromium import Seat, assert_accessible, headless, needs_chromium, press, reach, write
from tests.conftest import sqlite_copy
from tests.serving import Server, start_server
from tests.shop import Shop, experiment, open_shop
from tests.ui.browser import PASSWORD
from webapp.clock import now
from webapp.lab import new_token

pytestmark = [
    pytest.mark.e2e,
    needs_chromium,
    # the driver of the browser closes its own pipes after the interpreter has looked
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def server(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("journeys")
    running = _started(sqlite_copy(template, directory), directory)
    yield running
    if running.stop() != 0:
        pytest.fail(running.log.read_text())


def _started(url: str, directory: Path) -> Server:
    """A server; on a machine that is busy with other things the first one may not have answered in time."""
    for _ in range(2):
        try:
            return start_server(url, directory)
        except RuntimeError:
            continue
    return start_server(url, directory)


@pytest.fixture(scope="module")
def seat(server: Server) -> Iterator[Seat]:
    with headless() as browser:
        yield Seat(browser, server.url)


@pytest.fixture(scope="module")
def first(server: Server) -> Iterator[Shop]:
    """The first storefront, which everybody sees who signs in: nothing was defined in it yet."""
    engine = connect(server.database_url)
    yield open_shop(engine, "first")
    engine.dispose()


@pytest.fixture(scope="module")
def shop(first: Shop) -> Shop:
    """Another storefront, with experiments in several states."""
    made = open_shop(first.engine, "shop")
    made.define(
        experiment("draft", name="Cart: a draft", coverage=2000, about={"owner": "pm@shop.example"}), start=False
    )
    made.define(experiment("running", name="Cart: it runs", coverage=2000), now=now())
    made.define(experiment("second", name="Product page: it runs too", placement="product_page"), now=now())
    return made


@pytest.fixture(scope="module")
def signed_in(seat: Seat, shop: Shop) -> object:
    """A session of an editor, to go on with."""
    with seat.page() as page:
        page.goto(f"/link/{invited(shop, 'pm@shop.example')}")
        page.fill("#password", PASSWORD)
        page.click("main button")
        return page.context.storage_state()


def invited(shop: Shop, email: str, role: Role = "editor") -> str:
    """The token of a link that somebody new gets."""
    token = new_token()
    with writing(shop.engine) as conn:
        add_person(conn, email, role, token, now())
    return token


def found(shop: Shop, key: str) -> Experiment:
    with reading(shop.engine) as conn:
        return get_experiment(conn, shop.storefront.id, key)


def test_a_new_user_starts_four_variants_by_keyboard_alone(seat: Seat, first: Shop) -> None:
    with seat.page() as page:
        page.goto(f"/link/{invited(first, 'new@shop.example')}")
        assert_accessible(page)
        write(page, page.locator("#password"), PASSWORD)
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert_accessible(page)
        press(page, page.get_by_role("link", name="New experiment"))
        page.get_by_text("Step 1 of 9").wait_for()
        press(page, page.get_by_role("link", name="All four offer types"))
        write(page, page.locator("#name"), "Cart: which offer?")
        _next(page)
        reach(page, page.locator("#placement"))
        page.keyboard.type("Cart")
        _next(page)
        write(page, page.locator("[name=v2-products_to]"), "B1")
        write(page, page.locator("[name=v3-items]").first, "A1")
        write(page, page.locator("[name=v3-items]").nth(1), "Tea")
        assert_accessible(page)
        for step in range(4, 10):
            _next(page)
            page.get_by_text(f"Step {step} of 9").wait_for()
        press(page, page.get_by_role("button", name="Look over everything"))
        page.get_by_text("It can be saved, and then started.").wait_for()
        assert_accessible(page)
        press(page, page.get_by_role("button", name="Save draft"))
        assert found(first, "cart-which-offer").state == "draft"
        press(page, page.get_by_role("link", name="Start…").first)
        page.get_by_role("heading", name="Who is analysed").wait_for()
        assert_accessible(page)
        press(page, page.get_by_role("button", name="Start now"))
        page.get_by_text("New visitors enter, keep their variant, and are measured.").first.wait_for()
    started = found(first, "cart-which-offer")
    assert started.state == "running"
    assert [v.key for v in started.definition.variants] == ["control", "upsell", "cross-sell", "bundle"]


def _next(page: Page) -> None:
    press(page, page.get_by_role("button", name="Next"))


def test_what_is_typed_is_kept_without_a_button(seat: Seat, shop: Shop, signed_in: object) -> None:
    with seat.page(state=signed_in) as page:
        page.goto("/s/shop/experiments/new?guide=")
        page.fill("#name", "Half an idea")
        page.fill("#coverage", "lots")
        page.wait_for_url("**/new?draft=*")
        page.get_by_text("Kept as an unfinished draft").wait_for()
        page.fill("#hypothesis", "Because …")
        with page.expect_response(lambda answer: answer.request.method == "POST"):
            page.locator("#hypothesis").blur()
        page.wait_for_function("document.querySelector('[name=draft_version]').value === '2'")
        page.reload()
        assert page.input_value("#name") == "Half an idea"
        assert page.input_value("#coverage") == "lots"
        assert page.input_value("#hypothesis") == "Because …"
        page.goto("/s/shop/")
        page.get_by_role("link", name="Half an idea").click()
        page.get_by_role("button", name="Discard what is unfinished").click()
        page.get_by_text("Discarded what was not finished.").wait_for()


def test_define_and_start_on_a_phone_in_the_dark_without_scripts(seat: Seat, shop: Shop, signed_in: object) -> None:
    with seat.page(width=360, scheme="dark", scripts=False, state=signed_in) as page:
        page.goto("/s/shop/experiments/new?guide=")
        page.fill("#name", "Checkout: tea")
        page.select_option("#placement", "checkout")
        page.fill("[name=v1-items] >> nth=0", "A1")
        page.get_by_role("button", name="Save draft").click()  # one product is no bundle
        page.get_by_text("What you typed is kept as an unfinished draft.").wait_for()
        page.get_by_role("button", name="Add a product").first.click()
        assert page.input_value("[name=v1-items] >> nth=0") == "A1"
        page.fill("[name=v1-items] >> nth=1", "B1")
        page.get_by_role("button", name="Save draft").click()
        page.get_by_role("link", name="Start…").first.click()
        page.get_by_role("button", name="Start now").click()
        page.get_by_role("link", name="Report").first.wait_for()
    assert found(shop, "checkout-tea").state == "running"


def test_schedule_and_ramp(seat: Seat, shop: Shop, signed_in: object) -> None:
    with seat.page(width=360, scripts=False, state=signed_in) as page:
        page.goto("/s/shop/experiments/draft")
        page.get_by_role("link", name="Schedule…").click()
        page.fill("[name=start_at]", "2099-01-01T09:00")
        page.get_by_role("button", name="Schedule it").click()
        page.get_by_text("It starts by itself at the time set.").first.wait_for()
        page.goto("/s/shop/experiments/running")
        page.get_by_role("link", name="Raise the coverage…").click()
        page.fill("#coverage", "10")
        page.get_by_role("button", name="Raise it now").click()
        page.get_by_text("must be more than 2000").first.wait_for()
        page.fill("#coverage", "50")
        page.get_by_role("button", name="Raise it now").click()
        page.get_by_text("The coverage was raised. Nobody moved.").wait_for()
    assert found(shop, "draft").state == "scheduled"
    assert [s.coverage for s in found(shop, "running").definition.schedule.ramp] == [5000]


def test_emergency_stop_is_two_actions_from_anywhere(seat: Seat, shop: Shop, signed_in: object) -> None:
    for number, anywhere in enumerate(
        ("/s/shop/catalogue/", "/s/shop/experiments/draft/edit", "/s/shop/experiments/running/report")
    ):
        with seat.page(width=(360, 1440)[number % 2], scripts=number == 1, state=signed_in) as page:
            answer = page.goto(anywhere)
            if answer is not None and answer.status == 409:  # a draft that was scheduled is edited no more
                assert "Emergency stop" in page.content()
            page.get_by_role("link", name="Emergency stop").click()
            page.get_by_role("button", name="Show no offer anywhere, now").click()
            page.get_by_text("Nobody sees an offer any more.").wait_for()
            assert {"cart", "product_page"} <= shop.view.paused
            for again in page.get_by_role("button", name="again").all_inner_texts():
                page.get_by_role("button", name=again, exact=True).click()
            assert not shop.view.paused


def test_stop_decide_and_ship(seat: Seat, shop: Shop, signed_in: object) -> None:
    with seat.page(scheme="dark", state=signed_in) as page:
        page.goto("/s/shop/experiments/second")
        press(page, page.get_by_role("link", name="Stop…"))
        assert_accessible(page)
        press(page, page.get_by_role("button", name="Stop now"))
        press(page, page.get_by_role("link", name="Decide…"))
        assert_accessible(page)
        page.get_by_role("button", name="Write the decision down").click()
        page.get_by_text("choose one").first.wait_for()
        reach(page, page.locator("#ship-1"))
        page.keyboard.press("Space")
        write(page, page.locator("#reason"), "It earns more.")
        press(page, page.get_by_role("button", name="Write the decision down"))
        page.get_by_text("Decided: ship upsell").wait_for()
    assert found(shop, "second").winner == "upsell"


PAGES = (
    "/s/shop/home", "/s/shop/", "/s/shop/emergency", "/s/shop/experiments/new?guide=",
    "/s/shop/experiments/new?guide=1",
    "/s/shop/experiments/running", "/s/shop/experiments/running/amend", "/s/shop/experiments/running/ramp",
    "/s/shop/experiments/running/stop", "/s/shop/experiments/running/schedule", "/s/shop/experiments/running/duplicate",
    "/s/shop/settings/", "/s/shop/settings/placements/", "/s/shop/settings/layers/", "/s/shop/settings/audiences/",
    "/s/shop/settings/metrics/", "/s/shop/settings/changes/",
    "/s/shop/settings/visitor/?visitor_id=v1&placement=cart&product_id=A1",
    "/s/shop/planner/?baseline=3%25&mde=20%25&daily=4000", "/s/shop/quarantine/",
)  # fmt: skip


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light"), (360, "light"), (1440, "dark")])
def test_every_page_is_clean_for_axe_in_each_size_and_scheme(
    seat: Seat, shop: Shop, signed_in: object, width: int, scheme: str
) -> None:
    pages = PAGES if (width, scheme) in {(360, "dark"), (1440, "light")} else PAGES[:6]
    with seat.page(width=width, scheme=scheme, state=signed_in) as page:
        for path in pages:
            answer = page.goto(path)
            assert answer is not None
            assert answer.ok, path
            assert_accessible(page)


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_what_only_admins_see_is_clean_for_axe_too(seat: Seat, shop: Shop, width: int, scheme: str) -> None:
    token = invited(shop, f"boss-{width}@shop.example", "admin")
    with seat.page(width=width, scheme=scheme) as page:
        page.goto(f"/link/{token}")
        page.fill("#password", PASSWORD)
        page.click("main button")
        for path in ("/s/shop/settings/people/", "/s/shop/keys/"):
            answer = page.goto(path)
            assert answer is not None
            assert answer.ok, path
            assert_accessible(page)
