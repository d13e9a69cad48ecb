"""What bought-together picks from 100,000 products cost over HTTP: against the plain assignment, in interleaved rounds.

Every request looks at another product, so that hardly any context has been seen before. Needs wrk (Debian's package of
that name). Run: .venv/bin/python -m tests.benchmarks.picks [rounds]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from experiments.associations import Companion, Seller, Suggestions
from experiments.catalogue import Product
from experiments.moment import Micros
from experiments.service.settings import store_products
from experiments.storage.associations import NEVER, claim, write_suggestions
from experiments.storage.database import connect, upgrade, writing
from experiments.storage.storefronts import bump_revision, get_storefront
from tests.benchmarks.serving import WORKERS, measure
from tests.serving import Tenant, add_tenant, start_server
from tests.shop import NOW, a_a, experiment

PRODUCTS = 100_000
CATEGORIES = 200
COMPANIONS = 5

LUA = """
local counter, thread = 0, 0
function setup(t) t:set("id", thread); thread = thread + 1 end
function init() math.randomseed({salt} * 7 + id) end
request = function()
  counter = counter + 1
  local body = string.format('{{"visitor_id":"v%d-%d-%d","placement":"{placement}",'
    .. '"context":{{"product_id":"P%d","cart":[]}},"record":false}}',
    {salt}, id, counter, math.random(0, {products} - 1))
  return wrk.format("POST", "/v1/assignments",
    {{["Content-Type"]="application/json",["Authorization"]="Bearer {key}"}}, body)
end
"""


def fill(database_url: str, name: str) -> None:
    """The catalogue, and for each product its companions."""
    engine = connect(database_url)
    sold = [Product(f"P{n}", f"Product {n}", 500 + n % 9000, f"C{n % CATEGORIES}", cost=200) for n in range(PRODUCTS)]
    pairs = {
        f"P{n}": [Companion(f"P{(n * 7 + k * 13 + 1) % PRODUCTS}", 9, 0.1, 0.2, 3.0, 0.001) for k in range(COMPANIONS)]
        for n in range(PRODUCTS)
    }
    with writing(engine) as conn:
        here = get_storefront(conn, name).id
        store_products(conn, here, sold, Micros(NOW + 1))  # later than the shop's own: workers read what is newer
        claim(conn, here, NEVER, NOW)
        sellers = [Seller(f"P{n}", 9) for n in range(200)]
        write_suggestions(conn, here, Suggestions(PRODUCTS, pairs, sellers), 1, NOW)
        bump_revision(conn)
    engine.dispose()


def settle(tenant: Tenant) -> None:
    """Wait until every worker has read the catalogue: forty quick answers in a row; TimeoutError after a minute."""
    answer: dict[str, object] = {}
    quick, until = 0, time.monotonic() + 60
    while quick < 40:
        if time.monotonic() > until:
            raise TimeoutError(f"still not served: {answer}")
        asked = {"visitor_id": f"v{quick}", "placement": "picks", "context": {"product_id": "P7"}, "record": False}
        begun = time.perf_counter()
        answer = tenant.public.post("/v1/assignments", asked).json()
        quick = quick + 1 if answer["experiment"] and time.perf_counter() - begun < 0.5 else 0
        time.sleep(0.02)


def main(rounds: int = 5) -> None:
    """Print a table of medians and ratios."""
    picks = [
        {"key": "control", "weight": 5000, "offer": {"type": "none"}},
        {"key": "shown", "weight": 5000, "offer": {"type": "cross_sell", "pick": "bought_together"}},
    ]
    with tempfile.TemporaryDirectory() as directory:
        database_url = f"sqlite:///{directory}/bench.sqlite"
        engine = connect(database_url)
        upgrade(engine)
        engine.dispose()
        server = start_server(database_url, Path(directory), workers=WORKERS)
        tenant = add_tenant(server, "bench")
        fill(database_url, "bench")
        for value in (a_a("plain", placement="plain"), experiment("picks", placement="picks", variants=picks)):
            tenant.admin.post("/api/v1/experiments", value).raise_for_status()
            tenant.admin.post(f"/api/v1/experiments/{value['key']}/start").raise_for_status()
        settle(tenant)
        found: dict[str, list[tuple[float, float, float]]] = {}
        try:
            for number in range(rounds):
                for placement in ("plain", "picks"):
                    script = LUA.format(placement=placement, key=tenant.public.key, salt=number, products=PRODUCTS)
                    found.setdefault(placement, []).append(measure(server.url, script, 16))
        finally:
            server.stop()
    print("| case | requests/s (median) | p50 ms | p99 ms | cost of the plain one |\n|---|---|---|---|---|")
    for name, runs in found.items():
        rate, p50, p99 = (statistics.median(column) for column in zip(*runs, strict=True))
        ratio = statistics.median(plain[0] / run[0] for plain, run in zip(found["plain"], runs, strict=True))
        print(f"| {name} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
