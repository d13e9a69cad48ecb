"""The pictures of a report's page, each beside the table that it is drawn from."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import babel
from babel.numbers import get_decimal_symbol, get_group_symbol
from flask import current_app
from flask_babel import get_locale, gettext

from analysis.charts import EffectsWords, effects_svg
from analysis.drawing import ENGLISH, Locale
from analysis.parts import Series, SinceEntry
from analysis.report import MetricResult, Report
from analysis.time_charts import cumulative_svg, daily_svg, since_svg
from webapp.reading import MOST_KEPT, Read
from webapp.ui.report_words import Say
from webapp.ui.words import metric_name

_FORMATS = {"money": "+,.2~f", "share": "+.2~%", "number": "+,.3~"}
_FIELD = re.compile(r"'([^']*)'|MMM|M|d")  # of a pattern for dates, with what it quotes


@dataclass(frozen=True, slots=True)
class Pictures:
    """SVG by what it shows: effects as they grew by variant, by day since entry by variant, units by day."""

    grown: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, str] = field(default_factory=dict)
    daily: str = ""


def kept_pictures(read: Read, say: Say) -> Pictures:
    """Those of a report that is read again and again, drawn once in each language: the page alone is made faster."""
    kept: OrderedDict[tuple[int, str | None, str], tuple[Report, Pictures]]
    kept = current_app.extensions.setdefault("offerlab_pictures", OrderedDict())
    name = (int(read.experiment.id), read.report.only, str(get_locale()))
    held = kept.get(name)
    if held is None or held[0] is not read.report:
        held = kept[name] = (read.report, pictures(read.report, say))
        while len(kept) > MOST_KEPT:
            kept.popitem(last=False)
    return held[1]


def effects_picture(result: MetricResult, currency: str) -> str:
    """Each variant's effect on a metric, as SVG; empty where there is nothing to draw."""
    words = EffectsWords(
        lift=gettext("lift over control"),
        money=gettext("difference to control, %(currency)s", currency=currency),
        share=gettext("difference to control, percentage points"),
        number=gettext("difference to control"),
        said=gettext(
            "Effects on %(metric)s: the table beside it has the same numbers", metric=_named(result.metric)
        ),
    )  # fmt: skip
    return effects_svg(result, currency, words, reader_locale())


def pictures(report: Report, say: Say) -> Pictures:
    """Those of the primary metric; empty where there is nothing to draw."""
    if report.time is None or not any(day.units for day in report.time.days):
        return Pictures()
    primary = next((m.metric for m in report.metrics if m.role == "primary"), report.metrics[0].metric)
    return Pictures(
        {s.variant: _grown(s, say) for s in report.time.series if s.metric == primary},
        {s.variant: _since(s, say) for s in report.time.since_entry},
        daily_svg(
            report.time.days,
            gettext("new visitors a day"),
            gettext("New visitors on each day: the table beside it has the same numbers"),
            reader_locale(),
        ),
    )


def _grown(series: Series, say: Say) -> str:
    said = gettext(
        "Effect of %(variant)s on %(metric)s until each day: the table beside it has the same numbers",
        variant=series.variant, metric=_named(series.metric),
    )  # fmt: skip
    return cumulative_svg(series, *_axis(series.metric, say), said, reader_locale())


def _since(found: SinceEntry, say: Say) -> str:
    said = gettext(
        "Effect of %(variant)s on %(metric)s by day since entry: the table beside it has the same numbers",
        variant=found.variant, metric=_named(found.metric),
    )  # fmt: skip
    return since_svg(found, *_axis(found.metric, say), said, reader_locale(), gettext("day since entry"))


def _axis(metric: str, say: Say) -> tuple[str, str]:
    """A difference's title and format."""
    kind = say.kind(metric)
    if kind == "money":
        return gettext("difference, %(currency)s", currency=say.currency), _FORMATS[kind]
    return (gettext("difference, percentage points") if kind == "share" else gettext("difference")), _FORMATS[kind]


def _named(metric: str) -> str:
    return str(metric_name(metric)).lower()


def reader_locale() -> Locale:
    """How figures and days are written on a picture for the reader of the page."""
    locale = get_locale()
    return ENGLISH if locale is None or locale.language == "en" else _locale(locale)


@cache
def _locale(known: babel.Locale) -> Locale:
    """As Babel writes figures and dates, so that a picture says them as the table does."""
    figures = {
        "decimal": get_decimal_symbol(known), "thousands": get_group_symbol(known), "grouping": [3],
        "currency": ["", ""],
    }  # fmt: skip
    months, days = known.months["format"], known.days["format"]
    dates = {
        "dateTime": "%x %X", "date": "%d.%m.%Y", "time": "%H:%M:%S", "periods": ["AM", "PM"],
        "months": [months["wide"][n] for n in range(1, 13)],
        "shortMonths": [months["abbreviated"][n] for n in range(1, 13)],
        "days": [days["wide"][n] for n in (6, 0, 1, 2, 3, 4, 5)],
        "shortDays": [days["abbreviated"][n] for n in (6, 0, 1, 2, 3, 4, 5)],
    }  # fmt: skip
    written = {"MMM": "%b", "M": "%-m", "d": "%-d"}
    pattern = known.datetime_skeletons["MMMd"].pattern
    day = _FIELD.sub(lambda found: written.get(found[0], found[1] or ""), pattern)
    return Locale(figures, dates, day)
