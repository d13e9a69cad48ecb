"""The one call of a notebook: from a table, a DataFrame, a file or Moments to a Report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.analysis_plan import AnalysisPlan
from analysis.charts import effects, effects_svg
from analysis.drawing import Specification, png
from analysis.moments import Moments
from analysis.populations import sample_file, sample_frame
from analysis.reading import analyze_sample
from analysis.report import MetricResult, Report
from analysis.sample import Sample
from experiments.errors import Invalid, NotEstimable
from experiments.metrics import Metric


def analyze(
    source: Any,
    plan: AnalysisPlan | None = None,
    *,
    metrics: Sequence[Metric] = (),
    control: str | None = None,
    variant: str = "variant",
    unit: str | None = None,
    segments: Sequence[str] = (),
    **options: Any,
) -> Report:
    """The report of a test, from a DataFrame (pandas, Polars, Arrow), a file's path, Moments by variant, or a Sample.

    Either `plan`, or `metrics` and `control` with the AnalysisPlan's other fields as `options`. Raises Invalid.

    >>> import pyarrow as pa
    >>> orders = pa.table({"variant": ["a"] * 4 + ["b"] * 4, "bought": [0, 1, 0, 0, 1, 1, 0, 1]})
    >>> report = analyze(orders, metrics=[Metric("conversion", "proportion", "bought")], control="a")
    >>> report["conversion"].variant("b").value
    0.75
    >>> round(report["conversion"].comparison("b").difference.estimate, 3)
    0.5
    """
    if plan is None:
        if control is None:
            raise Invalid.at("control", "name the control, or give a plan")
        plan = AnalysisPlan(metrics=tuple(metrics), control=control, **options)
    elif metrics or control is not None or options:
        raise Invalid.at("plan", "give a plan, or metrics and control, not both")
    if isinstance(source, Sample):
        return analyze_sample(source, plan)
    if isinstance(source, Mapping) and all(isinstance(m, Moments) for m in source.values()):
        return analyze_sample(Sample.of(source, plan.metrics), plan)
    read = sample_file if isinstance(source, str | Path) else sample_frame
    sample, plan = read(source, plan, variant, unit, segments)
    return analyze_sample(sample, plan)


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing that a notebook shows by itself: `svg` its text, `specification` what Vega-Lite, and Altair, take."""

    svg: str
    specification: Specification

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write it to a file: a PNG, black on white, where the name ends so; else SVG."""
        if Path(path).suffix.lower() == ".png":
            Path(path).write_bytes(png(self.specification))
        else:
            Path(path).write_text(self.svg, encoding="utf-8")


def chart(result: MetricResult, currency: str = "") -> Picture:
    """Each variant's effect on a metric with its interval; raises NotEstimable where there is nothing to draw.

    >>> import pyarrow as pa
    >>> orders = pa.table({"variant": ["a"] * 40 + ["b"] * 40, "bought": [0, 1, 0, 0] * 10 + [1, 1, 0, 1] * 10})
    >>> report = analyze(orders, metrics=[Metric("conversion", "proportion", "bought")], control="a")
    >>> chart(report["conversion"]).svg[:4]
    '<svg'
    """
    picture = effects(result, currency)
    if picture is None:
        raise NotEstimable(f"{result.metric} has no effect to draw")
    return Picture(effects_svg(result, currency), picture)
