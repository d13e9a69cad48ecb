import pytest

from analysis import analyze
from analysis.moments import Moments
from experiments.metrics import Metric


def counted(bought):
    return Moments.from_aggregates(10_000, {"bought": bought}, {("bought", "bought"): bought})


def read(variants, correction):
    return analyze(
        variants,
        metrics=[Metric("conversion", "proportion", "bought")],
        control="control",
        correction=correction,
        sequential=True,
        planned_units=20_000,
    )


def test_several_variants_are_held_to_one_error_rate_at_any_time_too():
    """One variant at p = 0.04 is better; found among three it is not: always-valid p-values go through Holm."""
    alone = read({"control": counted(500), "upsell": counted(602)}, "holm")
    p = alone["conversion"].comparison("upsell").sequential.p_value
    assert 0.05 / 3 < p < 0.05
    assert "better" in " ".join(alone.verdict.because)
    among = {"control": counted(500), "upsell": counted(602), "bundle": counted(501), "cross-sell": counted(499)}
    assert "better" not in " ".join(read(among, "holm").verdict.because)
    assert "better" not in " ".join(read(among, "dunnett").verdict.because)
    assert "better" in " ".join(read(among, "none").verdict.because)
    assert read(among, "holm")["conversion"].comparison("upsell").sequential.p_value == pytest.approx(p)
