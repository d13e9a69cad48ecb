"""The money fields of one event."""

from decimal import Decimal

from experiments.errors import FieldError, Invalid
from experiments.money import exponent, to_minor
from experiments.wording import worded


class Amounts:
    """Takes each, remembers every refusal, raises them together."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self._errors: list[FieldError] = []
        exponent(currency)

    def take(self, amount: Decimal | None, name: str) -> int | None:
        """The amount in minor units; None stays None, a refusal is kept for `finish`."""
        if amount is None:
            return None
        try:
            minor = to_minor(amount, self._currency, name)
        except Invalid as refusal:
            self._errors += refusal.errors
            return None
        if minor < 0:
            said = worded("cannot be negative, and is %(given)s; money given back is a refund", given=amount)
            self._errors.append(FieldError(name, said))
        return minor

    def finish(self) -> None:
        """Raises Invalid with every refusal."""
        if self._errors:
            raise Invalid(self._errors)
