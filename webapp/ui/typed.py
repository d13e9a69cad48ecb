"""From what people type to what the definition's JSON says: percents, numbers, local times.

A text that cannot be read leaves an error with the definition's own field path, and a value in its place, so that
the rest is read too.
"""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from experiments.errors import FieldError
from experiments.wording import figure, worded


class Typed:
    """Reads texts, and remembers what could not be read."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.errors: list[FieldError] = []

    def refuse(self, field: str, message: str) -> None:
        """One more error."""
        self.errors.append(FieldError(field, message))

    def whole(self, text: str, field: str, otherwise: int) -> int:
        """A whole number; `otherwise` where there is no text or none that reads."""
        cleaned = text.strip()
        if not cleaned:
            return otherwise
        try:
            return int(cleaned)
        except ValueError:
            self.refuse(field, worded("must be a whole number, and is %(given)s", given=repr(cleaned)))
            return otherwise

    def hundredths(self, text: str, field: str, otherwise: int) -> int:
        """A percent, as hundredths of a percent: `12.5` or `12.5 %` is 1250."""
        cleaned = text.strip().removesuffix("%").strip().replace(",", ".")
        if not cleaned:
            return otherwise
        number = _decimal(cleaned)
        if number is None:
            self.refuse(field, worded("must be a percentage such as 50, and is %(given)s", given=repr(text.strip())))
            return otherwise
        if number * 100 != (number * 100).to_integral_value():
            self.refuse(field, worded("has at most two decimals, and is %(given)s", given=repr(text.strip())))
            return otherwise
        if not 0 <= number <= 100:
            self.refuse(
                field,
                worded(
                    "must be %(least)s to %(most)s, and is %(given)s",
                    least=figure("0%"),
                    most=figure("100%"),
                    given=text.strip(),
                ),
            )
            return otherwise
        return int(number * 100)

    def confidence(self, text: str, field: str) -> float:
        """A percent as a share: `95` is 0.95."""
        number = _decimal(text.strip().removesuffix("%").strip().replace(",", "."))
        if number is None or not Decimal(50) <= number <= Decimal("99.9"):
            self.refuse(
                field,
                worded(
                    "must be %(least)s to %(most)s, and is %(given)s",
                    least=figure("50%"),
                    most=figure("99.9%"),
                    given=text.strip() or worded("empty"),
                ),
            )
            return 0.95
        return float(number / 100)

    def decimal(self, text: str, field: str) -> str | None:
        """A decimal as the JSON writes it; a decimal comma is read as a point."""
        cleaned = text.strip().replace(",", ".")
        if not cleaned:
            return None
        if _decimal(cleaned) is None:
            self.refuse(field, worded("must be a number such as 9.90, and is %(given)s", given=repr(text.strip())))
            return None
        return cleaned

    def moment(self, text: str, field: str) -> str | None:
        """A time of the storefront's clock with its offset; where the clock shows an hour twice, the first one."""
        cleaned = text.strip()
        if not cleaned:
            return None
        try:
            naive = datetime.fromisoformat(cleaned)
        except ValueError:
            self.refuse(
                field,
                worded("must be a date and a time, such as 2026-12-01T09:00, and is %(given)s", given=repr(cleaned)),
            )
            return None
        aware = naive.replace(tzinfo=self.zone) if naive.tzinfo is None else naive
        if aware.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) != aware.replace(tzinfo=None):
            self.refuse(
                field,
                worded(
                    "%(time)s does not exist in %(zone)s: the clock jumps over it", time=cleaned, zone=self.zone.key
                ),
            )
            return None
        return aware.isoformat()


def one_line(text: str) -> str:
    """As an input of one line holds it: without breaks, and without blanks around it."""
    return "".join(text.splitlines()).strip()


def several_lines(text: str) -> str:
    """As a text of several lines is kept: browsers send two characters for each break."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def percent_text(hundredths: int) -> str:
    """Hundredths of a percent as people write them: 1250 is `12.5`."""
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")


def confidence_text(share: float) -> str:
    """A share as a percent: 0.95 is `95`."""
    return f"{(Decimal(repr(share)) * 100).normalize():f}"


def moment_text(at: datetime | None, zone: ZoneInfo) -> str:
    """As a datetime-local input holds it, on the storefront's clock."""
    if at is None:
        return ""
    local = at.astimezone(zone).replace(tzinfo=None)
    return local.isoformat(timespec="auto" if local.microsecond else "seconds" if local.second else "minutes")


def equal_split(parts: int) -> list[int]:
    """Hundredths of a percent that sum to 10,000, as equal as they can be; the first take what does not divide."""
    share, left = divmod(10_000, max(parts, 1))
    return [share + (index < left) for index in range(parts)]


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**15 else None
