"""Truths of offers, over random catalogues, histories, carts, clocks and coupons."""

import json
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.catalogue import Catalogue, Product
from experiments.incentives import Discount, FrequencyCap
from experiments.moment import DAY, Micros, micros, moment
from experiments.offers import Bundle, CrossSell, NoOffer, Offer, Upsell, follow_ups, products_named
from experiments.recommend import History
from experiments.resolution import Context, Refusal, RefusalCode, Resolver, ServedOffer
from experiments.share import parse_share
from tests.shop import NOW

IDS = [f"P{n}" for n in range(9)]
ids = st.sampled_from([*IDS[:4], *IDS[:4], *IDS, "UNKNOWN"])


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    """Up to nine products; what each one is comes from one draw, as many draws are slow."""
    rows = draw(st.lists(facts, min_size=3, max_size=len(IDS)))
    sold = [
        Product(p, title, price, category, cost=cost, stock=stock, attributes={"colour": colour})
        for p, (title, price, category, cost, stock, colour) in zip(IDS, rows, strict=False)
    ]
    return Catalogue({p.product_id: p for p in sold}, draw(st.sampled_from(["EUR", "EUR", "JPY", "KWD"])))


facts = st.tuples(
    st.sampled_from(["Mug", "Big mug", "Tea"]),
    st.integers(0, 30) | st.sampled_from([500, 700, 1000, 10**5]) | st.integers(500, 10**7),
    st.sampled_from(["Mugs", "Tea", "Mugs", "Tea", "Tea/Green", ""]),
    st.none() | st.integers(0, 10**6),
    st.sampled_from([None, None, 0, 1, 2]),
    st.sampled_from("ab"),
)
histories = st.builds(
    History,
    pairs=st.dictionaries(ids, st.lists(ids, max_size=6), max_size=9),
    sellers=st.lists(ids, max_size=6),
    viewed=st.lists(ids, max_size=3),
)
amounts = st.decimals("0.001", "3000", places=3)
discounts = st.one_of(
    st.builds(Discount, percent=st.decimals("0.01", "99.99", places=2)),
    st.builds(Discount, amount=amounts),
    st.builds(Discount, price=st.sampled_from(["0.1", "5", "500", "5000"]).map(Decimal)),
)
contexts = st.builds(
    Context,
    product_id=st.sampled_from([None, *IDS[:4], *IDS[:4], "UNKNOWN"]),
    cart=st.lists(ids, max_size=2).map(tuple),
    currency=st.sampled_from([None, None, None, None, None, "EUR", "JPY"]),
    discounted=st.sampled_from([False, False, True]),
)


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    """What the door lets in, of every type and pick; tiers and steps are `test_offer_sequences`'s."""
    shown: dict[str, Any] = {
        "minimum_margin": draw(st.sampled_from([None, None, None, None, "0%", "10%", "0.5", "99%"])),
        "stacks_with_discounts": draw(st.booleans()),
        "valid_from": draw(st.sampled_from([None, None, None, *days[:3]])),
        "valid_until": draw(st.sampled_from([None, None, None, None, None, *days[2:]])),
        "discount": draw(st.none() | st.builds(Discount, percent=st.just(Decimal("12.5"))) | discounts),
    }
    kind = draw(st.sampled_from([Upsell, CrossSell, Bundle]))
    explicit = draw(st.booleans())
    limit = draw(st.integers(2, 4))
    if kind is Upsell:
        ratio = draw(st.sampled_from([None, None, Decimal("1.01"), Decimal(3), Decimal(100)]))
        pairs = draw(st.dictionaries(ids, ids, min_size=3)) if explicit else {}
        return Upsell(pick="explicit" if explicit else "next_tier", pairs=pairs, max_price_ratio=ratio, **shown)
    if kind is CrossSell:
        pick = draw(st.sampled_from(["bought_together", "bestsellers", "most_viewed", "similar"]))
        lists = draw(st.dictionaries(ids | st.just("*"), st.lists(ids, max_size=4), min_size=1)) if explicit else {}
        return CrossSell(pick="explicit" if explicit else pick, products=lists, limit=limit, **shown)  # type: ignore[arg-type]
    shown["discount"] = shown["discount"] or Discount(percent=Decimal("12.5"))
    items = draw(st.lists(ids, min_size=2, max_size=4, unique=True)) if explicit else []
    return Bundle(pick="explicit" if explicit else "bought_together", items=items, limit=limit, **shown)


days = [moment(NOW) + timedelta(days=n) for n in range(-2, 3)]
times = st.sampled_from([0, 0, 0, 0, 0, -3, -1, 1, 3]).map(lambda n: Micros(NOW + n * 86_400_000_000))
admitted = offers().filter(lambda offer: not list(offer.check("offer")))


@settings(max_examples=250, deadline=None)
@given(catalogues(), histories, admitted, contexts, times)
def test_what_is_served_is_true_and_what_is_not_has_a_reason(
    catalogue: Catalogue, history: History, offer: Offer, context: Context, now: Micros
) -> None:
    found = Resolver(catalogue, history).resolve(offer, "e:v", context, now)
    check(catalogue, history, offer, context, now, found)


def check(
    catalogue: Catalogue, history: History, offer: Offer, context: Context, now: Micros, found: ServedOffer | Refusal
) -> None:
    """Every truth of what is served, of each tier of it, and of what comes next."""
    if isinstance(found, Refusal):
        assert found.code in get_args(RefusalCode)
        return
    assert not isinstance(offer, NoOffer)
    assert offer.valid_from is None or micros(offer.valid_from) <= now
    assert offer.valid_until is None or now < micros(offer.valid_until)
    assert context.currency in {None, found.currency}
    assert found.currency == catalogue.currency
    assert context.discounted <= offer.stacks_with_discounts
    assert json.loads(json.dumps(found.json)) == found.json
    assert not isinstance(offer, CrossSell) or not found.tiers
    if not isinstance(offer, CrossSell):
        assert len(found.tiers) == len(offer.tiers)
    for tier in (found, *found.tiers):
        check_products(catalogue, offer, context, tier)
        check_price(catalogue, offer, context, tier)
    for low, high in pairwise((found, *found.tiers)):
        assert low.price < high.price
    check_proof(history, offer, now, found)
    assert found.steps.keys() == {name for name, _ in follow_ups(offer)}
    for name, step in follow_ups(offer):
        here, after = context, found.steps[name]
        if name == "if_accepted":
            taken = tuple(p.product_id for p in found.products)
            here = msgspec.structs.replace(context, cart=(*context.cart, *taken))
        elif isinstance(after, ServedOffer):
            assert after.price < found.price
        check(catalogue, history, step, here, now, after)
        told = {row["step"] for row in found.json.get("withheld", [])}
        assert (name in found.json) != (name in told)


def check_products(catalogue: Catalogue, offer: Offer, context: Context, found: ServedOffer) -> None:
    assert not isinstance(offer, NoOffer)
    sold = [p.product_id for p in found.products]
    assert sold == list(dict.fromkeys(sold)), "a product stands twice"
    assert not set(sold) & set(context.cart), "something is in the cart already"
    for product in found.products:
        assert product == catalogue.get(product.product_id)
        assert product.stock is None or product.stock >= offer.minimum_stock > 0


def check_proof(history: History, offer: Offer, now: Micros, found: ServedOffer) -> None:
    assert not isinstance(offer, NoOffer)
    if offer.instalments is not None:
        told = found.json["instalments"]
        assert Decimal(told["amount"]) * (told["count"] - 1) + Decimal(told["last"]) == Decimal(found.json["price"])
        assert Decimal(told["amount"]) >= 0
        assert told["text"] == told["amount"]
    for row in found.json.get("social_proof", []):
        assert offer.social_proof is not None
        assert row["orders"] == history.sold[row["product_id"]][1] >= offer.social_proof.minimum
        assert 0 < now - history.counted_at <= 2 * DAY or now <= history.counted_at


def check_price(catalogue: Catalogue, offer: Offer, context: Context, found: ServedOffer) -> None:
    assert not isinstance(offer, NoOffer)
    assert found.regular_price == sum(p.price for p in found.products)
    assert 0 < found.price <= found.regular_price
    assert Decimal(found.json["saving"]) >= 0
    if offer.minimum_margin is not None:
        cost = sum(p.cost for p in found.products if p.cost is not None)
        assert all(p.cost is not None for p in found.products)
        assert found.price - cost >= parse_share(offer.minimum_margin, "") * found.price
    base = catalogue.get(found.base_product_id or "")
    if isinstance(offer, Upsell):
        assert base is not None
        assert found.price > base.price
        assert offer.max_price_ratio is None or found.price <= offer.max_price_ratio * base.price
        if offer.pick == "next_tier":
            assert found.products[0].category == base.category != ""
    if isinstance(offer, Bundle):
        assert len(found.products) >= 2
        assert found.price < found.regular_price
    if isinstance(offer, CrossSell):
        assert len(found.products) <= offer.limit
        assert not {p.product_id for p in found.products} & set(context.bases)
        if offer.pick in {"bought_together", "bestsellers", "most_viewed"}:
            near = {b.category for b in map(catalogue.get, context.bases) if b is not None} - {""}
            assert not near & {p.category for p in found.products}


@settings(deadline=None)  # machines that do other work are slow
@given(catalogues(), histories, admitted, contexts, times, st.integers(1, 99))
def test_who_accepts_never_pays_more_than_without_the_offer(
    catalogue: Catalogue, history: History, offer: Offer, context: Context, now: Micros, percent: int
) -> None:
    """A coupon keeps working beside an offer that stacks; an offer that does not is not shown to who has one."""
    found = Resolver(catalogue, history).resolve(offer, "e:v", context, now)
    if not isinstance(found, ServedOffer) or isinstance(offer, NoOffer):
        return
    coupon = Decimal(percent) / 100 if context.discounted else Decimal(0)
    without = found.regular_price * (1 - coupon)
    accepted = found.price * (1 - coupon) if offer.stacks_with_discounts else Decimal(found.price)
    assert accepted <= without


@settings(deadline=None)  # machines that do other work are slow
@given(catalogues(), histories, admitted, contexts, times)
def test_the_same_question_has_the_same_answer(
    catalogue: Catalogue, history: History, offer: Offer, context: Context, now: Micros
) -> None:
    first = Resolver(catalogue, history).resolve(offer, "e:v", context, now)
    again = Resolver(Catalogue({p.product_id: p for p in catalogue}, catalogue.currency), history)
    second = again.resolve(offer, "e:v", context, now)
    assert first == second
    if isinstance(first, ServedOffer) and isinstance(second, ServedOffer):
        assert first.json == second.json


decimals = st.sampled_from(["NaN", "Infinity", "-Infinity", "sNaN", "0", "-1", "1e30", "1e-30", "1.005"]).map(Decimal)
shares = st.sampled_from(["NaN", "", "-5%", "100%", "1", "lots", "1e400%"])


@settings(deadline=None)  # machines that do other work are slow
@given(
    st.builds(Discount, percent=decimals) | st.builds(Discount, amount=decimals) | st.builds(Discount, price=decimals),
    decimals, decimals, shares,
)  # fmt: skip
def test_the_door_refuses_what_is_no_number_and_never_falls_over(
    discount: Discount, ratio: Decimal, over: Decimal, margin: str
) -> None:
    cap = FrequencyCap(views=1, days=1)
    shown: dict[str, Any] = {"discount": discount, "free_shipping_over": over, "frequency_cap": cap}
    upsell = Upsell(max_price_ratio=ratio, minimum_margin=margin, **shown)
    fields = {error.field for error in upsell.check("offer")}
    assert "offer.minimum_margin" in fields
    for field, number in (("max_price_ratio", ratio), ("free_shipping_over", over)):
        assert number.is_finite() or f"offer.{field}" in fields
    named = Bundle(items=["P1", "P2"], **shown)
    assert dict(products_named(named)) == {"items": "P2"}
    if not list(named.check("offer")):
        shop = Catalogue({p: Product(p, p, 1000) for p in ("P1", "P2")}, "JPY")
        assert Resolver(shop, History()).resolve(named, "e:v", Context(), NOW)
