"""Money: integer minor units with their currency.

Exponents and codes are ISO 4217's. What is no ISO currency (BTC, XTS) is refused: its exponent is nobody's standard.
"""

import math
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from experiments.errors import Invalid
from experiments.wording import worded

MORE_DECIMALS = 3
"""So many beyond its currency's show what is left of a small amount; what is smaller still is nothing."""

LARGEST_MINOR = 10**15
"""An amount beyond this is a mistake, not a sale; below it every sum of squares stays finite and every total exact."""

_TWO_DECIMALS = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP
CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR
KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN
PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD
TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
EXPONENTS: dict[str, int] = {
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}


def exponent(currency: str, field: str = "currency") -> int:
    """The number of decimals of a currency; Invalid names `field` where it is no ISO 4217 currency."""
    try:
        return EXPONENTS[currency]
    except (KeyError, TypeError):
        raise Invalid.at(
            field,
            worded(
                "%(given)s is not an ISO 4217 currency code in capitals, such as EUR, USD or JPY", given=repr(currency)
            ),
        ) from None


def to_minor(amount: Decimal, currency: str, field: str, *, exact: bool = False) -> int:
    """An amount in integer minor units.

    Storefronts send sums computed in floating point (0.30000000000000004), so an event's amount is rounded half to
    even; with `exact`, as for prices that people type, more decimals than the currency has are refused.
    """
    places = exponent(currency)
    if not amount.is_finite() or amount.copy_abs() > LARGEST_MINOR:
        raise Invalid.at(field, worded("%(given)s is not an amount of money", given=amount))
    try:
        minor = (amount.scaleb(places)).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    except InvalidOperation:
        raise Invalid.at(field, worded("%(given)s is not an amount of money", given=amount)) from None
    if abs(minor) > LARGEST_MINOR:
        raise Invalid.at(
            field, worded("%(given)s %(currency)s is larger than any sale", given=amount, currency=currency)
        )
    if exact and minor != amount.scaleb(places):
        raise Invalid.at(
            field,
            worded(
                "%(given)s has more decimals than %(currency)s (%(places)s)",
                given=amount,
                currency=currency,
                places=places,
            ),
        )
    return int(minor)


def to_decimal(minor: int, currency: str) -> str:
    """Minor units as the decimal string of the contract: 1999 EUR is '19.99', 500 JPY is '500'."""
    places = exponent(currency)
    if places == 0:
        return str(minor)
    digits = str(abs(minor)).zfill(places + 1)
    amount = digits[:-places] + "." + digits[-places:]
    return "-" + amount if minor < 0 else amount


def rounded(amount: float, currency: str) -> str:
    """Major units as people read a figure of a report: 6.793 EUR is '6.79', 0.0123 EUR '0.012', 2036.4 EUR '2,036'."""
    return f"{amount:,.{0 if abs(amount) >= 1000 else decimals(amount, currency)}f}"


def decimals(amount: float, currency: str) -> int:
    """The decimals that an amount in major units is read with: its currency's, or two digits of what is below 1."""
    places, size = exponent(currency), abs(amount)
    if size >= 1 or size < 10.0 ** -(places + MORE_DECIMALS):
        return places
    return max(places + 1, min(1 - math.floor(math.log10(size)), places + MORE_DECIMALS))
