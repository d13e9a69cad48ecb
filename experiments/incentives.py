"""What makes an offer worth taking, and how often it may be shown: discounts, instalments, social proof, caps."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from experiments.errors import FieldError
from experiments.wording import worded

LARGEST_AMOUNT = 10**9
"""Of discounts and thresholds, in major units."""


class Discount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Exactly one of: percent off, amount off, or one fixed price for all of it (decimals, major units)."""

    percent: Decimal | None = None
    amount: Decimal | None = None
    price: Decimal | None = None

    def check(self, field: str) -> Iterator[FieldError]:
        """Every rule that this discount breaks."""
        given = [(n, v) for n in ("percent", "amount", "price") if (v := getattr(self, n)) is not None]
        if len(given) != 1:
            yield FieldError(field, worded("give exactly one of percent, amount, price"))
            return
        name, value = given[0]
        if not value.is_finite() or value <= 0:
            yield FieldError(f"{field}.{name}", worded("must be greater than 0, and is %(given)s", given=value))
        elif name == "percent" and value >= 100:
            yield FieldError(f"{field}.percent", worded("must be less than 100, and is %(given)s", given=value))
        elif value > LARGEST_AMOUNT:
            yield FieldError(
                f"{field}.{name}",
                worded("must be at most %(most)s, and is %(given)s", most=LARGEST_AMOUNT, given=value),
            )


class FrequencyCap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many views of offers per visitor in so many days."""

    views: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    days: Annotated[int, msgspec.Meta(ge=1, le=365)]


class Instalments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Paying in so many parts; in the text, `{amount}` stands for what one part comes to."""

    count: Annotated[int, msgspec.Meta(ge=2, le=60)]
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""

    def check(self, field: str) -> Iterator[FieldError]:
        """Every rule that this breaks."""
        rest = self.text.replace("{amount}", "").replace("{count}", "")
        if self.text and ("{amount}" not in self.text or "{" in rest or "}" in rest):
            yield FieldError(f"{field}.text", worded("must say {amount}, and may say {count}; no other braces"))

    def parts(self, price: int) -> tuple[int, int]:
        """What each part comes to and the last one, in minor units: together exactly the price."""
        part = -(-price // self.count)
        last = price - part * (self.count - 1)
        return (part, last) if last > 0 else (price // self.count, price - price // self.count * (self.count - 1))


class SocialProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """In how many orders of the last days a product was: counted, never typed in, and told from `minimum` on."""

    days: Literal[7, 30, 90] = 30
    minimum: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10
