"""The parts of an experiment's report as tables of plain values: for text, HTML and CSV alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from analysis import tables
from analysis.effect import Effect
from analysis.reported import Reported

Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its name for programs, its title, and rows of values at full precision under its head."""

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def part_tables(report: Reported) -> tuple[Table, ...]:
    """Every part that has rows, in the order of the page."""
    return tuple(t for t in _tables(report) if t.rows)


def _tables(r: Reported) -> Iterator[Table]:
    yield Table("remarks", "what else the numbers say", ("kind", "variant", "sentence"),
                tuple((m.kind, m.variant, m.sentence) for m in r.remarks))  # fmt: skip
    yield Table("outlook", "what would change the verdict", ("sentence",), tuple((line,) for line in r.outlook))
    p = r.progress
    yield Table("progress", "progress", ("metric", "days", "full_weeks", "units", "units_a_day", "mde", "target",
                "precision", "units_left", "days_left"),
                () if p is None else ((p.metric, p.days, p.full_weeks, p.units, p.units_a_day, p.mde, p.target,
                                       p.precision, p.units_left, p.days_left),))  # fmt: skip
    yield Table("worth", f"worth, {r.currency}", ("variant", "metric", "units_a_day", *_span("a_day"), *_span("a_year"),
                "expected_loss", "waiting"),
                tuple((w.variant, w.metric, w.units_a_day, *_ends(w.a_day), *_ends(w.a_year), w.expected_loss,
                       w.waiting)
                      for w in r.worth))  # fmt: skip
    yield Table("bands", f"profit with missing costs, {r.currency}", ("variant", "coverage", *_span("zero_margin"),
                *_span("category_margin")),
                tuple((b.variant, b.coverage, *_ends(b.zero_margin), *_ends(b.category_margin))
                      for b in r.bands))  # fmt: skip
    yield Table("decomposition", "where the change came from", ("metric", "variant", "part", "estimate", "low", "high",
                "total"),
                tuple((d["metric"], d["variant"], x["name"], x["estimate"], x["low"], x["high"], x["total"])
                      for d in r.decompositions for x in (d["change"], *d["parts"])))  # fmt: skip
    yield Table("funnel", "what the offers did", ("variant", "offer", "step", "units", "share"),
                tuple((o.variant, o.offer, s.step, s.units, s.share) for o in r.offers for s in o.funnel))  # fmt: skip
    yield Table("refusals", "why others were not asked", ("variant", "reason", "units"),
                tuple((o.variant, why, n) for o in r.offers for why, n in o.refusals.items()))  # fmt: skip
    yield Table("cannibalisation", f"sold by the offer and on top, {r.currency}", ("variant", "product_id",
                "attributed", *_span("incremental")),
                tuple(row for c in r.cannibalisation for row in (
                    (c.variant, None, c.attributed, *_ends(c.incremental)),
                    *((c.variant, s.product_id, s.attributed, *_ends(s.incremental)) for s in c.skus))))  # fmt: skip
    yield Table("fatigue", "by how often offers were met", ("variant", "views", "units", *_span("effect")),
                tuple((f.variant, d.views, d.units, *_ends(d.effect)) for f in r.fatigue for d in f.doses))  # fmt: skip
    yield from _of_time(r)
    yield Table("lasting", "does it last since the shipping", ("metric", "variant", "first_day", "last_day", "over",
                "units", "control_units", *_span("lift"), *_span("difference"), "p_value", "reading"),
                () if r.lasting is None else tuple(
                    (r.lasting.metric, r.lasting.variant, s.first_day, s.last_day, s.over, s.units, s.control_units,
                     *_ends(s.lift), *_ends(s.difference), s.p_value, s.reading)
                    for s in r.lasting.spans))  # fmt: skip
    yield Table("segments", "by group", ("segment", "level", "metric", "variant", "units", *_span("difference"),
                "interaction_p"),
                tuple((g["segment"], x["level"], g["metric"], g["variant"], x["units"], x["difference"]["estimate"],
                       x["difference"]["low"], x["difference"]["high"], g["interaction"]["p_value_adjusted"])
                      for g in r.segments for x in g["levels"]))  # fmt: skip
    m = r.maturity
    yield Table("maturity", "orders past the return window", ("variant", "orders", "matured"),
                () if m is None else tuple((v.variant, v.orders, v.matured) for v in m.variants))  # fmt: skip
    yield Table("sensitivity", "read in other ways", ("reading", "variant", "units", *_span("difference"), "p_value",
                "conclusion", "same", "reason"),
                tuple((s.reading, s.variant, s.units, *_ends(s.difference), s.p_value, s.conclusion, s.same, s.reason)
                      for s in r.sensitivity))  # fmt: skip
    yield Table("overlaps", "other experiments on these units", ("experiment", "units", "share", "p_value"),
                tuple((o.experiment, o.units, o.share, o.p_value) for o in r.overlaps))  # fmt: skip
    yield Table("timeline", "what was done", ("at", "actor", "action", "detail"),
                tuple((e.at, e.actor, e.action, e.detail) for e in r.timeline))  # fmt: skip


def _of_time(r: Reported) -> Iterator[Table]:
    if r.time is None:
        return
    yield Table("days", "units by day of entry", ("day", "variant", "units"),
                tuple((d.day, v, n) for d in r.time.days for v, n in d.units.items()))  # fmt: skip
    yield Table("series", "effects as they grew", ("metric", "variant", "day", "units", *_span("difference"),
                "always_low", "always_high"),
                tuple((s.metric, s.variant, p.day, p.units, *_ends(p.difference), p.always_low, p.always_high)
                      for s in r.time.series for p in s.points))  # fmt: skip
    yield Table("since_entry", "effects by day since entry", ("metric", "variant", "day", "units",
                *_span("difference")),
                tuple((s.metric, s.variant, p.day, p.units, *_ends(p.difference))
                      for s in r.time.since_entry for p in s.points))  # fmt: skip


def _span(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def _ends(effect: Effect) -> tuple[Cell, Cell, Cell]:
    return effect.estimate, effect.low, effect.high


LONG = frozenset({"days", "series", "since_entry", "segments", "timeline"})
"""Tables that are for programs and pages: too long to be printed."""


def as_text(report: Reported) -> str:
    """The whole report as plain text."""
    out = [tables.as_text(report)]
    for table in part_tables(report):
        if table.name not in LONG:
            cells = [table.head, *(tuple(_written(cell) for cell in row) for row in table.rows)]
            widths = [max(len(row[i]) for row in cells) for i in range(len(table.head))]
            lines = ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
            out += ["", table.title, *lines]
    return "\n".join(out)


def as_html(report: Reported) -> str:
    """The whole report as an HTML fragment."""
    out = [tables.as_html(report)]
    for table in part_tables(report):
        if table.name in LONG:
            continue
        head = "".join(f"<th scope='col'>{escape(h)}</th>" for h in table.head)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(_written(cell))}</td>" for cell in row) + "</tr>" for row in table.rows
        )
        out.append(f"<table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead>")
        out.append(f"<tbody>{body}</tbody></table>")
    return "".join(out)


def as_page(report: Reported, title: str) -> str:
    """The whole report as a page of its own."""
    style = (
        "body{font:15px system-ui;margin:2rem}table{margin:1rem 0;border-collapse:collapse}"
        "td,th{padding:.3rem .7rem;text-align:left;border-bottom:1px solid #ccc}"
        "caption{text-align:left;font-weight:600}"
    )
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{style}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{as_html(report)}</body></html>"


def _written(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return tables.number(cell) if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else cell
