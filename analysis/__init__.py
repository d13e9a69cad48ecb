"""Statistics of offer experiments: from rows or sums to a report with its verdict."""

from analysis.analysis_plan import AnalysisPlan as AnalysisPlan
from analysis.files import read_table as read_table
from analysis.moments import Moments as Moments
from analysis.notebook import analyze as analyze
from analysis.notebook import chart as chart
from analysis.plan import plan as plan
from analysis.report import Report as Report
from experiments.metrics import Metric as Metric

__all__ = ["AnalysisPlan", "Metric", "Moments", "Report", "analyze", "chart", "plan", "read_table"]
