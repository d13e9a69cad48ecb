"""Reading an import by columns says what reading it row by row says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from experiments.errors import Invalid, Malformed
from experiments.events import parse_exposure
from experiments.importing import events
from experiments.importing.events import Fill
from experiments.importing.rowfile import Row
from experiments.moment import day_number, micros
from experiments.service.bulk import plain_exposures
from experiments.service.importing import import_exposures
from experiments.service.recording import exposure_row
from experiments.service.snapshot import StorefrontView
from experiments.storage import newrows
from experiments.storage.database import connect, reading, upgrade
from experiments.storage.eventlog import ExposureRow
from experiments.storage.tables import exposure
from tests.shop import NOW, Shop, a_a, experiment, open_shop

patient = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

units = st.sampled_from(["v1", "v2", "~", "a" * 128]) | st.sampled_from(
    ["a" * 129, "two words", "é", "a\n", "", "\x7f"]
)
times = st.one_of(
    st.sampled_from([
        "2026-11-20T10:00:00Z", "2026-11-20T00:30:00.5+01:00", "2026-10-25T02:30:00+02:00", "2026-11-20 10:00:00 UTC",
        "2026-11-20", "2026-11-20T10:00:00", "2026-13-01T10:00:00Z", "2027-01-01T00:00:00Z", "1999-12-31T23:59:59Z",
        "1789000000000000", "2026-11-20T24:00:00Z", "٢٠٢٦-11-20T10:00:00Z", 7, 1_789_000_000_000_000,
        datetime(2026, 11, 1, 5, tzinfo=UTC), datetime(2026, 11, 1, 5),  # noqa: DTZ001 - one without its zone is meant
        datetime(2026, 11, 1, tzinfo=timezone(timedelta(hours=-9))),
    ]),
    st.integers(1_500_000_000, 1_795_000_000).map(lambda s: f"{datetime.fromtimestamp(s, UTC):%Y-%m-%dT%H:%M:%SZ}"),
    st.integers(1_500_000_000, 1_795_000_000).map(lambda s: datetime.fromtimestamp(s + 0.25, UTC).isoformat()),
)  # fmt: skip
cells = st.fixed_dictionaries(
    {"experiment": st.sampled_from(["offers", "same"]), "variant": st.sampled_from(["control", "upsell"])},
    optional={"visitor_id": units, "customer_id": units, "occurred_at": times,
              "kind": st.sampled_from(["assigned", "viewed"])},
)  # fmt: skip
sound = st.fixed_dictionaries(
    {"experiment": st.just("offers"), "variant": st.sampled_from(["control", "upsell"]),
     "visitor_id": st.sampled_from(["v1", "v2", "~", "a" * 128])},
    optional={"customer_id": st.just("c1"), "kind": st.sampled_from(["assigned", "viewed"]),
              "occurred_at": st.sampled_from(["2026-11-20T10:00:00Z", "2026-03-29T00:30:00.123456+01:00"])},
)  # fmt: skip
odd = st.fixed_dictionaries(
    {"experiment": st.sampled_from(["offers", "nothing", 5])},
    optional={"variant": st.sampled_from(["control", "x", 1]), "visitor_id": units | st.integers(),
              "kind": st.just("x"), "event_id": st.just("e"), "extra": st.just("y")},
)  # fmt: skip
fills = st.builds(
    Fill,
    st.just("EUR"),
    experiment=st.sampled_from([None, "offers"]),
    occurred_at=st.sampled_from([None, datetime(2026, 11, 2, 23, 30, tzinfo=UTC)]),
    zone=st.sampled_from([None, ZoneInfo("Asia/Kathmandu")]),
)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorefrontView]:
    """A shop with an experiment on visitors and one on customers."""
    engine = connect(f"sqlite:///{tmp_path_factory.mktemp('bulk')}/shop.sqlite")
    upgrade(engine)
    shop = open_shop(engine)
    shop.define(experiment())
    shop.define(a_a("same", unit="customer"))
    yield shop.view
    engine.dispose()


def one_by_one(view: StorefrontView, rows: list[Row], fill: Fill) -> list[ExposureRow] | None:
    """What the door reads in each row; None where it refuses one."""
    found = []
    for event in events.exposures(rows, fill):
        try:
            if event.refusal is not None:
                return None
            found.append(exposure_row(view, parse_exposure(event.raw, NOW), historic=True))
        except (Invalid, Malformed):
            return None
    return found


def test_columns_say_what_rows_say(view: StorefrontView) -> None:
    whole = 0

    @patient
    @given(st.lists(sound, max_size=4), st.lists(cells | odd, max_size=1), fills)
    def read(good: list[dict[str, Any]], other: list[dict[str, Any]], fill: Fill) -> None:
        nonlocal whole
        rows = [Row(line, dict(each)) for line, each in enumerate([*good, *other], start=2)]
        found = plain_exposures(view, rows, fill, NOW)
        if found is not None:
            whole += len(found)
            assert found == one_by_one(view, rows, fill)

    read()
    assert whole > 100


def imported(shop: Shop, rows: list[Row], fill: Fill) -> Any:
    batches = list(import_exposures(shop.engine, shop.view, rows, fill, NOW))
    rejected = [(row.line, row.refusal) for batch in batches for row in batch.rejected]
    return sum(b.accepted for b in batches), sum(b.duplicate for b in batches), rejected


def test_a_day_is_the_storefronts_whatever_the_season(view: StorefrontView) -> None:
    zone = view.storefront.zone
    moments = [
        datetime(2026, month, day, hour, minute, tzinfo=UTC)
        for month, day in ((3, 28), (3, 29), (10, 24), (10, 25), (11, 2))
        for hour in range(24)
        for minute in (0, 14, 59)
    ]
    rows = [
        Row(i, {"experiment": "offers", "variant": "upsell", "visitor_id": f"d{i}", "occurred_at": at})
        for i, at in enumerate(moments)
    ]
    found = plain_exposures(view, rows, Fill("EUR"), NOW)
    assert found is not None
    assert [row.day for row in found] == [day_number(micros(at), zone) for at in moments]
    assert [row.at for row in found] == [micros(at) for at in moments]


def test_many_rows_at_one_go_are_told_apart_where_some_were_there(engine: Engine) -> None:
    shop = open_shop(engine)
    shop.define(experiment())
    number = newrows.MANY + 10

    def rows(start: int) -> list[Row]:
        return [
            Row(i, {"experiment": "offers", "variant": "upsell", "visitor_id": f"u{i}", "kind": "assigned"})
            for i in range(start, start + number)
        ]

    assert imported(shop, rows(0), Fill("EUR")) == (number, 0, [])
    assert imported(shop, rows(0), Fill("EUR")) == (0, number, [])
    assert imported(shop, rows(7), Fill("EUR")) == (7, number - 7, [])
    with reading(engine) as conn:
        assert len(conn.execute(select(exposure)).all()) == number + 7


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "UTC"])
def test_a_day_that_is_kept_for_its_quarter_of_an_hour_is_the_calendars(zone: str) -> None:
    known = ZoneInfo(zone)
    start = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
    for second in range(start, start + 300 * 86_400, 7 * 60 + 13):
        at = datetime.fromtimestamp(second, UTC)
        assert day_number(micros(at), known) == at.astimezone(known).date().toordinal() - 719_163
