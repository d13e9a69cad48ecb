"""Which rows are new, told for any number of them at once: as adding one by one to a set tells it."""

import numpy as np
import pytest
from sqlalchemy import Engine, select

from experiments.storage.database import writing
from experiments.storage.newrows import MANY, insert_new
from experiments.storage.tables import link, openid_binding, users, visitor_customer
from tests.shop import Shop, open_shop

LINK = ("storefront_id", "visitor_id", "customer_id", "at")


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return open_shop(engine)


@pytest.mark.parametrize("number", [1, 2, 60, MANY - 1, MANY, MANY + 1])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_the_new_ones_are_told_and_written(shop: Shop, number: int, share: float) -> None:
    random, here = np.random.default_rng(number), shop.storefront.id
    rows = [(here, f"v{i:04d} 'ü\n", f"c{i % 7}", 10**15 + i) for i in range(number)]
    there = [row for row in rows if random.random() < share]
    with writing(shop.engine) as conn:
        assert {row[:3] for row in insert_new(conn, link, LINK, there, 3)} == {row[:3] for row in there}
        found = insert_new(conn, link, LINK, rows, 3)
        assert {row[:3] for row in found} == {row[:3] for row in rows} - {row[:3] for row in there}
        assert insert_new(conn, link, LINK, rows, 3) == []
        held = conn.execute(select(*(link.c[name] for name in LINK)).order_by(link.c.visitor_id)).all()
    assert [tuple(row) for row in held] == rows


def test_what_is_there_keeps_what_it_said_first(shop: Shop) -> None:
    here = shop.storefront.id
    first = [(here, f"v{i}", "first", i) for i in range(3)]
    later = [(here, f"v{i}", "later", 100 + i) for i in range(5)]
    with writing(shop.engine) as conn:
        insert_new(conn, visitor_customer, LINK, first, 2)
        assert {row[:2] for row in insert_new(conn, visitor_customer, LINK, later, 2)} == {(here, "v3"), (here, "v4")}
        held = conn.execute(select(visitor_customer.c.customer_id).order_by(visitor_customer.c.visitor_id))
        assert list(held.scalars()) == ["first"] * 3 + ["later"] * 2


def test_another_key_keeps_a_row_out_as_well(shop: Shop) -> None:
    columns = ("issuer", "subject", "user_id", "bound_at")
    with writing(shop.engine) as conn:
        for email in ("ann@shop.example", "bob@shop.example"):
            conn.execute(users.insert().values(email=email, role="viewer", created_at=1))
        ann, bob = conn.scalars(select(users.c.id).order_by(users.c.id))
        rows = [("i", "a", ann, 1), ("i", "b", ann, 1), ("i", "c", bob, 1)]
        found = insert_new(conn, openid_binding, columns, rows, 2)
        assert {row[:2] for row in found} == {("i", "a"), ("i", "c")}, "a person has one account at a provider"
