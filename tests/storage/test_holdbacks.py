"""Shipping with a holdback: who sees what, who is measured, and what ends it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from experiments.assignment import Assignment
from experiments.context import ContextInput
from experiments.definition import WHOLE, parse, to_json
from experiments.errors import Conflict, Invalid
from experiments.holdback import LEAST, MARKS, MOST, follow_up, free_key
from experiments.lifecycle import Action
from experiments.moment import DAY, Micros
from experiments.service import defining, holding
from experiments.service.serving import AssignmentRequest, decide
from experiments.service.settings import change_settings
from experiments.storage.database import reading, writing
from experiments.storage.registry import Experiment, experiments, get_experiment, holdback_of, read_audit
from tests.shop import NOW, Shop, experiment, open_shop
from webapp import deciding

SHIPPED = Micros(NOW + 20 * DAY)
LATER = Micros(NOW + 21 * DAY)


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """A shop whose experiment ended; only customers from Germany were in it."""
    opened = open_shop(engine)
    opened.define(experiment(targeting={"country": "DE"}, coverage=8000))
    with writing(engine) as conn:
        defining.act(conn, opened.storefront, "offers", "stop", "test", SHIPPED)
    return opened


def ship(shop: Shop, share: int | None = 1000, variant: str | None = "bundle") -> Experiment:
    made = deciding.snapshot(shop.engine, shop.storefront, "offers", SHIPPED)
    with writing(shop.engine) as conn:
        return deciding.decide(conn, shop.storefront, "offers", variant, "It earns more", "ann@x", made, share)


def act(shop: Shop, key: str, action: Action) -> None:
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, key, action, "test", LATER)


def met(shop: Shop, visitor: str, country: str = "DE", product: str = "A1") -> Assignment:
    request = AssignmentRequest(visitor, "cart", attributes={"country": country}, context=ContextInput(product))
    return decide(shop.view, request, LATER, lambda rule, unit: None)


def seen(shop: Shop, visitors: int = 2000, country: str = "DE") -> Counter[tuple[str, str | None]]:
    found = [met(shop, f"v{n}", country) for n in range(visitors)]
    return Counter((made.reason, made.variant.key if made.variant else None) for made in found)


def test_the_holdback_sees_control_and_everybody_else_the_winner(shop: Shop) -> None:
    ship(shop)
    drawn = seen(shop)
    assert drawn.keys() == {("assigned", "control"), ("assigned", "bundle")}
    held = drawn["assigned", "control"]
    assert abs(held - 200) < 5 * (2000 * 0.1 * 0.9) ** 0.5
    assert seen(shop, 50, "FR") == {("winner", "bundle"): 50}, "who was not asked then is in no comparison now"


def test_its_units_are_drawn_anew(shop: Shop) -> None:
    """Of the former control a tenth is held back, as of everybody: no group carries more over than the other."""
    before = {f"v{n}" for n in range(2000) if shop_variant(shop, f"v{n}") == "control"}
    ship(shop)
    held = {v for v in before if (found := met(shop, v).variant) is not None and found.key == "control"}
    assert abs(len(held) - len(before) / 10) < 5 * (len(before) * 0.1 * 0.9) ** 0.5


def shop_variant(shop: Shop, visitor: str) -> str | None:
    rule = shop.view.rule(shop.view.experiments["offers"])
    index = rule.table[rule.bucketer(visitor)]
    return rule.definition.variants[index].key if index < 255 else None


def test_both_are_linked_and_the_trail_says_so(shop: Shop) -> None:
    decided = ship(shop, 500)
    assert decided.decision is not None
    assert decided.decision["holdback"] == {"experiment": "offers-holdback", "share": 500}
    with reading(shop.engine) as conn:
        follows = holdback_of(conn, shop.storefront.id, "offers")
        trail = read_audit(conn, shop.storefront.id, "experiment:offers-holdback")
    assert follows is not None
    assert (follows.key, follows.follows, follows.state, follows.started_at) == (
        "offers-holdback", "offers", "running", SHIPPED,
    )  # fmt: skip
    assert [(e.actor, e.action) for e in trail] == [("ann@x", "start"), ("ann@x", "create")]
    assert [(v.key, v.weight) for v in follows.definition.variants] == [("control", 500), ("bundle", 9500)]


def test_a_holdback_needs_no_review_of_its_own(shop: Shop) -> None:
    """What it shows was approved and shipped: nobody has to look at it a second time."""
    with writing(shop.engine) as conn:
        shop.storefront = change_settings(conn, shop.storefront, {"review_required": True}, "test", SHIPPED)
    assert shop.storefront.review.required
    ship(shop)
    assert shop.view.experiments["offers-holdback"].state == "running"


def test_stopping_it_brings_the_winner_to_all(shop: Shop) -> None:
    ship(shop)
    act(shop, "offers-holdback", "stop")
    assert seen(shop, 200) == {("winner", "bundle"): 200}


def test_a_pause_of_the_holdback_shows_nobody_the_offer(shop: Shop) -> None:
    """A pause is for an offer that goes wrong: the winner behind it must not be shown to everybody instead."""
    ship(shop)
    act(shop, "offers-holdback", "pause")
    assert {variant for _, variant in seen(shop, 200)} == {None}
    act(shop, "offers-holdback", "resume")
    assert ("assigned", "bundle") in seen(shop, 200)


@pytest.mark.parametrize(("variant", "shown"), [("bundle", "bundle"), (None, None)])
def test_deciding_the_holdback_decides_the_winner_anew(shop: Shop, variant: str | None, shown: str | None) -> None:
    ship(shop)
    act(shop, "offers-holdback", "stop")
    with writing(shop.engine) as conn:
        defining.decide(conn, shop.storefront, "offers-holdback", variant, "it faded", "test", LATER)
        assert get_experiment(conn, shop.storefront.id, "offers").state == "archived"
    assert {found for _, found in seen(shop, 200)} == {shown}


def test_an_older_experiment_there_takes_nobody_from_the_holdback(shop: Shop) -> None:
    shop.define(experiment("rival"))
    ship(shop)
    assert {made.rule.definition.key for n in range(200) if (made := met(shop, f"v{n}")).rule} == {"offers-holdback"}


def test_nobody_archives_a_winner_while_it_is_held_back(shop: Shop) -> None:
    ship(shop)
    with pytest.raises(Conflict) as refusal:
        act(shop, "offers", "archive")
    assert refusal.value.code == "holdback_running"
    act(shop, "offers-holdback", "stop")
    act(shop, "offers", "archive")
    assert {variant for _, variant in seen(shop, 50)} == {None}


@pytest.mark.parametrize(
    ("variant", "share", "field"),
    [("bundle", LEAST - 1, "holdback"), ("bundle", MOST + 1, "holdback"), ("control", 500, "holdback"),
     (None, 500, "holdback"), ("sofa", 500, "variant")],
)  # fmt: skip
def test_what_cannot_be_held_back_is_refused_and_nothing_is_written(
    shop: Shop, variant: str | None, share: int, field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        ship(shop, share, variant)
    assert [e.field for e in refusal.value.errors] == [field]
    with reading(shop.engine) as conn:
        assert [(e.key, e.state) for e in experiments(conn, shop.storefront.id)] == [("offers", "stopped")]


def test_a_holdback_has_no_holdback(shop: Shop) -> None:
    ship(shop)
    act(shop, "offers-holdback", "stop")
    with writing(shop.engine) as conn, pytest.raises(Conflict, match="leave it running"):
        holding.ship(conn, shop.storefront, "offers-holdback", "bundle", 500, "again", "test", LATER)


@given(share=st.integers(LEAST, MOST), window=st.integers(1, 365), layered=st.booleans())
def test_a_holdback_asks_as_the_decided_one_did(share: int, window: int, layered: bool) -> None:
    value = experiment(targeting={"country": "DE"}, analysis={"window_days": window, "confidence": 0.9}, coverage=5000)
    value |= {"allow_list": {"me": "upsell"}, "schedule": {"end_at": "2027-01-01T00:00:00Z"}}
    if layered:
        value["layer"] = {"key": "cart", "start": 0, "end": 5000}
    before = parse(value)
    made = parse(follow_up(before, "upsell", share))
    for name in ("placement", "unit", "targeting", "metrics", "hypothesis", "about"):
        assert getattr(made, name) == getattr(before, name)
    assert {v.key: v.offer for v in made.variants} == {
        key: variant.offer for key in ("control", "upsell") if (variant := before.variant(key))
    }
    assert [v.weight for v in made.variants] == [share, WHOLE - share]
    assert (made.coverage, made.layer, made.schedule.end_at, made.allow_list) == (WHOLE, None, None, {})
    assert made.analysis.window_days == max(window, MARKS[-1])
    assert made.analysis.method == "confidence_sequence"
    assert made.analysis.confidence == 0.9
    assert parse(to_json(made)) == made


@given(key=st.from_regex(r"[a-z0-9]{1,64}", fullmatch=True), others=st.integers(0, 12))
def test_its_key_is_free_and_short_enough(key: str, others: int) -> None:
    taken: set[str] = set()
    for _ in range(others + 1):
        made = free_key(key, taken)
        assert made not in taken
        assert len(made) <= 64
        taken.add(made)
