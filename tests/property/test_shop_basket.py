"""Laws of the demo shop's basket: what is paid is what was promised or less, to the cent, and nothing gets lost."""

from base64 import b64encode
from collections import Counter
from hashlib import sha512

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from experiments.catalogue import Catalogue, Product
from experiments.demo.terms import FREE_SHIPPING_FROM
from webapp.shop.basket import MOST_LINES, MOST_OF_ONE, MOST_TAKEN, Basket, Taken, bill

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy

IDS = [f"P{i}" for i in range(8)]
catalogues = st.lists(
    st.tuples(st.integers(1, 50_000), st.one_of(st.none(), st.integers(0, 30))), min_size=8, max_size=8
).map(
    lambda rows: Catalogue(
        {i: Product(i, i, price, stock=stock) for i, (price, stock) in zip(IDS, rows, strict=True)}, "EUR"
    )
)
offers = st.tuples(
    st.sampled_from(["of_a", "of_b", "of_c"]),
    st.lists(st.sampled_from(IDS), min_size=1, max_size=3, unique=True).map(tuple),
    st.integers(1, 150_000),
).map(lambda drawn: Taken(drawn[0], "token", drawn[1], drawn[2]))
steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from([*IDS, "gone"]), st.integers(0, 40)),
    st.tuples(st.just("take"), offers, st.one_of(st.none(), st.sampled_from(IDS))),
    st.tuples(st.just("leave"), st.sampled_from(["of_a", "of_b", "of_c"]), st.one_of(st.none(), st.sampled_from(IDS))),
)
baskets = st.lists(steps, max_size=12).map(
    lambda taken: _after([getattr(Basket, name) for name, *_ in taken], [given for _, *given in taken])
)


def _after(acts, arguments) -> Basket:
    basket = Basket()
    for act, given_ in zip(acts, arguments, strict=True):
        basket = act(basket, *given_)
    return basket


@patient
@given(baskets, catalogues)
def test_every_sum_is_the_sum_of_its_rows(basket: Basket, catalogue: Catalogue) -> None:
    made = bill(basket, catalogue)
    rows = list(made.rows)
    assert made.goods == sum(row.paid for row in rows)
    assert made.saved == sum(row.regular for row in rows) - made.goods
    assert made.total == made.goods + made.shipping
    assert (made.shipping == 0) == (made.goods >= FREE_SHIPPING_FROM or not rows)
    assert all(0 < row.quantity <= MOST_OF_ONE for row in rows)
    assert all(row.product.stock is None or row.quantity <= row.product.stock for row in rows)


@patient
@given(baskets, catalogues)
def test_an_offer_costs_what_was_promised_and_never_more_than_its_products(
    basket: Basket, catalogue: Catalogue
) -> None:
    for group in bill(basket, catalogue).groups:
        assert group.paid == min(group.taken.price, sum(row.product.price for row in group.rows))
        assert all(0 <= row.paid <= row.regular for row in group.rows)
        assert tuple(row.product.product_id for row in group.rows) == group.taken.product_ids


@patient
@given(baskets, catalogues)
def test_what_cannot_be_bought_is_told(basket: Basket, catalogue: Catalogue) -> None:
    made = bill(basket, catalogue)
    shown = {row.product.product_id for row in made.rows}
    assert set(basket.product_ids) - shown <= set(made.gone) | {
        i for taken in basket.taken for i in taken.product_ids if set(taken.product_ids) & set(made.gone)
    }


@patient
@given(baskets, offers)
def test_taking_an_offer_and_leaving_it_keeps_its_products(basket: Basket, taken: Taken) -> None:
    known = any(other.offer_id == taken.offer_id for other in basket.taken)
    left = basket.take(taken).leave(taken.offer_id)
    if known or len(basket.taken) >= MOST_TAKEN:
        return
    wanted = Counter(basket.lines) + Counter(taken.product_ids)
    assert Counter(left.lines) == Counter({i: min(n, MOST_OF_ONE) for i, n in wanted.items()})


@patient
@given(baskets)
def test_what_is_kept_is_what_is_read(basket: Basket) -> None:
    assert msgspec.convert(msgspec.to_builtins(basket), Basket) == basket


def test_the_fullest_basket_fits_into_a_cookie() -> None:
    basket = Basket(order_id="S-0123456789ab")
    for i in range(MOST_LINES + 5):
        basket = basket.put(f"PRODUCT-{i:03}", 20)
    for i in range(MOST_TAKEN + 5):
        # 256 characters, more than a proof with two products has, and as random
        token = b64encode(sha512(bytes([i])).digest() * 2 + sha512(bytes([i, i])).digest()).decode()
        basket = basket.take(Taken(f"of_{i:020}", token, ("PRODUCT-A", "PRODUCT-B"), 10**6))
    assert (len(basket.lines), len(basket.taken)) == (MOST_LINES, MOST_TAKEN)
    assert len(str(URLSafeSerializer("k", salt="s").dumps(msgspec.to_builtins(basket)))) < 4000
