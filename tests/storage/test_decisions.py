"""What was decided by stays as it was; what happens later shows in the matured view beside it."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from analysis.experiment import experiment_report
from experiments.moment import DAY, Micros, iso
from experiments.service import defining
from experiments.storage.database import connect, reading, writing
from experiments.storage.decisions import read_decision
from experiments.storage.registry import get_experiment
from tests.shop import NOW, Shop, a_a, exposed, open_shop, order, refund
from webapp import deciding

DECIDED = Micros(NOW + 20 * DAY)
METRICS = {"primary": "revenue_per_visitor", "secondary": ["refund_rate"]}
LATER = Micros(NOW + 60 * DAY)


def at(days: float) -> str:
    return iso(Micros(NOW + int(days * DAY)))


def decided(engine: Engine, key: str = "shop") -> Shop:
    """Ten visitors a variant, three of them buyers; stopped after two weeks, and decided."""
    shop = open_shop(engine, key)
    shop.define(a_a(analysis={"window_days": 14, "minimum_days": 0}, metrics=METRICS))
    variants = ["control", "t1"]
    shop.expose(
        *(exposed(f"{v}{i}", v, experiment="same", occurred_at=at(0.1)) for v in variants for i in range(10)), now=LATER
    )
    orders = [order(f"o-{v}{i}", f"{v}{i}", f"{20 + i}.00", occurred_at=at(1)) for v in variants for i in range(3)]
    shop.convert(*orders, now=LATER)
    with writing(engine) as conn:
        defining.act(conn, shop.storefront, "same", "stop", "test", Micros(NOW + 14 * DAY))
    made = deciding.snapshot(engine, shop.storefront, "same", DECIDED)
    with writing(engine) as conn:
        deciding.decide(conn, shop.storefront, "same", None, "no lift", "test", made)
    return shop


def views(shop: Shop, until: Micros = LATER) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report that was decided by, and the matured one."""
    with reading(shop.engine) as conn:
        found = get_experiment(conn, shop.storefront.id, "same")
        return read_decision(conn, found.id).report, experiment_report(conn, shop.storefront, found, until).to_dict()


def refunds(report: dict[str, Any]) -> float:
    metric = next(m for m in report["metrics"] if m["metric"] == "refund_rate")
    return sum(v["numerator"] for v in metric["variants"])


def test_a_refund_after_the_stop_moves_the_matured_view_and_not_the_decision(engine: Engine) -> None:
    shop = decided(engine)
    before, matured = views(shop)
    late = refund("r1", "o-t10", "20.00", occurred_at=at(14 + 25))
    assert shop.convert(late, now=LATER).accepted == 1
    after, moved = views(shop)
    assert after == before
    assert (refunds(before), refunds(matured), refunds(moved)) == (0, 0, 1)
    assert shop.convert(late, now=LATER).duplicate == 1
    assert views(shop) == (after, moved)


events = st.lists(
    st.tuples(
        st.sampled_from(["order", "refund", "exposure"]), st.sampled_from(["control", "t1"]), st.integers(0, 30),
        st.integers(0, 59),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(late=events)
def test_whatever_comes_later_the_decision_stays_as_it_was(matured: Shop, late: list[Any]) -> None:
    """One shop for all examples: nothing that any of them sends may move what was decided."""
    before, _ = views(matured)
    for kind, variant, visitor, day in late:
        unit = f"{variant}{visitor}"
        if kind == "exposure":
            matured.expose(exposed(unit, variant, experiment="same", occurred_at=at(day)), now=LATER, historic=True)
        elif kind == "order":
            matured.convert(order(f"late-{unit}-{day}", unit, "99.00", occurred_at=at(day)), now=LATER)
        else:
            matured.convert(refund(f"late-r-{unit}-{day}", f"o-{unit}", "1.00", occurred_at=at(day)), now=LATER)
    assert views(matured)[0] == before


@pytest.fixture
def matured(sqlite_url: str) -> Iterator[Shop]:
    """A decided experiment, to which more happens."""
    engine = connect(sqlite_url)
    yield decided(engine)
    engine.dispose()
