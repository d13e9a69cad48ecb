"""The demo: reports find what was planted, the field experiment is the published one, a second start adds nothing."""

import os
import shutil
import stat
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from sqlalchemy import Engine, func, select

from analysis.experiment import experiment_report
from experiments.demo import karlan_list, storefront, truth
from experiments.demo.shoppers import visits
from experiments.errors import Conflict
from experiments.moment import Micros, micros
from experiments.service.settings import create_storefront
from experiments.service.snapshot import Snapshots
from experiments.storage.database import connect, reading, writing
from experiments.storage.registry import experiments, get_experiment
from experiments.storage.storefronts import get_storefront
from experiments.storage.tables import conversion, exposure, metadata
from tests.conftest import sqlite_copy
from tests.serving import free_port

NOW = micros(datetime(2026, 11, 21, 12, tzinfo=UTC))
FEW = 0.02


@pytest.fixture(scope="module")
def filled(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the whole demo in its `instance/offerlab.sqlite`; not to be written to."""
    directory = tmp_path_factory.mktemp("demo")
    instance = directory / "instance"
    instance.mkdir()
    url = sqlite_copy(template, instance)
    engine = connect(url)
    storefront.fill(engine, NOW)
    with engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return directory


@pytest.fixture(scope="module")
def demo(filled: Path) -> Engine:
    return connect(f"sqlite:///{filled}/instance/offerlab.sqlite")


@dataclass(frozen=True)
class Read:
    """What a report says: comparisons and values by (metric, variant)."""

    comparisons: dict
    values: dict
    checks: dict
    verdict: dict


def report(demo: Engine, shop: str, key: str) -> Read:
    with reading(demo) as conn:
        there = get_storefront(conn, shop)
        read = experiment_report(conn, there, get_experiment(conn, there.id, key), NOW).to_dict()
    return Read(
        {(m["metric"], c["variant"]): c for m in read["metrics"] for c in m["comparisons"]},
        {(m["metric"], v["variant"]): v for m in read["metrics"] for v in m["variants"]},
        {check["check"]: check["status"] for check in read["checks"]},
        read["verdict"],
    )


def test_every_state_of_an_experiment_is_there(demo):
    with reading(demo) as conn:
        states = {e.key: e.state for e in experiments(conn, get_storefront(conn, "demo").id)}
    assert states == {
        "cart-offers": "running", "product-page-step-up": "running", "checkout-sweets": "stopped",
        "thank-you-set": "decided", "advent-bundle": "draft", "product-page-offers": "running",
        "checkout-extras": "running", "after-purchase": "running",
    }  # fmt: skip


def test_every_planted_experiment_and_variant_is_defined(demo):
    with reading(demo) as conn:
        defined = {
            (e.key, v.key) for e in experiments(conn, get_storefront(conn, "demo").id) for v in e.definition.variants
        }
    assert set(truth.TRUTH) <= defined


def test_the_report_finds_what_was_planted_in_the_cart(demo):
    read = report(demo, "demo", "cart-offers")
    assert read.checks["srm"] == "pass"
    for variant in ("upsell", "cross-sell", "bundle"):
        found = read.comparisons["conversion", variant]["lift"]
        deviation = (found["high"] - found["low"]) / 2 / 1.96
        planted = truth.effect("cart-offers", variant).buying - 1
        assert abs(found["estimate"] - planted) < 5 * deviation, variant
    assert read.comparisons["aov", "upsell"]["difference"]["low"] > 0
    assert read.comparisons["conversion", "upsell"]["difference"]["high"] < 0
    assert read.comparisons["items_per_order", "cross-sell"]["difference"]["low"] > 0
    assert read.comparisons["contribution_per_visitor", "bundle"]["difference"]["low"] > 0
    assert (read.verdict["decision"], read.verdict["variant"]) == ("ship", "bundle")


def test_the_share_that_takes_an_offer_is_the_planted_one(demo):
    read = report(demo, "demo", "cart-offers")
    for variant in ("upsell", "cross-sell", "bundle"):
        value = read.values["offer_acceptance", variant]
        # a visitor may come again and take it then: a little more than the share of the pages that showed it
        planted = truth.effect("cart-offers", variant).acceptance / truth.SEES_OFFER
        assert -5 * value["standard_error"] < value["value"] - planted < 5 * value["standard_error"] + 0.1 * planted


def test_the_other_experiments_end_as_they_should(demo):
    assert report(demo, "demo", "checkout-sweets").verdict["decision"] == "do_not_ship"
    assert report(demo, "demo", "thank-you-set").verdict["decision"] == "ship"
    assert report(demo, "demo", "product-page-step-up").verdict["decision"] == "keep_running"


def test_the_field_experiment_is_the_published_one(demo):
    read = report(demo, "karlan-list", "matching-gift")
    assert read.checks["srm"] == "pass"
    published = {
        "control": (16687, 298),
        "match_1:1": (11133, 231),
        "match_2:1": (11134, 252),
        "match_3:1": (11129, 253),
    }
    for variant, (letters, gifts) in published.items():
        value = read.values["conversion", variant]
        assert (value["units"], value["numerator"]) == (letters, gifts)
    assert read.values["aov", "control"]["value"] == pytest.approx(13571 / 298, rel=1e-12)
    assert read.values["aov", "match_3:1"]["denominator"] == 251  # two amounts are unknown, and not nought
    unknown = select(func.count()).where(conversion.c.type == "order", conversion.c.revenue.is_(None))
    with reading(demo) as conn:
        assert conn.execute(unknown).scalar_one() == 2


def test_importing_the_field_experiment_again_brings_duplicates_only(demo, tmp_path, filled):
    copy = shutil.copy(filled / "instance/offerlab.sqlite", tmp_path / "again.sqlite")
    engine = connect(f"sqlite:///{copy}")
    known = Snapshots(engine).current(NOW).storefronts.values()
    view = next(view for view in known if view.storefront.key == karlan_list.KEY)
    batches = list(karlan_list.import_file(engine, view, NOW))
    assert sum(b.accepted for b in batches) == 0
    assert sum(b.duplicate for b in batches) == 50_083 + 298 + 231 + 252 + 253
    assert not any(b.rejected for b in batches)


def test_the_same_shoppers_come_every_time():
    first, again = (list(visits(3, Micros(0), FEW)) for _ in range(2))
    assert first == again
    assert len({visit.visitor_id for visit in first}) > 0.7 * len(first)
    moments = [visit.at for visit in first]
    assert moments == sorted(moments)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite is what every other test here uses
def test_a_demo_fills_postgresql_too(engine):
    assert not storefront.is_filled(engine)
    storefront.fill(engine, NOW, FEW)
    assert storefront.is_filled(engine)
    with reading(engine) as conn:
        kinds = Counter(row.type for row in conn.execute(select(conversion.c.type)))
        late = conn.execute(select(func.count()).where(conversion.c.at > NOW)).scalar_one()
        seen = conn.execute(select(func.count()).select_from(exposure)).scalar_one()
    assert set(kinds) == {"order", "refund", "offer_accepted", "offer_dismissed"}
    assert late == 0
    assert seen > 50_083


def test_a_database_with_something_else_in_it_is_left_alone(engine):
    with writing(engine) as conn:
        create_storefront(conn, "mine", "EUR", "UTC", (), NOW)
    with pytest.raises(Conflict, match="something else"):
        storefront.is_filled(engine)


def rows(database: Path) -> dict[str, int]:
    engine = connect(f"sqlite:///{database}")
    with reading(engine) as conn:
        counted = {
            t.name: conn.execute(select(func.count()).select_from(t)).scalar_one() for t in metadata.sorted_tables
        }
    engine.dispose()
    return counted


def test_a_second_start_adds_nothing_and_prints_the_same_keys(filled, tmp_path):
    directory = Path(shutil.copytree(filled, tmp_path / "run"))
    database = directory / "instance/offerlab.sqlite"
    first = _start_and_look(directory)
    before = rows(database)
    second = _start_and_look(directory)
    after = rows(database)
    added = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert added == {"login_link": 1, "audit": 2}  # the sign-in stands in the trail of each of the two storefronts
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert stat.S_IMODE((directory / "instance/demo_keys.json").stat().st_mode) == 0o600


def _start_and_look(directory: Path) -> tuple[dict[str, str], str]:
    """Start the demo as people do; the keys that it prints, which work, and the login link."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "webapp.cli", "demo", "--port", str(port)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OFFERLAB_")}
    log = directory / "demo.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=directory, env=environ, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait(f"{url}/readyz", process, log)
        printed = dict(line.split(": ", 1) for line in log.read_text().splitlines() if ": " in line)
        keys = {kind: printed[f"{kind} key"] for kind in ("public", "secret", "admin")}
        assert [key[:3] for key in keys.values()] == ["pk_", "sk_", "ak_"]
        cart = {"cart": [{"product_id": "YIRG-250", "quantity": 1}]}
        body = {"visitor_id": "somebody", "placement": "cart", "context": cart, "record": False}
        answer = requests.post(f"{url}/v1/assignments", json=body, headers={"X-API-Key": keys["public"]}, timeout=30)
        assert answer.json()["experiment"] == "cart-offers"
        listed = requests.get(f"{url}/api/v1/experiments", headers={"X-API-Key": keys["admin"]}, timeout=30)
        assert len(listed.json()["experiments"]) == 8
        link = printed["sign in once with"]
        assert link.startswith(f"{url}/link/")
        assert requests.get(link, timeout=30).ok
        return keys, link.rpartition("/")[2]
    finally:
        process.terminate()
        assert process.wait(30) == 0


def _wait(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            if process.poll() is not None:
                break
        time.sleep(0.1)
    raise RuntimeError(f"the demo did not start: {log.read_text()}")


def test_the_catalogue_shows_pictures_that_exist():
    static = Path(__file__).parents[2] / "webapp" / "static"
    header, *lines = storefront.CATALOGUE.read_text().splitlines()
    assert "image" in header
    for line in lines:
        picture = next(cell for cell in line.split(",") if cell.startswith("/static/"))
        assert (static / picture.removeprefix("/static/")).is_file(), picture
