"""Statistics of offer experiments: from rows or sums to a report with its verdict."""

from analysis.analysis_plan import AnalysisPlan as AnalysisPlan
from analysis.frames import read_table as read_table
from analysis.moments import Moments as Moments
from analysis.reading import analyze_sample as analyze_sample
from analysis.report import Report as Report
from analysis.units import sample_table as sample_table
from experiments.metrics import Metric as Metric
