"""A number with an exponent beyond all reckoning is refused like any other that cannot be true."""

from contextlib import suppress
from datetime import UTC
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.errors import Invalid
from experiments.events import parse_conversion
from experiments.money import LARGEST_MINOR, to_minor
from experiments.share import parse_share
from tests.shop import NOW
from webapp.protocols.shop_order import amount

NUMBERS = st.builds("{}E{}".format, st.integers(-(10**20), 10**20), st.integers(-(10**8), 10**8))


@given(NUMBERS, st.booleans())
def test_money_is_in_bounds_or_refused(text: str, exact: bool) -> None:
    with suppress(Invalid):
        assert abs(to_minor(Decimal(text), "EUR", "price", exact=exact)) <= LARGEST_MINOR


@given(NUMBERS, st.sampled_from(["", "%"]))
def test_a_share_is_in_bounds_or_refused(text: str, sign: str) -> None:
    with suppress(Invalid):
        assert parse_share(text + sign, "margin").copy_abs() <= 100


@given(NUMBERS)
def test_an_amount_of_a_shop_system_is_in_bounds_or_refused(text: str) -> None:
    with suppress(Invalid):
        assert amount(Decimal(text), "total").copy_abs() <= LARGEST_MINOR


@pytest.mark.parametrize("value", ["1E+9999999", "-1E+9999999"])
def test_a_value_beyond_any_exponent_names_its_field(value: str) -> None:
    body = f'{{"type": "score", "visitor_id": "v1", "value": "{value}"}}'.encode()
    with pytest.raises(Invalid) as refusal:
        parse_conversion(body, NOW, UTC, lambda: "id")
    assert refusal.value.errors[0].field == "value"
