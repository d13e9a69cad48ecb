"""The snippet, pasted into a page of another origin: it moves nothing, says what happened, and fails in silence."""

from typing import Any

from sqlalchemy import select

from experiments.storage.storefronts import get_storefront
from experiments.storage.tables import metadata
from tests.e2e.runtimes import Pages
from tests.protocols.starting import settle, start
from tests.serving import Tenant, free_port
from tests.shop import PRODUCTS

TIMED = "performance.now() - asked"


def page(tenant: Tenant, url: str, program: str, attributes: str = "", place: str = 'style="height: 12rem"') -> str:
    """A shop's page with text above and below the placement; the program sets window.result."""
    return f"""<!doctype html><html lang="en"><meta charset=utf-8><title>Shop</title>
<script>
  window.shifts = [];
  new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((e) => e.value)))
    .observe({{ type: "layout-shift", buffered: true }});
  const later = (ms) => new Promise((done) => setTimeout(done, ms));
  const until = async (what, ms = 10000) => {{
    for (let waited = 0; waited < ms && !what(); waited += 20) await later(20);
    return what();
  }};
  const offer = () => document.querySelector(".offerlab-offer");
</script>
<script async src="{url}/snippet.js" data-key="{tenant.public.key}" {attributes}></script>
<p>Above</p><div id=place data-offerlab="cart" data-product="A1" {place}>As it was</div><p id=below>Below</p>
<script>
  const place = document.getElementById("place");
  (async () => {{ {program} }})().catch((error) => {{ window.result = {{ failed: String(error) }}; }});
</script></html>"""


def always_offer() -> dict[str, Any]:
    """Both variants show a bundle, so that whoever comes sees one."""
    bundle = {"type": "bundle", "items": ["A2", "B1"], "discount": {"percent": "10"}, "headline": "Better together"}
    variants = [{"key": key, "weight": 5000, "offer": bundle} for key in ("control", "same")]
    return {"key": "offers", "placement": "cart", "variants": variants, "metrics": {"primary": "conversion"}}


def events(tenant: Tenant) -> dict[str, list[str]]:
    """The visitors of each kind of event that arrived."""
    found: dict[str, list[str]] = {}
    exposure, experiment = metadata.tables["exposure"], metadata.tables["experiment"]
    conversion = metadata.tables["conversion"]
    with tenant.engine.connect() as conn:
        shop = get_storefront(conn, tenant.name).id
        mine = select(exposure).join(experiment).where(experiment.c.storefront_id == shop)
        for row in conn.execute(mine).mappings():
            found.setdefault(row["kind"], []).append(row["unit_id"])
        for row in conn.execute(select(conversion).where(conversion.c.storefront_id == shop)).mappings():
            found.setdefault(row["type"], []).append(row["visitor_id"])
    return found


SHOWN = """
  const before = document.getElementById("below").offsetTop;
  await until(offer);
  await later(1500);
  const box = offer();
  const shown = { text: place.innerText, label: box.ariaLabel, buttons: [...box.querySelectorAll("button")].length };
  offerlab.convert({ type: "order", order_id: "o1", revenue: "12.50", currency: "EUR" });
  box.querySelectorAll("button")[BUTTON].click();
  await later(1500);
  window.result = { ...shown, moved: document.getElementById("below").offsetTop - before, shifts: window.shifts,
    left: place.innerText, cookie: document.cookie };
"""


def test_an_offer_is_shown_without_moving_anything_and_all_is_reported(tenant: Tenant, pages: Pages) -> None:
    start(tenant, always_offer())
    found = pages.open("/dismiss", page(tenant, tenant.public.url, SHOWN.replace("BUTTON", "1")))
    assert found.get("failed") is None, found
    titles = {p["product_id"]: p["title"] for p in PRODUCTS}
    for expected in ("Better together", titles["A2"], titles["B1"], "€17.55", "€19.50", "You save €1.95", "No, thanks"):
        assert expected in found["text"]
    assert (found["label"], found["buttons"], found["left"]) == ("Better together", 2, "As it was")
    assert (found["shifts"], found["moved"]) == ([], 0)
    visitor = found["cookie"].removeprefix("exp_vid=")
    assert len(visitor) == 32
    expected = {"assigned": [visitor], "viewed": [visitor], "offer_dismissed": [visitor], "order": [visitor]}
    assert events(tenant) == expected


def test_an_accepted_offer_is_reported_and_the_shop_told(tenant: Tenant, pages: Pages) -> None:
    start(tenant, always_offer())
    listen = 'document.addEventListener("offer_accepted", (e) => { window.accepted = e.detail.offer.price; });'
    program = listen + SHOWN.replace("BUTTON", "0").replace("...shown,", "accepted: window.accepted,")
    found = pages.open("/accept", page(tenant, tenant.public.url, program))
    assert found["accepted"] == "17.55"
    assert events(tenant).keys() == {"assigned", "viewed", "offer_accepted", "order"}


def test_without_a_place_kept_free_it_lies_over_the_page_and_moves_nothing(tenant: Tenant, pages: Pages) -> None:
    start(tenant, always_offer())
    program = SHOWN.replace("BUTTON", "1").replace("text: place.innerText", "text: box.innerText")
    html = page(tenant, tenant.public.url, program, place="").replace("As it was</div>", "</div>")
    found = pages.open("/over", html)
    assert found.get("failed") is None, found
    assert "Better together" in found["text"]
    assert (found["shifts"], found["moved"]) == ([], 0)
    assert events(tenant).keys() == {"assigned", "viewed", "offer_dismissed", "order"}


CONSENT = """
  window.mayMeasure = () => window.said === "yes";
  await until(() => window.offerlab);
  await later(700);
  const before = { cookie: document.cookie, text: place.innerText };
  window.said = "yes";
  offerlab.start();
  await until(offer);
  window.result = { before, after: { cookie: Boolean(document.cookie), text: place.innerText } };
"""


def test_nothing_is_asked_or_kept_before_consent(tenant: Tenant, pages: Pages) -> None:
    start(tenant, always_offer())
    found = pages.open("/consent", page(tenant, tenant.public.url, CONSENT, 'data-consent="mayMeasure"'))
    assert found["before"] == {"cookie": "", "text": "As it was"}
    assert found["after"]["cookie"]
    assert "Better together" in found["after"]["text"]


UNTOUCHED = """
  const errors = [];
  addEventListener("error", (e) => errors.push(String(e.message)));
  addEventListener("unhandledrejection", (e) => errors.push(String(e.reason)));
  await later(3000);
  window.result = { text: place.innerText, shifts: window.shifts, errors, loaded: Boolean(window.offerlab) };
"""


def test_with_the_server_down_the_page_is_as_it_was(tenant: Tenant, pages: Pages) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    found = pages.open("/down", page(tenant, nobody, UNTOUCHED))
    assert found == {"text": "As it was", "shifts": [], "errors": [], "loaded": False}


def test_a_server_that_fails_or_hangs_after_the_script_came_is_not_noticed(tenant: Tenant, pages: Pages) -> None:
    import socket

    wrong = page(tenant, tenant.public.url, UNTOUCHED).replace(tenant.public.key, "pk_wrong")
    untouched = {"text": "As it was", "shifts": [], "errors": [], "loaded": True}
    assert pages.open("/refused", wrong) == untouched
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts and never answers
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}"
        # the script itself from the real server, asked to talk to the silent one
        program = UNTOUCHED.replace("const errors", f'window.fetchTo = "{hanging}"; const errors')
        html = page(tenant, tenant.public.url, program).replace(
            "<script>\n  window.shifts",
            f'<script>\n  const real = fetch; fetch = (u, o) => real("{hanging}/x", o);\n  window.shifts',
        )
        assert pages.open("/hanging", html) == untouched


def with_everything() -> dict[str, Any]:
    """Both variants show a bundle with all that an offer can have."""
    offer = {
        "type": "bundle", "items": ["A2", "B1"], "discount": {"percent": "10"}, "headline": "Better together",
        "tier_name": "Both", "tiers": [{"name": "And a spoon", "items": ["A2", "B1", "C1"]}],
        "valid_until": "2099-12-31T23:00:00Z", "free_shipping_over": "40",
        "instalments": {"count": 3, "text": "or {count} parts of {amount}"},
        "if_declined": {"type": "cross_sell", "pick": "explicit", "products": {"*": ["C1"]}, "headline": "A spoon?"},
    }  # fmt: skip
    variants = [{"key": key, "weight": 5000, "offer": offer} for key in ("control", "same")]
    return {"key": "offers", "placement": "cart", "variants": variants, "metrics": {"primary": "conversion"}}


EVERYTHING = """
  const said = [];
  for (const type of ["offer_accepted", "offer_dismissed"]) document.addEventListener(type, (event) => {
    event.preventDefault();
    const { offer, price_token } = event.detail;
    said.push([type, offer.offer_id, offer.price, price_token]);
  });
  await until(offer);
  const first = place.innerText, bar = offer().querySelector("progress");
  const progress = [bar.value, bar.max];
  const tiers = offer().querySelectorAll("input[type=radio]");
  tiers[1].click();
  const larger = place.innerText;
  const [accept, dismiss] = offer().querySelectorAll("button");
  dismiss.focus();
  dismiss.click();
  await until(() => place.innerText.includes("A spoon?"));
  const instead = place.innerText, focused = document.activeElement === offer();
  offer().querySelectorAll("button")[0].click();
  await later(700);
  window.result = { first, progress, larger, instead, focused, said, left: place.innerText, shifts: window.shifts,
    kept: JSON.parse(localStorage.offerlab_prices).length };
"""


def test_tiers_incentives_and_the_step_after_a_no_are_shown_and_each_price_has_its_proof(
    tenant: Tenant, pages: Pages
) -> None:
    start(tenant, with_everything())
    cart = """data-cart='[{"product_id": "A1", "quantity": 2, "price": "10.00"}]'"""
    found = pages.open("/everything", page(tenant, tenant.public.url, EVERYTHING, cart, 'style="height: 30rem"'))
    assert found.get("failed") is None, found
    for expected in ("€17.55", "or 3 parts of 5.85", "Only until", "2099", "With it, €2.45 is left to free shipping"):
        assert expected in found["first"]
    assert found["progress"] == [37.55, 40]
    for expected in ("€20.25", "With it, shipping is free", "And a spoon"):
        assert expected in found["larger"]
    assert "€3.00" in found["instead"]
    assert (found["focused"], found["left"], found["shifts"], found["kept"]) == (True, "As it was", [], 3)
    (no, _, refused, proof), (yes, offer_id, taken, other) = found["said"]
    assert (no, refused, yes, taken) == ("offer_dismissed", "20.25", "offer_accepted", "3.00")
    assert proof != other
    visitor = events(tenant)["assigned"][0]
    checked = tenant.secret.post(f"/v1/offers/{offer_id}/check", {"price_token": other, "visitor_id": visitor}).json()
    assert (checked["valid"], checked["price"]) == (True, "3.00")


def test_who_comes_again_sees_the_price_of_before(tenant: Tenant, pages: Pages) -> None:
    start(tenant, always_offer())
    program = """
      await until(offer);
      const first = place.innerText;
      await fetch("/dearer");
      delete place.dataset.asked;
      offer().remove();
      offerlab.start();
      await until(offer);
      window.result = { first, again: place.innerText };
    """

    def dearer() -> None:
        tea = next(p for p in PRODUCTS if p["product_id"] == "B1") | {"price": "7.50"}
        answer = tenant.admin.post("/api/v1/products", tea)
        assert answer.ok, answer.text
        settle(lambda: shown("somebody") == "19.35")

    def shown(visitor: str) -> str:
        body = {"visitor_id": visitor, "placement": "cart", "context": {"product_id": "A1"}, "record": False}
        price: str = tenant.secret.post("/v1/assignments", body).json()["offer"]["price"]
        return price

    pages.signals["/dearer"] = dearer
    found = pages.open("/again", page(tenant, tenant.public.url, program))
    assert found.get("failed") is None, found
    assert "€17.55" in found["first"]
    assert "€17.55" in found["again"]
