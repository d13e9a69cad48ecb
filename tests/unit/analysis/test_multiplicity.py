import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.multiplicity import adjust, simultaneous_alpha
from experiments.errors import Invalid

CASES = json.loads((Path(__file__).parents[2] / "reference" / "multiplicity.json").read_text())["cases"]
NAMES = {
    "bonferroni": "bonferroni", "sidak": "sidak", "holm": "holm", "holm-sidak": "holm_sidak",
    "simes-hochberg": "hochberg", "hochberg": "hochberg", "hochberg_bonferroni": "hochberg", "hommel": "hommel",
    "fdr_bh": "bh", "BH": "bh", "fdr_by": "by", "BY": "by",
}  # fmt: skip
METHODS = ["none", "bonferroni", "sidak", "holm", "holm_sidak", "hochberg", "hommel", "bh", "by"]


def published(prefix):
    found = []
    for case in CASES:
        name = case["id"].removeprefix(prefix).removeprefix("ties_")
        if case["id"].startswith(prefix) and name in NAMES:
            out = case["outputs"]
            told = out["p_adjusted"] if "p_adjusted" in out else out["p_adj"]
            found.append(pytest.param(NAMES[name], case["inputs"]["p"], told, id=case["id"]))
    return found


@pytest.mark.parametrize(("method", "p", "told"), published("mult_"))
def test_adjusted_p_values_against_statsmodels(method, p, told):
    assert adjust(p, method) == pytest.approx(tuple(told), rel=1e-12, abs=1e-15)
    assert adjust(p, method)[-1] == pytest.approx(told[-1], rel=1e-12)  # 1e-300 keeps its digits


@pytest.mark.parametrize(("method", "p", "told"), published("r_padjust_"))
def test_adjusted_p_values_against_r(method, p, told):
    assert adjust(p, method) == pytest.approx(tuple(told), rel=1e-11)


@pytest.mark.parametrize(("method", "p", "told"), published("tt_mult_"))
def test_adjusted_p_values_against_tea_tasting(method, p, told):
    assert adjust(p, method) == pytest.approx(tuple(told), rel=1e-11)


families = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(families, st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_order_does_not_matter(p, method, random):
    shuffled = list(range(len(p)))
    random.shuffle(shuffled)
    adjusted = adjust(p, method)
    assert adjust([p[i] for i in shuffled], method) == tuple(adjusted[i] for i in shuffled)


@given(families, st.sampled_from(METHODS))
def test_adjusting_keeps_the_ranks_and_never_helps(p, method):
    adjusted = np.array(adjust(p, method))
    assert np.all(adjusted >= np.array(p) * (1 - 1e-12))
    assert np.all(adjusted <= 1)
    assert np.all(np.diff(adjusted[np.argsort(p)]) >= -1e-15)


@given(families)
def test_stronger_methods_never_say_less(p):
    by = {method: np.array(adjust(p, method)) * (1 - 1e-12) for method in METHODS}
    for better, worse in [("holm", "bonferroni"), ("hochberg", "holm"), ("hommel", "hochberg"), ("bh", "hommel"), ("bh", "by"), ("holm_sidak", "sidak")]:  # fmt: skip  # noqa: E501 -- one pair after another
        assert np.all(by[better] <= by[worse] + 1e-12)


@given(families, st.sampled_from(METHODS))
def test_untested_questions_stay_untested_and_are_not_counted(p, method):
    assert adjust([None, *p, None], method) == (None, *adjust(p, method), None)


def test_one_question_is_left_alone():
    assert {method: adjust([0.03], method) for method in METHODS} == {
        method: (pytest.approx(0.03),) for method in METHODS
    }
    assert adjust([], "holm") == ()
    assert adjust([None], "bh") == (None,)


def test_simultaneous_intervals_exist_where_they_agree_with_the_p_values():
    assert simultaneous_alpha("bonferroni", 5, 0.05) == pytest.approx(0.01)
    assert simultaneous_alpha("sidak", 5, 0.05) == pytest.approx(1 - 0.95**0.2)
    assert simultaneous_alpha("none", 5, 0.05) == 0.05
    assert simultaneous_alpha("holm", 5, 0.05) is None
    assert simultaneous_alpha("bh", 1, 0.05) == 0.05


def test_nonsense_is_refused_at_the_door():
    for bad in ([1.2], [-0.1], [float("nan")]):
        with pytest.raises(Invalid):
            adjust(bad, "holm")
    with pytest.raises(Invalid):
        adjust([0.1], "magic")
