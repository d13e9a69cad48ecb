"""Frequency caps, over a socket: over all experiments, alike for all variants, and exact when many ask at once."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.api.test_contract import ask, start
from tests.serving import Tenant
from tests.shop import experiment

CAPPED = {"type": "cross_sell", "pick": "explicit", "products": {"*": ["B1"]}, "frequency_cap": {"views": 3, "days": 7}}
FREE = {"type": "cross_sell", "pick": "explicit", "products": {"*": ["C1"]}}


def two(key: str, offer: dict, placement: str = "cart") -> dict:
    variants = [
        {"key": "control", "weight": 5000, "offer": {"type": "none"}},
        {"key": "shown", "weight": 5000, "offer": offer},
    ]
    return experiment(key, variants=variants, placement=placement)


def reasons(tenant: Tenant, visitor: str, times: int, **changes) -> list[str]:
    return [tenant.public.post("/v1/assignments", ask(visitor, **changes)).json()["reason"] for _ in range(times)]


def test_a_visitor_meets_no_more_than_the_cap_whatever_the_variant(tenant: Tenant) -> None:
    start(tenant, two("capped", CAPPED))
    variants = set()
    for n in range(12):
        answers = [tenant.public.post("/v1/assignments", ask(f"v{n}")).json() for _ in range(5)]
        assert [a["reason"] for a in answers] == ["assigned"] * 3 + ["not_eligible"] * 2
        assert {(r["variant"], r["refusal"]) for r in answers[-1]["refusals"]} == {
            ("control", "frequency_cap"),
            ("shown", "frequency_cap"),
        }
        variants.add(answers[0]["variant"])
    assert variants == {"control", "shown"}


def test_views_count_over_all_experiments_and_looking_does_not(tenant: Tenant) -> None:
    start(tenant, two("capped", CAPPED))
    tenant.admin.post("/api/v1/experiments", two("free", FREE, "checkout"))
    tenant.admin.post("/api/v1/experiments/free/start")
    time.sleep(2)
    assert reasons(tenant, "v1", 4, record=False) == ["assigned"] * 4
    assert reasons(tenant, "v1", 2, placement="checkout") == ["assigned"] * 2
    assert reasons(tenant, "v1", 2) == ["assigned", "not_eligible"]
    assert reasons(tenant, "v1", 2, placement="checkout") == ["assigned"] * 2, "this one has no cap"
    assert reasons(tenant, "v1", 1, record=False) == ["not_eligible"]


def test_the_cap_holds_when_many_requests_come_at_once(tenant: Tenant) -> None:
    start(tenant, two("capped", CAPPED))
    time.sleep(2)  # every worker has the change by then; these requests go to either
    with ThreadPoolExecutor(16) as pool:
        met = list(pool.map(lambda n: (n % 4, reasons(tenant, f"v{n % 4}", 1)[0]), range(64)))
    assert Counter(met) == {
        (n, reason): count for n in range(4) for reason, count in (("assigned", 3), ("not_eligible", 13))
    }
