"""A share is checked alike wherever it is asked for."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.share import check_share

HUNDREDTHS = st.integers(-50_000, 50_000)


@given(HUNDREDTHS, HUNDREDTHS, HUNDREDTHS)
def test_a_share_between_its_bounds_is_right_however_it_is_written(given: int, one: int, other: int) -> None:
    least, most = sorted((Decimal(one) / 10_000, Decimal(other) / 10_000))
    share = Decimal(given) / 10_000
    for text in (str(share), f"{share * 100:f}%"):
        assert (list(check_share(text, "margin", least, most)) == []) == (least <= share <= most)


def test_what_is_not_given_is_right() -> None:
    assert list(check_share(None, "margin", Decimal(0), Decimal(1))) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("much", "'much' is not a share: write 5% or 0.05"),
        ("120%", "must be 0% to 100%, and is 120%"),
        ("-0.01", "must be 0% to 100%, and is -0.01"),
    ],
)
def test_the_error_names_the_field_and_the_value(text: str, message: str) -> None:
    (error,) = check_share(text, "metrics.guardrails[0].margin", Decimal(0), Decimal(1))
    assert (error.field, error.message) == ("metrics.guardrails[0].margin", message)
