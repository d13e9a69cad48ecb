"""The commands of the ledger, as a person types them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from experiments.moment import DAY, Micros
from experiments.storage.database import connect
from tests.shop import NOW, Shop, a_a, open_shop, order
from webapp.cli import main


@pytest.fixture
def shop(sqlite_url: str) -> Iterator[Shop]:
    engine: Engine = connect(sqlite_url)
    opened = open_shop(engine)
    opened.define(a_a("same"), now=Micros(NOW - 10 * DAY))
    opened.expose({"visitor_id": "v1", "experiment": "same", "variant": "control"})
    opened.convert(order("o1", "v1", "10.00"), order("o2", "v2", "2.50"), order("o3", "v1", "4.00", currency="USD"))
    yield opened
    engine.dispose()


@pytest.fixture
def run(shop: Shop, capsys: pytest.CaptureFixture[str]):
    def typed(*arguments: str) -> tuple[int, str]:
        url = shop.engine.url.render_as_string(hide_password=False)
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--storefront", "shop", "--database", url])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return typed


def test_reconcile_prints_books_that_add_up(run) -> None:
    days = ("--from", "2026-11-01", "--to", "2026-11-30")
    code, said = run("reconcile", *days, "--format", "json")
    books = json.loads(said)
    assert code == 0
    assert books["received"] == {"orders": 3, "revenue": "12.50", "unpriced": 1}
    (account,) = books["experiments"]
    assert account["analysed"]["revenue"] == "10.00"
    assert [e["reason"] for e in account["excluded"]] == ["no_exposure", "refused: wrong_currency"]
    assert account["balanced"]
    assert "= orders in" in run("reconcile", *days)[1]
    assert run("reconcile", "--from", "soon", "--to", "2026-11-30")[0] == 2


def test_a_rate_and_a_replay_bring_a_refused_order_in(run, tmp_path: Path) -> None:
    assert "conversions wrong_currency: 1 events, refused 1 times" in run("quarantine", "list")[1]
    assert run("quarantine", "replay")[0] == 2
    assert run("quarantine", "replay", "--all")[0] == 1
    rates = tmp_path / "rates.csv"
    rates.write_text("date,currency,rate\n2026-11-01,USD,0.5\n2026-11-01,EUR,1\n")
    code, said = run("import", "rates", str(rates))
    assert (code, said.splitlines()[:3]) == (0, ["accepted 1", "duplicate 0", "rejected 1"])
    assert run("quarantine", "replay", "--all") == (0, "accepted 1\nduplicate 0\nrefused 0\n")
    assert run("quarantine", "list", "--format", "json") == (0, "")
    _, said = run("reconcile", "--from", "2026-11-01", "--to", "2026-11-30", "--format", "json")
    assert json.loads(said)["received"] == {"orders": 3, "revenue": "14.50", "unpriced": 0}


def test_one_persons_data_is_exported_and_erased(run, tmp_path: Path) -> None:
    assert run("export", str(tmp_path), "--visitor", "v1")[0] == 0
    person = json.loads((tmp_path / "person.json").read_text())
    assert [row["order_id"] for row in person["conversion"]] == ["o1"]
    assert len(person["quarantine"]) == 1
    assert run("erase", "--visitor", "v1") == (0, "conversion 1\nexposure 2\nquarantine 1\n")
    assert run("erase", "--visitor", "v1") == (0, "there was nothing to delete\n")
    assert run("erase")[0] == 2
    assert run("quarantine", "drop", "--all") == (0, "dropped 0\n")


def test_events_are_exported_by_day(run, tmp_path: Path) -> None:
    code, said = run("export", str(tmp_path), "--since", "2026-11-01")
    assert code == 0
    assert f"{tmp_path}/conversions/day=2026-11-20/part-0.parquet 2" in said
    assert run("export", str(tmp_path), "--since", "soon")[0] == 2
