"""A share of one: written `5%` by people, `0.05` by programs."""

from collections.abc import Iterator
from decimal import Decimal, DecimalException

from experiments.errors import FieldError, Invalid
from experiments.wording import figure, worded


def parse_share(text: str, field: str) -> Decimal:
    """`5%`, `0.05` or `5.5 %` as a Decimal share; Invalid, naming `field`, for anything else."""
    cleaned = text.strip()
    try:
        share = Decimal(cleaned[:-1].strip()) / 100 if cleaned.endswith("%") else Decimal(cleaned)
    except DecimalException:  # also of what is beyond any exponent
        share = Decimal("NaN")
    if not share.is_finite() or share.copy_abs() > 100:
        raise Invalid.at(field, worded("%(given)s is not a share: write 5%% or 0.05", given=repr(text)))
    return share


def check_share(text: str | None, field: str, least: Decimal, most: Decimal) -> Iterator[FieldError]:
    """What is wrong with a share that must be between these two, both included; one that is not given is right."""
    if text is None:
        return
    try:
        share = parse_share(text, field)
    except Invalid as refusal:
        yield from refusal.errors
        return
    if not least <= share <= most:
        yield FieldError(
            field,
            worded(
                "must be %(least)s to %(most)s, and is %(given)s",
                least=figure(f"{least * 100:f}%"),
                most=figure(f"{most * 100:f}%"),
                given=text,
            ),
        )
