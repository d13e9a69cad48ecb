"""The report's groups: the plan's first, the others behind a warning, and each alone under its own address."""

import re

from tests.shop import NOW, Shop, a_a, exposed, order
from tests.ui.browser import Browser

BASE = "/s/shop/experiments/offers"
PLAN = {"minimum_days": 0, "sequential": False, "segments": ["device", "tier"]}


def sell(shop: Shop) -> None:
    """An offer that works on phones alone: there everybody buys, elsewhere half."""
    exposures, orders = [], []
    for n in range(400):
        device, variant = ("mobile", "desktop")[n // 2 % 2], ("control", "t1")[n % 2]
        told = {"attributes": {"device": device}, "context": {"product_id": ("A1", "B1")[n // 4 % 2], "cart": []}}
        exposures.append(exposed(f"v{n}", variant, kind="assigned", **told))
        if n // 8 % 2 or (device, variant) == ("mobile", "t1"):
            orders.append(order(f"o{n}", f"v{n}", f"{20 + n % 7}.00"))
    assert shop.expose(*exposures, now=NOW).accepted == 400
    assert shop.convert(*orders, now=NOW).accepted == len(orders)


def test_the_plans_groups_come_first_and_the_others_behind_a_warning(shop: Shop, editor: Browser) -> None:
    shop.define(a_a("offers", analysis=PLAN))
    sell(shop)
    page = editor.text(f"{BASE}/report")
    groups = page[page.index('id="groups"') :]
    planned, warning, category = (groups.index(words) for words in ("Device", "Not planned:", "Category"))
    assert planned < groups.index("The groups differ") < warning < category
    assert "Planned, but nothing was told yet that could be compared: tier." in groups
    assert "By touchpoint there is nothing to compare" in groups


def test_a_device_is_looked_at_alone_and_called_exploratory(shop: Shop, editor: Browser) -> None:
    shop.define(a_a("offers", analysis=PLAN))
    sell(shop)
    links = re.findall(r'href="([^"]*segment=device:mobile[^"]*)"', editor.text(f"{BASE}/report"))
    assert links
    page = editor.text(f"{BASE}/report?segment=device:mobile")
    assert "Exploratory: one group alone." in page
    assert "Device, mobile" in page
    assert editor.get(f"{BASE}/report?segment=device:watch").status_code == 404


def test_without_a_plan_all_groups_are_exploratory(shop: Shop, editor: Browser) -> None:
    shop.define(a_a("offers", analysis=PLAN | {"segments": []}))
    sell(shop)
    page = editor.text(f"{BASE}/report")
    groups = page[page.index('id="groups"') :]
    assert groups.index("Not planned:") < groups.index("Device")
    assert not re.search(r"[^ ]Planned</span>", groups)
