"""The tracking clients themselves, against the real server, through a proxy that fails every second request."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import requests
from rudderstack.analytics.client import Client as RudderStack
from segment.analytics.client import Client as Segment

from experiments.sealing import Seal
from experiments.service import inbox
from experiments.storage.database import writing
from experiments.storage.storefronts import get_storefront
from tests.protocols.flaky import Flaky, flaky_proxy
from tests.protocols.ledger import Ledger, ledger
from tests.protocols.starting import start
from tests.serving import Tenant
from tests.shop import experiment
from webapp.clock import now

NODE = shutil.which("node")
MODULES = Path(__file__).parents[1] / "e2e" / "node_modules"
ORDERS = 40
SEAL = Seal(["test"])  # as the server's


def bought(i: int) -> dict[str, object]:
    """An order of 10.00 and i cents, without its tax and shipping."""
    product = {"product_id": "A1", "price": 10, "quantity": 1, "category": "Mugs"}
    return {"order_id": f"o{i}", "revenue": round(10 + i / 100, 2), "total": 99, "tax": 1.5, "shipping": 4.9,
            "currency": "EUR", "products": [product]}  # fmt: skip


def track(client: Segment | RudderStack) -> None:
    """A shop's evening: logins, exposures, orders."""
    for i in range(ORDERS):
        client.identify(user_id=f"c{i}", anonymous_id=f"v{i}", traits={"email": "a@example.com"})
        seen = {"experiment_id": "offers", "variation_id": "upsell"}
        client.track(anonymous_id=f"v{i}", user_id=f"c{i}", event="Experiment Viewed", properties=seen)
        client.track(anonymous_id=f"v{i}", user_id=f"c{i}", event="Order Completed", properties=bought(i))


def check_counted_once(found: Ledger, flaky: Flaky) -> None:
    assert {"before", "after"} <= set(flaky.sent), "both kinds of failure must have happened"
    assert found.summed() == (ORDERS, sum(1000 + i for i in range(ORDERS)))
    assert found.orders() == {f"o{i}": 1000 + i for i in range(ORDERS)}
    assert {(r["visitor_id"], r["customer_id"]) for r in found.rows("order")} == {
        (f"v{i}", f"c{i}") for i in range(ORDERS)
    }
    assert found.lines("o3") == [("A1", 1, 1000)]
    assert found.links() == {(f"v{i}", f"c{i}") for i in range(ORDERS)}
    viewed = {unit for _, kind, unit, variant in found.exposures() if (kind, variant) == ("viewed", "upsell")}
    assert viewed == {f"v{i}" for i in range(ORDERS)}
    assert found.quarantined() == []


@pytest.mark.parametrize("gzip", [False, True])
def test_segments_python_client_has_every_order_counted_once(tenant: Tenant, gzip: bool) -> None:
    start(tenant, experiment())
    lost: list[object] = []
    with flaky_proxy(tenant.secret.url) as flaky:
        client = Segment(tenant.secret.key, host=flaky.url, gzip=gzip, upload_size=30, upload_interval=0.2,
                         on_error=lambda error, batch: lost.append(error))  # fmt: skip
        track(client)
        client.flush()
        client.join()
    assert lost == []
    check_counted_once(ledger(tenant), flaky)


def test_rudderstacks_python_client_has_every_order_counted_once(tenant: Tenant) -> None:
    start(tenant, experiment())
    lost: list[object] = []
    with flaky_proxy(tenant.public.url) as flaky:
        client = RudderStack(tenant.public.key, host=flaky.url, upload_size=30, upload_interval=0.2,
                             on_error=lambda error, batch: lost.append(error))  # fmt: skip
        track(client)
        client.flush()
        client.join()
    assert lost == []
    check_counted_once(ledger(tenant), flaky)


def test_a_client_with_a_wrong_key_is_told_so_and_stops(tenant: Tenant) -> None:
    errors: list[object] = []
    for make in (Segment, RudderStack):
        client = make("pk_wrong", host=tenant.public.url, upload_interval=0.1,
                      on_error=lambda error, batch: errors.append(error))  # fmt: skip
        client.track(user_id="c1", event="Order Completed", properties=bought(1))
        client.flush()
        client.join()
    assert ["unauthorized" in str(error) or "401" in str(error) for error in errors] == [True, True]


SCRIPT = """
import { Analytics } from '@segment/analytics-node';
const { url, key, orders } = JSON.parse(process.argv.at(-1));
const lost = [];
const client = new Analytics({ writeKey: key, host: url, flushAt: 60, flushInterval: 200, maxRetries: 10 });
client.on('error', (error) => lost.push(String(error)));
orders.forEach((properties, i) => {
  const who = { anonymousId: `v${i}`, userId: `c${i}` };
  client.identify({ ...who, traits: { email: 'a@example.com' } });
  client.track({ ...who, event: 'Experiment Viewed', properties: { experiment_id: 'offers', variation_id: 'upsell' } });
  client.track({ ...who, event: 'Order Completed', properties });
});
await client.closeAndFlush();
process.stdout.write(JSON.stringify(lost));
"""


@pytest.mark.e2e
@pytest.mark.skipif(NODE is None, reason="node is not here")
@pytest.mark.skipif(not (MODULES / "@segment").is_dir(), reason="npm ci was not run in tests/e2e")
def test_segments_node_client_has_every_order_counted_once(tenant: Tenant) -> None:
    start(tenant, experiment())
    with flaky_proxy(tenant.secret.url) as flaky:
        given = {"url": flaky.url, "key": tenant.secret.key, "orders": [bought(i) for i in range(ORDERS)]}
        command = [str(NODE), "--input-type=module", "-e", SCRIPT, "_", json.dumps(given)]
        done = subprocess.run(command, cwd=MODULES.parent, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "[]"), done.stderr
    check_counted_once(ledger(tenant), flaky)


def test_a_shop_that_sends_again_until_it_is_answered_has_every_order_counted_once(tenant: Tenant) -> None:
    secret = "shpss_0123456789abcdef"
    with writing(tenant.engine) as conn:
        inbox.add_webhook(conn, get_storefront(conn, tenant.name).id, "shopify", secret, now(), "test", SEAL)
    with flaky_proxy(tenant.public.url) as flaky, requests.Session() as session:
        for i in range(20):
            paid = {"id": i, "financial_status": "paid", "currency": "EUR", "subtotal_price": f"{i}.50"}
            raw = json.dumps(paid).encode()
            headers = {"X-Shopify-Topic": "orders/paid", "X-Shopify-Webhook-Id": f"d{i}"}
            headers |= {"X-Shopify-Hmac-Sha256": inbox.signature(raw, secret)}
            address = f"{flaky.url}/webhooks/shopify/{tenant.name}"
            assert any(session.post(address, data=raw, headers=headers, timeout=30).ok for _ in range(8))
    assert {"before", "after"} <= set(flaky.sent)
    assert ledger(tenant).orders() == {str(i): 100 * i + 50 for i in range(20)}
