"""The pictures of a report's page, each beside the table that it is drawn from."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import current_app
from flask_babel import get_locale, gettext

from analysis.report import Report
from webapp.reading import MOST_KEPT, Read
from webapp.ui.report_words import Say

_FORMATS = {"money": "+,.2~f", "share": "+.2~%", "number": "+,.3~"}


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


def pictures(report: Report, say: Say) -> Pictures:
    """Those of the primary metric; empty where there is nothing to draw."""
    if report.time is None or not any(day.units for day in report.time.days):
        return Pictures()
    from analysis.time_charts import cumulative_svg, daily_svg, since_svg  # Altair takes a second to import

    primary = next((m.metric for m in report.metrics if m.role == "primary"), report.metrics[0].metric)

    def axis(metric: str) -> tuple[str, str]:
        kind = say.kind(metric)
        if kind == "money":
            return gettext("difference, %(currency)s", currency=say.currency), _FORMATS[kind]
        return (gettext("difference, percentage points") if kind == "share" else gettext("difference")), _FORMATS[kind]

    return Pictures(
        {s.variant: cumulative_svg(s, *axis(s.metric)) for s in report.time.series if s.metric == primary},
        {s.variant: since_svg(s, *axis(s.metric)) for s in report.time.since_entry},
        daily_svg(report.time.days, gettext("new visitors a day")),
    )
