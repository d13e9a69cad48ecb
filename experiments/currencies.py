"""Foreign money in the storefront's: by the rate of its day, rounded once, with what was paid kept beside it."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal

from experiments.events import Conversion
from experiments.money import LARGEST_MINOR, exponent

Dated = tuple[tuple[int, Decimal], ...]
"""Days and the rate from each on, the earliest first."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What one unit of a currency is worth in the storefront's, from which day on."""

    by_currency: Mapping[str, Dated] = field(default_factory=dict)

    def on(self, currency: str, day: int) -> Decimal | None:
        """The rate in force on a day, or None where none is known that early."""
        dated = self.by_currency.get(currency, ())
        place = bisect_right(dated, day, key=lambda known: known[0])
        return dated[place - 1][1] if place else None


def converted(given: Conversion, currency: str, rates: Rates) -> Conversion | None:
    """The conversion in the storefront's currency; None where no rate is known, or the amount is larger than any sale.

    Each amount is rounded half to even by itself: lines need not add up to the order to the last minor unit.
    """
    if given.currency is None or given.currency == currency:
        return given
    rate = rates.on(given.currency, given.day)
    if rate is None:
        return None
    factor = rate.scaleb(exponent(currency) - exponent(given.currency))

    def worth(minor: int | None) -> int | None:
        return None if minor is None else int((minor * factor).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))

    lines = tuple(replace(line, price=worth(line.price) or 0, cost=worth(line.cost)) for line in given.lines)
    found = replace(
        given,
        currency=currency,
        revenue=worth(given.revenue),
        discount=worth(given.discount),
        shipping=worth(given.shipping),
        tax=worth(given.tax),
        cost=worth(given.cost),
        refunded=worth(given.refunded),
        lines=lines,
        paid_currency=given.currency,
        paid_amount=given.revenue if given.type == "order" else given.refunded,
    )
    amounts = [found.revenue, found.discount, found.shipping, found.tax, found.cost, found.refunded]
    amounts += [line.price for line in lines]
    return None if any(minor is not None and minor > LARGEST_MINOR for minor in amounts) else found
