"""What was learned: effects of one kind taken together, each drawn to the others, and what a new one may expect."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from statsmodels.stats.meta_analysis import combine_effects

from analysis.bayes import NormalPrior
from analysis.gist import depth, gist_of
from analysis.learnings import FEWEST, MOST, Found, Summary, hint, if_it_wins, planned_win, shrunken, summaries
from analysis.power import Design
from analysis.segments import Pooled, pool, shrink
from experiments.catalogue import parse_product
from experiments.definition import parse
from experiments.errors import NotEstimable
from tests.shop import PRODUCTS, experiment

METRIC = "revenue_per_visitor"
lifts = st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(0.01, 0.3)), min_size=2, max_size=12)


def found(effects: list[float], errors: list[float], offer: str = "bundle", place: str | None = "cart") -> list[Found]:
    return [
        Found(i, offer, place, METRIC, float(e), float(s), "v")
        for i, (e, s) in enumerate(zip(effects, errors, strict=True))
    ]


@given(lifts)
def test_pooling_agrees_with_statsmodels(some: list[tuple[float, float]]) -> None:
    effects, errors = zip(*some, strict=True)
    ours = pool(effects, errors)
    with np.errstate(all="ignore"):  # theirs takes the root of a negative variance where all are one effect
        theirs = combine_effects(np.array(effects), np.array(errors) ** 2, method_re="dl")
    assert ours.between**2 == pytest.approx(max(theirs.tau2, 0.0), rel=1e-6, abs=1e-7)
    # where they find less than nothing between the effects, theirs goes on with that; all are then one effect
    alike = theirs.tau2 <= 0
    assert ours.mean == pytest.approx(theirs.mean_effect_fe if alike else theirs.mean_effect_re, rel=1e-4, abs=1e-6)
    assert ours.standard_error == pytest.approx(theirs.sd_eff_w_fe if alike else theirs.sd_eff_w_re, rel=1e-4)


@given(lifts)
def test_a_shrunken_effect_lies_between_its_own_and_the_common_one(some: list[tuple[float, float]]) -> None:
    effects, errors = zip(*some, strict=True)
    mean = pool(effects, errors).mean
    for (drawn, _), effect in zip(shrink(effects, errors), effects, strict=True):
        assert min(effect, mean) - 1e-9 <= drawn <= max(effect, mean) + 1e-9


def test_nothing_is_not_pooled() -> None:
    with pytest.raises(NotEstimable):
        pool([], [])


def archive(seed: int, tests: int = 40, between: float = 0.03) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True lifts of one kind, what experiments of very different size saw of them, and how sure they were."""
    rng = default_rng([5, seed])
    truth, errors = rng.normal(0.01, between, tests), rng.uniform(0.005, 0.08, tests)
    return truth, truth + rng.normal(0, errors), errors


def test_shrinking_lowers_the_error_and_takes_the_winners_curse_away() -> None:
    raw, drawn, curse, rest = [], [], [], []
    for seed in range(200):
        truth, seen, errors = archive(seed)
        less = np.array([e for e, _ in shrink(seen, errors)])
        raw.append(np.mean((seen - truth) ** 2))
        drawn.append(np.mean((less - truth) ** 2))
        winners = seen > 1.96 * errors
        curse += list((seen - truth)[winners])
        rest += list((less - truth)[winners])
    assert np.mean(drawn) < 0.6 * np.mean(raw)
    error = np.std(curse) / len(curse) ** 0.5
    assert np.mean(curse) > 5 * error, "what was chosen as it looked best is too large"
    assert abs(np.mean(rest)) < 0.25 * np.mean(curse)


def test_four_in_five_new_experiments_are_where_they_are_expected() -> None:
    inside, runs = 0, 400
    for seed in range(runs):
        truth, seen, errors = archive(seed, tests=41)
        [one] = summaries(found(list(seen[1:]), list(errors[1:])))
        assert one.low is not None
        assert one.high is not None
        inside += one.low <= truth[0] <= one.high
    assert abs(inside - runs * MOST) < 5 * (runs * MOST * (1 - MOST)) ** 0.5


def test_too_few_say_nothing_and_give_no_prior() -> None:
    [one] = summaries(found([0.1] * (FEWEST - 1), [0.02] * (FEWEST - 1)))
    assert (one.tests, one.pooled, one.low, one.prior) == (FEWEST - 1, None, None, None)


def test_a_hint_is_of_the_touchpoint_where_enough_was_tried_there() -> None:
    cart, checkout = found([0.01] * 5, [0.01] * 5), found([0.09] * 2, [0.01] * 2, place="checkout")
    everything = [*cart, *(Found(f.experiment + 9, *_rest(f)) for f in checkout)]
    assert hint(everything, METRIC, "bundle", "cart").tests == 5
    assert hint(everything, METRIC, "bundle", "checkout").tests == 7
    assert hint(everything, METRIC, "upsell").tests == 0
    assert hint(everything, "conversion").pooled is None
    prior = hint(everything, METRIC, "bundle", "cart").prior
    assert prior is not None
    assert prior.mean == pytest.approx(0.01)
    assert prior.standard_deviation > 0


def _rest(f: Found) -> tuple[str, str | None, str, float, float, str]:
    return f.offer, f.touchpoint, f.metric, f.estimate, f.standard_error, f.variant


def test_kinds_are_told_apart_by_offer_and_metric_and_shrunk_within() -> None:
    low, high = found([0.0] * 4, [0.01] * 4), found([0.2] * 4, [0.01] * 4, offer="upsell")
    drawn = shrunken([*low, *(Found(f.experiment + 9, *_rest(f)) for f in high)])
    assert drawn[0, "v"][0] == pytest.approx(0.0)
    assert drawn[9, "v"][0] == pytest.approx(0.2)


CATALOGUE = {p["product_id"]: parse_product(p, "EUR") for p in PRODUCTS}


@pytest.mark.parametrize(
    ("offer", "share"),
    [
        ({"type": "none"}, 0.0),
        ({"type": "cross_sell", "pick": "bestsellers"}, 0.0),
        ({"type": "cross_sell", "pick": "bestsellers", "discount": {"percent": "12.5"}}, 0.125),
        ({"type": "bundle", "items": ["A2", "B1"], "discount": {"amount": "3.90"}}, 0.2),
        ({"type": "bundle", "items": ["A2", "B1"], "discount": {"price": "9.75"}}, 0.5),
        ({"type": "bundle", "items": ["A2", "gone"], "discount": {"price": "9.75"}}, None),
        ({"type": "cross_sell", "pick": "bestsellers", "discount": {"amount": "1.00"}}, None),
    ],
)
def test_how_much_a_discount_takes_off(offer: dict[str, object], share: float | None) -> None:
    value = experiment(variants=[
        {"key": "control", "weight": 5000, "offer": {"type": "none"}}, {"key": "t", "weight": 5000, "offer": offer}
    ])  # fmt: skip
    taken = depth(parse(value).variants[1].offer, CATALOGUE, "EUR")
    assert taken is share or taken == pytest.approx(share)


def test_a_gist_of_what_nobody_entered_has_no_effect() -> None:
    made = gist_of(parse(experiment()), {"reason": "nobody has entered"}, "cart", CATALOGUE, "EUR")
    assert [(e["variant"], e["offer"], e["estimate"], e["standard_error"]) for e in made["effects"]] == [
        ("upsell", "upsell", None, None), ("cross-sell", "cross_sell", None, None), ("bundle", "bundle", None, None),
    ]  # fmt: skip
    assert made["categories"] == ["Cutlery", "Mugs", "Tea"]


@pytest.mark.parametrize(("mean", "between", "error"), [(0.01, 0.03, 0.02), (-0.02, 0.01, 0.03), (0.05, 0.02, 0.004)])
def test_what_wins_shows_more_than_is_true_as_in_a_simulation(mean: float, between: float, error: float) -> None:
    rng = default_rng([7, int(1e4 * between)])
    truth = rng.normal(mean, between, 2_000_000)
    seen = truth + rng.normal(0, error, truth.size)
    won = seen > 1.96 * error
    found = if_it_wins(NormalPrior(mean, between), error, 1.96)
    chance = won.mean()
    assert abs(found.chance - chance) < 5 * (chance * (1 - chance) / truth.size) ** 0.5
    for ours, theirs in ((found.shown, seen[won]), (found.true, truth[won])):
        assert abs(ours - theirs.mean()) < 5 * theirs.std() / theirs.size**0.5
    assert found.true < found.shown


@given(st.floats(-0.5, 0.5), st.floats(1e-4, 0.3), st.floats(1e-4, 0.3), st.floats(1, 4))
def test_a_win_is_never_believed_whole_and_never_below_what_was_expected(
    mean: float, between: float, error: float, critical: float
) -> None:
    found = if_it_wins(NormalPrior(mean, between), error, critical)
    assert 0 <= found.chance <= 1
    assert found.shown >= critical * error * (1 - 1e-9)
    assert mean - 1e-9 <= found.true <= found.shown + 1e-9


def test_a_lift_to_plan_for_is_the_mean_or_the_most_to_hope_for_or_nothing() -> None:
    def kind(*lifts: float) -> float | None:
        return hint([Found(n, "bundle", "cart", METRIC, lift, 0.01) for n, lift in enumerate(lifts)], METRIC).mde

    assert kind(0.02, 0.03, 0.04) == pytest.approx(0.03)
    hoped = kind(-0.04, 0.0, 0.03)
    assert hoped is not None
    assert 0 < hoped < 0.1
    assert kind(-0.1, -0.11, -0.12) is None
    assert kind(0.1, 0.2) is None


def like(mean: float, spread: float) -> Summary:
    return Summary("bundle", METRIC, None, FEWEST, Pooled(mean, spread, spread), mean, mean)


@given(st.floats(0.01, 0.5), st.floats(0.5, 0.95), st.floats(0.01, 0.2), st.booleans())
def test_a_test_planned_for_what_is_sure_to_come_wins_as_often_as_it_was_planned_to(
    lift: float, power: float, alpha: float, falls: bool
) -> None:
    win = planned_win(like(lift, lift / 1e6), Design(alpha=alpha, power=power), -lift if falls else lift)
    assert win is not None
    assert win.chance == pytest.approx(power, abs=1e-4)
    assert win.true == pytest.approx(lift, rel=1e-4)
    assert win.shown > lift, "what is chosen for winning shows more than is true"


def test_nothing_is_expected_of_a_plan_without_a_lift_nor_by_too_few_tests() -> None:
    assert planned_win(like(0.05, 0.01), Design(), None) is None
    assert planned_win(hint([], METRIC), Design(), 0.05) is None
