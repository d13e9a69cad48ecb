"""docs/offers.md names what there is: every refusal, every pick, every field of an offer."""

from pathlib import Path
from typing import get_args, get_type_hints

from experiments.offers import Bundle, CrossSell, Upsell
from experiments.served import RefusalCode
from experiments.touchpoints import TOUCHPOINTS

ROOT = Path(__file__).parents[3] / "docs"
TEXT = (ROOT / "offers.md").read_text()
ELSEWHERE = {"headline", "body", "call_to_action", "image", "pick", "limit", "valid_from", "stacks_with_discounts"}


def test_the_documentation_names_every_refusal_and_every_pick() -> None:
    for code in get_args(RefusalCode):
        assert f"`{code}`" in TEXT, code
    for kind in (Upsell, CrossSell, Bundle):
        for pick in get_args(get_type_hints(kind)["pick"]):
            assert f"`{pick}`" in TEXT, pick


def test_the_documentation_names_every_field_of_an_offer() -> None:
    for kind in (Upsell, CrossSell, Bundle):
        for name in set(kind.__struct_fields__) - ELSEWHERE - {"pairs", "products", "minimum_margin"}:
            assert name in TEXT, name


def test_touchpoints_are_those_of_the_glossary() -> None:
    assert TOUCHPOINTS == ("product_page", "cart", "checkout", "post_purchase")
