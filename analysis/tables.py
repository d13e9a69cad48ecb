"""A report as a person reads it: rounded, in text or HTML."""

from html import escape

from analysis.effect import Effect
from analysis.reported import Comparison, MetricResult, Reported
from experiments import money
from experiments.wording import Worded, figure, worded


def number(value: float | None) -> str:
    """Four significant digits; a dash where there is none."""
    if value is None:
        return "-"
    if value == 0 or 1e-4 <= abs(value) < 1e7:
        digits = 4 if abs(value) < 1000 else max(len(str(int(abs(value)))), 4)
        return f"{value:,.{digits}g}"
    return f"{value:.3e}"


def amount(value: float | None, currency: str | None) -> str:
    """An amount in major units, as its currency is written; without one a number."""
    return number(value) if value is None or currency is None else money.rounded(value, currency)


def signed(value: float | None, currency: str | None = None) -> str:
    """A number with its sign, or an amount in major units."""
    return "-" if value is None else ("+" if value > 0 else "") + amount(value, currency)


def coded(text: str, currency: str | None) -> str:
    """A number that is written already, with its currency where it is money."""
    return text if currency is None else f"{text} {currency}"


def spanned(estimate: str, low: str, high: str) -> Worded:
    """An estimate with its interval, of numbers that are written already."""
    return worded("%(estimate)s (%(low)s to %(high)s)", estimate=figure(estimate), low=figure(low), high=figure(high))


def span_of(effect: Effect, currency: str | None = None) -> Worded:
    """A difference with its interval."""
    return spanned(
        coded(signed(effect.estimate, currency), currency), signed(effect.low, currency), signed(effect.high, currency)
    )


def ranged(low: str, high: str) -> Worded:
    """An interval of numbers that are written already."""
    return worded("%(low)s to %(high)s", low=figure(low), high=figure(high))


def range_of(low: float | None, high: float | None, currency: str | None = None) -> Worded:
    """The interval of a difference."""
    return ranged(signed(low, currency), coded(signed(high, currency), currency))


def signed_percent(value: float | None) -> str:
    """A relative effect in percent with its sign."""
    return "-" if value is None else f"{value * 100:+.3g}%"


HEAD = ("variant", "units", "value", "difference", "lift", "p", "corrected p", "chance to win")


def rows(result: MetricResult) -> list[tuple[str, ...]]:
    """One row a variant, under HEAD."""
    out: list[tuple[str, ...]] = []
    compared = {c.variant: c for c in result.comparisons}
    for v in result.variants:
        c = compared.get(v.variant)
        head = (v.variant, f"{v.units:,}", number(v.value))
        if c is None:
            out.append((*head, "control", "", "", "", ""))
        elif not c.estimable:
            out.append((*head, signed(c.difference.estimate), c.reason or "not estimable", "", "", ""))
        else:
            out.append((*head, *_effects(c)))
    return out


def _effects(c: Comparison) -> tuple[str, ...]:
    def within(effect: Effect, show: object) -> str:
        text = show(effect.estimate)  # type: ignore[operator]  # one of the two formats above
        if effect.low is None and effect.high is None:
            return f"{text}" + (f" ({effect.reason})" if effect.reason else "")
        return f"{text} [{show(effect.low)}, {show(effect.high)}]"  # type: ignore[operator]  # as above

    chance = "-" if c.chance_to_win is None else f"{c.chance_to_win:.1%}"
    return (
        within(c.difference, signed), within(c.lift, signed_percent), _p(c.p_value), _p(c.p_value_adjusted), chance
    )  # fmt: skip


def _p(p: float | None) -> str:
    return "-" if p is None else ("<0.0001" if p < 1e-4 else f"{p:.4f}")


def as_text(report: Reported) -> str:
    """The report as plain text."""
    out = [f"checks at {report.confidence:.0%} confidence"]
    out += [f"  {c.status:7} {c.check}: {c.detail}" for c in report.checks]
    for metric in report.metrics:
        role = f", {metric.role}" if metric.role else ""
        out += ["", f"{metric.metric} ({metric.type}{role})", *_aligned([HEAD, *rows(metric)])]
        out += [f"  {c.variant}: {note}" for c in metric.comparisons for note in c.notes]
    out += [
        "",
        f"verdict: {report.verdict.decision}" + (f" {report.verdict.variant}" if report.verdict.variant else ""),
    ]
    out += [f"  {line}" for line in report.verdict.because]
    return "\n".join(out)


def _aligned(table: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]


def as_html(report: Reported) -> str:
    """The report as an HTML fragment."""
    out = ["<section class='report'><ul>"]
    out += [f"<li>{escape(c.status)}: {escape(c.check)}, {escape(c.detail)}</li>" for c in report.checks]
    out.append("</ul>")
    for metric in report.metrics:
        head = "".join(f"<th>{h}</th>" for h in HEAD)
        out.append(
            f"<table><caption>{escape(metric.metric)} ({metric.type})</caption><thead><tr>{head}</tr></thead><tbody>"
        )
        out += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows(metric)]
        out.append("</tbody></table>")
    lines = "".join(f"<li>{escape(line)}</li>" for line in report.verdict.because)
    out.append(f"<p>verdict: <strong>{escape(report.verdict.decision)}</strong></p><ul>{lines}</ul></section>")
    return "".join(out)


def as_page(report: Reported, title: str) -> str:
    """The report as a page of its own."""
    style = "body{font:15px system-ui;margin:2rem}table{margin:1rem 0}td,th{padding:.3rem .7rem;text-align:left}"
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{style}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{as_html(report)}</body></html>"
