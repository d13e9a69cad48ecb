"""The pictures of a report's page, each beside the table that it is drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask_babel import gettext

from analysis.report import Report
from webapp.ui.report_words import Say

_FORMATS = {"money": "+,.2~f", "share": "+.2~%", "number": "+,.3~"}


@dataclass(frozen=True, slots=True)
class Pictures:
    """SVG by what it shows: effects as they grew by variant, by day since entry by variant, units by day."""

    grown: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, str] = field(default_factory=dict)
    daily: str = ""


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
