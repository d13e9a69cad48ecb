"""Reviews in the store: who may say what, what starts, and what stays written."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, select

from experiments.errors import Conflict, Forbidden, Invalid, OfferlabError
from experiments.lifecycle import TRANSITIONS
from experiments.moment import DAY, Micros, iso
from experiments.reviews import Standing
from experiments.service import defining, holding, reviewing, settings
from experiments.service.people import add_person
from experiments.storage import tables
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment, read_audit, set_state
from experiments.storage.storefronts import get_storefront
from tests.shop import NOW, Shop, experiment, open_shop

HOUR = DAY // 24
ANN, BOB, EVE, LEGAL = (f"{name}@shop.example" for name in ("ann", "bob", "eve", "legal"))


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """A storefront that demands reviews, with Ann's draft in it."""
    opened = open_shop(engine)
    with writing(engine) as conn:
        for number, (email, role) in enumerate(((ANN, "editor"), (BOB, "editor"), (EVE, "admin"), (LEGAL, "viewer"))):
            add_person(conn, email, role, f"token {number}", NOW)
        settings.change_settings(conn, opened.storefront, {"review_required": True}, "test", NOW)
        defining.create(conn, opened.storefront, experiment(), ANN, NOW)
    return opened


def say(shop: Shop, step: Any, by: str, message: str = "", **more: Any) -> Standing:
    with writing(shop.engine) as conn:
        found = reviewing.review(conn, shop.storefront, "offers", step, message, by, NOW, **more)
        return reviewing.review_state(conn, reviewing.rule_now(conn, shop.storefront), found).standing


def do(shop: Shop, act: Callable[..., Any], *arguments: Any, by: str = ANN, now: Micros = NOW) -> str:
    with writing(shop.engine) as conn:
        act(conn, shop.storefront, "offers", *arguments, by, now)
        return get_experiment(conn, shop.storefront.id, "offers").state


def refused(act: Callable[[], object], kind: type[OfferlabError] = Conflict) -> str:
    with pytest.raises(kind) as refusal:
        act()
    return f"{refusal.value.code}: {refusal.value.message}"


def test_nothing_starts_that_nobody_approved(shop: Shop) -> None:
    said = refused(lambda: do(shop, defining.start))
    assert said == "not_approved: 'offers' cannot start: it needs a review first, and nobody was asked for one"
    times = {"start_at": iso(Micros(NOW + HOUR))}
    assert refused(lambda: do(shop, defining.schedule, times)).startswith("not_approved")
    assert say(shop, "requested", ANN) == "requested"
    assert "waits for its review, asked for by ann@" in refused(lambda: do(shop, defining.start))
    assert say(shop, "changes_requested", BOB, "Less discount, please.") == "changes_requested"
    assert "bob@shop.example asked for changes" in refused(lambda: do(shop, defining.start))
    assert say(shop, "approved", BOB) == "approved"
    assert do(shop, defining.start) == "running"


def test_without_the_rule_everything_is_as_it_was(shop: Shop) -> None:
    with writing(shop.engine) as conn:
        settings.change_settings(conn, shop.storefront, {"review_required": False}, "test", NOW)
    assert say(shop, "changes_requested", BOB, "Not like this.") == "changes_requested"
    assert do(shop, defining.start) == "running"


def test_a_change_after_the_approval_takes_another_one(shop: Shop) -> None:
    say(shop, "approved", BOB)
    do(shop, defining.edit, experiment(about={"owner": ANN, "tags": ["winter"]}))
    assert state(shop).standing == "approved"
    do(shop, defining.edit, experiment(coverage=5000))
    assert state(shop).standing == "stale"
    said = refused(lambda: do(shop, defining.start))
    assert "it has changed since bob@shop.example approved version 1: ask for another review" in said
    do(shop, defining.edit, experiment())
    assert do(shop, defining.start) == "running", "it is what was approved again"


def state(shop: Shop) -> reviewing.ReviewState:
    with reading(shop.engine) as conn:
        found = get_experiment(conn, shop.storefront.id, "offers")
        return reviewing.review_state(conn, reviewing.rule_now(conn, shop.storefront), found)


def test_what_is_scheduled_stays_what_was_approved(shop: Shop) -> None:
    say(shop, "approved", BOB)
    later = Micros(NOW + HOUR)
    assert do(shop, defining.schedule, {"start_at": iso(later)}) == "scheduled"
    for change in ({"hypothesis": "Another."}, {"schedule": {"end_at": iso(Micros(NOW + 9 * HOUR))}}):
        said = refused(lambda change=change: do(shop, defining.amend, change))
        assert said.startswith("not_approved: 'offers' cannot change like this")
    assert do(shop, defining.amend, {"about": {"owner": ANN}}) == "scheduled"
    assert do(shop, defining.schedule, {"start_at": iso(Micros(NOW + 2 * HOUR))}) == "scheduled"
    assert do(shop, defining.act, "unschedule") == "draft"
    assert state(shop).standing == "approved"
    assert do(shop, defining.start) == "scheduled"
    with writing(shop.engine) as conn:
        assert defining.due(conn, Micros(NOW + 3 * HOUR)) == 1
    # while it runs, what is safe to change needs nobody's approval
    assert do(shop, defining.amend, {"hypothesis": "Another."}, now=Micros(NOW + 3 * HOUR)) == "running"
    assert state(shop).standing == "approved", "it was, when it started"


def test_a_schedule_that_moves_the_end_is_another_definition(shop: Shop) -> None:
    say(shop, "approved", BOB)
    times = {"start_at": iso(Micros(NOW + HOUR)), "end_at": iso(Micros(NOW + 9 * HOUR))}
    assert refused(lambda: do(shop, defining.schedule, times)).startswith("not_approved")
    assert state(shop).standing == "approved", "and nothing of it was kept"


def test_nobody_approves_their_own_work(shop: Shop) -> None:
    assert refused(lambda: say(shop, "approved", ANN)).startswith("own_work")
    do(shop, defining.edit, experiment(coverage=5000), by=BOB)
    assert refused(lambda: say(shop, "approved", BOB)).startswith("own_work")
    assert refused(lambda: say(shop, "approved", ANN)).startswith("own_work")
    assert say(shop, "changes_requested", ANN, "I have thought of something.") == "changes_requested"
    assert say(shop, "approved", EVE) == "approved"


def test_only_who_has_the_right_reviews(shop: Shop) -> None:
    assert "no right to review" in refused(lambda: say(shop, "approved", LEGAL), Forbidden)
    with writing(shop.engine) as conn:
        settings.change_settings(conn, shop.storefront, {"reviewers": [f" {LEGAL.upper()} "]}, "test", NOW)
        assert get_storefront(conn, "shop").review.reviewers == (LEGAL,)
    assert "no right to review" in refused(lambda: say(shop, "approved", BOB), Forbidden)
    refused(lambda: say(shop, "requested", LEGAL), Forbidden)
    assert say(shop, "approved", LEGAL) == "approved"
    with pytest.raises(Invalid) as nobody, writing(shop.engine) as conn:
        settings.change_settings(conn, shop.storefront, {"reviewers": ["nobody@shop.example"]}, "test", NOW)
    assert nobody.value.errors[0].field == "reviewers"


def test_an_admin_lets_it_start_without_a_review_for_a_reason(shop: Shop) -> None:
    refused(lambda: say(shop, "overridden", BOB, "It is urgent."), Forbidden)
    refused(lambda: say(shop, "overridden", EVE, "  "), Invalid)
    assert say(shop, "overridden", EVE, "The sale begins tonight.") == "overridden"
    assert do(shop, defining.start) == "running"
    with reading(shop.engine) as conn:
        trail = read_audit(conn, shop.storefront.id, "experiment:offers")
    [entry] = [entry for entry in trail if entry.action == "override review"]
    assert entry.actor == EVE
    assert isinstance(entry.after, dict)
    assert entry.after["message"] == "The sale begins tonight."


def test_what_was_approved_may_be_shipped_with_a_holdback(shop: Shop) -> None:
    """Its holdback is what was decided, going on: nobody is asked again."""
    say(shop, "approved", BOB)
    do(shop, defining.start)
    do(shop, defining.act, "stop")
    with writing(shop.engine) as conn:
        decided = holding.ship(conn, shop.storefront, "offers", "bundle", 500, "It earns more.", ANN, NOW)
    assert decided.decision is not None
    assert shop.view.experiments[decided.decision["holdback"]["experiment"]].state == "running"


def test_an_override_too_is_of_what_it_was_said_of(shop: Shop) -> None:
    say(shop, "overridden", EVE, "The sale begins tonight.")
    do(shop, defining.edit, experiment(coverage=5000))
    assert refused(lambda: do(shop, defining.start)).startswith("not_approved")


def test_an_answer_is_to_the_version_that_was_looked_at(shop: Shop) -> None:
    do(shop, defining.edit, experiment(coverage=5000))
    assert refused(lambda: say(shop, "approved", BOB, version=1)).startswith("edited_meanwhile")
    assert say(shop, "approved", BOB, version=2) == "approved"


def test_what_was_said_stays_with_what_it_was_about(shop: Shop) -> None:
    say(shop, "requested", ANN, "Please look.")
    do(shop, defining.edit, experiment(coverage=5000))
    say(shop, "approved", BOB, " Good. ")
    found = state(shop)
    assert [(s.step, s.by, s.message, s.version) for s in found.steps] == [
        ("requested", ANN, "Please look.", 1),
        ("approved", BOB, "Good.", 2),
    ]
    assert [s.definition.coverage for s in found.steps] == [10_000, 5000]
    assert [s.fingerprint for s in found.steps] == [s.definition.fingerprint for s in found.steps]
    with reading(shop.engine) as conn:
        assert len(conn.execute(select(tables.review)).all()) == 2


@pytest.mark.parametrize("at", [s for s in ("scheduled", "running", "stopped") if s not in TRANSITIONS["review"]])
def test_only_drafts_are_reviewed(shop: Shop, at: Any) -> None:
    with writing(shop.engine) as conn:
        set_state(conn, get_experiment(conn, shop.storefront.id, "offers"), at)
    assert refused(lambda: say(shop, "approved", BOB)).startswith("wrong_state")


def test_a_wrong_state_is_said_before_a_missing_approval(shop: Shop) -> None:
    with writing(shop.engine) as conn:
        set_state(conn, get_experiment(conn, shop.storefront.id, "offers"), "stopped")
    assert refused(lambda: do(shop, defining.start)).startswith("wrong_state")


def test_another_storefronts_rule_is_its_own(shop: Shop) -> None:
    other = open_shop(shop.engine, "other")
    other.define(experiment())
    assert other.view.experiments["offers"].state == "running"
    assert shop.view.experiments["offers"].state == "draft"
