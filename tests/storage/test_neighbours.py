"""Other experiments that met the same units: numbers, and whether the effect depends on them, from the rows by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sqlalchemy import Engine

from analysis.experiment import experiment_report, scope_of
from analysis.journal import read_ledger
from analysis.neighbours_read import read_neighbours
from analysis.queries import count
from experiments.moment import DAY, Micros
from experiments.storage.database import reading
from experiments.storage.registry import experiments, get_experiment
from tests.shop import NOW, Shop, experiment, exposed, open_shop, order

LATER = Micros(NOW + 2 * DAY)
KEYS = ("control", "upsell")
TWO = [
    {"key": "control", "weight": 5000, "offer": {"type": "none"}},
    {"key": "upsell", "weight": 5000, "offer": {"type": "upsell", "pick": "explicit", "pairs": {"A1": "A2"}}},
]
OTHERS = {"wide": 400, "narrow": 150, "elsewhere": 40}
"""Experiments of a layer of their own, and units that each met; those of the last are strangers to ours."""


def _experiment(key: str, **changes: object) -> dict[str, object]:
    plan = {"primary": "revenue_per_visitor"}
    return experiment(key, variants=TWO, metrics=plan, coverage=10_000, **changes)


@pytest.fixture
def met(engine: Engine) -> tuple[Shop, pd.DataFrame]:
    """A shop with four experiments on visitors and one on customers, and its units as a frame."""
    random = np.random.default_rng(7)
    shop = open_shop(engine)
    for key in ("offers", *OTHERS):
        shop.define(_experiment(key))
    shop.define(_experiment("accounts", unit="customer"))
    frame = pd.DataFrame({"visitor": [f"v{i}" for i in range(500)], "offers": random.choice(KEYS, 500)})
    for key, size in OTHERS.items():
        frame[key] = None
        if key != "elsewhere":
            frame.loc[random.permutation(500)[:size], key] = random.choice(KEYS, size)
    lifted = (frame["offers"] == "upsell") & (frame["wide"] == "upsell")
    frame["cents"] = np.where(random.random(500) < 0.4, random.integers(1000, 2000, 500) + 3000 * lifted, 0)
    shop.expose(*(
        exposed(row["visitor"], row[key], experiment=key)
        for row in frame.to_dict("records") for key in ("offers", "wide", "narrow") if row[key] is not None
    ))  # fmt: skip
    shop.expose(*(exposed(f"stranger{i}", KEYS[i % 2], experiment="elsewhere") for i in range(40)))
    shop.expose(exposed("v0", "upsell", experiment="elsewhere"), now=Micros(LATER + DAY))
    bought = frame[frame["cents"] > 0]
    shop.convert(*(
        order(f"o{i}", visitor, f"{cents / 100:.2f}")
        for i, (visitor, cents) in enumerate(zip(bought["visitor"], bought["cents"], strict=True))
    ), now=Micros(NOW + DAY))  # fmt: skip
    return shop, frame


def test_units_in_common_and_the_interaction_are_those_of_the_rows(met: tuple[Shop, pd.DataFrame]) -> None:
    shop, frame = met
    with reading(shop.engine) as conn:
        report = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "offers"), LATER)
    found = {overlap.experiment: overlap for overlap in report.overlaps}
    assert set(found) == {"wide", "narrow"}, "strangers, and who came later, are nothing in common"
    by_hand = {key: _interaction(frame[frame[key].notna()], key) for key in found}
    assert {key: one.units for key, one in found.items()} == {"wide": 400, "narrow": 150}
    least = min(by_hand.values())
    assert by_hand["wide"] == least < 0.05
    assert found["wide"].interactions["upsell"] == pytest.approx(2 * least, rel=1e-9), "Holm, of two"
    assert found["narrow"].interactions["upsell"] == pytest.approx(max(by_hand["narrow"], 2 * least), rel=1e-9)


@pytest.mark.parametrize("few", [0, 200, 1000])
def test_an_experiment_is_read_alike_alone_and_with_others(met: tuple[Shop, pd.DataFrame], few: int) -> None:
    shop, frame = met
    with reading(shop.engine) as conn:
        ours = get_experiment(conn, shop.storefront.id, "offers")
        scope = scope_of(shop.storefront, ours, LATER)
        ledger = read_ledger(conn, scope, count(conn, scope, KEYS), 0)
        found = read_neighbours(conn, scope, ledger, experiments(conn, shop.storefront.id), few)
    assert [neighbour.experiment for neighbour in found] == ["narrow", "wide"], "newest first"
    told = dict(zip(ledger.units.ids, range(len(ledger.units)), strict=True))
    for neighbour in found:
        key = neighbour.experiment
        both = pd.crosstab(frame["offers"], frame[key]).reindex(index=KEYS, columns=KEYS)
        assert neighbour.units.tolist() == both.to_numpy().tolist()
        listed = frame[frame[key].notna() & (frame["cents"] > 0)]
        assert sorted(zip(neighbour.listed.tolist(), neighbour.variant.tolist(), strict=True)) == sorted(
            (told[visitor], KEYS.index(variant))
            for visitor, variant in zip(listed["visitor"], listed[key], strict=True)
        )


def _interaction(frame: pd.DataFrame, key: str) -> float:
    """Cochran's Q over the other's variants, of the differences of means with Welch's standard errors."""
    effects, variances = [], []
    for variant in KEYS:
        arms = [frame.loc[(frame[key] == variant) & (frame["offers"] == ours), "cents"] / 100 for ours in KEYS]
        effects.append(arms[1].mean() - arms[0].mean())
        variances.append(sum(arm.var(ddof=1) / len(arm) for arm in arms))
    weights = 1 / np.array(variances)
    centre = np.average(effects, weights=weights)
    return float(stats.chi2.sf((weights * (np.array(effects) - centre) ** 2).sum(), len(KEYS) - 1))
