"""Offers as programs may write them: every field, several choices, what comes next, and texts that no input holds."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

PRODUCTS = ("A1", "A2", "A3", "B1", "C1", "not there", "Mug")

# breaks, blanks at the ends and marks of HTML: what a page must not eat
texts = st.text("aZ é\"'<&,1€\n\r\t ", max_size=10)
_products = st.sampled_from(PRODUCTS)
# Berlin's clock shows half past two twice that night: the second one must stay the second one
_moments = st.sampled_from([
    datetime.fromisoformat("2026-10-25T00:30:00+00:00"), datetime.fromisoformat("2026-10-25T01:30:00+00:00"),
    datetime.fromisoformat("2026-07-01T09:30:15.000250+02:00"), datetime(2030, 1, 1, tzinfo=UTC),
]).map(datetime.isoformat)  # fmt: skip
_amounts = st.sampled_from(["10", "10.0", "0.5", "1E+1", "7.25"])
_discounts = st.builds(lambda kind, figure: {kind: figure}, st.sampled_from(["percent", "amount", "price"]), _amounts)
_plain = st.builds(lambda kind, figure: {kind: figure}, st.sampled_from(["percent", "amount"]), _amounts)


def _some(draw: st.DrawFn, given: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """Some of the fields, each with a value."""
    return {name: draw(values) for name, values in given.items() if draw(st.booleans())}


@st.composite
def offers(draw: st.DrawFn, depth: int = 1) -> dict[str, Any]:
    """An offer that holds by itself, of up to three one after the other."""
    kind = draw(st.sampled_from(["upsell", "cross_sell", "bundle"]))
    offer = {"type": kind} | _some(draw, {
        "headline": texts, "body": texts, "call_to_action": texts, "image": st.just("https://cdn.example/a.png"),
        "discount": _plain, "free_shipping_over": _amounts, "minimum_margin": st.sampled_from(["20%", "0.2"]),
        "stacks_with_discounts": st.booleans(), "minimum_stock": st.integers(1, 10**9),
        "instalments": st.builds(
            lambda count, text: {"count": count, "text": text}, st.integers(2, 60),
            st.sampled_from(["", "{amount}", " {count}x\n{amount} "]),
        ),
        "social_proof": st.builds(
            lambda days, least: {"days": days, "minimum": least}, st.sampled_from([7, 30, 90]), st.integers(1, 10**6)
        ),
        draw(st.sampled_from(["valid_from", "valid_until"])): _moments,
    })  # fmt: skip
    if depth == 1 and draw(st.booleans()):
        offer["frequency_cap"] = {"views": draw(st.integers(1, 1000)), "days": draw(st.integers(1, 365))}
    offer |= draw({"upsell": _upsells(), "cross_sell": _cross_sells(), "bundle": _bundles()}[kind])
    if depth < 3:
        offer |= _some(draw, dict.fromkeys(("if_declined", "if_accepted"), offers(depth + 1)))
    return offer


@st.composite
def _upsells(draw: st.DrawFn) -> dict[str, Any]:
    told = _some(draw, {"max_price_ratio": st.just("1.50"), "tier_name": texts, "tiers": _tiers(None)})
    if draw(st.booleans()):
        return told | {"pick": "next_tier"}
    return told | {"pick": "explicit", "pairs": draw(st.sampled_from([{"A1": "A2"}, {"A2": "A3", "A1": "not there"}]))}


@st.composite
def _cross_sells(draw: st.DrawFn) -> dict[str, Any]:
    limit = _some(draw, {"limit": st.integers(1, 12)})
    if draw(st.booleans()):
        picks = ["bought_together", "bestsellers", "most_viewed", "similar"]
        return limit | {"pick": draw(st.sampled_from(picks))}
    listed = [{"*": ["B1", "C1"]}, {"B1": ["A1"], "*": ["C1"], "A2": []}, {"Mug": ["not there"]}]
    return limit | {"pick": "explicit", "products": draw(st.sampled_from(listed))}


@st.composite
def _bundles(draw: st.DrawFn) -> dict[str, Any]:
    told = {"discount": draw(_discounts)} | _some(draw, {"tier_name": texts, "limit": st.integers(2, 6)})
    items = st.lists(_products, min_size=2, max_size=5, unique=True)
    if draw(st.booleans()):
        return told | {"pick": "bought_together"} | _some(draw, {"tiers": _tiers(None)})
    return told | {"items": draw(items)} | _some(draw, {"tiers": _tiers(items)})


def _tiers(items: st.SearchStrategy[list[str]] | None) -> st.SearchStrategy[list[dict[str, Any]]]:
    @st.composite
    def tier(draw: st.DrawFn) -> dict[str, Any]:
        own = {"items": draw(items)} if items is not None else {}
        return own | _some(draw, {"name": texts, "discount": _discounts})

    return st.lists(tier(), min_size=1, max_size=3)
