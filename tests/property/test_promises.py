"""One visitor never sees two prices for one offer, whatever happens to the catalogue, while the promise is true."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from experiments.catalogue import Catalogue
from experiments.moment import Micros
from experiments.offers import Bundle, NoOffer, Offer, Upsell
from experiments.promise import HOLDS, HOUR, Promise, broken, kept, promise
from experiments.recommend import History
from experiments.resolution import Context, Resolver, ServedOffer
from tests.property.test_offers import admitted, catalogues, contexts, histories
from tests.shop import NOW

changes = st.lists(st.tuples(st.integers(0, 8), st.sampled_from([1, 500, 700, 2000, 10**6])), max_size=6)


def changed(catalogue: Catalogue, prices: list[tuple[int, int]]) -> Catalogue:
    """The same products at other prices."""
    found = {p.product_id: p for p in catalogue}
    for number, price in prices:
        if f"P{number}" in found:
            found[f"P{number}"] = type(found[f"P{number}"])(**{
                name: getattr(found[f"P{number}"], name) for name in found[f"P{number}"].__struct_fields__
            } | {"price": price})  # fmt: skip
    return Catalogue(found, catalogue.currency)


@settings(max_examples=150, deadline=None)
@given(catalogues(), histories, admitted, contexts, st.lists(changes, min_size=1, max_size=4))
def test_a_promised_price_is_shown_again_unless_it_has_become_untrue(
    catalogue: Catalogue, history: History, offer: Offer, context: Context, days: list[list[tuple[int, int]]]
) -> None:
    seen: dict[tuple[str, ...], int] = {}
    promises: list[Promise] = []
    for hour, prices in enumerate(days):
        now = Micros(NOW + hour * HOUR)
        today = changed(catalogue, prices)
        found = Resolver(today, history).resolve(offer, "e:v", context, now)
        if not isinstance(found, ServedOffer) or isinstance(offer, NoOffer):
            continue
        shown = kept(found, promises, today, now)
        products = tuple(p.product_id for p in shown.products)
        if shown.price != seen.get(products, shown.price):
            assert not is_true(replace(found, price=seen[products]), today)
        assert is_true(shown, today)
        seen[products] = shown.price
        if (made := promise(shown, now)) is not None:
            promises = [made, *promises]
            assert broken(made, today, now, shown.price, products) is None
            assert broken(made, today, now, shown.price + 1) == ("price_differs", None)


def is_true(shown: ServedOffer, today: Catalogue) -> bool:
    base = today.get(shown.base_product_id or "")
    if isinstance(shown.offer, Upsell) and (base is None or shown.price <= base.price):
        return False
    regular = sum(p.price for p in shown.products)
    return shown.price < regular if isinstance(shown.offer, Bundle) else shown.price <= regular


@settings(deadline=None)  # machines that do other work are slow
@given(st.integers(0, 10**7))
def test_a_promise_holds_a_day_and_an_hours_promises_are_alike(after: int) -> None:
    shop = Catalogue({}, "EUR")
    now = Micros(NOW + after * 1000)
    made = promise(ServedOffer(Upsell(), price=1, regular_price=1, currency="EUR"), now)
    assert made is not None
    assert now + HOLDS < made.until <= now + HOLDS + HOUR
    assert broken(made, shop, Micros(made.until - 1)) is None
    assert broken(made, shop, made.until) == ("expired", None)
    start = Micros(now // HOUR * HOUR)
    assert promise(ServedOffer(Upsell(), price=1, regular_price=1, currency="EUR"), start) == made
