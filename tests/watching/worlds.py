"""Experiments in which something is to be told, and their quiet twins: events at chosen moments, on a real store."""

from typing import Any

from experiments.moment import DAY, Micros, iso
from tests.shop import NOW, Shop, a_a, order

START = Micros(NOW - 10 * DAY)
HOUR = DAY // 24


def at(days: float) -> Micros:
    """So many days after the start."""
    return Micros(START + int(days * DAY))


def run(shop: Shop, key: str = "same", **changes: Any) -> None:
    """An experiment of two variants that has started."""
    shop.define(a_a(key, **changes), now=START)


def visits(
    shop: Shop, key: str, arms: dict[str, int], day: float, *, every: float = 0.0, tag: str = ""
) -> list[tuple[str, str]]:
    """So many new visitors in each variant on that day, each heard of as they came; their ids and variants."""
    most = max(arms.values())
    met = [(f"{key}-{tag or day}-{v}-{i}", v) for i in range(most) for v, n in arms.items() if i < n]
    told = [
        {
            "visitor_id": visitor, "experiment": key, "variant": variant, "kind": "assigned",
            "occurred_at": iso(at(day + every * place)),
        }
        for place, (visitor, variant) in enumerate(met)
    ]  # fmt: skip
    receipt = shop.expose(*told, now=at(day + every * len(met)))
    assert not receipt.rejected, receipt.rejected[:2]
    return met


def orders(shop: Shop, who: list[str], day: float, revenue: str = "20.00", **more: Any) -> None:
    """An order of each of these visitors on that day."""
    if who:
        told = [order(f"o-{v}", v, revenue, occurred_at=iso(at(day)), **more) for v in who]
        assert not shop.convert(*told, now=at(day)).rejected
