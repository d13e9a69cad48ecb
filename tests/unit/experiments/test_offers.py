"""Offers by example: each truth, each refusal, the picks and their order."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

import pytest

from experiments.catalogue import Catalogue, Product
from experiments.context import ContextInput
from experiments.incentives import Discount
from experiments.moment import Micros, moment
from experiments.offers import Bundle, CrossSell, NoOffer, Offer, Upsell
from experiments.recommend import History
from experiments.resolution import Context, Refusal, Resolver, ServedOffer
from experiments.shape import convert
from tests.shop import NOW

SHOP = Catalogue(
    {
        p.product_id: p
        for p in [
            Product("MUG", "Mug", 1000, "Mugs", cost=400, attributes={"colour": "red", "glaze": "matt"}),
            Product("MUG-L", "Large mug", 1400, "Mugs", cost=500, attributes={"colour": "blue", "glaze": "matt"}),
            Product("MUG-XL", "Huge mug", 1500, "Mugs", cost=900, attributes={"colour": "red", "glaze": "matt"}),
            Product("MUG-ART", "Artist's mug", 3000, "Mugs", stock=0),
            Product("TEA", "Tea", 550, "Tea", cost=200),
            Product("RARE", "Rare tea", 5000, "Tea", cost=2000, stock=0),
            Product("SPOON", "Spoon", 300, "Cutlery"),
            Product("ODD", "Without a category", 100),
            Product("ODDER", "Without a category either", 200),
        ]
    },
    "EUR",
)
HISTORY = History({"MUG": ["MUG-L", "TEA", "SPOON"], "TEA": ["MUG"], "SPOON": ["RARE"]}, ["TEA", "MUG", "SPOON"])


def resolve(offer: Offer, now: Micros = NOW, history: History = HISTORY, shop: Catalogue = SHOP, **context):
    return Resolver(shop, history).resolve(offer, "e:v", Context(**context), now)


def served(found: ServedOffer | Refusal) -> list[str]:
    assert isinstance(found, ServedOffer), found
    return [p.product_id for p in found.products]


def pairs(given: Mapping[str, str], **changes) -> Upsell:
    return Upsell(pick="explicit", pairs=dict(given), **changes)


TEN = Discount(percent=Decimal(10))
REFUSALS = [
    ("expired", Upsell(valid_until=moment(NOW)), {"product_id": "MUG"}),
    ("expired", Upsell(valid_from=moment(NOW) + timedelta(microseconds=1)), {"product_id": "MUG"}),
    ("wrong_currency", Upsell(), {"product_id": "MUG", "currency": "USD"}),
    ("does_not_stack", Upsell(stacks_with_discounts=False), {"product_id": "MUG", "discounted": True}),
    ("unknown_product", Upsell(), {"product_id": "GONE"}),
    ("no_candidate", Upsell(), {}),
    ("no_candidate", Upsell(), {"product_id": "ODD"}),
    ("no_candidate", Upsell(max_price_ratio=Decimal("1.2")), {"product_id": "MUG"}),
    ("out_of_stock", pairs({"MUG": "MUG-ART"}), {"product_id": "MUG"}),
    ("already_in_cart", pairs({"MUG": "MUG-L"}), {"cart": ("MUG", "MUG-L")}),
    ("not_dearer", pairs({"MUG": "TEA"}), {"product_id": "MUG"}),
    ("not_dearer", pairs({"MUG": "MUG-L"}, discount=Discount(percent=Decimal(30))), {"product_id": "MUG"}),
    ("not_cheaper_than_parts", pairs({"MUG": "MUG-L"}, discount=Discount(price=Decimal(15))), {"product_id": "MUG"}),
    ("below_margin", pairs({"MUG": "MUG-L"}, minimum_margin="70%"), {"product_id": "MUG"}),
    ("below_margin", CrossSell(pick="explicit", products={"*": ["SPOON"]}, minimum_margin="0%"), {}),
    ("below_margin", CrossSell(pick="explicit", products={"*": ["TEA"]}, discount=Discount(amount=Decimal(6))), {}),
    ("no_candidate", CrossSell(pick="explicit", products={"MUG": ["TEA"]}), {"product_id": "SPOON"}),
    ("unknown_product", CrossSell(pick="explicit", products={"*": ["GONE"]}), {}),
    ("already_in_cart", CrossSell(pick="explicit", products={"MUG": ["TEA"]}), {"product_id": "MUG", "cart": ("TEA",)}),
    ("not_cheaper_than_parts", Bundle(items=["MUG", "TEA"], discount=Discount(price=Decimal("15.50"))), {}),
    ("out_of_stock", Bundle(items=["MUG", "RARE"], discount=TEN), {}),
    ("already_in_cart", Bundle(items=["MUG", "TEA"], discount=TEN), {"cart": ("TEA",)}),
    ("no_candidate", Bundle(pick="bought_together", discount=TEN), {}),
    ("no_candidate", Bundle(pick="bought_together", discount=TEN), {"product_id": "SPOON"}),
]


@pytest.mark.parametrize(("code", "offer", "context"), REFUSALS)
def test_every_refusal_says_why(code: str, offer: Offer, context: dict) -> None:
    found = resolve(offer, **context)
    assert isinstance(found, Refusal), found
    assert found.code == code


def test_the_next_tier_is_nearest_in_attributes_then_in_price() -> None:
    assert served(resolve(Upsell(), product_id="MUG")) == ["MUG-XL"]
    assert served(resolve(Upsell(max_price_ratio=Decimal("1.4")), product_id="MUG")) == ["MUG-L"]
    assert served(resolve(Upsell(), product_id="MUG", cart=("MUG-XL",))) == ["MUG-L"]
    plain = Catalogue({p.product_id: Product(p.product_id, "Mug", p.price, p.category) for p in SHOP}, "EUR")
    assert served(resolve(Upsell(), shop=plain, product_id="MUG")) == ["MUG-L"]


def test_a_cross_sell_leaves_the_category_and_falls_back_to_bestsellers() -> None:
    together = CrossSell(pick="bought_together", limit=2)
    assert served(resolve(together, product_id="MUG")) == ["TEA", "SPOON"]
    assert served(resolve(together, product_id="SPOON")) == ["TEA", "MUG"]  # only RARE goes with it, and is sold out
    assert served(resolve(together, product_id="MUG", cart=("TEA",))) == ["SPOON"]
    nothing = resolve(together, product_id="MUG", history=History())
    assert nothing == Refusal("no_candidate")


def test_similar_stays_in_the_category() -> None:
    assert served(resolve(CrossSell(pick="similar", limit=2), product_id="MUG-L")) == ["MUG", "MUG-XL"]
    assert resolve(CrossSell(pick="similar"), product_id="ODD") == Refusal("no_candidate")


def test_a_cross_sell_leaves_out_what_breaks_the_margin_floor() -> None:
    offer = CrossSell(pick="bought_together", minimum_margin="50%", limit=3)
    assert served(resolve(offer, product_id="MUG")) == ["TEA"]  # nobody knows what the spoon costs


def test_a_bundle_bought_together_takes_the_next_companion() -> None:
    offer = Bundle(pick="bought_together", discount=TEN, limit=3)
    found = resolve(offer, product_id="MUG", cart=("MUG-L",))
    assert served(found) == ["MUG", "TEA", "SPOON"]
    assert isinstance(found, ServedOffer)
    assert (found.regular_price, found.price, found.base_product_id) == (1850, 1665, "MUG")


def test_accepting_an_upsell_never_costs_the_coupon() -> None:
    """antiwork/gumroad #264: the coupon was lost with the accepted upsell, and the buyer paid more."""
    keeps, loses = pairs({"MUG": "MUG-L"}), pairs({"MUG": "MUG-L"}, stacks_with_discounts=False)
    assert resolve(loses, product_id="MUG", discounted=True) == Refusal("does_not_stack")
    assert served(resolve(loses, product_id="MUG")) == ["MUG-L"]
    with_coupon = resolve(keeps, product_id="MUG", discounted=True)
    assert served(with_coupon) == ["MUG-L"]
    assert isinstance(with_coupon, ServedOffer)
    assert "stacks_with_discounts" not in with_coupon.json  # it does: the storefront keeps the coupon
    without = resolve(loses, product_id="MUG")
    assert isinstance(without, ServedOffer)
    assert without.json["stacks_with_discounts"] is False


def test_nobody_is_sold_a_bundle_and_its_contents() -> None:
    """antiwork/gumroad PR #6241: buyers bought a bundle with something in it that was in the cart already."""
    bundle = Bundle(items=["MUG", "TEA"], discount=TEN)
    for held in ("MUG", "TEA"):
        assert resolve(bundle, cart=(held,)) == Refusal("already_in_cart", held)
    assert served(resolve(bundle, cart=("SPOON",))) == ["MUG", "TEA"]


def test_one_product_is_never_shown_twice() -> None:
    """WooCommerce #14246: the same cross-sell stood several times in one list."""
    offer = CrossSell(pick="explicit", products={"MUG": ["TEA"], "SPOON": ["TEA"], "*": ["TEA", "MUG-L"]})
    assert served(resolve(offer, cart=("MUG", "SPOON"))) == ["TEA", "MUG-L"]


def test_an_offers_id_tells_its_price_and_its_variant() -> None:
    """hasgeek/boxoffice #114: the offer's id goes on the order line."""
    bundle = Bundle(items=["MUG", "TEA"], discount=TEN)
    found, dearer = resolve(bundle), resolve(Bundle(items=["MUG", "TEA"], discount=Discount(percent=Decimal(5))))
    assert isinstance(found, ServedOffer)
    assert isinstance(dearer, ServedOffer)
    assert found.offer_id != dearer.offer_id
    other = Resolver(SHOP, HISTORY).resolve(bundle, "e:other", Context(), NOW)
    assert isinstance(other, ServedOffer)
    assert other.offer_id != found.offer_id


def test_no_offer_is_always_served() -> None:
    found = resolve(NoOffer(), product_id="GONE", currency="XXX", discounted=True)
    assert isinstance(found, ServedOffer)
    assert found.json == {"type": "none"}


@pytest.mark.parametrize(
    ("currency", "percent", "price"), [("EUR", "10", 1395), ("JPY", "33.3", 1034), ("KWD", "0.01", 1550)]
)
def test_a_percentage_is_rounded_to_the_currencys_smallest_unit(currency: str, percent: str, price: int) -> None:
    shop = Catalogue({p.product_id: p for p in SHOP}, currency)
    offer = Bundle(items=["MUG", "TEA"], discount=Discount(percent=Decimal(percent)))
    found = resolve(offer, shop=shop)
    if price == 1550:
        assert found == Refusal("not_cheaper_than_parts")  # a thousandth less is no less
    else:
        assert isinstance(found, ServedOffer)
        assert found.price == price


@pytest.mark.parametrize(
    ("context", "discounted"),
    [
        ({"cart": [{"product_id": "MUG", "price": "10.00"}]}, False),
        ({"cart": [{"product_id": "MUG", "price": "9.99"}]}, True),
        ({"cart": [{"product_id": "GONE", "price": "0.01"}]}, False),
        ({"discounts": ["WELCOME10"]}, True),
        ({}, False),
    ],
)
def test_a_coupon_or_a_cart_below_the_catalogue_tells_of_a_discount(context: dict, discounted: bool) -> None:
    assert convert(context, ContextInput).context(SHOP).discounted is discounted
