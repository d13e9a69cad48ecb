"""What the watch tells: each alert fires on its planted truth, once, and stays silent on the twin that is well."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, event, insert, select, update

from analysis.experiment import experiment_report
from analysis.guardrails import zone
from analysis.watching import LOOK_EVERY, Watch
from experiments.identifiers import ExperimentId
from experiments.moment import SECOND, Micros, iso
from experiments.service import defining
from experiments.service.entering import note_sign_in
from experiments.storage.alerts import Alert, alerts, note_look
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment, read_audit
from experiments.storage.tables import experiment as experiment_table
from experiments.storage.tables import exposure, watched
from experiments.storage.users import add_user
from tests.shop import Shop, a_a, open_shop, refund
from tests.watching.worlds import START, at, orders, run, visits

MINUTE = 60 * SECOND


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return open_shop(engine)


@pytest.fixture
def watch(shop: Shop) -> Watch:
    return Watch(shop.engine)


def kinds(told: list[Alert]) -> list[str]:
    return [alert.kind for alert in told]


def steer(shop: Shop, action: str, now: Micros, key: str = "same") -> None:
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, key, action, "pm@shop.example", now)  # type: ignore[arg-type]  # by name


def state(shop: Shop, key: str = "same") -> str:
    with reading(shop.engine) as conn:
        return get_experiment(conn, shop.storefront.id, key).state


def test_a_start_and_an_end_are_told_once(shop: Shop, watch: Watch) -> None:
    run(shop)
    assert kinds(watch.round(at(0.01))) == ["started"]
    assert watch.round(at(0.02)) == []
    steer(shop, "stop", at(0.5))
    assert kinds(watch.round(at(0.51))) == ["ended"]
    assert watch.round(at(0.52)) == []


def test_what_is_long_past_and_drafts_are_no_news(shop: Shop, watch: Watch) -> None:
    run(shop)
    shop.define(a_a("draft"), start=False, now=START)
    steer(shop, "stop", at(0.5))
    assert watch.round(at(8)) == []


def test_no_data_after_a_day_is_told_and_cleared_by_the_first_visitor(shop: Shop, watch: Watch) -> None:
    run(shop)
    assert kinds(watch.round(at(0.99))) == ["started"]
    (told,) = watch.round(at(1.01))
    assert (told.kind, told.detail) == ("no_exposures", "Not one visitor has met it in 24 h.")
    assert watch.round(at(1.5)) == []
    visits(shop, "same", {"control": 1}, 1.6)
    assert watch.round(at(1.7)) == []
    with reading(shop.engine) as conn:
        (mine,) = [a for a in alerts(conn, shop.storefront.id) if a.kind == "no_exposures"]
    assert mine.cleared_at == at(1.7)
    assert not mine.needs_somebody


def test_a_silence_counts_by_the_experiments_own_rate(shop: Shop, watch: Watch) -> None:
    """200 a day that stop are missed after a day; two a day are not missed that soon; and it may be told again."""
    run(shop, "busy")
    run(shop, "slow")
    visits(shop, "busy", {"control": 200, "t1": 200}, 0.1, every=1 / 200)
    orders(shop, ["busy-0.1-control-0"], 0.2)
    visits(shop, "slow", {"control": 2, "t1": 2}, 0.1, every=1 / 2)
    watch.round(at(2.2))
    told = watch.round(at(3.3))
    assert [(a.experiment, a.kind) for a in told] == [("busy", "no_exposures")]
    visits(shop, "busy", {"control": 10, "t1": 10}, 3.4, tag="back")
    assert watch.round(at(3.5)) == []
    assert [(a.experiment, a.kind) for a in watch.round(at(4.6))] == [("busy", "no_exposures")]


@pytest.mark.parametrize("how", ["paused", "closed", "switched off", "no coverage", "resumed of late"])
def test_nobody_is_missed_where_nobody_can_come(shop: Shop, watch: Watch, how: str) -> None:
    run(shop, coverage=0 if how == "no coverage" else 10_000)
    if how == "paused":
        steer(shop, "pause", at(0.1))
    elif how == "closed":
        steer(shop, "close", at(0.1))
    elif how == "switched off":
        from experiments.service.settings import edit_placement

        with writing(shop.engine) as conn:
            edit_placement(conn, shop.storefront.id, "cart", {"paused": True}, "pm", at(0.1))
    elif how == "resumed of late":
        steer(shop, "pause", at(0.1))
        steer(shop, "resume", at(1.5))
    assert kinds(watch.round(at(2))) == ["started"]


def test_visitors_without_any_conversion_are_told(shop: Shop, watch: Watch) -> None:
    run(shop)
    visits(shop, "same", {"control": 5, "t1": 5}, 0.5)
    assert kinds(watch.round(at(1.4))) == ["started"]
    (told,) = [a for a in watch.round(at(1.6)) if a.kind == "no_conversions"]
    assert told.detail == "10 visitors in 26 h, and no order or other conversion."
    orders(shop, ["same-0.5-t1-1"], 1.7)
    assert watch.round(at(1.9)) == []
    with reading(shop.engine) as conn:
        (mine,) = [a for a in alerts(conn, shop.storefront.id) if a.kind == "no_conversions"]
    assert mine.cleared_at == at(1.9)


def test_orders_of_strangers_only_are_told_once_there_are_enough_visitors(shop: Shop, watch: Watch) -> None:
    """The classic fault: the shop's pages and its servers send different ids."""
    run(shop)
    visits(shop, "same", {"control": 100, "t1": 100}, 0.5)
    orders(shop, ["somebody-else"], 0.6)
    assert kinds(watch.round(at(1.4))) == ["started"]
    visits(shop, "same", {"control": 60, "t1": 60}, 1.45)
    orders(shop, ["another-one"], 1.5)
    (told,) = watch.round(at(1.6))
    assert told.kind == "no_conversions"
    assert "320 visitors" in told.detail
    orders(shop, ["same-1.45-control-1"], 1.7)
    assert watch.round(at(1.8)) == []


def test_a_broken_split_is_told_and_an_even_one_is_not(shop: Shop, watch: Watch) -> None:
    for key, share in (("even", 500), ("broken", 400)):
        run(shop, key)
        for day in range(2):
            met = visits(shop, key, {"control": 500, "t1": share}, day + 0.5)
            orders(shop, [v for v, _ in met[::20]], day + 0.6)
    told = [a for a in watch.round(at(2)) if a.kind != "started"]
    assert [(a.experiment, a.kind) for a in told] == [("broken", "sample_ratio_mismatch")]
    assert "t1 44.44% (planned 50.00%)" in told[0].detail
    assert watch.round(at(2.1)) == []


GUARDED = {
    "metrics": {"primary": "revenue_per_visitor", "guardrails": [{"metric": "conversion", "margin": "5%"}]},
    "analysis": {"minimum_days": 3, "target_mde": "30%"},
}


def buy(shop: Shop, key: str, share: dict[str, float], day: float, n: int = 1000) -> None:
    """So many visitors in each variant, of whom that share buys."""
    met = visits(shop, key, dict.fromkeys(share, n), day)
    orders(shop, [v for v, variant in met if int(v.rpartition("-")[2]) < share[variant] * n], day + 0.05)


def test_a_breached_guardrail_is_told_as_the_report_reads_it(shop: Shop, watch: Watch) -> None:
    run(shop, "harms", **GUARDED)
    run(shop, "same", **GUARDED)
    buy(shop, "harms", {"control": 0.3, "t1": 0.15}, 0.5)
    buy(shop, "same", {"control": 0.3, "t1": 0.3}, 0.5)
    told = [a for a in watch.round(at(1)) if a.kind != "started"]
    assert [(a.experiment, a.kind, a.about) for a in told] == [("harms", "guardrail_breached", "conversion/t1")]
    assert "5% was allowed" in told[0].detail
    for key, expected in (("harms", "breached"), ("same", "unproven")):
        with reading(shop.engine) as conn:
            found = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, key), at(1))
        assert zone(found["conversion"], found["conversion"].comparison("t1")) == expected
    assert watch.round(at(1.2)) == []


def test_a_target_is_told_after_the_minimum_run_time(shop: Shop, watch: Watch) -> None:
    run(shop, "better", **GUARDED)
    run(shop, "open", **(GUARDED | {"analysis": {"minimum_days": 3, "target_mde": "1%"}}))
    for day in range(4):
        buy(shop, "better", {"control": 0.1, "t1": 0.25}, day + 0.5)
        buy(shop, "open", {"control": 0.2, "t1": 0.2}, day + 0.5)
        told = [a for a in watch.round(at(day + 0.9)) if a.kind != "started"]
        assert [(a.experiment, a.kind) for a in told] == ([("better", "target_reached")] if day == 3 else [])
    assert told[0].detail == "The rule that was fixed before the start says: ship t1."
    assert watch.round(at(4)) == []


def pausing(*conditions: str) -> dict[str, object]:
    return GUARDED | {"schedule": {"pause_when": list(conditions)}}


def test_it_pauses_by_its_own_condition_with_the_reason_in_the_trail(shop: Shop, watch: Watch) -> None:
    run(shop, "asked", **pausing("guardrail_breached"))
    run(shop, "not-asked", **pausing("sample_ratio_mismatch"))
    for key in ("asked", "not-asked"):
        buy(shop, key, {"control": 0.3, "t1": 0.15}, 0.5)
    told = watch.round(at(1))
    assert sorted((a.experiment, a.kind) for a in told if a.kind != "started") == [
        ("asked", "auto_paused"), ("asked", "guardrail_breached"), ("not-asked", "guardrail_breached"),
    ]  # fmt: skip
    assert (state(shop, "asked"), state(shop, "not-asked")) == ("paused", "running")
    assert shop.view.experiments["asked"].state == "paused"
    with reading(shop.engine) as conn:
        entry = read_audit(conn, shop.storefront.id, "experiment:asked")[0]
    assert (entry.actor, entry.action) == ("offerlab", "pause")
    assert isinstance(entry.after, dict)
    assert entry.after["reason"].startswith("A guardrail is breached. t1 on conversion:")


def test_who_resumes_it_is_not_overruled_and_another_condition_pauses_it_again(shop: Shop, watch: Watch) -> None:
    run(shop, **pausing("guardrail_breached", "sample_ratio_mismatch"))
    buy(shop, "same", {"control": 0.3, "t1": 0.15}, 0.5)
    watch.round(at(1))
    assert state(shop) == "paused"
    steer(shop, "resume", at(1.1))
    for hours in range(1, 30):
        watch.round(at(1.1 + hours / 24))
    assert state(shop) == "running", "it never pauses twice for the same breach"
    visits(shop, "same", {"control": 1000, "t1": 500}, 2.4)
    assert sorted(kinds(watch.round(at(2.5)))) == ["auto_paused", "sample_ratio_mismatch"]
    assert state(shop) == "paused"
    with reading(shop.engine) as conn:
        pauses = [a.cleared_at for a in alerts(conn, shop.storefront.id, "same") if a.kind == "auto_paused"]
    assert pauses == [None, at(1.1 + 1 / 24)], "the first is over since somebody resumed it"


def test_a_condition_that_is_asked_for_later_pauses_too(shop: Shop, watch: Watch) -> None:
    run(shop, **GUARDED)
    buy(shop, "same", {"control": 0.3, "t1": 0.15}, 0.5)
    watch.round(at(1))
    with writing(shop.engine) as conn:
        defining.amend(
            conn, shop.storefront, "same", {"schedule": {"pause_when": ["guardrail_breached"]}}, "pm", at(1.1)
        )
    assert kinds(watch.round(at(1.11))) == ["auto_paused"]
    assert state(shop) == "paused"


def test_two_watches_at_once_tell_and_pause_once(shop: Shop) -> None:
    from concurrent.futures import ThreadPoolExecutor

    run(shop, **pausing("guardrail_breached"))
    buy(shop, "same", {"control": 0.3, "t1": 0.15}, 0.5)
    watches = [Watch(shop.engine) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        told = [a.kind for found in pool.map(lambda one: one.round(at(1)), watches) for a in found]
    assert sorted(told) == ["auto_paused", "guardrail_breached", "started"]
    with reading(shop.engine) as conn:
        trail = read_audit(conn, shop.storefront.id, "experiment:same")
        assert len(alerts(conn, shop.storefront.id)) == 3
    assert [entry.action for entry in trail] == ["pause", "start", "create"]


def test_one_that_fails_keeps_nobody_from_the_others(
    shop: Shop, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two experiments one has a report that cannot be made: the other is told of, and nobody is asked to retry."""
    run(shop, "broken")
    run(shop, "well")
    for key in ("broken", "well"):
        met = visits(shop, key, {"control": 500, "t1": 300}, 0.5)
        orders(shop, [v for v, _ in met[::20]], 0.6)
    with writing(shop.engine) as conn:  # a day that no calendar has
        broken = get_experiment(conn, shop.storefront.id, "broken").id
        conn.execute(update(exposure).where(exposure.c.experiment_id == broken).values(day=2_000_000_000))
    told = watch.round(at(1))
    assert sorted((a.experiment, a.kind) for a in told) == [
        ("broken", "started"), ("well", "sample_ratio_mismatch"), ("well", "started"),
    ]  # fmt: skip
    assert "broken was not watched" in caplog.text


def test_a_look_without_new_data_reads_no_events(shop: Shop, watch: Watch) -> None:
    """A report is made once and not again before something that it reads has changed: somebody who signs in is not."""
    run(shop)
    met = visits(shop, "same", {"control": 300, "t1": 300}, 0.5)
    orders(shop, [v for v, _ in met[::10]], 0.6)
    asked: list[str] = []
    event.listen(shop.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def reports(now: Micros) -> bool:
        asked.clear()
        watch.round(now)
        return any("order_line" in statement for statement in asked)

    assert reports(at(1)), "the first look makes the report"
    assert not reports(Micros(at(1) + LOOK_EVERY))
    with writing(shop.engine) as conn:
        note_sign_in(conn, add_user(conn, "ann@shop.example", "viewer", at(1)), "password", at(1))
    assert not reports(Micros(at(1) + 2 * LOOK_EVERY))
    orders(shop, [met[1][0]], 1)
    assert reports(Micros(at(1) + 3 * LOOK_EVERY))
    with writing(shop.engine) as conn:
        defining.amend(conn, shop.storefront, "same", {"name": "Another"}, "pm", at(1.1))
    assert reports(Micros(at(1) + 4 * LOOK_EVERY))
    assert reports(at(2.05)), "a day makes events ripe"


CHANGES: dict[str, Callable[[Shop], object]] = {
    "a unit": lambda shop: visits(shop, "same", {"control": 1}, 0.9),
    "a view of one": lambda shop: shop.expose(
        {"visitor_id": "same-0.5-control-1", "experiment": "same", "variant": "control", "kind": "viewed",
         "occurred_at": iso(at(0.9))}, now=at(0.9)),
    "an edited order": lambda shop: orders(shop, ["same-0.5-control-0"], 0.6, "30.00", version=2),
    "a refund": lambda shop: shop.convert(refund("r1", "o-same-0.5-control-0", "5.00"), now=at(0.9)),
    "a crossover": lambda shop: shop.expose(
        {"visitor_id": "same-0.5-control-1", "experiment": "same", "variant": "t1", "kind": "assigned",
         "occurred_at": iso(at(0.9))}, now=at(0.9)),
    "a link": lambda shop: shop.link("same-0.5-control-1", "ann", at(0.9)),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_a_report_would_show_is_looked_at(shop: Shop, watch: Watch, what: str) -> None:
    run(shop)
    visits(shop, "same", {"control": 2, "t1": 2}, 0.5)
    orders(shop, ["same-0.5-control-0"], 0.6)
    watch.round(at(0.8))
    before = marks(shop)
    watch.round(at(0.85))
    assert marks(shop) == before
    CHANGES[what](shop)
    watch.round(at(0.95))
    assert marks(shop) != before


def marks(shop: Shop) -> dict[str, str]:
    """By which data each experiment was last looked at."""
    with reading(shop.engine) as conn:
        joined = watched.join(experiment_table, experiment_table.c.id == watched.c.experiment_id)
        rows = conn.execute(select(experiment_table.c.key, watched.c.mark).select_from(joined))
        return {row[0]: row[1] for row in rows}


def crowd(shop: Shop, count: int) -> None:
    """So many running experiments with a visitor each, and one more that is called `same`."""
    run(shop, **GUARDED)
    like = shop.view.experiments["same"]
    with writing(shop.engine) as conn:
        row = conn.execute(select(experiment_table).where(experiment_table.c.id == like.id)).one()._asdict()
        more = [row | {"id": like.id + n, "key": f"e{n}", "seed": f"e{n}"} for n in range(1, count + 1)]
        conn.execute(insert(experiment_table), more)
        one = {"kind": "assigned", "unit_id": "v", "variant": "control", "at": at(0.5), "day": 0, "fingerprint": "0"}
        units = [one | {"experiment_id": each["id"], "received_at": at(0.5)} for each in more]
        conn.execute(insert(exposure), units)
        seen = [{"experiment_id": each["id"], "at": START, "mark": "seen"} for each in more]
        conn.execute(insert(watched), seen)


def test_a_silent_shop_costs_a_few_queries_and_a_breach_is_found_in_the_next_round(shop: Shop) -> None:
    count = 500
    crowd(shop, count)
    visits(shop, "same", {"control": 1, "t1": 1}, 0.5)
    orders(shop, ["same-0.5-control-0"], 0.5)
    watch, looked = Watch(shop.engine), [0]
    watch.round(at(1), lambda: False)
    _, found = watch.glances[shop.storefront.id]
    with writing(shop.engine) as conn:  # as if each had been looked at by what it is now
        for number, seen in found.items():
            note_look(conn, ExperimentId(number), at(0.9), seen.mark)
    asked: list[str] = []
    event.listen(shop.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def go_on() -> bool:
        looked[0] += 1
        return looked[0] <= 1

    for minute in range(5):
        asked.clear()
        assert watch.round(Micros(at(1) + minute * MINUTE), go_on) == []
        assert len(asked) <= 20, asked
    assert looked[0] == 0, "nobody is looked at closely"
    buy(shop, "same", {"control": 0.3, "t1": 0.15}, 0.95)
    with writing(shop.engine) as conn:  # the others share the storefront's orders: of all who wait it waited longest
        conn.execute(update(watched).where(watched.c.experiment_id != like_of(shop)).values(at=at(0.95)))
    told = watch.round(Micros(at(1) + 5 * MINUTE), go_on)
    assert [(a.experiment, a.kind) for a in told] == [("same", "guardrail_breached")]


def like_of(shop: Shop) -> int:
    return shop.view.experiments["same"].id


def test_those_with_new_data_are_looked_at_in_the_order_in_which_they_waited(shop: Shop) -> None:
    """However little time a round has, everybody has a turn."""
    keys = [f"e{i}" for i in range(7)]
    for key in keys:
        run(shop, key)
        visits(shop, key, {"control": 1, "t1": 1}, 0.5)
    watch, order = Watch(shop.engine), []
    for minute in range(4):
        left = iter([True, True, False])
        watch.round(Micros(at(1) + minute * MINUTE), lambda left=left: next(left))  # type: ignore[misc]  # bound now
        order.append(set(marks(shop)))
    assert [len(seen) for seen in order] == [2, 4, 6, 7]
    orders(shop, ["e0-0.5-control-0"], 1)
    again = Micros(at(1) + LOOK_EVERY + 2 * MINUTE)
    before = marks(shop)
    watch.round(again)
    renewed = {key for key, mark in marks(shop).items() if mark != before[key]}
    assert renewed == order[2], "those of the last minute were looked at less than a quarter of an hour ago"


def test_a_glance_that_read_many_rows_is_not_made_again_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    run(shop)
    visits(shop, "same", {"control": 50, "t1": 50}, 0.5)
    watch = Watch(shop.engine)
    monkeypatch.setattr("analysis.glance.ROWS_A_SECOND", 1)  # as if there were thousands of times as many
    watch.round(at(1))
    until, found = watch.glances[shop.storefront.id]
    assert until == at(1) + 100 * SECOND
    watch.round(Micros(at(1) + MINUTE))
    assert watch.glances[shop.storefront.id][1] is found
    run(shop, "new")
    assert [a.experiment for a in watch.round(Micros(at(1) + 90 * SECOND)) if a.kind == "started"] == ["new"]
    assert set(watch.glances[shop.storefront.id][1]) > set(found), "one that is new is not left waiting"


def test_a_copy_keeps_what_it_pauses_for_and_no_dates(shop: Shop) -> None:
    from experiments.definition import Schedule

    run(
        shop,
        **(
            pausing("guardrail_breached")
            | {"schedule": {"pause_when": ["guardrail_breached"], "end_at": "2030-01-01T00:00:00Z"}}
        ),
    )
    with writing(shop.engine) as conn:
        copy = defining.duplicate(conn, shop.storefront, "same", "copy", "pm", at(1))
    assert copy.definition.schedule == Schedule(pause_when=["guardrail_breached"])
