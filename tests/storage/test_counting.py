"""Units counted by day of entry and variant, against a plain count of the rows that were written."""

from collections import Counter

import numpy as np
from numpy.random import default_rng
from sqlalchemy import Engine, and_, case, insert

from analysis import queries
from analysis.entries import spelled
from analysis.experiment import scope_of
from experiments.moment import DAY, Micros
from experiments.storage.database import connect, reading, writing
from experiments.storage.registry import get_experiment
from experiments.storage.tables import exposure
from tests.shop import NOW, Shop, experiment, open_shop

VARIANTS = ("control", "upsell", "cross-sell", "bundle")


def filled(engine: Engine, units: int = 400) -> tuple[Shop, queries.Scope, list[tuple[str, int, int]]]:
    """A shop with entries over 40 days, some under a variant that nobody defined: variant, day and time of each."""
    shop, random = open_shop(engine), default_rng(3)
    shop.define(experiment(), now=Micros(NOW - 50 * DAY))
    with reading(engine) as conn:
        found = get_experiment(conn, shop.storefront.id, "offers")
    at = NOW - random.integers(-DAY, 40 * DAY, units)
    met = [
        (str(random.choice([*VARIANTS, "gone"])), int(one // DAY) + int(random.integers(0, 2)), int(one)) for one in at
    ]
    rows = [
        {"experiment_id": found.id, "kind": kind, "unit_id": f"ünit-{random.integers(9)}-{i}", "variant": variant,
         "at": one, "day": day, "fingerprint": "0" * 16, "received_at": one}
        for i, (variant, day, one) in enumerate(met) for kind in ("assigned", "viewed")[: 1 + i % 2]
    ]  # fmt: skip
    with writing(engine) as conn:
        conn.execute(insert(exposure), rows)
    return shop, scope_of(shop.storefront, found, NOW), [one for one in met if one[2] <= NOW]


def test_units_are_counted_by_day_and_variant(engine: Engine) -> None:
    _, scope, met = filled(engine)
    with reading(engine) as conn:
        counts = queries.count(conn, scope, VARIANTS)
    by_hand = Counter((day, variant) for variant, day, _ in met)
    for (day, variant), units in by_hand.items():
        if variant in VARIANTS:
            assert counts.entered[day - counts.first_day, VARIANTS.index(variant)] == units
    assert counts.entered.sum() == sum(n for (_, variant), n in by_hand.items() if variant in VARIANTS)
    assert counts.strays == sum(n for (_, variant), n in by_hand.items() if variant == "gone")
    assert (counts.first_at, counts.last_at) == (min(at for *_, at in met), max(at for *_, at in met))


def test_units_counted_a_few_at_a_time_are_the_same(sqlite_url: str) -> None:
    engine = connect(sqlite_url)
    _, scope, met = filled(engine)
    variant = case(*((exposure.c.variant == key, at) for at, key in enumerate(VARIANTS)), else_=len(VARIANTS))
    with reading(engine) as conn:
        mine = and_(exposure.c.experiment_id == scope.experiment_id, exposure.c.kind == "assigned")
        found = [spelled(conn, and_(mine, exposure.c.at <= NOW), variant, NOW, most) for most in (7, 10**6)]
        none = spelled(conn, and_(mine, exposure.c.at < 0), variant, NOW)
    engine.dispose()
    assert sorted(found[0][0]) == sorted(found[1][0])
    assert found[0][1:] == found[1][1:]
    assert np.sum([units for *_, units in found[0][0]]) == len(met)
    assert none == ([], None, None)
