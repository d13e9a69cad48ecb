"""Numbers, money and times as people read them. A dash stands for what is not known."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date
from flask_babel import get_locale
from markupsafe import Markup

from experiments.metrics import BUILT_IN
from experiments.moment import Micros, iso, moment
from experiments.money import decimals, to_decimal
from experiments.money import rounded as in_major
from webapp.ui.form_errors import anchor
from webapp.ui.told import figures

Kind = Literal["money", "share", "number"]

DASH = "–"
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹"}


def kind_of(metric: str, metric_type: str, unit: Kind | None = None) -> Kind:
    """Whether a metric's values are money, a share or a plain number; `unit` says it of one that is not built in."""
    known = BUILT_IN.get(metric)
    if known is not None:
        return known.unit
    return unit or ("share" if metric_type == "proportion" else "number")


def money(minor: int, currency: str) -> str:
    """Minor units with the currency's sign: 1999 EUR is €19.99."""
    sign = "−" if minor < 0 else ""
    whole, point, decimals = to_decimal(abs(minor), currency).partition(".")
    return f"{sign}{_symbol(currency)}{figures(f'{int(whole):,}{point}{decimals}')}"


def major(amount: float, currency: str) -> str:
    """Major units, as reports give them; with more decimals than the currency has for small amounts."""
    return f"{'−' if amount < 0 else ''}{_symbol(currency)}{figures(f'{abs(amount):,.{decimals(amount, currency)}f}')}"


def rounded(amount: float, currency: str) -> str:
    """Major units; without decimals where the amount is large enough to do without."""
    return f"{'−' if amount < 0 else ''}{_symbol(currency)}{figures(in_major(abs(amount), currency))}"


def value(amount: float | None, kind: Kind, currency: str) -> str:
    """A metric's value."""
    if amount is None:
        return DASH
    if kind == "money":
        return major(amount, currency)
    return figures(f"{amount * 100:.2f}%" if kind == "share" else f"{amount:,.4g}")


def difference(amount: float | None, kind: Kind, currency: str) -> str:
    """A difference with its sign; of shares in percentage points."""
    if amount is None:
        return DASH
    sign = "+" if amount > 0 else "−" if amount < 0 else "±"
    if kind == "money":
        return sign + major(abs(amount), currency)
    return sign + figures(f"{abs(amount) * 100:.2f} pp" if kind == "share" else f"{abs(amount):,.4g}")


def lift(share: float | None) -> str:
    """A relative effect in percent, with its sign."""
    if share is None:
        return DASH
    size = abs(share) * 100
    sign = "+" if share > 0 else "−" if share < 0 else "±"
    return sign + figures(f"{size:,.0f}%" if size >= 100 else f"{size:.1f}%")


def p_value(p: float | None) -> str:
    """A p-value with as many digits as one reads."""
    if p is None:
        return DASH
    return figures("<0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}")


def percent(hundredths: int) -> str:
    """Hundredths of a percent: 2550 is 25.5%."""
    return figures(f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")) + "%"


def share(part: float | None) -> str:
    """A share of one as a percent."""
    return DASH if part is None else figures(f"{part * 100:.1f}%")


def count(number: int) -> str:
    """A count with its thousands."""
    return figures(f"{number:,}")


def when(at: Micros | datetime | str | None, zone: ZoneInfo) -> str:
    """A time on the storefront's clock, marked up for machines too."""
    if at is None:
        return DASH
    known = datetime.fromisoformat(at) if isinstance(at, str) else at if isinstance(at, datetime) else moment(at)
    local = known.astimezone(zone)
    stamp = iso(at) if isinstance(at, int) else local.isoformat()
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        stamp, f"{local:%Y-%m-%d %H:%M:%S %Z}", f"{_date(local)}, {local:%H:%M}"
    )


def day(at: Micros | None, zone: ZoneInfo) -> str:
    """The date on the storefront's clock."""
    if at is None:
        return DASH
    local: date = moment(at).astimezone(zone).date()
    return _date(local)


def _date(at: date) -> str:
    locale = get_locale()
    plain = locale is None or locale.language == "en"
    return f"{at.day} {at:%b %Y}" if plain else format_date(at, "medium", locale)


def _symbol(currency: str) -> str:
    return _SYMBOLS.get(currency, f"{currency} ")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "money": money, "value": value, "difference": difference, "lift": lift, "p_value": p_value, "percent": percent,
    "share": share, "count_of": count, "when": when, "day": day, "kind_of": kind_of, "anchor": anchor,
    "figures": figures,
}  # fmt: skip
"""Under these names templates use them."""
