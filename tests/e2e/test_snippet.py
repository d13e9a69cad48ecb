"""The snippet, pasted into a page of another origin: it moves nothing, says what happened, and fails in silence."""

from typing import Any

from sqlalchemy import select

from experiments.storage.storefronts import get_storefront
from experiments.storage.tables import metadata
from tests.e2e.runtimes import Pages
from tests.protocols.starting import start
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
