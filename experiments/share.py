"""A share of one: written `5%` by people, `0.05` by programs."""

from decimal import Decimal, DecimalException

from experiments.errors import Invalid
from experiments.wording import worded


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
