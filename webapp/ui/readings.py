"""A report's numbers arranged for its page: texts and words, nothing computed anew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from analysis import guardrails
from analysis.decision import Finding
from analysis.report import Comparison, Effect, MetricResult, Report, VariantResult
from webapp.ui import formats
from webapp.ui.formats import DASH, Kind
from webapp.ui.report_pictures import effects_picture
from webapp.ui.report_words import Say, within
from webapp.ui.told import told
from webapp.ui.words import MOVEMENTS

HEADLINE = ("conversion", "aov", "revenue_per_visitor", "contribution_per_visitor", "orders_per_visitor")
"""In this order, where the report has them."""
SECTIONS = (
    ("primary", _("Primary metric"), _("What decides.")),
    ("guardrail", _("Guardrails"), _("What must not suffer.")),
    ("secondary", _("Secondary metrics"), _("What explains. Exploratory: they decide nothing alone.")),
    ("", _("Also measured"), _("For the whole picture; not part of the plan.")),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One variant on one metric, as texts."""

    variant: str
    units: str
    value: str
    parts: str
    control: bool = False
    change: str = ""
    always: str = ""
    p: str = ""
    p_corrected: str = ""
    chance: str = ""
    word: str | LazyString = ""
    tone: str = "secondary"
    guard: str = ""
    zone: str = ""
    reason: str = ""
    band: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric: its picture and its table."""

    metric: str
    kind: Kind
    direction: str
    picture: str
    rows: tuple[Row, ...]
    cap: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The metrics of one role."""

    role: str
    title: str | LazyString
    said: str | LazyString
    panels: tuple[Panel, ...]
    folded: bool


def sections(report: Report, findings: Sequence[Finding], words: Say) -> list[Section]:
    """The metrics by role, those that decide first; roles without a metric are left out."""
    said = {(f.metric, f.variant): f for f in findings}
    found = []
    for role, title, explained in SECTIONS:
        panels = tuple(_panel(r, report, said, words) for r in report.metrics if (r.role or "") == role)
        if panels:
            found.append(Section(role, title, explained, panels, folded=role in {"secondary", ""}))
    return found


def headline(report: Report, currency: str) -> tuple[list[MetricResult], list[tuple[str, int, str, list[str]]]]:
    """The metrics that everybody asks for first, and each variant's values; control first."""
    known = {r.metric: r for r in report.metrics}
    metrics = [known[key] for key in HEADLINE if key in known]
    rows = []
    for variant, units, weight in report.variants:
        values = [_value(_held(r, variant), r, currency) for r in metrics]
        rows.append((variant, units, formats.share(weight), values))
    return metrics, rows


def reasons(report: Report, primary: str) -> tuple[list[str], list[str]]:
    """Why the verdict is what it is: what it says of the primary metric and of checks, and what else it weighed."""
    others = {r.metric for r in report.metrics if r.metric != primary}
    aside = [
        line
        for line in report.verdict.because
        if any(f" on {metric}:" in line for metric in others) and "is not shown to stay" not in line
    ]
    first = [line for line in report.verdict.because if line not in aside]
    return (first, aside) if first else (aside[:3], aside[3:])


def primary_effects(report: Report) -> list[tuple[str, str]]:
    """Each variant's lift on the primary metric with its interval, for a list."""
    return [
        (c.variant, _within(c.lift, formats.lift) if c.estimable else DASH)
        for r in report.metrics
        if r.role == "primary"
        for c in r.comparisons
    ]


def table(report: Report) -> list[list[object]]:
    """Every number of the report at full precision, a line for each metric and variant, under its names."""
    names = (
        "metric role variant units value standard_error numerator denominator difference difference_low "
        "difference_high lift lift_low lift_high p_value p_value_adjusted chance_to_win always_low always_high reason"
    )
    lines: list[list[object]] = [[*names.split()]]
    for r in report.metrics:
        compared = {c.variant: c for c in r.comparisons}
        for v in r.variants:
            c = compared.get(v.variant, Comparison(v.variant, report.control))
            always = (c.sequential.low, c.sequential.high) if c.sequential else (None, None)
            lines.append([
                r.metric, r.role, v.variant, v.units, v.value, v.standard_error, v.numerator, v.denominator,
                c.difference.estimate, c.difference.low, c.difference.high, c.lift.estimate, c.lift.low, c.lift.high,
                c.p_value, c.p_value_adjusted, c.chance_to_win, *always, c.reason,
            ])  # fmt: skip
    return lines


def _panel(r: MetricResult, report: Report, said: dict[tuple[str, str], Finding], words: Say) -> Panel:
    kind, currency = formats.kind_of(r.metric, r.type, r.unit), words.currency
    compared = {c.variant: c for c in r.comparisons}
    rows = []
    for v in r.variants:
        base = (v.variant, formats.count(v.units), _value(v, r, currency), _parts(v, r, currency))
        c = compared.get(v.variant)
        rows.append(
            Row(*base, control=v.variant == report.control)
            if c is None
            else _row(base, r, c, words, said.get((r.metric, v.variant)))
        )
    cap = ""
    if r.cap:
        most = formats.value(r.cap["value"], kind, currency)
        cap = str(gettext("Values above %(most)s count as that.", most=most))
    return Panel(r.metric, kind, r.direction, effects_picture(r, currency), tuple(rows), cap, _notes(r.comparisons))


def _notes(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Each note once, with the variants it is about; without them where it is about all."""
    about: dict[str, list[str]] = {}
    for c in comparisons:
        for note in c.notes:
            about.setdefault(told(note), []).append(c.variant)
    everyone = len(comparisons)
    return tuple(
        note[:1].upper() + note[1:] + "." if len(named) == everyone else f"{', '.join(named)}: {note}."
        for note, named in about.items()
    )


def _row(base: tuple[str, str, str, str], r: MetricResult, c: Comparison, words: Say, said: Finding | None) -> Row:
    word, tone = MOVEMENTS[said.movement if said else "unknown"]
    if not c.estimable:
        why = told(c.reason) if c.reason else str(gettext("no reason was given"))
        return Row(
            *base,
            word=word,
            tone=tone,
            reason=why,
            band=_band(c, words),
        )
    guard, zone = _guard(r, c)
    always = ""
    kind = formats.kind_of(r.metric, r.type, r.unit)
    if c.sequential and (c.sequential.low is not None or c.sequential.high is not None):
        low, high = (formats.difference(x, kind, words.currency) for x in (c.sequential.low, c.sequential.high))
        always = gettext("%(low)s to %(high)s", low=low, high=high)
    corrected = c.p_value_adjusted is not None and c.p_value_adjusted != c.p_value
    return Row(
        *base, change=words.change(r, c), always=always, p=formats.p_value(c.p_value),
        p_corrected=formats.p_value(c.p_value_adjusted) if corrected else "", chance=formats.share(c.chance_to_win),
        word=word, tone=tone, guard=guard, zone=zone,
    )  # fmt: skip


def _band(c: Comparison, words: Say) -> str:
    """Between which numbers a profit lies whose costs are not all known."""
    if c.band is None:
        return ""
    low, high = words.money_span(c.band.zero_margin), words.money_span(c.band.category_margin)
    known = formats.share(c.band.coverage)
    said = gettext(
        "The cost is known for %(known)s of the revenue. Difference with no margin on the rest: %(low)s; with its "
        "usual margin: %(high)s.", known=known, low=low, high=high,
    )  # fmt: skip
    return str(said)


def _guard(r: MetricResult, c: Comparison) -> tuple[str, str]:
    """A guardrail's zone: safe, not yet proven, or breached where it is shown to be worse than the margin allows."""
    if c.non_inferiority is None:
        return "", ""
    margin = f"{c.non_inferiority.margin * 100:g}%"
    where = guardrails.zone(r, c)
    if where == "safe":
        return str(gettext("Safe within %(margin)s", margin=margin)), "success"
    if where == "breached":
        return str(gettext("Breached by more than %(margin)s", margin=margin)), "danger"
    return str(gettext("Not yet proven within %(margin)s", margin=margin)), "warning"


def _within(effect: Effect, show: Callable[[float | None], str]) -> str:
    if effect.estimate is None:
        return f"{DASH} ({told(effect.reason)})" if effect.reason else DASH
    if effect.low is None and effect.high is None:
        return f"{show(effect.estimate)} ({told(effect.reason) if effect.reason else gettext('no interval')})"
    return within(effect, show)


def _held(r: MetricResult, variant: str) -> VariantResult | None:
    return next((v for v in r.variants if v.variant == variant), None)


def _value(v: VariantResult | None, r: MetricResult, currency: str) -> str:
    return DASH if v is None else formats.value(v.value, formats.kind_of(r.metric, r.type, r.unit), currency)


def _parts(v: VariantResult, r: MetricResult, currency: str) -> str:
    """What was divided by what, in grey beside the value."""
    if v.numerator is None or v.denominator is None:
        return ""
    in_money = formats.kind_of(r.metric, r.type, r.unit) == "money"
    top = formats.rounded(v.numerator, currency) if in_money else formats.count(round(v.numerator))
    return f"{top} / {formats.count(round(v.denominator))}"
