"""What GrowthBook's tracking plugin sends: the names of Segment's protocol, and a way back from quarantine."""

from experiments.service.replaying import replay
from experiments.service.snapshot import Snapshot
from experiments.storage.database import reading
from experiments.storage.quarantine import held
from experiments.storage.storefronts import get_storefront
from tests.protocols.ledger import ledger
from tests.protocols.starting import start
from tests.protocols.test_growthbook import VIEWED_BY_JS, track
from tests.serving import Tenant
from tests.shop import a_a
from webapp.protocols.doors import all_doors


def test_every_name_that_segments_clients_use_means_the_same_here(tenant: Tenant) -> None:
    start(tenant, a_a())
    order = {"orderId": "o1", "subtotal": "20.00", "items": [{"sku": "A1", "quantity": "2", "price": 10}]}
    events = [
        VIEWED_BY_JS | {"event_name": "purchase", "properties_json": order},  # the storefront's currency, without one
        VIEWED_BY_JS | {"event_name": "Order Refunded", "properties_json": {"order_id": "o1"}},
        VIEWED_BY_JS | {"event_name": "Promotion Clicked", "properties_json": {"promotion_id": "same"}},
        VIEWED_BY_JS | {"event_name": "Product Viewed", "properties_json": {"product_id": "A1"}},
    ]
    assert track(tenant, events).json() == {"accepted": 4, "duplicate": 0, "rejected": []}
    books = ledger(tenant)
    assert (books.orders(), books.refunds()) == ({"o1": 2000}, {"whole:o1": 2000})
    assert books.lines("o1") == [("A1", 2, 1000)]
    assert {row["type"] for row in books.rows()} == {"order", "refund", "offer_accepted", "page_view"}


def test_what_the_plugin_sent_too_early_counts_once_its_reason_is_gone(tenant: Tenant) -> None:
    refund = {"event_name": "Order Refunded", "properties_json": {"order_id": "late"}, "context_json": {"id": "j"}}
    assert len(track(tenant, [VIEWED_BY_JS | refund, 7]).json()["rejected"]) == 2
    books = ledger(tenant)
    assert books.quarantined() == [("growthbook", "unknown_order"), ("growthbook", "invalid")]
    order = {"order_id": "late", "total": 5, "currency": "EUR"}
    track(tenant, [VIEWED_BY_JS | {"event_name": "Order Completed", "properties_json": order}])
    with reading(tenant.engine) as conn:
        here = get_storefront(conn, tenant.name)
        view = Snapshot.load(conn).storefronts[here.id]
        assert all(b"cart" not in one.body for one in held(conn, here.id)), "the page's address is not kept"
    found = replay(tenant.engine, view, doors=all_doors(tenant.engine))
    assert (found.accepted, len(found.refused)) == (1, 1)
    assert books.refunds() == {"whole:late": 500}
