"""What the watch tells: each alert fires on its planted truth, once, and stays silent on the twin that is well."""

import pytest
from sqlalchemy import Engine, event

from analysis.experiment import experiment_report
from analysis.guardrails import zone
from analysis.watching import LOOK_EVERY, MOST_LOOKS, Watch
from experiments.moment import DAY, Micros
from experiments.service import defining
from experiments.storage.alerts import Alert, alerts
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment, read_audit
from tests.shop import Shop, a_a, open_shop
from tests.watching.worlds import START, at, orders, run, visits


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
    from sqlalchemy import update

    from experiments.storage.tables import exposure

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
    """Between two looks nothing but lists is read; at a look without news the report is not made again."""
    run(shop)
    met = visits(shop, "same", {"control": 300, "t1": 300}, 0.5)
    orders(shop, [v for v, _ in met[::10]], 0.6)
    asked: list[str] = []
    event.listen(shop.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def reads(now: Micros) -> tuple[int, bool]:
        asked.clear()
        watch.round(now)
        return len(asked), any("order_line" in statement for statement in asked)

    assert reads(at(1))[1], "the first look makes the report"
    reads(Micros(at(1) + LOOK_EVERY))  # its own alerts are news to it once
    between, report = reads(Micros(at(1) + LOOK_EVERY + 60_000_000))
    assert not report
    look, report = reads(Micros(at(1) + 2 * LOOK_EVERY))
    assert not report
    assert between < look <= between + 30


def test_a_round_is_bounded_and_everybody_has_a_turn(shop: Shop, watch: Watch) -> None:
    keys = [f"e{i}" for i in range(MOST_LOOKS + 5)]
    for key in keys:
        run(shop, key)
    watch.round(at(1.1))
    with reading(shop.engine) as conn:
        first = {a.experiment for a in alerts(conn, shop.storefront.id, limit=1000) if a.kind == "no_exposures"}
    assert len(first) == MOST_LOOKS
    watch.round(Micros(at(1.1) + 60_000_000))
    with reading(shop.engine) as conn:
        found = {a.experiment for a in alerts(conn, shop.storefront.id, limit=1000) if a.kind == "no_exposures"}
    assert found == set(keys)
    assert DAY > LOOK_EVERY


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
