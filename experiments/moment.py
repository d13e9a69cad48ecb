"""Moments in time as the store keeps them: integer microseconds since 1970 in UTC, and the storefront's day number."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NewType

Micros = NewType("Micros", int)
"""Microseconds since 1970-01-01T00:00Z."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = _EPOCH.toordinal()
SECOND = 1_000_000
DAY = 86_400 * SECOND
_QUARTER = 900 * SECOND
"""In every zone a day begins with a quarter of an hour: all of one are of one day, which is reckoned once."""


def micros(moment: datetime) -> Micros:
    """An aware datetime as exact microseconds; ValueError where it has no zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return Micros((moment - _EPOCH) // timedelta(microseconds=1))


def moment(at: Micros) -> datetime:
    """The aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=at)


def iso(at: Micros) -> str:
    """As JSON writes it: 2026-11-21T19:47:00Z, with decimals only where there are some."""
    return moment(at).isoformat().replace("+00:00", "Z")


def day_number(at: Micros, zone: tzinfo) -> int:
    """The day of the storefront's calendar on which it happened, in days since 1970-01-01."""
    return _day_of_quarter(at // _QUARTER, zone)


@lru_cache(maxsize=8192)
def _day_of_quarter(quarter: int, zone: tzinfo) -> int:
    return moment(Micros(quarter * _QUARTER)).astimezone(zone).toordinal() - _EPOCH_ORDINAL


def date_number(day: date) -> int:
    """The day number of a calendar date."""
    return day.toordinal() - _EPOCH_ORDINAL


def day_date(day: int) -> date:
    """The calendar date of a day number."""
    return date.fromordinal(day + _EPOCH_ORDINAL)
