"""The report: what it holds, shown in a notebook and in a terminal."""

from dataclasses import dataclass

from analysis import part_tables
from analysis.any_time import AnyTime
from analysis.effect import NOTHING, Effect
from analysis.reported import Adjusted, Comparison, Json, MetricResult, Reported, VariantResult
from analysis.threshold import Exceeds, NonInferiority

__all__ = [
    "NOTHING", "Adjusted", "AnyTime", "Comparison", "Effect", "Exceeds", "Json", "MetricResult", "NonInferiority",
    "Report", "VariantResult",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report(Reported):
    """The whole reading of a test, which writes itself where somebody asks for it."""

    def _repr_html_(self) -> str:
        """As notebooks show it."""
        return part_tables.as_html(self)

    def __str__(self) -> str:
        return part_tables.as_text(self)
